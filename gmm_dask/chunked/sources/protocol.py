"""What every source of rows can say and do, and the refusals that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gmm_dask.mixture.refusals import Refusal
from gmm_dask.store.addresses import failure

Values = NDArray[Any]
Boundaries = NDArray[np.int64]


MOST_ROWS, MOST_FEATURES = 2**48, 2**20
MOST_CHUNKS = 2**24
"""Of an array down its rows: their boundaries are held here, eight bytes each and more."""
LARGEST_CHUNK = 2**34
"""Bytes of one chunk or shard, as it is decoded."""


class DataError(Refusal):
    """The data cannot be used as they are: says what, where, and what to do."""


class AbsentError(DataError):
    """A chunk is declared and not there: it was lost, or is still to be written."""


class UnansweredError(ConnectionError):
    """A store did not answer; it may the next time."""


class OutageError(RuntimeError):
    """A store has not answered for as long as it is waited for: nothing is tried again."""


class Source(Protocol):
    """A table of N rows and D features, addressed by row index, that a worker reads by itself."""

    @property
    def address(self) -> str:
        """What errors and run records call it."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def lazy(self) -> bool:
        """True when blocks are inputs of Dask tasks and cannot be read by row index on a worker."""

    def layouts(self) -> list[Boundaries]:
        """Row indices 0..N at which chunks meet, per stored array; empty where any cut will do."""

    def read(self, first: int, last: int) -> Values:
        """Rows [first, last), shape (last - first, D), in the stored dtype, native byte order."""

    def verify(self, first: int, last: int) -> None:
        """Raise DataError when a chunk behind these rows is not there."""

    def chunk_of(self, row: int, feature: int) -> str:
        """Where this value is stored, for error messages; empty when there are no chunks."""

    def may_be_fill(self, first: int, table: Values) -> bool:
        """Whether rows read from `first` on might be those of a chunk that has gone."""

    def select(self, columns: Sequence[int]) -> Source:
        """The same rows with these features only."""

    def restrict(self, first: int, last: int) -> Source:
        """Enough of the source to read rows [first, last), with unchanged row indices."""

    def fingerprint(self) -> dict[str, object]:
        """What identifies these data, in JSON's types."""


def table_shape(shape: Sequence[int], address: str) -> tuple[int, int]:
    """(N, D) of an array, 1-D counting as one feature; refuses everything else."""
    if len(shape) not in (1, 2):
        raise DataError(
            f"{address} has {len(shape)} dimensions; pass rows × features or one feature"
        )
    rows, features = int(shape[0]), int(shape[1]) if len(shape) == 2 else 1
    if rows == 0 or features == 0:
        raise DataError(f"{address} holds {rows} rows × {features} features: nothing to fit")
    if rows > MOST_ROWS or features > MOST_FEATURES:
        raise DataError(
            f"{address} declares {rows} rows × {features} features, and at most {MOST_ROWS} × "
            f"{MOST_FEATURES} can be planned for: is its shape what was meant?"
        )
    return rows, features


def real_dtype(dtype: object, address: str) -> np.dtype[Any]:
    """The dtype in native byte order; refuses what is not an integer or a real of 2, 4, 8 bytes."""
    try:
        known = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        raise DataError(f"{address} holds {dtype}, not numbers; store numbers") from None
    advice = _REFUSED.get(known.kind)
    if advice is None and known.kind == "f" and known.itemsize > 8:
        advice = "store it as float64"
    if advice is not None:
        raise DataError(f"{address} holds {known}, not real numbers: {advice}")
    return np.dtype(known.newbyteorder("="))


_TEXT = "encode it as numbers first"
_REFUSED = {
    "c": "pass real and imaginary parts as two features",
    "b": "store it as int8 or float32 if 0 and 1 are meant as numbers",
    "O": "convert it to a numeric dtype first",
    "S": _TEXT,
    "U": _TEXT,
    "T": _TEXT,
    "M": "convert dates to numbers (days since a date) first",
    "m": "convert durations to numbers (seconds) first",
    "V": "pass its numeric fields as separate columns",
}


def told_briefly(problem: BaseException) -> str:
    """The first line of an error of others, not too long; its class where that says more."""
    line = (str(problem).strip().splitlines() or [""])[0]
    line = line if len(line) <= 160 else f"{line[:160]}…"
    return line or type(problem).__name__


def unreached(address: str, problem: Exception) -> Exception | None:
    """What an object store's own error is to a reader: a refusal is final, silence may pass."""
    kind = failure(problem)
    if kind == "refused":
        return DataError(
            f"{address} may not be read: {told_briefly(problem)}; look at the address, and at the "
            "credentials in the environment of client and workers"
        )
    if kind == "unanswered":
        return UnansweredError(f"{address} does not answer: {told_briefly(problem)}")
    return None


def default_names(count: int) -> tuple[str, ...]:
    return tuple(f"x{j}" for j in range(count))


def regular_boundaries(rows: int, chunk: int) -> Boundaries:
    """0, chunk, 2·chunk, …, rows."""
    return np.append(np.arange(0, rows, max(chunk, 1), dtype=np.int64), np.int64(rows))


def native(values: Values) -> Values:
    """Two dimensions, C order, native byte order; the numbers stay as they are."""
    if isinstance(values, np.ma.MaskedArray):
        raise DataError("a masked array was read: fill its masked values (with NaN) first")
    values = values.reshape(len(values), -1) if values.ndim == 1 else values
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
