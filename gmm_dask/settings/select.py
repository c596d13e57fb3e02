"""What is compared by `select`, and by what."""

from dataclasses import dataclass
from typing import Annotated, Any

from gmm_dask.mixture.covariance import ALL, families_named, family_names
from gmm_dask.mixture.criteria import Criterion
from gmm_dask.settings.checks import check
from gmm_dask.settings.declaration import Help, OneOf
from gmm_dask.settings.errors import ConfigurationError

MOST = 10_000


@dataclass(frozen=True)
class SelectOptions:
    """Every number of components in every family, of which the criterion's smallest wins."""

    components: Annotated[
        str, Help("Components", "numbers to compare: 1:12 (12 too), or 2,4,8", "-k")
    ]
    covariance: Annotated[
        tuple[Annotated[str, OneOf(family_names, also=(ALL,))], ...],
        Help("Covariances", "families to compare, with commas between, or given again; or all"),
    ] = ("full",)
    criterion: Annotated[Criterion, Help("Criterion", "criterion whose smallest wins")] = "bic"
    drop: Annotated[bool, Help("Drop", "give up candidates that can no longer become the best")] = (
        True
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.covariance:
            raise ConfigurationError("covariance is empty: name a family at least")
        object.__setattr__(self, "covariance", families_named(self.covariance))
        self.numbers  # noqa: B018  fails here if they are none

    def __len__(self) -> int:
        """How many candidates there are."""
        return len(self.numbers) * len(self.covariance)

    def identity(self) -> dict[str, Any]:
        """What tells this comparison from others, as the first flows named it."""
        return {
            "numbers": self.numbers,
            "families": self.covariance,
            "criterion": self.criterion,
            "drop": self.drop,
        }

    @property
    def numbers(self) -> tuple[int, ...]:
        """`1:12` is 1 to 12, `2,4,8` these three, `1:3,8` both."""
        text, numbers = self.components, list[int]()
        for part in text.split(","):
            first, colon, last = part.partition(":")
            try:
                low = int(first)
                high = int(last) if colon else low
            except ValueError:
                raise ConfigurationError(f"-k {text!r}: write 1:12 or 2,4,8") from None
            if not 1 <= low <= high <= MOST:
                raise ConfigurationError(f"-k {text!r}: {part!r} must rise from 1 up")
            numbers += range(low, high + 1)
        return tuple(dict.fromkeys(numbers))
