"""Whether rows have the features that a mixture was fitted to, by number and by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from gmm_dask.chunked.rows import DataError, Rows

logger = logging.getLogger("gmm_dask")


def by_name(rows: Rows, names: Sequence[str] | None) -> Rows:
    """The model's features of a grid, whose variables and labels say which they are, in its order.

    Rows of a table are left as they are: its columns have an order that is meant.
    """
    given = rows.feature_names
    if not rows.gridded or not names or tuple(names) == given or not set(names) <= set(given):
        return rows
    logger.info("%s: features are taken by their names, in the model's order", rows.source.address)
    return replace(rows, source=rows.source.select([given.index(name) for name in names]))


def check_features(
    address: str, given: Sequence[str], features: int, names: Sequence[str] | None
) -> None:
    """Refuse another number of features, and the model's names in another order or in part.

    Rows of which no name is the model's may have none, or other ones: their order is believed.
    """
    if len(given) != features:
        raise DataError(
            f"{address} has {len(given)} features and the model {features}; choose them with "
            "features= or columns="
        )
    if names is not None and tuple(names) != tuple(given) and set(names) & set(given):
        raise DataError(
            f"{address} has the features {', '.join(given)} and the model {', '.join(names)}; "
            "choose them in that order with features= or columns="
        )
