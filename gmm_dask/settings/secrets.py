"""What is asked for is kept and shown: no secret in it, neither in an address nor in a name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.store.addresses import SECRET, AddressError, is_url, refuse_bytes, split_url

LABELS = "labels:"
WORDS = ("passw", "secret", "token", "credential")
NAME = re.compile("|".join(WORDS), re.IGNORECASE)
ASSIGNED = re.compile(r"([A-Za-z_]\w*)=")


class Address:
    """Of a field: a path or URL, in which no secret shows."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        # Prefect's server asks this before it stores anything.
        return {**handler(schema), "not": {"pattern": SECRET}}

    def checked(self, address: str | None) -> str | None:
        """Refused where a secret shows."""
        return without_secret(address)


class NoSecrets:
    """Of a field: a table of names and values, no name in which is that of a secret."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(without_secrets, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {**handler(schema), "propertyNames": {"not": {"pattern": in_any_case(WORDS)}}}


def without_secret(address: str | None) -> str | None:
    """An address; refused where it carries a secret, or is no text."""
    path = (address or "").removeprefix(LABELS)
    try:
        refuse_bytes(path)
        if is_url(path):
            split_url(path)
    except AddressError as problem:
        raise ConfigurationError(str(problem)) from None
    return address


def without_secrets(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a cluster is made with; refused where a name in it looks like that of a secret."""
    secret = next(secrets_in(arguments), None)
    if secret is not None:
        raise ConfigurationError(
            f"cluster argument {secret!r} looks like a secret, and this configuration is kept "
            "and shown: leave secrets to the environment or to Dask's configuration"
        )
    return arguments


def secrets_in(value: object) -> Iterator[str]:
    """Names that look like those of secrets, at any depth, also in lines like `export NAME=…`."""
    if isinstance(value, Mapping):
        yield from filter(NAME.search, map(str, value))
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from secrets_in(one)
    elif isinstance(value, str) and (assigned := ASSIGNED.search(value)):
        yield from filter(NAME.search, [assigned[1]])


def in_any_case(words: tuple[str, ...]) -> str:
    """A pattern of one of these words, for browsers and servers alike."""
    return "|".join("".join(f"[{c}{c.upper()}]" for c in word) for word in words)
