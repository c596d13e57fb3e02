"""A process whose children save checkpoints and are struck at a chosen system call.

strace strikes the STRIKE-th call of one kind in every process it follows, counted for each apart.
So child i first makes STRIKE − i calls of that kind that do nothing, and is struck at its i-th call
of the save. The process itself makes no such calls; one started afresh for every strike would cost
half a second each.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gmm_dask.mixture.compilation import compiler
from gmm_dask.mixture.parameters import Mixture
from gmm_dask.models.model import Model, save_model
from gmm_dask.models.versions import open_versions
from gmm_dask.runs.checkpoint import keep, load_newest
from gmm_dask.runs.folder import open_run
from gmm_dask.store.errors import DamagedCheckpointWarning, StorageError
from gmm_dask.store.folder import Folder
from gmm_dask.store.local_folder import LocalFolder
from tests.runs.saving import save_checkpoint

STRIKE = 160
PR_SET_PTRACER, ANY = 0x59616D61, ctypes.c_ulong(-1)

IDLE_CALLS: dict[str, Callable[[], object]] = {
    "openat": lambda: os.open("", os.O_RDONLY),
    "write": lambda: os.write(-1, b""),
    "fsync": lambda: os.fsync(10_000),
    "close": lambda: os.close(-1),
    "link": lambda: os.link("", ""),
    "rename": lambda: os.rename("", ""),
    "unlink": lambda: os.unlink(""),
    "unlinkat": lambda: os.unlink("", dir_fd=0),
    "rmdir": lambda: os.rmdir(""),
    "mkdir": lambda: os.mkdir(""),
    "renameat2": lambda: ctypes.CDLL(None).renameat2(-1, b"", -1, b"", 1),
    "newfstatat": lambda: os.stat(""),
}


def save(folder: Folder, iteration: int) -> None:
    save_checkpoint(folder, iteration, {"at": iteration}, {"a": np.full(5, iteration)})


def mixture(components: int) -> Mixture:
    return Mixture(
        np.full(components, 1 / components),
        np.zeros((components, 2)),
        np.ones(components),
        "spherical",
    )


def save_mixture(root: Path, components: int) -> None:
    save_model(
        mixture(components), root / "model", feature_names=None, provenance={}, overwrite=True
    )


def begin(root: Path, seed: int, *, restart: bool = False) -> None:
    with open_run(
        root / "run", configuration={}, fingerprint={}, seed=seed, restart=restart
    ) as run:
        save(run.folder, seed)


def promote(root: Path, components: int) -> None:
    """The next version of a model; of earlier ones none is kept."""
    with open_versions(root / "models") as versions:
        decision = {"components": components}
        versions.promote(Model(mixture(components)), decision, decision, {}, keep=1)


def prepare(scenario: str, root: Path) -> None:
    """`first`: nothing. `later`: four checkpoints, the last one damaged, and a killed writer's."""
    if scenario == "later":
        folder = LocalFolder(root)
        for iteration in (1, 2, 3, 4):
            save(folder, iteration)
        folder.replace("checkpoints/it-00000004/MANIFEST.json", b"damaged")
        folder.create("checkpoints/it-00000005/state-0.json", b"half")
    elif scenario == "model":
        save_mixture(root, 1)
    elif scenario == "restart":
        begin(root, 1)
    elif scenario == "promote":
        promote(root, 1)


def play(scenario: str, root: Path, tell: Callable[[str], None]) -> None:
    if scenario == "later":
        folder = LocalFolder(root)
        for iteration in (4, 4, 5):  # once more too: a run may do an acknowledged iteration again
            save(folder, iteration)
            tell(str(iteration))
            keep(folder, last=2)
        return
    if scenario == "first":
        save(LocalFolder(root), 1)
    elif scenario == "model":
        save_mixture(root, 2)
    elif scenario == "restart":
        begin(root, 2, restart=True)
    elif scenario == "promote":
        promote(root, 2)
    tell("1")


def newest_kept(root: Path) -> int:
    """The iteration that a run would go on from, right after a save was refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedCheckpointWarning)
        newest = load_newest(LocalFolder(root))
    return 0 if newest is None else newest.iteration


def child(call: str, scenario: str, template: Path, root: Path, strike: int) -> None:
    def tell(what: str) -> None:
        line = f"{strike} {what}\n".encode()
        try:
            os.write(1, line)
        except OSError:  # this call was the one to be struck
            os.write(1, line)

    with contextlib.suppress(OSError):
        shutil.copytree(template, root)
    struck = os.fork()
    if struck:
        os._exit({0: 0, -signal.SIGKILL: 1}.get(outcome(struck), 2))
    for _ in range(STRIKE - strike):
        with contextlib.suppress(OSError):
            IDLE_CALLS[call]()
    try:
        play(scenario, root, tell)
    except StorageError:
        tell("refused")
        if scenario == "later":
            tell(f"kept-{newest_kept(root)}")
        play(scenario, root, tell)  # the next attempt finds the disk mended
    except BaseException:
        traceback.print_exc()
        tell("broke")
    os._exit(0)


def outcome(process: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code == 2:
        raise RuntimeError("a child ended otherwise than it should")
    return code


def strike_all(call: str, scenario: str, place: Path, strikes: int) -> None:
    """Strike 1, 2, ... until a child comes through unstruck, or up to `strikes` if that is set."""
    strike, unharmed = 0, False
    while (strike < strikes) if strikes else not unharmed:
        strike += 1
        process = os.fork()
        if not process:
            child(call, scenario, place / "template", place / str(strike), strike)
        unharmed = outcome(process) == 0


def main() -> None:
    """Do what each line asks for; strace attaches before a line is sent, and leaves after it."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANY, 0, 0, 0)  # let strace, no parent of ours, attach
    compiler()  # loads numba once: in every child its imports would be struck, file by file
    os.write(1, b"ready\n")
    for line in sys.stdin:
        call, scenario, strikes, place = line.rstrip("\n").split(" ", 3)
        strike_all(call, scenario, Path(place), int(strikes))
        os.write(1, b"done\n")


if __name__ == "__main__":
    main()
