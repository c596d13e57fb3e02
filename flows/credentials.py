"""Credentials from a Prefect Secret block, in the environment while something is done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prefect.blocks.system import Secret

from flows.defaults import defaults
from gmm_dask.settings.errors import ConfigurationError


@contextmanager
def credentials_of(block: str | None) -> Iterator[None]:
    """The variables of the block of that name, or of everybody's; clusters that are started
    meanwhile inherit them."""
    block = block or defaults().credentials
    if block is None:
        yield
        return
    values = variables_in(block)
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def variables_in(block: str) -> Mapping[str, str]:
    """The JSON object in a Secret block; messages never show what is in it."""
    try:
        secret: Any = Secret.load(block)
        content = secret.get()
    except ValueError as problem:
        raise ConfigurationError(f"there is no Secret block named {block!r}") from problem
    try:
        values = json.loads(content) if isinstance(content, str) else content
    except ValueError:
        values = None
    if not isinstance(values, Mapping) or not all(isinstance(v, str) for v in values.values()):
        raise ConfigurationError(
            f"the Secret block {block!r} must hold a JSON object of environment variables and "
            "their values, all text"
        )
    return values
