"""Kernels in Triton's language, on any GPU and on the CPU.

>>> import numpy as np
>>> import girih.triton as triton
>>> import girih.triton.language as tl
>>> @triton.jit                                                     # doctest: +SKIP
... def double(x_ptr, n, BLOCK: tl.constexpr):
...     at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
...     tl.store(x_ptr + at, 2 * tl.load(x_ptr + at, mask=at < n), mask=at < n)
>>> x = np.arange(1000, dtype=np.float32)                           # doctest: +SKIP
>>> double[(triton.cdiv(x.size, 256),)](x, x.size, BLOCK=256)       # doctest: +SKIP

Kernels run on `girih.current_device()`, or on the device of the `girih.Array`s they are given. `install()` makes `import triton` mean
this module, for files written for Triton.
"""

from __future__ import annotations

from typing import Any

from girih._dtypes import dtype_of
from girih.triton import language, testing, tools
from girih.triton._install import install, uninstall
from girih.triton._jit import CompiledKernel, ConstexprFunction, JITFunction, constexpr_function, jit
from girih.triton._tune import Autotuner, Config, Heuristics, autotune, heuristics
from girih.triton import runtime
from girih.triton.runtime import OutOfResources
from girih.triton.language import constexpr

# Code that asks for Triton's version gets that of the language that is meant.
__version__ = "3.4.0"


def cdiv(x: int, y: int) -> int:
    """`x / y`, rounded up."""
    return -(-int(x) // int(y))


def next_power_of_2(n: int) -> int:
    """The smallest power of two that is at least `n`."""
    return 1 << max(int(n) - 1, 0).bit_length()


class reinterpret:
    """An array whose elements a kernel sees with another dtype of the same size."""

    def __init__(self, tensor: Any, dtype: Any) -> None:
        self.base = tensor
        self.dtype = dtype
        self.__girih_reinterpret__ = (tensor, dtype_of(dtype))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.base, name)


def set_allocator(allocator: Any) -> None:
    """Accepted and not used: girih allocates what kernels need."""


__all__ = [
    "Autotuner",
    "CompiledKernel",
    "Config",
    "ConstexprFunction",
    "Heuristics",
    "JITFunction",
    "OutOfResources",
    "autotune",
    "cdiv",
    "constexpr",
    "constexpr_function",
    "heuristics",
    "install",
    "jit",
    "language",
    "next_power_of_2",
    "reinterpret",
    "runtime",
    "set_allocator",
    "testing",
    "tools",
    "uninstall",
]
