"""The nightly refit on a server: what a person sees of it, and what automations can act on."""

from dataclasses import fields

import numpy as np
import pytest
import zarr
from prefect.client.schemas.objects import StateType

from flows import forms
from flows.refit import models_at, refit
from gmm_dask import RefitOptions
from gmm_dask.models.versions import look_at_versions, open_versions
from gmm_dask.settings.errors import ConfigurationError
from tests.flows.servers import until
from tests.refitting.conftest import Store, drawn


def test_the_form_has_the_fields_and_defaults_of_its_section():
    expected = {f.name: f.default for f in fields(RefitOptions)}
    assert {name: f.default for name, f in forms.RefitForm.model_fields.items()} == expected
    assert all(field.title for field in forms.RefitForm.model_fields.values())


@pytest.mark.needs("pg_isready")
def test_a_night_with_drift_is_told_and_a_quiet_one_is_short(asking, tmp_path, monkeypatch):
    monkeypatch.setenv("GMM_DASK_MODELS", str(tmp_path / "models"))
    store = Store(str(tmp_path / "rows.zarr"), str(tmp_path / "models" / "nightly"))
    store.write(drawn(4000, 0))

    def night():
        state = refit(
            store.place,
            "nightly",
            forms.MixtureForm(components=3),
            cluster=forms.ClusterForm(workers=1),
            return_state=True,
        )
        return state.state_details.flow_run_id, state

    first, state = night()
    assert state.type == StateType.COMPLETED, state.message
    assert state.result()["version"] == "v0001"
    store.append(drawn(1000, 1, shift=4.0))
    second, state = night()
    assert state.result()["version"] == "v0002"
    assert asking.read(second).name == "nightly from rows.zarr"
    assert {"gmm-dask", "refit", "nightly"} <= set(asking.read(second).tags)
    seen = asking.artifacts(second)
    assert "`nightly` v0002: promoted" in seen["refit"]
    assert "**Drift alarm**: the mean log density of 1,000 new rows" in seen["refit"]
    assert "| share of component 2 |" in seen["refit"]
    assert seen["versions"].count('"promoted"') == 2
    assert seen["progress"] == 100
    until(lambda: asking.events(second, "gmm_dask.drift.alarm"), 30, "the alarm")
    (alarm,) = asking.events(second, "gmm_dask.drift.alarm")
    assert alarm["payload"]["drift"]["drop"] > 1
    assert alarm["resource"]["prefect.resource.name"] == f"models.{store.models}"
    assert not asking.events(first, "gmm_dask.drift.alarm")

    third, state = night()
    assert state.result()["outcome"] == "nothing new"
    assert "dashboard" in asking.artifacts(second)
    assert not asking.found(third)
    until(lambda: "nothing new: v0002 stays" in asking.log(third), 30, "the log")
    keys = {one.key for one in asking.found(second)}
    assert keys == {one.key for one in asking.found(first)}
    assert all(store.models in one.description for one in asking.found(second))
    until(lambda: asking.assets(second), 30, "the asset")
    ((made, of, facts),) = asking.assets(second)
    assert (made, of) == (f"file://{store.models}", {f"file://{store.place}"})
    assert facts["version"] == "v0002"
    assert not asking.assets(third)

    other = refit(
        store.place,
        str(tmp_path / "elsewhere" / "nightly"),
        forms.MixtureForm(components=2),
        cluster=forms.ClusterForm(workers=1),
        return_state=True,
    )
    other = other.state_details.flow_run_id
    assert not keys & {one.key for one in asking.found(other)}

    zarr.open_array(store.place).append(np.zeros((1, 3)))
    with open_versions(store.models):
        assert night()[1].name == "Busy"
    assert len(look_at_versions(store.models).decisions) == 2


def test_a_name_of_models_leads_nowhere_else():
    with pytest.raises(ConfigurationError, match="is no name"):
        models_at("..")
