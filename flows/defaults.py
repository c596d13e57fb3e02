"""Defaults of a whole installation, from a Prefect Variable; what is filled in goes over them.

Knows the Variable; what its fields mean is `forms`' to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from prefect.runtime import flow_run
from prefect.variables import Variable
from pydantic import ValidationError

from flows import forms
from gmm_dask.settings.errors import ConfigurationError

VARIABLE = "gmm_dask"
"""A JSON object of sections, and of `credentials`."""

Filled = TypeVar("Filled", bound=forms.Form)


class Defaults(forms.Form):
    """What everybody's runs have in common."""

    mixture: forms.MethodForm = forms.MethodForm()
    rows: forms.RowsForm = forms.RowsForm()
    cluster: forms.ClusterForm = forms.ClusterForm()
    table: forms.ImportForm = forms.ImportForm()
    refit: forms.RefitForm = forms.RefitForm()
    scoring: forms.ScoreForm = forms.ScoreForm()
    credentials: str | None = None


def defaults() -> Defaults:
    """Those of now; none where nothing is run by Prefect."""
    if flow_run.id is None:
        return Defaults()
    values: Any = Variable.get(VARIABLE, default={})
    try:
        if not isinstance(values, Mapping):
            raise ValueError("it is no JSON object")
        return Defaults(**values)
    except (ValidationError, ValueError) as problem:
        raise ConfigurationError(
            f"the Prefect Variable {VARIABLE} holds no defaults: {problem}; change it, or delete it"
        ) from None


def over_defaults(form: Filled) -> Filled:
    """A form over the defaults of its section."""
    section: forms.Form = getattr(defaults(), form.place)
    return type(form)(**section.given() | form.given())
