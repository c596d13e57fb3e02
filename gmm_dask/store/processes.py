"""Processes told so that another one of the same machine can find out whether they are alive.

Knows this machine; of processes elsewhere it knows nothing, and says so.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROCESSES = Path("/proc")
_START = 19
"""Which field after the name in /proc/PID/stat is the tick of the clock at which it began."""


def this_process() -> dict[str, Any]:
    """What is told of this process where it holds something."""
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "machine": _machine(),
        "started": _state(pid)[1],
    }


def is_dead(process: Mapping[str, Any]) -> bool:
    """Whether a process that was told of has ended; False where nobody here can know."""
    machine, pid, started = (process.get(name) for name in ("machine", "pid", "started"))
    if machine is None or machine != _machine() or not isinstance(pid, int) or pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # somebody else's, and alive; no number of any
        return False
    state, now = _state(pid)
    return state in ("Z", "X") or (None not in (started, now) and started != now)


def _machine() -> str | None:
    """Of one boot and one room of process numbers: containers have their own. None if untold."""
    with suppress(OSError):
        boot = (_PROCESSES / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(_PROCESSES / 'self/ns/pid')}"
    return None


def _state(pid: int) -> tuple[str | None, int | None]:
    """How a process is, and when it began: the same number may have been given again."""
    with suppress(OSError, ValueError, IndexError):
        fields = (_PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return fields[0], int(fields[_START])
    return None, None
