"""Numbers as netCDF's conventions (CF) pack them: scaled integers, and values that mean "missing".

Decoded to the bits of `xarray.open_zarr(…, mask_and_scale=True)`, which writes most such stores:
value = stored × scale_factor + add_offset, and NaN where stored is `_FillValue` or `missing_value`.
In Zarr's format 2 the fill value is the `_FillValue` of arrays that are labelled as xarray's, or
packed; in format 3 it is an attribute of its own.
"""

from __future__ import annotations

import struct
from base64 import standard_b64decode
from binascii import Error
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmm_dask.chunked.sources.protocol import DataError

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Packing:
    """How numbers of one type are stored as those of another."""

    stored: str
    fills: tuple[float, ...] = ()
    scale: float | None = None
    offset: float | None = None

    @classmethod
    def of(cls, array: Any, address: str) -> Packing | None:
        """None where numbers are stored as what they are."""
        attributes = array.metadata.attributes  # whatever JSON there was
        attributes = attributes if isinstance(attributes, Mapping) else {}
        scale, offset = (_number(attributes, n, address) for n in ("scale_factor", "add_offset"))
        kind = np.dtype(array.dtype)
        stored = _signed(kind, attributes.get("_Unsigned"))
        fills = [*_of_format_2(array, attributes)] or _numbers(attributes, "_FillValue", address)
        fills = [_as_stored(fill, kind, stored) for fill in fills]
        fills += _numbers(attributes, "missing_value", address)
        missing = tuple(sorted({fill for fill in fills if not np.isnan(fill)}))
        plain = scale is None and offset is None and not missing
        return None if plain and stored == kind else cls(stored.str, missing, scale, offset)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers that come out."""
        stored = np.dtype(self.stored).newbyteorder("=")
        if self.scale is not None or self.offset is not None:
            return np.dtype(np.float64)
        if stored.kind == "f" or not self.fills:
            return stored
        return np.dtype(np.float32 if stored.itemsize <= 2 else np.float64)

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """The numbers that stored values stand for, of the same shape."""
        stored = np.dtype(self.stored).newbyteorder("=")
        table: NDArray[Any] = values.astype(stored, copy=False).astype(self.dtype)
        missing = [table == np.float64(fill) for fill in self.fills]
        if missing:
            table[np.logical_or.reduce(missing)] = np.nan
        if self.scale is not None:
            table *= self.scale
        if self.offset is not None:
            table += self.offset
        return table

    def fingerprint(self) -> dict[str, object]:
        """What identifies it, in JSON's types."""
        return {**asdict(self), "fills": list(self.fills)}


def _signed(kind: np.dtype[Any], unsigned: object) -> np.dtype[Any]:
    """The integers that are meant: netCDF 3 notes in an attribute that they are unsigned."""
    other = {("i", "true"): "u", ("u", "false"): "i"}.get((kind.kind, str(unsigned)))
    return kind if other is None else np.dtype(f"{kind.str[0]}{other}{kind.itemsize}")


def _as_stored(fill: float, kind: np.dtype[Any], stored: np.dtype[Any]) -> float:
    """A fill value that was told of the other kind of integers."""
    if stored == kind or np.isnan(fill):
        return fill
    return int(np.array(int(fill)).astype(kind).astype(stored))


def _of_format_2(array: Any, attributes: Attributes) -> Sequence[float]:
    labelled = {"_ARRAY_DIMENSIONS", "scale_factor", "add_offset"} & set(attributes)
    declared = array.metadata.zarr_format == 2 and labelled and array.fill_value is not None
    return [np.asarray(array.fill_value).item()] if declared else []


def _number(attributes: Attributes, name: str, address: str) -> float | None:
    numbers = _numbers(attributes, name, address)
    if len(numbers) > 1:
        raise _no_number(attributes, name, address)
    return float(numbers[0]) if numbers else None


def _numbers(attributes: Attributes, name: str, address: str) -> list[float]:
    """An attribute that is a number, or some; as xarray writes them in format 3, in base 64."""
    value = attributes.get(name)
    value = value if isinstance(value, list | tuple) else [value]
    numbers = [_decoded(one) for one in value if one is not None]
    if None in numbers:
        raise _no_number(attributes, name, address)
    return [one for one in numbers if one is not None]


def _decoded(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return float(struct.unpack("<d", standard_b64decode(value))[0])
    except (Error, ValueError, struct.error):
        return None


def _no_number(attributes: Attributes, name: str, address: str) -> DataError:
    return DataError(
        f"{address} declares {name}={attributes[name]!r}, which is no number: its values cannot be "
        "known; mend its attributes"
    )
