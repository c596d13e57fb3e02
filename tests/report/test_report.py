"""The report: one file that says everything, for any run, as a browser shows it."""

import base64
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas
import pytest
from matplotlib.image import imread

from gmm_dask import Configuration, fit, select
from gmm_dask.report import render, write_report
from gmm_dask.report.reported_run import reported_run
from gmm_dask.store.errors import StorageError
from tests.plots.test_plots import mixture_of
from tests.store.conftest import s3_bucket  # noqa: F401  the fixture

NAMES = ['<script>alert(1)</script> & "x"', "$\\frac{1}{2}$ 'y'\n温度"]


class Page(HTMLParser):
    """The tags of a page, and whether they close in order."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        del attrs
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_page(path: str | Path) -> str:
    """A page that closes what it opens, runs nothing and asks nobody for anything."""
    text = Path(path).read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "iframe"} & set(page.tags)
    for address in re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)', text):
        assert "".join(address).startswith("data:image/svg+xml;base64,")
    for picture in re.findall(r"svg\+xml;base64,([^\"]*)", text):
        drawn = base64.b64decode(picture).decode("utf-8")
        assert not re.search(r'(?:href|src)="(?!#|data:)', drawn.replace("http://www.w3.org", "#"))
    return text


def rows_of(components: int, features: int, size: int = 400) -> np.ndarray:
    mixture = mixture_of(components, features, spread=1)
    return mixture.sample(size, np.random.default_rng(1))[0]


@pytest.fixture(scope="module")
def weighted(tmp_path_factory) -> Path:
    """Few distinct points, more components, weights, and names that want to be code."""
    run = tmp_path_factory.mktemp("weighted") / "run"
    points = np.repeat([[0.0, 0.0], [1.0, 1.0], [5.0, 2.0], [7.0, 3.0]], 20, axis=0)
    table = pandas.DataFrame(points, columns=NAMES)
    fit(table, Configuration(6, max_iter=5), weights=np.linspace(0, 3, 80), run=run)
    write_report(run)
    return run


@pytest.mark.parametrize(
    ("components", "features", "family"),
    [(1, 1, "spherical"), (3, 1, "full"), (3, 4, "diag"), (4, 8, "tied"), (9, 14, "full")],
)
def test_reports_of_any_shape(tmp_path, components, features, family):
    run = tmp_path / "run"
    rows = rows_of(components, features)
    found = fit(rows, Configuration(components, family, max_iter=4), run=run)
    path = write_report(run)
    assert path == str(run / "report.html")
    text = check_page(path)
    assert f"{found.mean_log_likelihood:.6f}" in text
    assert f"uniform sample of {len(rows)} rows" in text
    assert "FAILS" not in text
    assert "load_model(" in text


def test_events_weights_and_names(weighted):
    text = check_page(weighted / "report.html")
    assert "starved" in text
    assert "total weight" in text
    assert "&lt;script&gt;alert(1)" in text
    assert "温度" in text
    assert "FAILS" not in text


def test_a_selection_has_its_table_and_curve(tmp_path):
    select(rows_of(2, 2), (1, 2, 3), ("full", "diag"), run=tmp_path / "run")
    text = check_page(write_report(tmp_path / "run"))
    assert "Which mixture" in text
    assert "parameters" in text


class Interrupted(BaseException):
    """As Ctrl-C."""


def interrupt_at(iteration: int):
    def tell(progress) -> None:
        if progress.state.iteration == iteration:
            raise Interrupted

    return tell


def interrupted(run: str | Path, **arguments) -> None:
    with pytest.raises(Interrupted):
        fit(
            rows_of(3, 2),
            Configuration(3, tol=0, max_iter=50),
            run=run,
            callbacks=[interrupt_at(2)],
            **arguments,
        )


def test_an_unfinished_run_says_how_far_it_is(tmp_path):
    interrupted(tmp_path / "run")
    text = check_page(write_report(tmp_path / "run"))
    assert "Not finished: 2 iterations and 3 passes are done, of at most 50" in text
    assert "gmm-dask watch" in text


def test_a_run_without_a_sample_is_told_where_to_get_one(tmp_path):
    run = tmp_path / "run"
    interrupted(run)
    (run / "sample.npz").unlink()
    assert "has kept no sample" in render(reported_run(run))
    assert "has kept no sample" not in render(reported_run(run, rows_of(3, 2)))


def test_a_run_of_which_only_the_beginning_is_left(tmp_path):
    run = tmp_path / "run"
    interrupted(run)
    for path in (run / "checkpoints").rglob("MANIFEST.json"):
        path.unlink()
    assert "No checkpoint of this run can be read" in render(reported_run(run))
    with pytest.raises(StorageError, match="there is no run at"):
        write_report(tmp_path / "nowhere")


def test_reports_in_an_object_store(s3_bucket):  # noqa: F811
    from gmm_dask.store.location import open_folder

    run = f"{s3_bucket}/reported/run"
    fit(rows_of(2, 2), Configuration(2, max_iter=3), run=run)
    assert write_report(run) == f"{run}/report.html"
    text = open_folder(run).read("report.html").decode("utf-8")
    assert "uniform sample of 400 rows" in text
    assert write_report(run) == f"{run}/report.html"  # once more, in place of the first


MEASURE = """<script>
addEventListener("load", () => {
const cut = [...document.querySelectorAll("div,figure,pre")]
  .filter(e => e.scrollWidth > e.clientWidth + 1).length;
const broken = [...document.images].filter(i => !i.complete || !i.naturalWidth).length;
document.title = `wide ${document.documentElement.scrollWidth - innerWidth} cut ${cut} `
  + `broken ${broken} pictures ${document.images.length}`;
});
</script>"""


def chromium(tmp_path: Path, page: Path, *what: str) -> str:
    """What a browser without a window prints of a page."""
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}"),
        *what,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, timeout=120, check=True, text=True).stdout


@pytest.mark.needs("chromium")
def test_a_browser_shows_all_of_it(weighted, tmp_path):
    page = tmp_path / "page.html"
    text = (weighted / "report.html").read_text("utf-8")
    page.write_text(text.replace("</body>", f"{MEASURE}</body>"), "utf-8")
    shown = chromium(tmp_path, page, "--window-size=1100,900", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", shown)
    assert title
    assert title[1].startswith("wide 0 cut 0 broken 0 pictures "), title[1]
    picture = tmp_path / "shot.png"
    whole = weighted / "report.html"
    chromium(tmp_path, whole, "--window-size=1100,4000", f"--screenshot={picture}")
    pixels = imread(picture)[..., :3]
    inked = (pixels < 0.9).any(axis=(1, 2))
    assert inked[:3500].mean() > 0.3  # lines of text and pictures all the way down
    assert not (pixels[:, -5:] < 0.9).any()  # nothing runs over the right edge
