"""What a flow is asked for, as forms in Prefect's UI: the sections and fields of the TOML file.

Knows titles, help and which values there are; what they mean is for `gmm_dask.fitting.job` to
say. Secrets are no fields: Prefect stores and shows what is filled in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gmm_dask.fitting.job import SECRETS, refuse_secret, refuse_secret_arguments
from gmm_dask.settings.configuration import ConfigurationError
from gmm_dask.store.addresses import SECRET


def without_secret(address: str) -> str:
    """Refuse an address that would show a secret to everyone who sees the run, as a job would."""
    try:
        refuse_secret(address)
    except ConfigurationError as problem:
        raise ValueError(
            f"{problem}; what is filled in is stored and shown with the run, and a Secret block "
            "(credentials) is not"
        ) from None
    return address


def without_secrets(arguments: dict[str, Any]) -> dict[str, Any]:
    """Refuse names of secrets, at any depth, as a job would."""
    refuse_secret_arguments(arguments)
    return arguments


def in_any_case(words: Sequence[str]) -> str:
    """A pattern of one of these words, for browsers and servers alike."""
    return "|".join("".join(f"[{c}{c.upper()}]" for c in word) for word in words)


Address = Annotated[
    str,
    AfterValidator(without_secret),
    # Prefect's server asks this before it stores anything.
    Field(json_schema_extra={"not": {"pattern": SECRET}}),
]


def asked(title: str, description: str, **more: Any) -> Any:
    """A parameter of a flow. Prefect writes its name over the title, and nothing over the help, but
    what is extra stays."""
    extra = {"title": title, "description": description}
    return Field(title=title, description=description, json_schema_extra=extra, **more)


Source = Annotated[Address, asked("Source", "Path or URL of a Zarr array or group, or .npy")]
Run = Annotated[
    Address | None,
    asked(
        "Run",
        "Folder of checkpoints, history and model: a path, a URL, or a name under "
        "GMM_DASK_RUNS (runs/). Empty: named after source, rows and settings. Started again with "
        "the same run, a flow goes on where it was",
    ),
]
Cache = Annotated[
    Literal["auto", "memory", "none"],
    asked("Cache", "Keep rows in the workers' memory between passes"),
]
CheckpointEvery = Annotated[int, asked("Checkpoint every", "Iterations per checkpoint", ge=1)]
PerformanceReport = Annotated[
    bool,
    asked(
        "Performance report",
        "Keep Dask's own report of the run's tasks in the run folder; needs a cluster",
    ),
]
Credentials = Annotated[
    str | None,
    asked(
        "Credentials",
        "Name of a Prefect Secret block with a JSON object of environment variables, "
        "such as AWS_ACCESS_KEY_ID; empty: the environment of the worker",
    ),
]


def in_order(schema: dict[str, Any]) -> None:
    """Number the fields as they are written: Prefect numbers those of flows only, and its database
    keeps no order of the others."""
    for position, field in enumerate(schema["properties"].values()):
        field["position"] = position


class Form(BaseModel):
    """A section; a misspelt field is refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # what is refused may be a secret
        json_schema_extra=in_order,
    )

    def given(self) -> dict[str, Any]:
        """What was filled in."""
        return self.model_dump(exclude_unset=True)


Family = Literal["full", "tied", "diag", "spherical"]


class Size(Form):
    """What most people fill in."""

    components: int = Field(title="Components", description="K, the number of Gaussians", ge=1)
    covariance: Family = Field(
        "full", title="Covariance", description="The family of the covariances"
    )


class Settings(Form):
    """How to get to a mixture, whatever its size and family."""

    init: Address = Field(
        "kmeans",
        title="Start",
        description="kmeans, kmeans++, random, random-rows, labels:NAME, or the path of a model",
    )
    n_init: int = Field(1, title="Starts", description="Raced on a sample of rows", ge=1)
    finalists: int = Field(2, title="Finalists", description="Starts that see all rows", ge=1)
    seed: int = Field(0, title="Seed", description="Of everything random")
    sample_rows: int = Field(20_000, title="Sample", description="Rows to draw starts from", ge=1)
    tol: float | None = Field(
        1e-3, title="Tolerance", description="Least change of the mean log-likelihood", ge=0
    )
    relative_tol: float | None = Field(
        None, title="Relative tolerance", description="Least change, as a share of it", ge=0
    )
    parameter_tol: float | None = Field(
        None, title="Tolerance of parameters", description="In standard deviations", ge=0
    )
    max_iter: int = Field(
        100, title="Most iterations", description="Then it ends, converged or not", ge=0
    )
    reg_covar: float = Field(
        1e-6, title="Regularisation", description="Added to the variances", ge=0
    )
    relative_floor: float = Field(
        1e-20, title="Relative floor", description="Of variances, to those of the data", ge=0
    )
    degenerate: Literal["floor", "drop", "reseed", "error"] = Field(
        "floor", title="Degenerate components", description="What becomes of them"
    )
    accelerate: Literal["auto", "squarem", "anderson", "none"] | None = Field(
        "auto", title="Acceleration", description="Fewer passes to the same optimum"
    )
    arithmetic: Literal["float64", "float32"] = Field(
        "float64", title="Arithmetic", description="Of passes; float32 is quicker and less exact"
    )


class Mixture(Settings, Size):
    """The mixture, and how to get there."""


class Rows(Form):
    """Which rows and columns of the source."""

    array: str | None = Field(
        None, title="Array", description="Name in a group; not needed if it has only one table"
    )
    columns: tuple[str, ...] | None = Field(
        None, title="Columns", description="1-D arrays of a group as features"
    )
    features: tuple[str, ...] | None = Field(
        None, title="Features", description="Only these, by name"
    )
    weights: Address | None = Field(None, title="Weights", description="Array of row weights")
    first_row: int | None = Field(
        None, title="First row", description="Those before it are left out", ge=0
    )
    last_row: int | None = Field(None, title="Last row", description="Not itself", ge=0)
    nonfinite: Literal["error", "skip"] = Field(
        "error", title="Rows with NaN or infinity", description="An error, or left out"
    )
    missing_chunks: Literal["error", "fill"] = Field(
        "error", title="Absent chunks", description="An error, or read as the fill value"
    )


class Cluster(Form):
    """Where passes run; with nothing filled in, a cluster on this machine if the rows are large."""

    scheduler: Address | None = Field(
        None, title="Scheduler", description="Address of one that is there: tls://host:8786"
    )
    workers: int | None = Field(
        None, title="Workers", description="Of a cluster started for this run", ge=1
    )
    threads: int | None = Field(
        None, title="Threads", description="Of each worker of a cluster on this machine", ge=1
    )
    memory_limit: str | None = Field(
        None, title="Memory limit", description="Of each of its workers: 2GB"
    )
    kind: str | None = Field(
        None,
        title="Kind",
        description="Any class of Dask clusters: dask_jobqueue.SLURMCluster, "
        "dask_kubernetes.operator.KubeCluster",
    )
    arguments: Annotated[dict[str, Any], AfterValidator(without_secrets)] = Field(
        default_factory=dict,
        title="Arguments",
        description="What that class is called with",
        json_schema_extra={"propertyNames": {"not": {"pattern": in_any_case(SECRETS)}}},
    )
    wait: str = Field("1h", title="Wait", description="For its first worker, in a queue")
    trust_network: bool = Field(
        False,
        title="Trust the network",
        description="Let its scheduler listen there without TLS: whoever reaches it runs code",
    )


class Table(Form):
    """How files become one Zarr array."""

    columns: tuple[str, ...] | None = Field(
        None, title="Columns", description="Only these, by name"
    )
    nan: Literal["error", "skip", "keep"] = Field(
        "error", title="Rows with missing values", description="An error, left out, or kept"
    )
    dtype: Literal["float64", "float32"] | None = Field(
        None, title="Stored as", description="Empty: as in the file; text as float64"
    )
    chunk_rows: int | None = Field(
        None, title="Rows per chunk", description="Empty: about 8 MB of them", ge=1
    )
    overwrite: bool = Field(False, title="Overwrite", description="Replace what is there")


class Refit(Form):
    """When a new model takes the place of the current one, and when drift is an alarm."""

    margin: float = Field(
        1e-3,
        title="Margin",
        description="Least gain in mean log density per held-back row for a promotion",
        ge=0,
    )
    held_back: float = Field(
        0.1,
        title="Held back",
        description="Share of rows that no fit sees, on which models are compared",
        gt=0,
        lt=1,
    )
    drift_alarm: float = Field(
        0.5,
        title="Drift alarm",
        description="When the mean log density of new rows is lower than expected by more",
        ge=0,
    )
    outlier_quantile: float = Field(
        0.01, title="Outliers", description="Are rarer than this share of known rows", gt=0, lt=1
    )
    outlier_alarm: float = Field(
        0.05, title="Outlier alarm", description="When more of the new rows are", gt=0, lt=1
    )
    changed: Literal["error", "refit"] = Field(
        "error",
        title="Earlier rows that changed",
        description="An error, or all rows are fitted anew",
    )
    keep: int = Field(10, title="Keep", description="Versions", ge=1)


class Scoring(Form):
    """What to write of every row."""

    write: tuple[Literal["labels", "probabilities", "log_density"], ...] = Field(
        ("labels", "log_density"), title="Write", description="The arrays of the group"
    )
    top: int | None = Field(
        None, title="Top", description="Only the m most probable components of each row", ge=1
    )
    quantile: float | None = Field(
        None, title="Quantile", description="Share of rows that are outliers", gt=0, lt=1
    )
    threshold: float | None = Field(
        None, title="Threshold", description="Rows of a log density below it are outliers"
    )
    dtype: Literal["float64", "float32"] = Field(
        "float64", title="Stored as", description="Of probabilities and log densities"
    )
    overwrite: bool = Field(
        False, title="Overwrite", description="Replace scores by another model, or of other rows"
    )


def section(form: type[Form]) -> Any:
    """A form as a parameter of a flow."""
    return Annotated[form, asked(form.__name__, str(form.__doc__))]


MixtureSection, SettingsSection = section(Mixture), section(Settings)
RowsSection, ClusterSection = section(Rows), section(Cluster)
TableSection, RefitSection, ScoringSection = section(Table), section(Refit), section(Scoring)
