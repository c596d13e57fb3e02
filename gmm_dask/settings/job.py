"""A whole fit as plain values: data, mixture, start, cluster, folder. The same for a TOML file, a
command line and a flow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from gmm_dask.mixture.starts import method_names
from gmm_dask.settings import toml
from gmm_dask.settings.checks import check, meant
from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.declaration import Help, options_of, sections_of
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.refit import RefitOptions
from gmm_dask.settings.rows import RowOptions
from gmm_dask.settings.secrets import LABELS, Address, without_secret
from gmm_dask.store.addresses import is_url

INIT_NAMES = {"kmeans++": "k-means++", "random-rows": "random_from_data"}
"""Names on the command line that scikit-learn spells otherwise."""

HEADER = """\
# A fit with gmm-dask. To resume it, or to do it again elsewhere:
#   gmm-dask fit --config config.toml [--out ANOTHER_RUN]
"""

MaybePath = str | None


@dataclass(frozen=True)
class Job:
    """One fit. `start` is how it begins where the mixture's own `init` is not meant: `labels:NAME`
    or the path of a model."""

    source: Annotated[
        str, Address(), Help("Source", "path or URL of a Zarr array or group, or .npy")
    ]
    mixture: Configuration
    start: MaybePath = None
    rows: RowOptions = field(default_factory=RowOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    run: Annotated[
        MaybePath,
        Address(),
        Help(
            "Run",
            "folder of checkpoints, history and model, path or URL; the same again goes on there",
        ),
    ] = None
    cache: Annotated[
        Literal["auto", "memory", "none"],
        Help("Cache", "keep rows in the workers' memory between passes; auto: if they fit"),
    ] = "auto"
    checkpoint_every: Annotated[
        int, Ge(1), Help("Checkpoint every", "iterations per checkpoint")
    ] = 1
    performance_report: Annotated[
        bool,
        Help(
            "Performance report",
            "keep Dask's own report of the run's tasks in the run folder; needs a cluster",
        ),
    ] = False
    overlap: Annotated[
        bool,
        Help(
            "Overlap",
            "after the fit, see which components share rows and what to merge; a pass for each",
        ),
    ] = False
    models: Annotated[
        MaybePath,
        Address(),
        Help("Models", "folder of the model's versions: models/<name>, or URL"),
    ] = None
    refit: RefitOptions = field(default_factory=RefitOptions)

    def __post_init__(self) -> None:
        check(self)
        without_secret(self.start)
        for name in ("source", "run", "models", "start"):
            value = getattr(self, name)
            if value == "" or value == LABELS:
                raise ConfigurationError(f"{name} is empty: give a path or URL, or leave it out")

    @property
    def labels(self) -> str | None:
        """The array of labels to begin from."""
        if self.start is None or not is_labels(self.start):
            return None
        return self.start.removeprefix(LABELS)

    @property
    def initial(self) -> str | None:
        """Where the model is to begin from."""
        return None if self.start is None or is_labels(self.start) else self.start

    def as_toml(self) -> str:
        """Readable, and all that is needed to do it again."""
        init = self.start or self.mixture.init
        lines = toml.written(self)
        place = next(i for i, line in enumerate(lines) if line.startswith("init = "))
        lines[place] = f"init = {toml.quoted(init)}"
        return HEADER + "\n".join(lines) + "\n"


def job_from(values: Mapping[str, Any]) -> Job:
    """A job from nested values, of a file, a command line or a form."""
    sections = sections_of(Job)
    given = {key: value for key, value in values.items() if key not in sections}
    made = {name: as_meant(sections[name], values.get(name, {})) for name in sections}
    mixture = made["mixture"]
    for name, where in (("source", given), ("components", mixture)):
        if where.get(name) is None:
            raise ConfigurationError(f"{name} is missing: give it, or a configuration that has it")
    init: Any = mixture.pop("init", None)
    if init is not None:
        name = str(INIT_NAMES.get(init, init))
        if name in method_names():
            mixture["init"] = name
        else:
            given["start"] = checked_start(name)
    return Job(**{name: section(**made[name]) for name, section in sections.items()}, **given)


def as_meant(section: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a section as Python has them: `none` is None where that is a value."""
    options = {option.name: option for option in options_of(section)}
    return {
        name: meant(options[name], value) if name in options else value
        for name, value in values.items()
    }


def checked_start(init: str) -> str:
    """Labels, or a model's address from wherever it is asked for; a misspelt method is neither."""
    if is_labels(init) or is_url(init):
        return init
    path = _existing(init)
    if path is None:
        ways = ["kmeans", "kmeans++", "split-and-merge", "random", "random-rows"]
        raise ConfigurationError(
            f"init {init!r} is no way to draw a start ({', '.join(ways)}), nor labels:NAME, nor "
            "the path of a model"
        )
    return str(path.absolute())


def _existing(address: str) -> Path | None:
    try:
        path = Path(address).expanduser()
        return path if address and path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long a name, no such user's home
        return None


def is_labels(start: str) -> bool:
    """Whether a start is the name of labels."""
    return start.startswith(LABELS)
