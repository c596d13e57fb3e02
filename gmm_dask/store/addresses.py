"""Addresses: a path or URL is taken apart, refused if it shows a secret, and opened by the same
rules, whether to read there or to write.

Credentials and endpoints come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, ...),
never from an address, which is kept, shown and logged. Knows nothing of what lies there.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from gmm_dask.mixture.refusals import Refusal

SECRET = r"[A-Za-z0-9+.-]+://([^/]*@|[^?#]*[?#]|[^/\[]*:[0-9]*[^/0-9])"
"""A URL that `split_url` refuses, as a pattern: with a user, a query, or no port after a colon."""
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

PATIENCE = "GMM_DASK_PATIENCE"
"""The environment variable that says for how many seconds a store is asked again that does not
answer, or answers that it cannot now: by drivers and by workers, to read and to write."""
USUAL_PATIENCE, LONGEST_REQUEST = 60.0, 30.0
MOST_RETRIES, LONGEST_RETRIES = 3, 5.0
"""Of obstore itself, which counts rather than looks at the clock: whoever asks it asks again."""

_YES = {"1", "true", "on", "yes", "y"}
_REFUSED = re.compile(r"status code: 4(?!08|09|25|29)\d\d |redirect without LOCATION")
_FOR_NOW = re.compile(
    r"ExpiredToken|RequestExpired|TokenRefreshRequired|RequestTimeout|400 [\w ]*: *$", re.M
)
"""Refusals that pass: of credentials that are renewed elsewhere, which those who ask for the mere
presence of something are told without a word."""


class AddressError(Refusal):
    """An address that cannot be used: says why, and repeats no secret."""


def patience() -> float:
    """Seconds for which a store is asked again: a minute, or as the environment says."""
    asked = os.environ.get(PATIENCE, "")
    try:
        seconds = float(asked or USUAL_PATIENCE)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise AddressError(f"{PATIENCE}={asked!r} is no number of seconds: write {PATIENCE}=60")
    return seconds


def is_url(address: str) -> bool:
    """Whether it is more than a path."""
    return "://" in address


def absolute(address: str) -> str:
    """The same place from wherever it is asked for."""
    return address if is_url(address) else str(Path(address).expanduser().absolute())


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
        return from_url(url, client_options=_client_options(url), retry_config=_retries())
    except (BaseError, ValueError) as problem:
        reason = str(problem).partition("\n")[0]
        raise AddressError(f"{url} is not an address that obstore opens: {reason}") from None


def failure(problem: BaseException) -> Literal["refused", "unanswered"] | None:
    """What an object store's own error amounts to: another attempt is told the same, or may not be.

    None for an error of anything else.
    """
    if not type(problem).__module__.startswith("obstore"):
        return None
    reason = str(problem).partition("\n\nDebug source")[0]
    refused = isinstance(problem, _refusals()) or _REFUSED.search(reason)
    return "refused" if refused and not _FOR_NOW.search(reason) else "unanswered"


def _refusals() -> tuple[type[Exception], ...]:
    from obstore import exceptions

    return (
        exceptions.AlreadyExistsError,
        exceptions.NotFoundError,
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


def _retries() -> dict[str, Any]:
    longest = timedelta(seconds=min(LONGEST_RETRIES, patience()))
    return {"max_retries": MOST_RETRIES, "retry_timeout": longest}


def _client_options(url: str) -> dict[str, Any]:
    """Plain http is for loopback, or where the environment says that the network is one's own."""
    parts = urlsplit(_endpoint(url))
    options = {"timeout": timedelta(seconds=min(LONGEST_REQUEST, max(patience(), 1.0)))}
    if parts.scheme != "http":
        return options
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in _YES
    if parts.hostname not in LOOPBACK and not allowed:
        raise AddressError(
            f"the endpoint {parts.hostname} speaks http, which shows credentials and data to the "
            "network: use https, or set AWS_ALLOW_HTTP=true if the network is your own"
        )
    return {**options, "allow_http": True}


def _endpoint(url: str) -> str:
    """Who is asked, where that is not the cloud's own server."""
    if url.startswith(("s3://", "s3a://")):
        of_s3 = os.environ.get("AWS_ENDPOINT_URL_S3")
        return of_s3 or os.environ.get("AWS_ENDPOINT_URL", "")
    return url
