"""What a flow is asked for, as forms in Prefect's UI: made from the sections that it fills in.

Knows how Prefect shows a field; names, bounds and help are those of `gmm_dask.settings`. Secrets
are no fields: Prefect stores and shows what is filled in here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from gmm_dask.settings.cluster import ClusterOptions
from gmm_dask.settings.declaration import NONE, OneOf, Option, options_of
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.imports import ImportOptions
from gmm_dask.settings.job import Job
from gmm_dask.settings.mixture import Configuration
from gmm_dask.settings.refit import RefitOptions
from gmm_dask.settings.rows import RowOptions
from gmm_dask.settings.scores import ScoreRequest
from gmm_dask.settings.secrets import Address
from gmm_dask.settings.select import SelectOptions

F = TypeVar("F", bound="Form")


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

    place: ClassVar[str]
    """The name of its section."""

    def given(self) -> dict[str, Any]:
        """What was filled in."""
        return self.model_dump(exclude_unset=True)


def asks(section: type, *, but: tuple[str, ...] = ()) -> Callable[[type[F]], type[F]]:
    """A form with a field for every option of a section, as it is declared there."""

    def made(form: type[F]) -> type[F]:
        named = {o.name: shown(section, o) for o in options_of(section) if o.name not in but}
        return create_model(  # type: ignore[call-overload]
            form.__name__, __base__=form, __module__=form.__module__, __doc__=form.__doc__, **named
        )

    return made


def shown(section: type, option: Option) -> tuple[Any, Any]:
    """An option as pydantic takes a field: what it is, and its default or that it must be given."""
    default = ... if option.required else option.default
    field = Field(default, title=option.help.title, description=option.help.sentence)
    return filled_in(section, option), field


def filled_in(section: type, option: Option) -> Any:
    """What an option is, as people fill it in: what they do is stored, and "none" is None."""
    hint, *said = get_args(get_type_hints(section, include_extras=True)[option.name])
    return Annotated[hint, *(in_a_form(one, option) for one in said)]


def in_a_form(said: Any, option: Option) -> Any:
    """A piece of a declaration, as it is meant here."""
    if isinstance(said, Address):
        return StoredAddress()
    if isinstance(said, OneOf) and option.optional:
        return replace(said, also=(NONE,))
    return said


class StoredAddress(Address):
    """An address that everyone sees who sees the run."""

    def checked(self, address: str | None) -> str | None:
        """Refused where a secret shows."""
        try:
            return super().checked(address)
        except ConfigurationError as problem:
            raise ValueError(
                f"{problem}; what is filled in is stored and shown with the run, and a Secret "
                "block (credentials) is not"
            ) from None


def parameter(section: type, name: str) -> Any:
    """An option as a parameter of a flow itself."""
    (option,) = (one for one in options_of(section) if one.name == name)
    return Annotated[filled_in(section, option), asked(option.help.title, option.help.sentence)]


def asked(title: str, description: str, **more: Any) -> Any:
    """A parameter of a flow. Prefect writes its name over the title, and nothing over the help, but
    what is extra stays."""
    extra: dict[str, Any] = {"title": title, "description": description}
    return Field(title=title, description=description, json_schema_extra=extra, **more)


def section(form: type[Form], title: str) -> Any:
    """A form as a parameter of a flow."""
    return Annotated[form, asked(title, str(form.__doc__))]


@asks(Configuration)
class MixtureForm(Form):
    """The mixture, and how to get there."""

    place = "mixture"


@asks(Configuration, but=("components", "covariance"))
class MethodForm(Form):
    """How to get to a mixture, whatever its size and family."""

    place = "mixture"


@asks(RowOptions)
class RowsForm(Form):
    """Which rows and columns of the source."""

    place = "rows"


@asks(ClusterOptions)
class ClusterForm(Form):
    """Where passes run; with nothing filled in, a cluster on this machine if the rows are large."""

    place = "cluster"


@asks(ImportOptions)
class ImportForm(Form):
    """How files become one Zarr array."""

    place = "table"


@asks(RefitOptions)
class RefitForm(Form):
    """When a new model takes the place of the current one, and when drift is an alarm."""

    place = "refit"


@asks(ScoreRequest)
class ScoreForm(Form):
    """What to write of every row."""

    place = "scoring"


MixtureSection, MethodSection = section(MixtureForm, "Mixture"), section(MethodForm, "Method")
RowsSection, ClusterSection = section(RowsForm, "Rows"), section(ClusterForm, "Cluster")
ImportSection, ScoreSection = section(ImportForm, "Table"), section(ScoreForm, "Scoring")
RefitSection = section(RefitForm, "Refit")

Source, Cache = parameter(Job, "source"), parameter(Job, "cache")
CheckpointEvery = parameter(Job, "checkpoint_every")
PerformanceReport = parameter(Job, "performance_report")
Overlap = parameter(Job, "overlap")
Components, Families = (
    parameter(SelectOptions, "components"),
    parameter(SelectOptions, "covariance"),
)
Criterion, Drop = parameter(SelectOptions, "criterion"), parameter(SelectOptions, "drop")

Place = Annotated[str, StoredAddress()]
Run = Annotated[
    Place | None,
    asked(
        "Run",
        "Folder of checkpoints, history and model: a path, a URL, or a name under "
        "GMM_DASK_RUNS (runs/). Empty: named after source, rows and settings. Started again "
        "with the same run, a flow goes on where it was",
    ),
]
Models = Annotated[
    Place,
    asked(
        "Models",
        "Folder of the model's versions: a path, a URL, or a name under GMM_DASK_MODELS (models/)",
    ),
]
Credentials = Annotated[
    str | None,
    asked(
        "Credentials",
        "Name of a Prefect Secret block with a JSON object of environment variables, such as "
        "AWS_ACCESS_KEY_ID; empty: the environment of the worker",
    ),
]
