"""What is chosen by name: the names at once, what they stand for when it is first asked for.

Imports no NumPy: command-line help is made of the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from gmm_dask.mixture.refusals import Refusal

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Things of one kind by name, given as they are or by their place, "module:attribute"."""

    def __init__(self, kind: str, places: Mapping[str, str]) -> None:
        self._kind = kind
        self._things: dict[str, Any] = dict(places)

    def __getitem__(self, name: str) -> T:
        thing: Any = self._things[name]
        if isinstance(thing, str):
            module, attribute = thing.split(":")
            thing = self._things[name] = getattr(import_module(module), attribute)
        found: T = thing
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def register(self, name: str, thing: T | str) -> None:
        """Add one, or put it in the place of another."""
        self._things[name] = thing

    def named(self, name: str) -> T:
        """The one of this name, or a sentence that lists the names there are."""
        if name not in self._things:
            raise Refusal(f"unknown {self._kind} {name!r}: choose one of {', '.join(self)}")
        return self[name]
