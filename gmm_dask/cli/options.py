"""Options that several commands share, with one help text each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from gmm_dask.mixture.covariance import family_names

LogFormat = StrEnum("LogFormat", ["text", "json"])
CacheName = Literal["auto", "memory", "none"]
PolicyName = Literal["error", "skip"]

FAMILIES = f"[{'|'.join(family_names())}]"


def family(name: str) -> str:
    """A covariance family that there is by now: people add their own."""
    if name in family_names():
        return name
    known = ", ".join(map(repr, family_names()))
    raise typer.BadParameter(f"{name!r} is not one of {known}.")


ROWS, MIXTURE, HOW, CLUSTER = "Rows", "Mixture", "Iterations", "Cluster"

Source = Annotated[
    str, typer.Argument(help="Path or URL of a Zarr array or group, or a .npy file.")
]
Model = Annotated[
    str, typer.Argument(help="A model, a run folder that holds one, or a folder of versions.")
]
Run = Annotated[str, typer.Argument(help="A run folder: a path or URL.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]

Array = Annotated[
    str | None,
    typer.Option(
        help="Array of a group; not needed if it has only one table.", rich_help_panel=ROWS
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(help="1-D arrays of a group as features: a,b,c.", rich_help_panel=ROWS),
]
Features = Annotated[
    str | None, typer.Option(help="Only these features, by name: a,b,c.", rich_help_panel=ROWS)
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Array of row weights: a name in the group, or a path.", rich_help_panel=ROWS
    ),
]
Nonfinite = Annotated[
    PolicyName | None,
    typer.Option(help="Rows with NaN or infinity: an error, or left out.", rich_help_panel=ROWS),
]
MissingChunks = Annotated[
    Literal["error", "fill"] | None,
    typer.Option(help="Absent chunks: an error, or read as the fill value.", rich_help_panel=ROWS),
]

ChunkRows = Annotated[
    int | None, typer.Option(min=1, help="Rows per chunk (default about 8 MB of them).")
]

Scheduler = Annotated[
    str | None,
    typer.Option(help="Address of a Dask scheduler: tcp://host:8786.", rich_help_panel=CLUSTER),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Workers of a local cluster.", rich_help_panel=CLUSTER),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of each of its workers.", rich_help_panel=CLUSTER),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(help="Memory of each of its workers: 2GB.", rich_help_panel=CLUSTER),
]
Cache = Annotated[
    CacheName | None,
    typer.Option(
        help="Keep rows in memory between passes; auto: if they fit.", rich_help_panel=CLUSTER
    ),
]

Components = Annotated[
    int | None,
    typer.Option(
        "--components", "-k", min=1, help="K, how many Gaussians.", rich_help_panel=MIXTURE
    ),
]
Covariance = Annotated[
    str | None,
    typer.Option(
        parser=family,
        metavar=FAMILIES,
        help="Family of the covariances (default full).",
        rich_help_panel=MIXTURE,
    ),
]
Init = Annotated[
    str | None,
    typer.Option(
        help="Start: kmeans, kmeans++, random, random-rows, labels:NAME, or a model's path "
        "(default kmeans).",
        rich_help_panel=MIXTURE,
    ),
]
Starts = Annotated[
    int | None,
    typer.Option(min=1, help="Starts raced on a sample (default 1).", rich_help_panel=MIXTURE),
]
Seed = Annotated[
    int | None, typer.Option(help="Of everything random (default 0).", rich_help_panel=MIXTURE)
]
RegCovar = Annotated[
    float | None,
    typer.Option(min=0, help="Added to variances (default 1e-6).", rich_help_panel=MIXTURE),
]
Tol = Annotated[
    float | None,
    typer.Option(
        min=0, help="Least change of mean log-likelihood (default 1e-3).", rich_help_panel=HOW
    ),
]
MaxIter = Annotated[
    int | None, typer.Option(min=0, help="Most iterations (default 100).", rich_help_panel=HOW)
]
Accelerate = Annotated[
    Literal["auto", "squarem", "anderson", "none"] | None,
    typer.Option(
        help="Fewer passes to the same optimum (default auto); none is plain EM.",
        rich_help_panel=HOW,
    ),
]
CheckpointEvery = Annotated[
    int | None,
    typer.Option(min=1, help="Iterations per checkpoint (default 1).", rich_help_panel=HOW),
]
PerformanceReport = Annotated[
    bool,
    typer.Option(
        "--performance-report",
        help="Keep Dask's own report of the cluster in the run folder.",
        rich_help_panel=CLUSTER,
    ),
]
Restart = Annotated[
    bool,
    typer.Option("--restart", help="Begin anew; an old run is kept aside.", rich_help_panel=HOW),
]
Config = Annotated[
    str | None,
    typer.Option(help="TOML file of a fit, or a run folder; other options override it."),
]


def names(told: str | None) -> tuple[str, ...] | None:
    """`a,b,c` as three names."""
    if told is None:
        return None
    return tuple(name for part in told.split(",") if (name := part.strip()))


ROW_OPTIONS = ("array", "weights", "nonfinite", "missing_chunks")


def rows_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options about rows, by name; None where one was not given."""
    lists = {name: names(given.get(name)) for name in ("columns", "features")}
    return {name: given.get(name) for name in ROW_OPTIONS} | lists


def nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a fit, by name, as the sections of a job."""
    mixture = ("init", "n_init", "seed", "reg_covar", "tol", "max_iter", "accelerate")
    cluster = ("scheduler", "workers", "threads", "memory_limit")
    return {
        "source": given["source"],
        "run": given["out"],
        "cache": given["cache"],
        "checkpoint_every": given["checkpoint_every"],
        "performance_report": given.get("performance_report") or None,
        "mixture": {name: given[name] for name in mixture},
        "rows": rows_given(given),
        "cluster": {name: given[name] for name in cluster},
    }
