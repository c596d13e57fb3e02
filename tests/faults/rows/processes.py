"""Finding processes by who started them, and ports that nobody has."""

import socket

import psutil


def children(parent: int, word: str) -> list[psutil.Process]:
    """Those that a process has started whose command line has this word."""
    found = psutil.Process(parent).children(recursive=True)
    return [process for process in found if word in process.cmdline()]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
