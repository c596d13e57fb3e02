"""A whole fit as plain values: data, mixture, start, cluster, folder. The same for a TOML file, a
command line and a flow.

Knows names, defaults and where each value goes in the library; knows nothing of how they were
given.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import zarr
from dask.utils import parse_timedelta
from distributed import Client

from gmm_dask.chunked.engines.protocol import Cache
from gmm_dask.chunked.rows import Rows, open_rows
from gmm_dask.chunked.sources.stores import group_arrays, open_node
from gmm_dask.fitting.fit import fit
from gmm_dask.fitting.journal import Rhythm
from gmm_dask.fitting.refitting.options import RefitOptions
from gmm_dask.fitting.refitting.outcome import Refit
from gmm_dask.fitting.refitting.refit import Reached
from gmm_dask.fitting.refitting.refit import refit as refit_models
from gmm_dask.fitting.result import Fit
from gmm_dask.fitting.run_loop import Callback
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.starts import METHODS
from gmm_dask.models.model import load_model
from gmm_dask.runs.layout import CONFIGURATION, RECORD, place_in
from gmm_dask.settings.configuration import Configuration, ConfigurationError, identity_of
from gmm_dask.settings.toml import NONE, checked, nearest, toml_lines
from gmm_dask.store.addresses import AddressError, is_url, refuse_bytes, split_url
from gmm_dask.store.location import open_folder

INIT_NAMES = {"kmeans++": "k-means++", "random-rows": "random_from_data"}
"""Names on the command line that scikit-learn spells otherwise."""
LABELS = "labels:"
ROWS_FORMAT_1 = (
    *("array", "columns", "features", "weights", "first_row", "last_row"),
    *("nonfinite", "missing_chunks"),
)
"""The fields of `Opening` of which flows named the first run folders."""
ASSIGNED = re.compile(r"([A-Za-z_]\w*)=")
SECRETS = ("passw", "secret", "token", "credential")
SECRET = re.compile("|".join(SECRETS), re.IGNORECASE)


@dataclass(frozen=True)
class Opening:
    """What `open_rows` is told beside the source; rows run from `first_row` up to `last_row`."""

    array: str | None = None
    columns: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    weights: str | None = None
    first_row: int | None = None
    last_row: int | None = None
    nonfinite: Literal["error", "skip"] = "error"
    missing_chunks: Literal["error", "fill"] = "error"

    def identity(self) -> dict[str, Any]:
        """What tells these rows from others of the source."""
        return identity_of(self, ROWS_FORMAT_1)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `open_rows`."""
        given = {name.name: getattr(self, name.name) for name in fields(self)}
        first, last = given.pop("first_row"), given.pop("last_row")
        given["rows"] = None if first is None and last is None else slice(first, last)
        return given


@dataclass(frozen=True)
class ClusterOptions:
    """Where passes run: a scheduler that is there, a cluster of this machine's own, or one of any
    Dask `kind` (`dask_jobqueue.SLURMCluster`), made with `arguments` and scaled to `workers`."""

    scheduler: str | None = None
    workers: int | None = None
    threads: int | None = None
    memory_limit: str | None = None
    kind: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    wait: str = "1h"
    trust_network: bool = False

    def __post_init__(self) -> None:
        self._one_place()
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} must be a whole number from 1 up, not {value!r}")
        try:
            parse_timedelta(self.wait)
        except (ValueError, KeyError, IndexError, OverflowError):
            raise ConfigurationError(
                f"wait {self.wait!r} is no time; write 90s, 10m or 1h"
            ) from None

    def _one_place(self) -> None:
        """One of the three; each with what belongs to it."""
        of_local, of_kind = ("threads", "memory_limit"), ("kind", "arguments")
        given = [n for n in ("workers", *of_local, *of_kind) if getattr(self, n) not in (None, {})]
        if self.scheduler is not None and given:
            raise ConfigurationError(
                f"give a scheduler's address or the {given[0]} of a cluster to start, not both"
            )
        if self.kind is None and self.arguments:
            raise ConfigurationError(
                "arguments of a cluster need its kind, such as dask_jobqueue.SLURMCluster"
            )
        astray = [name for name in given if name in of_local]
        if self.kind is not None and astray:
            raise ConfigurationError(
                f"{astray[0]} is of a local cluster; give what {self.kind} calls it in arguments"
            )
        refuse_secret_arguments(self.arguments)

    def given(self) -> dict[str, Any]:
        """What is not as it is without a word."""
        return {k: v for k, v in vars(self).items() if v != getattr(ClusterOptions(), k)}

    @property
    def any_given(self) -> bool:
        """Whether a cluster is asked for at all."""
        return any((self.scheduler, self.workers, self.threads, self.memory_limit, self.kind))


@dataclass(frozen=True)
class Job:
    """One fit. `start` is how it begins where the mixture's own `init` is not meant: `labels:NAME`
    or the path of a model."""

    source: str
    mixture: Configuration
    start: str | None = None
    rows: Opening = field(default_factory=Opening)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    run: str | None = None
    cache: Cache = "auto"
    checkpoint_every: int = 1
    performance_report: bool = False
    models: str | None = None
    refit: RefitOptions = field(default_factory=RefitOptions)

    def __post_init__(self) -> None:
        if self.cache not in ("auto", "memory", "none"):
            raise ConfigurationError(f"cache must be auto, memory or none, not {self.cache!r}")
        if self.checkpoint_every < 1:
            raise ConfigurationError("checkpoint_every must be a whole number from 1 up")
        for name in ("source", "run", "models", "start"):
            value = getattr(self, name)
            if value == "" or value == LABELS:
                raise ConfigurationError(f"{name} is empty: give a path or URL, or leave it out")
        for address in (
            self.source,
            self.run,
            self.models,
            self.start,
            self.rows.weights,
            self.cluster.scheduler,
        ):
            refuse_secret(address)

    def open(self) -> Rows:
        """The rows, so far as to know what they are, and that they are enough."""
        rows = open_rows(self.source, **self.rows.arguments())
        if self.start is None:
            self.mixture.check_drawn()
            self.mixture.check_rows(rows.shape[0])
        return rows

    def fit(
        self,
        client: Client | None = None,
        *,
        restart: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> Fit:
        """Carry it out; in a run folder that was begun before, it goes on there."""
        return fit(
            self.source,
            self.mixture,
            initial=self.initial(),
            labels=self.labels,
            client=client,
            cache=self.cache,
            run=self.run,
            restart=restart,
            checkpoint=Rhythm(self.checkpoint_every),
            callbacks=callbacks,
            performance_report=self.performance_report,
            **self.rows.arguments(),
        )

    def bring_up_to_date(
        self, cluster: Reached | None = None, *, callbacks: Sequence[Callback] = ()
    ) -> Refit:
        """Refit the models in their folder if there is anything new; `cluster` is reached then."""
        if self.models is None:
            raise ConfigurationError("models is missing: give the folder where versions are kept")
        return refit_models(
            self.source,
            self.models,
            self.mixture,
            options=self.refit,
            initial=self.initial(),
            labels=self.labels,
            cluster=cluster,
            cache=self.cache,
            checkpoint=Rhythm(self.checkpoint_every),
            callbacks=callbacks,
            **self.rows.arguments(),
        )

    @property
    def labels(self) -> str | None:
        """The array of labels to begin from."""
        if self.start is None or not is_labels(self.start):
            return None
        return self.start.removeprefix(LABELS)

    def initial(self) -> Mixture | None:
        """The model to begin from."""
        if self.start is None or is_labels(self.start):
            return None
        return load_model(self.start).mixture

    def as_toml(self) -> str:
        """Readable, and all that is needed to do it again."""
        mixture = {**self.mixture.as_dict(), "init": self.start or self.mixture.init}
        top = {
            "source": self.source,
            "run": self.run,
            "models": self.models,
            "cache": self.cache,
            "checkpoint_every": self.checkpoint_every,
            "performance_report": self.performance_report,
        }
        lines = [
            "# A fit with gmm-dask. To resume it, or to do it again elsewhere:",
            f"#   gmm-dask fit --config {CONFIGURATION} [--out ANOTHER_RUN]",
            *toml_lines(top),
            *toml_lines(mixture, Configuration, "mixture"),
            *toml_lines(vars(self.rows), Opening, "rows"),
            *toml_lines(self.cluster.given(), ClusterOptions, "cluster"),
            *toml_lines(self.refit.given(), RefitOptions, "refit"),
        ]
        return "\n".join(lines) + "\n"


def with_only_table(job: Job) -> Job:
    """The job on the one 2-D array of its group, where nothing else was said; looks at the source,
    and so needs the credentials for it."""
    array = job.rows.array or only_table(job.source, job.rows)
    return replace(job, rows=replace(job.rows, array=array))


def only_table(source: str, rows: Opening) -> str | None:
    """The one 2-D array of a group, where nothing else was said."""
    if rows.array or rows.columns or source.endswith(".npy"):
        return None
    node = open_node(source)
    tables = group_arrays(node, 2) if isinstance(node, zarr.Group) else []
    return tables[0] if len(tables) == 1 else None


SECTIONS: Mapping[str, type] = {
    "mixture": Configuration,
    "rows": Opening,
    "cluster": ClusterOptions,
    "refit": RefitOptions,
}
TOP: Mapping[str, Any] = {
    "source": str,
    "run": str | None,
    "models": str | None,
    "cache": Cache,
    "checkpoint_every": int,
    "performance_report": bool,
}


def read_toml(text: str, name: str) -> dict[str, Any]:
    """The nested values of a file, every key and type checked; `name` is for messages."""
    try:
        content = tomllib.loads(text)
    except ValueError as problem:  # also whole numbers of thousands of digits
        raise ConfigurationError(f"{name} is no TOML: {problem}") from None
    except RecursionError:
        raise ConfigurationError(f"{name} is nested too deeply for a configuration") from None
    known = [*TOP, *SECTIONS]
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key in SECTIONS:
            if not isinstance(value, dict):
                raise ConfigurationError(f"{name}: {key} is a section: write [{key}] and its keys")
            values[key] = checked(value, SECTIONS[key], f"{name}: [{key}]")
        elif key in TOP:
            values |= checked({key: value}, TOP, name)
        else:
            raise ConfigurationError(f"{name}: unknown key {key!r}{nearest(key, known)}")
    return values


def load_values(path: str | os.PathLike[str], *, own_cluster: bool = False) -> dict[str, Any]:
    """The values in a TOML file, or in a run folder.

    Somebody else's may not say which class of clusters is started, and with what, for that may be
    any code (`preload`, prologues of jobs); with an `own_cluster` what it says of one is not used.
    """
    text = os.fspath(path)
    if is_url(text):
        text = text if text.endswith(".toml") else place_in(text, CONFIGURATION)
        parent, _, name = text.rpartition("/")
        values = read_toml(_decoded(open_folder(parent).read(name), text), text)
        ours = own_cluster
    else:
        file, content, by_us = _file_at(text)
        values = read_toml(_decoded(content, str(file)), str(file))
        ours = own_cluster or (by_us and _where_it_was_written(file, values))
    if not ours:
        _refuse_started(values.get("cluster", {}), text)
    return values


def _file_at(text: str) -> tuple[Path, bytes, bool]:
    """A configuration file, its content, and whether it is this user's, or root's."""
    try:
        file = Path(text).expanduser()
        file = file / CONFIGURATION if file.is_dir() else file
        with file.open("rb") as opened:
            return file, opened.read(), os.fstat(opened.fileno()).st_uid in (0, os.getuid())
    except (OSError, ValueError, RuntimeError) as problem:
        raise ConfigurationError(f"{text} cannot be read: {problem}") from None


def _where_it_was_written(file: Path, values: Mapping[str, Any]) -> bool:
    """Not in a run folder that was brought here: that one names another place as its own."""
    if not (file.parent / RECORD).exists():
        return True
    return Path(values.get("run", "")).resolve() == file.parent.resolve()


def _refuse_started(cluster: Mapping[str, Any], where: str) -> None:
    """Of a configuration that may be anybody's: no class to import, and nothing to make it with."""
    said = [name for name in ("kind", "arguments") if cluster.get(name)]
    if said:
        raise ConfigurationError(
            f"{where} may be somebody else's, and the {said[0]} of its cluster can run any code "
            "here: give a cluster of your own (--workers, --scheduler), or look at it and give "
            "your own copy of that file"
        )


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as problem:
        raise ConfigurationError(f"{name} cannot be read: {problem}") from None


def job_from(values: Mapping[str, Any]) -> Job:
    """A job from nested values, as `load_values` gives them."""
    given = {key: value for key, value in values.items() if key not in SECTIONS}
    mixture = dict(values.get("mixture", {}))
    for name, where in (("source", given), ("components", mixture)):
        if where.get(name) is None:
            raise ConfigurationError(f"{name} is missing: give it, or a configuration that has it")
    if mixture.get("accelerate") == NONE:
        mixture["accelerate"] = None
    init: Any = mixture.pop("init", None)
    if init is not None:
        name = str(INIT_NAMES.get(init, init))
        if name in METHODS:
            mixture["init"] = name
        else:
            given["start"] = checked_start(name)
    return Job(
        mixture=Configuration(**mixture),
        rows=Opening(**values.get("rows", {})),
        cluster=ClusterOptions(**values.get("cluster", {})),
        refit=RefitOptions(**values.get("refit", {})),
        **given,
    )


def checked_start(init: str) -> str:
    """Labels, or a model's address from wherever it is asked for; a misspelt method is neither."""
    if is_labels(init) or is_url(init):
        return init
    path = _existing(init)
    if path is None:
        ways = ["kmeans", "kmeans++", "random", "random-rows"]
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


def secrets_in(value: object) -> Iterator[str]:
    """Names that look like those of secrets, at any depth, also in lines like `export NAME=…`."""
    if isinstance(value, Mapping):
        yield from filter(SECRET.search, map(str, value))
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from secrets_in(one)
    elif isinstance(value, str) and (found := ASSIGNED.search(value)):
        yield from filter(SECRET.search, [found[1]])


def refuse_secret_arguments(arguments: Mapping[str, Any]) -> None:
    """The same of what a cluster is made with: no name in it may be that of a secret."""
    secret = next(secrets_in(arguments), None)
    if secret is not None:
        raise ConfigurationError(
            f"cluster argument {secret!r} looks like a secret, and this configuration is kept "
            "and shown: leave secrets to the environment or to Dask's configuration"
        )


def refuse_secret(address: str | None) -> None:
    """What is asked for is kept and shown: no address in it may carry a secret, or be no text."""
    address = (address or "").removeprefix(LABELS)
    try:
        refuse_bytes(address)
        if is_url(address):
            split_url(address)
    except AddressError as problem:
        raise ConfigurationError(str(problem)) from None


def is_labels(start: str) -> bool:
    """Whether a start is the name of labels."""
    return start.startswith(LABELS)
