"""Runs commands in forks of a process that has imported everything: seconds less for each.

One request a line on stdin, {"arguments", "folder", "out", "err"}; its exit code on stdout.
"""

import json
import os
import sys
from importlib import import_module

HEAVY = [
    "gmm_dask.cli.main",
    "gmm_dask.cli.execution",
    "gmm_dask.fitting.jobs",
    "gmm_dask.doctor",
    "gmm_dask.data",
    "gmm_dask.data.synthetic",
    "gmm_dask.report",
]


def run(request: dict) -> None:
    """In the fork: as `python -m gmm_dask` does it."""
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    for number, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["gmm-dask", *request["arguments"]]
    code = 0
    try:
        import_module("gmm_dask.cli.main").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # what the interpreter would do with it
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Until there are no more requests."""
    for name in HEAVY:
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
