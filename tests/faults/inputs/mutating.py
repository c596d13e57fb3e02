"""Documents that were whole, with a few parts of them changed into something else."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

WORDS = (
    "", ".", "..", "../x", "/etc/passwd", "~nobody-of-that-name", "a\0b", "none", "nan",
    "x" * 300, "full", "float64", "pickle", "|O", "zarr.json", "arrays-0.npz", "s3://h/x",
    "labels:", "é✓", "1e400", "c/0/0", "-1", "bytes", "crc32c",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 3, 7, 2**31, 2**40, 2**63, -(2**63), 2**64, 2**80, 10**400)
REALS = (0.0, -0.0, 1.5, -1.0, 1e-300, 1e300)

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(NUMBERS)
    | st.sampled_from(REALS)
    | st.sampled_from(WORDS)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three parts replaced, removed, doubled or wrapped."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(found))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(("replace", "replace", "remove", "double", "wrap", "add"))):
            case "replace":
                holder[key] = draw(junk)
            case "remove":
                del holder[key]
            case "double":
                holder[key] = [holder[key], holder[key]]
            case "wrap":
                holder[key] = {draw(st.sampled_from(WORDS)): holder[key]}
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(WORDS))] = draw(junk)
    return found


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in list(items):
        yield value, key
        if isinstance(one, dict | list):
            yield from _places(one)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with some changed, cut off, doubled or put in."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(found) - 1, 0)))
        match draw(st.sampled_from(("flip", "cut", "double", "put"))):
            case "flip" if found:
                found[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del found[at : at + draw(st.integers(1, 9))]
            case "double":
                found[at:at] = found[at : at + draw(st.integers(1, 40))]
            case "put":
                found[at:at] = draw(st.binary(max_size=6))
    return bytes(found)
