"""Writes 99633d7.tar.gz and 99633d7.json: what that version stores, and the numbers that it told.

Run it with 99633d7 checked out, never with today's code, which is what reads them:

    git worktree add --detach /tmp/old 99633d7
    PYTHONPATH=/tmp/old .venv/bin/python tests/formats/write.py
    git worktree remove /tmp/old

(CPython 3.13.0, NumPy 2.5.5, SciPy 1.18.1, Zarr 3 as of constraints.txt then.) A run names the
absolute address of its rows: here /proc/self/cwd, so that it can be unpacked anywhere and is found
by whoever works in that folder. Reports and pictures are left out; they can be made again.

    rows.zarr        600 rows of three components, and their truth
    finished/        fit -k 3, to the end
    stopped/         the same fit, left after iteration 7
    fewer/           fit -k 2 with other settings: only its config.toml, as asked.toml
    selection/       select -k 1:3 of two families
    model.zarr       the finished mixture, as save_model writes it
    growing.zarr     400 rows, and then 400 more
    models/          a refit of each: v0001, and v0002, which is current
    scores.zarr      all that score can write of rows.zarr under the finished run
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import zarr

import gmm_dask

VERSION = "99633d7"
HERE = Path(__file__).resolve().parent
PLACE = "/proc/self/cwd"
ROWS, GROWING = f"{PLACE}/rows.zarr", f"{PLACE}/growing.zarr"
DATA = ("data", "make", "blobs", "--features", "2", "--components", "3")
STOPPED_AT = 7
MADE_AGAIN = ("report.html", "selection.png")


def main() -> None:
    """All fixtures, in a folder of their own that becomes one archive."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        told = written()
        (HERE / f"{VERSION}.json").write_text(json.dumps(told, indent=1) + "\n")
        (HERE / f"{VERSION}.tar.gz").write_bytes(packed(Path(folder)))
        os.chdir(HERE)


def written() -> dict[str, Any]:
    """Every fixture, and what this version says of it."""
    command(*DATA, "--rows", "600", "--chunk-rows", "200", "--out", ROWS)
    told = {"finished": asked(f"fit {ROWS} -k 3 --tol 1e-8 --out {PLACE}/finished")}
    stop()
    told["fewer"] = fewer()
    select = f"select {ROWS} -k 1:3 --covariance full --covariance diag --out {PLACE}/selection"
    told["selection"] = asked(select)
    keep_model()
    told["models"] = refitted()
    told["scores"] = scored()
    shown = ("finished", "stopped", "selection", "model.zarr", "models")
    return told | {"show": {name: asked(f"show {PLACE}/{name}") for name in shown}}


def stop() -> None:
    """The fit of `finished`, left in the middle."""

    def leave(progress: Any) -> None:
        if progress.entry["iteration"] == STOPPED_AT:
            raise KeyboardInterrupt

    asked_for = gmm_dask.Configuration(3, tol=1e-8)
    try:
        gmm_dask.fit(ROWS, asked_for, array="rows", run=f"{PLACE}/stopped", callbacks=[leave])
    except KeyboardInterrupt:
        return
    raise AssertionError(f"it ended before iteration {STOPPED_AT}")


def fewer() -> dict[str, Any]:
    """A fit that leaves few settings at their defaults; its TOML file is what is kept."""
    settings = "--covariance tied --seed 3 --n-init 4 --init random-rows --tol 1e-9 --max-iter 300"
    rest = "--accelerate none --reg-covar 1e-5 --features x1,x0 --nonfinite skip"
    done = asked(f"fit {ROWS} -k 2 {settings} {rest} --out {PLACE}/fewer")
    shown = asked(f"show {PLACE}/fewer")
    shutil.move("fewer/config.toml", "asked.toml")
    shutil.rmtree("fewer")
    return done | {"mixture": shown["mixture"]}


def keep_model() -> None:
    """A model by itself, with a provenance of the caller's own."""
    model = gmm_dask.load_model("finished/model.zarr")
    told = {"data": "600 rows", "reason": "kept by hand"}
    names = model.feature_names
    gmm_dask.save_model(model.mixture, "model.zarr", feature_names=names, provenance=told)


def refitted() -> dict[str, Any]:
    """Two versions: of the first rows, and of twice as many."""
    command(*DATA, "--rows", "800", "--seed", "8", "--out", "all.zarr")
    rows = zarr.open_array("all.zarr/rows", mode="r")[...]
    shutil.rmtree("all.zarr")
    store = zarr.create_array("growing.zarr", shape=(400, 2), chunks=(100, 2), dtype="float64")
    store[...] = rows[:400]
    refit = f"refit {GROWING} --models {PLACE}/models -k 3 --tol 1e-6 --margin 0"
    first = asked(refit)
    store.append(rows[400:])
    return {"refits": [first, asked(refit)], **asked(f"models {PLACE}/models")}


def scored() -> dict[str, Any]:
    """Every array that can be written, beside what was told."""
    arrays = "labels,probabilities,log_density,outlier"
    score = f"score {PLACE}/finished {ROWS} --write {arrays} --quantile 0.05"
    told = asked(f"{score} --out {PLACE}/scores.zarr")
    group = zarr.open_group("scores.zarr", mode="r")
    return told | {"values": {name: described(group[name][...]) for name in told["arrays"]}}


def described(values: Any) -> dict[str, Any]:
    """An array in a few words: to be found again bit for bit, and to see where it is not."""
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return {"dtype": values.dtype.str, "first": values[:5].tolist(), "sha256": digest}


def asked(line: str) -> dict[str, Any]:
    """What a command of this version answers."""
    answer: dict[str, Any] = json.loads(command(*line.split(), "--json"))
    return answer


def command(*arguments: str) -> str:
    """The output of a command of this version."""
    line = [sys.executable, "-m", "gmm_dask", *arguments]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout


def packed(folder: Path) -> bytes:
    """One archive of all files, which does not tell when or by whom."""
    into = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=into, mode="wb", mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w") as archive,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in MADE_AGAIN:
                archive.addfile(*member(path, folder))
    return into.getvalue()


def member(path: Path, folder: Path) -> tuple[tarfile.TarInfo, io.BytesIO]:
    """A file of an archive."""
    content = path.read_bytes()
    told = tarfile.TarInfo(str(path.relative_to(folder)))
    told.size = len(content)
    return told, io.BytesIO(content)


if __name__ == "__main__":
    main()
