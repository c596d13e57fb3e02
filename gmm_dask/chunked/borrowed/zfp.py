"""zfp's own header: what an array becomes, before anything of it is unpacked.

Its magic, a version, and 52 bits: one less than each side from the fastest on, as wide as there are
few, then one less than their number, and of four types which (zfp 1.0, `zfp_field_metadata`).
"""

from math import prod

MAGIC, HEADER, BITS = b"zfp", 11, 48
ITEMSIZES = (4, 8, 4, 8)


def zfp_size(head: bytes) -> int:
    """The bytes of the array whose stream begins so."""
    if len(head) < HEADER or head[:3] != MAGIC:
        raise ValueError("it is no stream of zfp")
    told = int.from_bytes(head[4:HEADER], "little") & (1 << BITS + 4) - 1
    sides = (told >> 2 & 3) + 1
    width = BITS // sides
    told, itemsize = told >> 4, ITEMSIZES[told & 3]
    return itemsize * prod((told >> i * width & (1 << width) - 1) + 1 for i in range(sides))
