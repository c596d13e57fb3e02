"""Prefect's server, by its address alone; the package need not be here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from gmm_dask.doctor.finding import Finding, bad, good
from gmm_dask.doctor.machine import version_of

SECONDS = 5


def server() -> Iterator[Finding]:
    """Whether the server that the environment names answers."""
    address = os.environ.get("PREFECT_API_URL", "")
    if not address:
        present = version_of("prefect")
        package = f"prefect {present} is installed" if present else "not installed"
        yield good("Prefect", f"no server named (PREFECT_API_URL); {package}; only flows need it")
        return
    parts = urlsplit(address)
    shown = f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"
    if parts.password or parts.username:
        yield bad("Prefect", "PREFECT_API_URL carries a password", "use PREFECT_API_AUTH_STRING")
        return
    try:
        with urlopen(f"{address.rstrip('/')}/health", timeout=SECONDS) as answer:
            healthy = answer.status == 200
    except (URLError, OSError, ValueError) as problem:
        advice = "start it (prefect server start), or mend PREFECT_API_URL"
        yield bad("Prefect", f"{shown} does not answer: {problem}", advice)
        return
    if healthy:
        yield good("Prefect", f"{shown} answers")
    else:
        yield bad("Prefect", f"{shown} is not healthy", "look at the server's log")
