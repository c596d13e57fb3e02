"""States of EM in a run folder: what checkpoints share, and the same bits whoever wrote them."""

from dataclasses import fields, is_dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmm_dask import Configuration, fit
from gmm_dask.fitting.run_loop import Progress
from gmm_dask.mixture.arrays import Array
from gmm_dask.mixture.iteration import EMSettings, EMState, iterate, run, start
from gmm_dask.mixture.kernels import Kernel
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.mixture.stopping import Stopping
from gmm_dask.mixture.sweep import Statistics, StatisticsOf, sweep
from gmm_dask.runs.checkpoint import complete_iterations, keep, load_checkpoint, load_newest
from gmm_dask.runs.checkpoint_writer import CheckpointWriter
from gmm_dask.runs.state import decode_state, encode_state
from gmm_dask.store.errors import DamagedCheckpointWarning
from gmm_dask.store.local_folder import LocalFolder
from gmm_dask.store.sealed import unseal

COMPONENTS, FEATURES = 16, 64
PARAMETERS = 8 * COMPONENTS * (1 + FEATURES + FEATURES**2)
SETTINGS = EMSettings(stopping=Stopping(tol=0, max_iter=30), accelerate="auto")
FAMILIES = ("full", "tied", "diag", "spherical")


def rows_of(components: int, features: int) -> Array:
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(components, features))
    return centres[draw.integers(0, components, 4000)] + draw.normal(size=(4000, features))


def begun(family: str, components: int = 3, features: int = 4) -> tuple[StatisticsOf, EMState]:
    rows = rows_of(components, features)
    shapes = {"full": (components, 1, 1), "tied": (1, 1), "diag": (components, 1)}
    one = np.ones(features) if family == "diag" else np.eye(features)
    covariances = np.ones(components) if family == "spherical" else np.tile(one, shapes[family])
    weights = np.full(components, 1 / components)
    mixture = Mixture(weights, rows[:components], covariances, family)

    def statistics_of(mixtures: tuple[Mixture, ...], kernels: tuple[Kernel, ...]) -> Statistics:
        return sweep(rows, mixtures, None, kernels)

    slow = run(statistics_of, start([mixture]), EMSettings(Stopping(tol=1e-3, max_iter=200)))
    return statistics_of, start([slow.best.mixture])  # where extrapolations begin


def bits(value: Any) -> Any:
    """All that a state holds, arrays as bytes."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, tuple):
        return [bits(item) for item in value]
    if is_dataclass(value):
        return [bits(getattr(value, one.name)) for one in fields(value)]
    return repr(value)


def mixtures(state: EMState) -> int:
    """How many there are: the same one in two places takes its memory once."""
    (candidate,) = state.candidates
    values = [getattr(candidate, one.name) for one in fields(candidate)]
    return len({id(value) for value in values if isinstance(value, Mixture)})


def manifest(folder: LocalFolder, iteration: int) -> dict[str, Any]:
    key = f"checkpoints/it-{iteration:08d}/MANIFEST.json"
    return unseal(folder.read(key), key)


def test_a_checkpoint_takes_thrice_the_parameters_at_most(tmp_path: Path) -> None:
    rows = rows_of(COMPONENTS, FEATURES)
    configuration = Configuration(COMPONENTS, "full", tol=0, max_iter=15, accelerate="auto")
    fit(rows, configuration, run=tmp_path / "run")
    folder = LocalFolder(tmp_path / "run")
    # the last of all is finished, and remembers nothing to go on with
    before, newest = (manifest(folder, i) for i in complete_iterations(folder)[-3:-1])
    shared = {file["name"]: file["bytes"] for file in newest["shared"].values()}
    assert len(shared) == 18
    old = {file["name"] for file in before["shared"].values()}
    new = [size for name, size in shared.items() if name not in old]
    assert sum(new) + sum(file["bytes"] for file in newest["files"].values()) <= 3 * PARAMETERS
    named = {file["name"] for i in complete_iterations(folder) for file in _shared(folder, i)}
    assert {path.name for path in (tmp_path / "run/checkpoints/shared").iterdir()} == named


def _shared(folder: LocalFolder, iteration: int) -> list[dict[str, Any]]:
    return list(manifest(folder, iteration)["shared"].values())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_state_goes_on_to_the_same_bits(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmm_dask.runs.checkpoint.SHARED_BYTES", 1)
    statistics_of, state = begun(family)
    states = list(islice(iterate(statistics_of, state, SETTINGS), 14))
    assert len(states[-1].candidates[0].memory.here) > 5
    folder = LocalFolder(tmp_path)
    with CheckpointWriter(folder, last=20) as writer:
        for i, passed in enumerate(states):
            writer.submit(i, *encode_state(passed))
    for i, passed in enumerate(states):
        kept = load_checkpoint(folder, i)
        loaded = decode_state(kept.state, kept.arrays)
        assert bits(loaded) == bits(passed)
        assert mixtures(loaded) == mixtures(passed)
        if i + 1 < len(states):
            assert bits(next(iterate(statistics_of, loaded, SETTINGS))) == bits(states[i + 1])
    keep(folder, 1)
    shelved = {path.name for path in (tmp_path / "checkpoints/shared").iterdir()}
    assert shelved == {file["name"] for file in _shared(folder, len(states) - 1)}


@pytest.mark.parametrize("family", ["full", "tied"])
def test_vectors_of_whole_matrices_as_earlier_versions_kept_them(family: str) -> None:
    statistics_of, state = begun(family)
    states = list(islice(iterate(statistics_of, state, SETTINGS), 14))
    for passed, expected in pairwise(states):
        (candidate,) = passed.candidates
        memory = candidate.memory
        whole = replace(memory, here=_whole(memory.here), there=_whole(memory.there))
        older = EMState((replace(candidate, memory=whole),), passed.passes)
        content, arrays = encode_state(older)
        (found,) = next(iterate(statistics_of, decode_state(content, arrays), SETTINGS)).candidates
        assert found.record == expected.candidates[0].record
        for name in ("weights", "means", "covariances"):
            now, then = (getattr(c.proposal, name) for c in (found, expected.candidates[0]))
            assert now.tobytes() == then.tobytes()


def _whole(vectors: tuple[Array, ...]) -> tuple[Array, ...]:
    below = np.tril_indices(4)
    found = []
    for vector in vectors:
        head, triangles = np.split(vector, [3 + 3 * 4])
        matrices = np.empty((len(triangles) // 10, 4, 4))
        matrices[:, *below] = matrices[:, *below[::-1]] = triangles.reshape(-1, 10)
        found.append(np.concatenate([head, matrices.ravel()]))
    return tuple(found)


def test_what_began_before_accelerations_were_careful_goes_on_without() -> None:
    statistics_of, state = begun("full")
    (*_, last) = islice(iterate(statistics_of, state, SETTINGS), 5)
    content, arrays = encode_state(last)
    (candidate,) = content["candidates"]
    for name in ("careful", "plain_gain", "saved"):
        del candidate["memory"][name]
    (older,) = decode_state(content, arrays).candidates
    assert last.candidates[0].memory.careful
    assert not older.memory.careful
    (after,) = next(iterate(statistics_of, EMState((older,), 5), SETTINGS)).candidates
    assert not after.memory.careful


def test_a_resumed_run_goes_on_with_the_files_that_are_there(tmp_path: Path) -> None:
    rows, run = rows_of(COMPONENTS, FEATURES), tmp_path / "run"
    configuration = Configuration(COMPONENTS, "full", tol=0, max_iter=14, accelerate="auto")

    def stop(told: Progress) -> None:
        if told.state.iteration == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(rows, configuration, run=run, callbacks=[stop])
    there = {path: path.stat().st_mtime_ns for path in (run / "checkpoints/shared").iterdir()}
    undisturbed = fit(rows, configuration)
    assert bits(fit(rows, configuration, run=run).mixture) == bits(undisturbed.mixture)
    after = {path: path.stat().st_mtime_ns for path in (run / "checkpoints/shared").iterdir()}
    assert len(there.items() & after.items()) >= 10


def test_a_damaged_shared_array_is_told_and_what_does_not_name_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmm_dask.runs.checkpoint.SHARED_BYTES", 1)
    statistics_of, state = begun("full")
    folder = LocalFolder(tmp_path)
    with CheckpointWriter(folder) as writer:
        for i, passed in enumerate(islice(iterate(statistics_of, state, SETTINGS), 6)):
            writer.submit(i, *encode_state(passed))
    newest = complete_iterations(folder)[-1]
    before = {file["name"] for file in _shared(folder, newest - 1)}
    [new, *_] = [f["name"] for f in _shared(folder, newest) if f["name"] not in before]
    path = tmp_path / "checkpoints/shared" / new
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(DamagedCheckpointWarning, match=new):
        found = load_newest(folder)
    assert found is not None
    assert found.iteration == newest - 1
