"""Row 5: flipped bits and truncations of every file of a checkpoint and of a model."""

import warnings
from pathlib import Path
from random import Random

from gmm_dask.models.model import load_model
from gmm_dask.runs.checkpoint import load_newest
from gmm_dask.store.errors import DamagedCheckpointWarning, StorageError
from gmm_dask.store.local_folder import LocalFolder
from tests.faults.fits import fitted
from tests.faults.outcome import Outcome, Scale
from tests.faults.rows.ground import ground


def damaged(scale: Scale, seed: int) -> Outcome:
    """Files of a real run, each damaged so many times, one damage at a time."""
    times = 1000 if scale == "full" else 20
    draw, outcome = Random(seed), Outcome()
    with ground() as made:
        run = made.folder / "run"
        fitted(made.stored, run=run)
        newest = load_newest(LocalFolder(run))
        assert newest is not None
        checkpoint = run / "checkpoints" / f"it-{newest.iteration:08d}"
        for path in sorted(checkpoint.iterdir()):
            for _ in range(times):
                with outcome.trying(_damage(path, draw)):
                    _falls_back_one(run, newest.iteration, path)
                path.write_bytes(_WHOLE.pop())
        model = run / "model.zarr"
        files = sorted(path for path in model.rglob("*") if path.is_file())
        for path in files:
            for _ in range(times):
                with outcome.trying(_damage(path, draw)):
                    _is_refused(model)
                path.write_bytes(_WHOLE.pop())
        load_model(model)
    told = ", ".join(str(path.relative_to(model)) for path in files)
    outcome.figures["files"] = f"manifest, state and arrays of a checkpoint; of a model {told}"
    outcome.figures["damages of each"] = times
    return outcome


_WHOLE: list[bytes] = []


def _damage(path: Path, draw: Random) -> str:
    """Four of five times a bit is flipped, else the file is cut short; what it was is kept."""
    whole = path.read_bytes()
    _WHOLE.append(whole)
    if draw.random() < 0.8:
        bit = draw.randrange(8 * len(whole))
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        told = f"bit {bit}"
    else:
        length = draw.randrange(len(whole))
        changed = bytearray(whole[:length])
        told = f"cut to {length} bytes"
    path.write_bytes(changed)
    return f"{path.name}, {told}"


def _falls_back_one(run: Path, newest: int, path: Path) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = load_newest(LocalFolder(run))
    assert found is not None
    assert found.iteration == newest - 1, f"iteration {found.iteration}"
    assert [warning.category for warning in told] == [DamagedCheckpointWarning]
    assert path.name in str(told[0].message)


def _is_refused(model: Path) -> None:
    try:
        load_model(model)
    except StorageError:
        return
    raise AssertionError("the damage went unseen")
