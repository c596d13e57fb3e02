"""Addresses: a path or URL is taken apart, refused if it shows a secret, and opened by the same
rules, whether to read there or to write.

Credentials and endpoints come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, ...),
never from an address, which is kept, shown and logged. Knows nothing of what lies there.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from gmm_dask.refusals import Refusal

SECRET = r"[A-Za-z0-9+.-]+://([^/]*@|[^?#]*[?#]|[^/\[]*:[0-9]*[^/0-9])"
"""A URL that `split_url` refuses, as a pattern: with a user, a query, or no port after a colon."""
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

_YES = {"1", "true", "on", "yes", "y"}
# No answer within a minute is an outage, which the driver should hear of.
_RETRIES = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}


class AddressError(Refusal):
    """An address that cannot be used: says why, and repeats no secret."""


def is_url(address: str) -> bool:
    """Whether it is more than a path."""
    return "://" in address


def split_url(url: str) -> SplitResult:
    """The parts of a URL that shows no secret: it goes into run folders, logs and dashboards."""
    try:
        parts = urlsplit(url)
    except ValueError:  # its text repeats what may be a password
        raise AddressError("the address is no URL: write scheme://bucket/path") from None
    if _shows_user(parts):
        raise AddressError(
            f"the {parts.scheme}:// address carries a user or password; leave it out and give "
            "credentials in the environment (AWS_ACCESS_KEY_ID, ...) of client and workers"
        )
    if parts.query or parts.fragment:
        raise AddressError(f"the {parts.scheme}:// address carries a query: give the plain address")
    return parts


def refuse_bytes(address: str) -> None:
    """Addresses are kept as text: a file's name may be any bytes, but then it is none."""
    try:
        address.encode()
    except UnicodeEncodeError:
        raise AddressError(f"{address!r} is no path: its name is not UTF-8; rename it") from None


def path_of(address: str) -> Path | None:
    """What a path or a `file://` URL names on this machine; None for all other URLs."""
    if is_url(address):
        parts = split_url(address)
        if parts.scheme != "file":
            return None
        if parts.netloc not in ("", "localhost"):
            raise AddressError(f"{address} names a host: write file:///path, with three slashes")
        address = unquote(parts.path)
    try:
        if "\0" in address:
            raise ValueError("it has a NUL")
        refuse_bytes(address)
        return Path(address).expanduser()
    except (RuntimeError, ValueError) as problem:  # no such user's home
        raise AddressError(f"{address!r} is no path: {problem}") from None


def open_store(url: str) -> Any:
    """The `obstore` store at a URL; it pickles without credentials and endpoint."""
    split_url(url)
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise AddressError(f"{url} needs obstore: pip install 'gmm-dask[s3]'") from None
    try:
        return from_url(url, client_options=_client_options(url), retry_config=_RETRIES)
    except (BaseError, ValueError) as problem:
        told = str(problem).partition("\n")[0]
        raise AddressError(f"{url} is not an address that obstore opens: {told}") from None


def failure(problem: BaseException) -> Literal["refused", "unanswered"] | None:
    """What an object store's own error amounts to: another attempt is told the same, or may not be.

    None for an error of anything else.
    """
    if not type(problem).__module__.startswith("obstore"):
        return None
    return "refused" if isinstance(problem, _refusals()) else "unanswered"


def _refusals() -> tuple[type[Exception], ...]:
    from obstore import exceptions

    return (
        exceptions.PermissionDeniedError,
        exceptions.UnauthenticatedError,
        exceptions.InvalidPathError,
        exceptions.NotSupportedError,
        exceptions.UnknownConfigurationKeyError,
    )


def _shows_user(parts: SplitResult) -> bool:
    """A key and a password with a slash in it look like a host, and after it what is no port."""
    port = parts.netloc.rpartition("]")[2].partition(":")[2]
    return "@" in parts.netloc or not (port.isdecimal() or not port)


def _client_options(url: str) -> dict[str, bool]:
    """Plain http is for loopback, or where the environment says that the network is one's own."""
    parts = urlsplit(_endpoint(url))
    if parts.scheme != "http":
        return {}
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in _YES
    if parts.hostname not in LOOPBACK and not allowed:
        raise AddressError(
            f"the endpoint {parts.hostname} speaks http, which shows credentials and data to the "
            "network: use https, or set AWS_ALLOW_HTTP=true if the network is your own"
        )
    return {"allow_http": True}


def _endpoint(url: str) -> str:
    """Who is asked, where that is not the cloud's own server."""
    if url.startswith(("s3://", "s3a://")):
        of_s3 = os.environ.get("AWS_ENDPOINT_URL_S3")
        return of_s3 or os.environ.get("AWS_ENDPOINT_URL", "")
    return url
