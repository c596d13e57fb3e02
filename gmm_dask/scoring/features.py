"""Whether rows have the features that a mixture was fitted to, by number and by name."""

from __future__ import annotations

from collections.abc import Sequence

from gmm_dask.chunked.rows import DataError


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
