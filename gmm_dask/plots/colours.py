"""One look for every picture: colours that the colour-blind tell apart, and plain labels.

Matplotlib (the extra `report`) is imported where a picture is made, not before.
"""

from __future__ import annotations

from typing import Any

from gmm_dask.mixture.refusals import NotInstalledError, Refusal

# Okabe & Ito (2008), without black and yellow: text and pale lines are not told apart from these.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D1F", "#6A4C93")
STYLES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (4, 1.2, 1, 1.2)))
INK, FAINT, ALARM = "#222222", "#9A9A9A", "#B2182B"
NOISE_GREY = "#B5B5B5"
LONGEST = 22


def colour(component: int) -> str:
    """Of a component, in every picture; from the ninth on they come again."""
    return PALETTE[component % len(PALETTE)]


def style(component: int) -> Any:
    """The line of a component: tells those of the same colour apart."""
    return STYLES[component // len(PALETTE) % len(STYLES)]


def plain(name: str) -> str:
    """A name as a label: on one line, not too long, and `$` no mathematics."""
    line = " ".join(name.split())
    short = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
    return short.replace("$", r"\$")


def names_of(features: int, names: Any = None) -> tuple[str, ...]:
    """The features' labels: the names given, else x0, x1, …"""
    if names is None:
        return tuple(f"x{j}" for j in range(features))
    if len(names) != features:
        raise Refusal(f"{features} features, but {len(names)} names")
    return tuple(plain(str(name)) for name in names)


def axes(ax: Any = None) -> Any:
    """The axes given, else those of a new figure."""
    if ax is None:
        _, ax = pyplot().subplots(layout="constrained")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def pyplot() -> Any:
    """matplotlib.pyplot, or a sentence that says how to get it."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as missing:
        raise NotInstalledError(
            "pictures need matplotlib: pip install 'gmm-dask[report]'"
        ) from missing
    return plt
