"""What a run folder or a model tells of itself, read without disturbing whoever writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import Model, load_model, noise_told
from gmm_dask.models.versions import load_version, look_at_versions
from gmm_dask.runs.resumption import going_on
from gmm_dask.runs.view import RunView, look_at_run
from gmm_dask.store.errors import KeyMissingError
from gmm_dask.store.location import Location


@dataclass(frozen=True, eq=False)
class Inspection:
    """A run or a model; what is not known is empty."""

    kind: str
    where: str
    data: str | None
    state: str
    mixture: Mixture | None
    feature_names: tuple[str, ...] | None
    configuration: Mapping[str, Any]
    result: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float | None = None
    events: tuple[str, ...] = ()
    history: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    report: str | None = None

    def described(self) -> str | None:
        """The shape of the mixture."""
        if self.mixture is None:
            return None
        m = self.mixture
        noise = " and noise" * (m.noise is not None)
        return f"{m.components} components{noise}, {m.features} features, {m.family} covariances"

    def start(self) -> str | None:
        """What the fit began from."""
        settings = self.configuration
        if "initial" in settings:
            return "a given mixture"
        return "labels of all rows" if "labels" in settings else settings.get("init")

    def values(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        names = ("kind", "where", "data", "state", "seconds", "report")
        values = {name: getattr(self, name) for name in names}
        values |= {
            name: dict(getattr(self, name)) for name in ("configuration", "result", "versions")
        }
        values |= {"events": list(self.events), "iterations_kept": len(self.history)}
        return values | {"mixture": None if self.mixture is None else parameters(self)}


def parameters(inspection: Inspection) -> dict[str, Any]:
    """The parameters of the mixture, JSON-able."""
    mixture, names = inspection.mixture, inspection.feature_names
    if mixture is None:
        return {}
    return {
        "family": mixture.family,
        "components": mixture.components,
        "features": mixture.features,
        "feature_names": None if names is None else list(names),
        "weights": mixture.weights.tolist(),
        **({} if mixture.noise is None else {"noise": noise_told(mixture.noise)}),
        "means": mixture.means.tolist(),
        "covariances": mixture.covariances.tolist(),
    }


def inspect(where: Location) -> Inspection:
    """Look at a run folder, at the current one of a model's versions, or else at a model."""
    standing = look_at_versions(where)
    if standing is not None and standing.current is not None:
        version = load_version(where)
        return inspected(version.where, version.model)
    run = look_at_run(where)
    if run is not None:
        return inspect_run(where, run)
    try:
        return inspect_model(where)
    except KeyMissingError:
        raise KeyMissingError(f"there is neither a run nor a model at {where}") from None


def model_at(where: str) -> Model:
    """The model at a path or URL, the one in a run folder, or the current one of its versions."""
    if look_at_versions(where) is not None:
        return load_version(where).model
    run = look_at_run(where)
    if run is None:
        return load_model(where)
    # In an object store the model of the attempt before lies there until this one is finished.
    if run.finished is None:
        raise KeyMissingError(
            f"the run {where} has no model yet: it is not finished; {going_on(where)}"
        )
    return run.model


def inspect_model(where: Location) -> Inspection:
    """A model, and what it says of its fit."""
    return inspected(where, load_model(where))


def inspected(where: Location, model: Model) -> Inspection:
    """What a model says of its fit."""
    provenance = model.provenance
    return Inspection(
        "model",
        str(where),
        provenance.get("data"),
        str(provenance.get("reason", "a model")),
        model.mixture,
        model.feature_names,
        provenance.get("configuration", {}),
        {name: provenance[name] for name in RESULT if name in provenance},
        provenance.get("versions", {}),
    )


RESULT = ("reason", "iterations", "passes", "rows", "mean_log_likelihood", "bic", "aic", "icl")


def inspect_run(where: Location, run: RunView) -> Inspection:
    """A run as far as it is; the mixture of an unfinished one is that of its newest checkpoint."""
    record, finished, history = run.record, run.finished, run.history
    last = history[-1] if history else {}
    return Inspection(
        "run",
        str(where),
        described(record.fingerprint),
        state_of(finished, last),
        newest_mixture(run, finished),
        tuple(record.fingerprint.get("features", ())) or None,
        record.configuration,
        finished or {name: last[name] for name in RESULT if name in last},
        record.versions,
        sum(entry.get("seconds", 0.0) for entry in history),
        events_of(history),
        history,
        run.report,
    )


def state_of(finished: Mapping[str, Any] | None, last: Mapping[str, Any]) -> str:
    """Finished, and why; or how far it is."""
    if finished is not None:
        return f"finished: {finished['reason']} after {finished['iterations']} iterations"
    if last:
        return f"not finished: iteration {last['iteration']}"
    return "not finished: no iteration yet"


def described(fingerprint: Mapping[str, Any]) -> str:
    """The data of a run in a few words."""
    source = fingerprint.get("source", {})
    rows, features = fingerprint.get("shape", ("?", "?"))
    address = source.get("address", source.get("kind", "data"))
    return f"{address}: {rows} rows × {features}"


def newest_mixture(run: RunView, finished: Mapping[str, Any] | None) -> Mixture | None:
    """The model, or the leading candidate of the newest checkpoint."""
    if finished is not None:
        return run.model.mixture
    state = run.state
    return None if state is None else state.best.mixture


def events_of(history: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What happened to components, counted."""
    kinds = Counter(event["kind"] for entry in history for event in entry.get("events", ()))
    return tuple(
        f"{kind}: {'once' if count == 1 else f'{count} times'}" for kind, count in kinds.items()
    )
