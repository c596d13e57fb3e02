"""Names of tasks, by which dashboards know what they do and keys stay apart."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Labels:
    """Of one run; a name that comes again is numbered."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._names: Counter[str] = Counter()
        self._newest: dict[str, str] = {}

    def __call__(self, name: str, step: int | None) -> str:
        """`sweep-<run>-it3`, which the dashboard shows as `sweep`; numbered where used again."""
        label = f"{name}-{self._run}" + ("" if step is None else f"-it{step}")
        if step is not None:
            if (passed := self._newest.get(name, label)) != label:
                del self._names[passed]  # a fit may go on for a million passes
            self._newest[name] = label
        self._names[label] += 1
        again = self._names[label]
        return label if again == 1 else f"{label}-{again}"


def is_share(key: Any, run: str, shares: int) -> bool:
    """Whether a key is that of a task of this run over one of its shares: merges have longer."""
    ours = isinstance(key, tuple) and len(key) == 2 and f"-{run}" in key[0]
    return ours and key[1] < shares
