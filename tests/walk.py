"""What a fit walks through: files of ours that it enters, and how often it opens its source.

    python -m tests.walk [array|run|store|command|flow ...] [--files]

Every walk has a process of its own (the flow's takes a minute, the others a few seconds).
A file counts if one of its functions is entered, in any thread, and not while something is being
imported; the source is opened as often as the metadata of its array are read. Below stands what a
reader walks through: what lies at the root of the package, its longest file, its widest class,
and circles of imports. `--files` lists the files, and the modules of the circles.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gmm_dask", "flows")
OURS = tuple(f"{ROOT / name}{os.sep}" for name in PACKAGES)
STORE, ARRAY = "rows.zarr", "rows"
NO_ENTRY = ("__pycache__", "py.typed")

Line = tuple[str, str, str]


# -- a walk, in a process of its own ------------------------------------------------------------


@dataclass
class Walk:
    """Functions that are entered, and openings of the source, while it is on."""

    metadata: str
    on: bool = False
    opened: int = 0
    entered: set[tuple[str, str]] = field(default_factory=set)

    def enter(self, code: CodeType, frame: FrameType) -> bool:
        """Told of a call; whether no further one of the same code need be told."""
        if not code.co_filename.startswith(OURS) or not is_function(code):
            return True
        if not self.on or importing(frame):
            return False
        self.entered.add((os.path.relpath(code.co_filename, ROOT), code.co_qualname))
        return True

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Told of every file that is opened, by whatever reads it."""
        if self.on and event == "open" and isinstance(arguments[0], str | os.PathLike):
            self.opened += os.path.abspath(arguments[0]) == self.metadata

    @contextmanager
    def counting(self) -> Iterator[None]:
        """From here on, and no longer."""
        self.on = True
        try:
            with calls_told(self.enter):
                yield
        finally:
            self.on = False

    def told(self) -> dict[str, Any]:
        """For the process that asked."""
        return {"opened": self.opened, "entered": sorted(self.entered)}


@contextmanager
def calls_told(tell: Callable[[CodeType, FrameType], bool]) -> Iterator[None]:
    """Calls in every thread that there is; before CPython 3.12, in this one and in new ones."""
    if sys.version_info < (3, 12):
        for listen in (threading.setprofile, sys.setprofile):
            listen(lambda frame, event, _: event == "call" and tell(frame.f_code, frame))
        yield
        return
    monitoring = sys.monitoring
    tool, starts = monitoring.PROFILER_ID, monitoring.events.PY_START
    monitoring.use_tool_id(tool, __name__)
    monitoring.register_callback(
        tool,
        starts,
        lambda code, _: monitoring.DISABLE if tell(code, sys._getframe(1)) else None,
    )
    monitoring.set_events(tool, starts)
    yield
    monitoring.free_tool_id(tool)


def is_function(code: CodeType) -> bool:
    """Bodies of modules and of classes are code too."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


def importing(frame: FrameType | None) -> bool:
    """Whether this is done on behalf of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def of_array(walk: Walk) -> None:
    """`fit(array, 3)`."""
    from gmm_dask import fit

    rows = drawn()
    with walk.counting():
        fit(rows, 3)


def of_run(walk: Walk) -> None:
    """`fit(array, 3, run=…)`."""
    from gmm_dask import fit

    rows = drawn()
    with walk.counting():
        fit(rows, 3, run="run")


def of_store(walk: Walk) -> None:
    """`fit("rows.zarr", 3, array="rows", run=…)`."""
    from gmm_dask import fit

    with walk.counting():
        fit(STORE, 3, array=ARRAY, run="run")


def of_command(walk: Walk) -> None:
    """`gmm-dask fit rows.zarr -k 3 --out run`."""
    sys.argv = ["gmm-dask", "fit", STORE, "-k", "3", "--out", "run"]
    with walk.counting():
        try:
            runpy.run_module("gmm_dask", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"exit code {end.code}") from end


def of_flow(walk: Walk) -> None:
    """`fit_mixture(…)`, the flow, on a server of Prefect's own."""
    from flows.fit_mixture import fit_mixture

    with walk.counting():
        fit_mixture(source=str(Path(STORE).resolve()), mixture={"components": 3}, run="run")


WALKS: Mapping[str, Callable[[Walk], None]] = MappingProxyType(
    {
        "array": of_array,
        "run": of_run,
        "store": of_store,
        "command": of_command,
        "flow": of_flow,
    }
)
OPENS_NOTHING = ("array", "run")


def drawn() -> Any:
    """Rows in which there is something to find."""
    import numpy as np

    random = np.random.default_rng(0)
    return np.vstack([random.normal((4 * k, k**2), size=(200, 2)) for k in range(3)])


def write_store() -> None:
    """The same rows as one table of a group."""
    import zarr

    rows = drawn()
    group = zarr.open_group(STORE, mode="w")
    group.create_array(ARRAY, shape=rows.shape, chunks=(200, 2), dtype=rows.dtype)[...] = rows


def walk_here(name: str, answer: str) -> None:
    """One walk, in the working folder of this process."""
    walk = Walk(os.path.abspath(os.path.join(STORE, ARRAY, "zarr.json")))
    write_store()
    sys.addaudithook(walk.audit)
    WALKS[name](walk)
    Path(answer).write_text(json.dumps(walk.told()))


# -- walks and the house, counted ---------------------------------------------------------------


@dataclass(frozen=True)
class Walked:
    """What one walk went through."""

    name: str
    opened: int
    entered: tuple[tuple[str, str], ...]

    @property
    def files(self) -> list[str]:
        """Those in which a function was entered."""
        return sorted({file for file, _ in self.entered})

    def line(self) -> Line:
        """Its line of the table."""
        counts = Counter(room(file) for file in self.files)
        rooms = ", ".join(f"{name} {count}" for name, count in counts.most_common())
        opened = "no source to open" if self.name in OPENS_NOTHING else f"opened {self.opened} ×"
        return f"files: {title(self.name)}", str(len(self.files)), f"{opened}; {rooms}"


def title(name: str) -> str:
    """What is walked, in a line."""
    return str(WALKS[name].__doc__).partition("\n")[0].rstrip(".").replace("`", "")


def room(file: str) -> str:
    """The part of the house that a file lies in."""
    package, *folders = Path(file).parts[:-1]
    return folders[0] if folders else package


def walked(name: str) -> Walked:
    """One walk, from nothing: a process, a folder and a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        answer = os.path.join(folder, "walk.json")
        done = subprocess.run(
            [sys.executable, "-m", "tests.walk", name, "--answer", answer],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{title(name)}\n{done.stdout}{done.stderr}"
        told = json.loads(Path(answer).read_text())
    return Walked(name, told["opened"], tuple((file, what) for file, what in told["entered"]))


def environment(folder: str) -> dict[str, str]:
    """That of someone who has set nothing up."""
    known = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    home = {"HOME": folder, "PREFECT_HOME": os.path.join(folder, "prefect")}
    return known | home | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}


def sources() -> dict[str, Path]:
    """Every module of ours by its name."""
    found = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return {module_name(path): path for path in found}


def module_name(path: Path) -> str:
    """As it is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def house(trees: Mapping[str, ast.Module]) -> list[Line]:
    """What a reader walks through."""
    entries = sorted(
        path.name
        for path in (ROOT / "gmm_dask").iterdir()
        if path.name not in NO_ENTRY and (path.suffix == ".py" or path.is_dir())
    )
    modules = sum(name.endswith(".py") for name in entries)
    beside = f"{modules} modules, {len(entries) - modules} packages"
    at_import, at_all = (circles(trees, within) for within in (False, True))
    return [
        ("entries at the root of gmm_dask/", str(len(entries)), beside),
        ("lines of the longest file", *longest()),
        ("methods of the widest class", *widest(trees)),
        ("circles of imports", str(len(at_import)), sizes(at_import)),
        ("the same, with those in functions", str(len(at_all)), sizes(at_all)),
    ]


def longest() -> tuple[str, str]:
    """The longest file."""
    lengths = {path: len(path.read_text().splitlines()) for path in sources().values()}
    path = max(lengths, key=lambda one: lengths[one])
    return str(lengths[path]), str(path.relative_to(ROOT))


def widest(trees: Mapping[str, ast.Module]) -> tuple[str, str]:
    """The class with most methods."""
    counts = {
        f"{module}.{node.name}": sum(
            isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in node.body
        )
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    name = max(counts, key=lambda one: counts[one])
    return str(counts[name]), name


def sizes(found: Sequence[Sequence[str]]) -> str:
    """How many modules are in each circle."""
    return ", ".join(f"{len(one)} modules with {one[0]}" for one in found)


# -- circles of imports -------------------------------------------------------------------------


def circles(trees: Mapping[str, ast.Module], within_functions: bool) -> list[list[str]]:
    """Modules each of which leads to all others of its circle, the largest first."""
    leads = {
        name: {target for target in imports(tree, within_functions, trees) if target != name}
        for name, tree in trees.items()
    }
    reach = {name: reached(name, leads) for name in leads}
    found = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in leads
        if name in reach[name]
    }
    return sorted(map(list, found), key=lambda one: (-len(one), one))


def reached(name: str, leads: Mapping[str, set[str]]) -> set[str]:
    """Whatever is imported by what a module imports, and so on."""
    found: set[str] = set()
    ahead = [*leads[name]]
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead.extend(leads[one])
    return found


def imports(tree: ast.AST, within_functions: bool, known: Mapping[str, object]) -> Iterator[str]:
    """The modules of ours that a module imports; those for types alone are none."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = [f"{node.module}.{one.name}" for one in node.names]
            yield from (name if name in known else node.module for name in names)
        elif for_types(node) or (is_def(node) and not within_functions):
            continue
        else:
            yield from imports(node, within_functions, known)


def for_types(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def is_def(node: ast.AST) -> bool:
    """What runs only when it is called."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


# -- the command --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """The table, and on request the files."""
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("tests.walk", description=__doc__, formatter_class=about)
    parser.add_argument("walks", nargs="*", metavar="WALK", help=f"of {', '.join(WALKS)}")
    parser.add_argument("--files", action="store_true", help="list the files of each walk")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    unknown = [name for name in given.walks if name not in WALKS]
    if unknown:
        parser.error(f"there is no walk {unknown[0]!r}; choose of {', '.join(WALKS)}")
    if given.answer:
        walk_here(given.walks[0], given.answer)
        return
    tell([walked(name) for name in given.walks or WALKS], given.files)


def tell(walks: Sequence[Walked], files: bool) -> None:
    """Everything, for a person."""
    trees = {name: ast.parse(path.read_text()) for name, path in sources().items()}
    told = [aligned([*(walk.line() for walk in walks), *house(trees)])]
    if files:
        told += [listed(title(walk.name), walk.files) for walk in walks]
        told += [listed("a circle of imports", one) for one in circles(trees, True)]
    sys.stdout.write("\n\n".join(told) + "\n")


def aligned(lines: Sequence[Line]) -> str:
    """Columns as wide as their widest word, numbers to the right."""
    first, second = (max(len(line[column]) for line in lines) for column in (0, 1))
    return "\n".join(
        f"{what:<{first}}  {number:>{second}}  {beside}".rstrip() for what, number, beside in lines
    )


def listed(what: str, names: Sequence[str]) -> str:
    """A heading and a name a line."""
    return "\n".join([f"{what}:", *(f"  {name}" for name in names)])


if __name__ == "__main__":
    main()
