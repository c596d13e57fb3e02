"""The one view of a run: what its driver has kept, read without a lock."""

import numpy as np
import pytest

from gmm_dask import Configuration, fit
from gmm_dask.models.model import Model, load_model
from gmm_dask.runs.documents import document_in, keep_document
from gmm_dask.runs.folder import open_run
from gmm_dask.runs.inspection import inspect
from gmm_dask.runs.layout import CONFIGURATION, PICTURE, REPORT
from gmm_dask.runs.view import RunView, look_at_run
from gmm_dask.store.errors import KeyMissingError
from tests.store.dying import mixture

ROWS = np.random.default_rng(0).normal(size=(300, 2))


def view_of(where: str) -> RunView:
    view = look_at_run(where)
    assert view is not None
    return view


def test_what_the_driver_keeps_is_seen_at_once(where: str) -> None:
    rows, weights = np.eye(2), np.array([1.0, 2.0])
    with open_run(where, configuration={}, fingerprint={}, seed=1) as run:
        view = view_of(where)
        seen = (view.profile, view.sample, view.state, view.finished, view.configuration)
        assert seen == (None, None, None, None, None)
        assert run.keep_profile({"rows": 2}) == {"rows": 2}
        assert run.keep_profile({"rows": 3}) == {"rows": 2}
        for sampled in (rows, rows + 1):
            run.keep_sample({"rows": sampled, "weights": weights, "indices": np.arange(2)})
        run.keep_configuration("source = 1\n")
        run.keep_model(Model(mixture(2), None, {}))
        run.finish({"reason": "converged"})
        assert view.profile == {"rows": 2}
        assert view.sample is not None
        assert (view.sample.rows == rows).all()
        assert (view.sample.weights == weights).all()
        assert view.configuration == f"{where}/config.toml"
        assert view.finished == run.finished == {"reason": "converged"}
        assert (view.model.mixture.means == load_model(view.model_place).mixture.means).all()


def test_documents_lie_beside_the_run_and_are_found_by_all_who_look(where: str) -> None:
    with open_run(where, configuration={}, fingerprint={}, seed=1):
        view = view_of(where)
    for name in (CONFIGURATION, REPORT, PICTURE):
        assert document_in(where, name) is None
        for content in (b"one", b"two"):
            assert keep_document(where, name, content) == f"{where}/{name}"
    found = (view.configuration, view.report, view.picture)
    assert found == (f"{where}/config.toml", f"{where}/report.html", f"{where}/selection.png")
    assert inspect(where).report == view.report


def test_a_view_reads_what_a_fit_has_left(where: str) -> None:
    found = fit(ROWS, Configuration(2, max_iter=5), run=where)
    view = view_of(where)
    state = view.state
    assert state is not None
    assert state.iteration == found.iterations == view.iterations_kept[-1]
    assert [entry["iteration"] for entry in view.history] == list(range(found.iterations + 1))
    assert (view.model.mixture.means == state.best.mixture.means).all()
    assert view.sample is not None
    assert len(view.sample.rows) == len(ROWS)


def test_where_no_run_was_begun_there_is_no_view(where: str) -> None:
    assert look_at_run(where) is None
    with pytest.raises(KeyMissingError, match="neither a run nor a model"):
        inspect(where)
