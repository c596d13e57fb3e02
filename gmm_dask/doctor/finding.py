"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """What was found, how bad it is, and what to do about it."""

    subject: str
    level: Level
    told: str
    advice: str = ""


def good(subject: str, told: str) -> Finding:
    """As it should be."""
    return Finding(subject, "good", told)


def note(subject: str, told: str, advice: str) -> Finding:
    """It works, and could be better."""
    return Finding(subject, "note", told, advice)


def bad(subject: str, told: str, advice: str) -> Finding:
    """It will not work, or not safely."""
    return Finding(subject, "bad", told, advice)
