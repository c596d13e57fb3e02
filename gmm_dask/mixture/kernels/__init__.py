"""How a block becomes statistics: kernels, and the choice among them by error bounds."""

from typing import Literal, TypeAlias, get_args

Kernel: TypeAlias = Literal["quadratic", "quadratic-float32", "fused", "centred"]
Arithmetic: TypeAlias = Literal["float64", "float32"]
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)
