"""What is promised to the compiler, checks, printing, vendors' own."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def multiple_of(input: Any, values: Any) -> Any:
    """Promises that elements are multiples."""


@in_kernels
def max_contiguous(input: Any, values: Any) -> Any:
    """Promises that elements come in runs of neighbours."""


@in_kernels
def max_constancy(input: Any, values: Any) -> Any:
    """Promises that elements come in runs of equals."""


@in_kernels
def assume(cond: Any) -> Any:
    """Promises that a condition holds."""


@in_kernels
def static_assert(cond: Any, msg: Any = "") -> Any:
    """Refuses to compile unless a constant condition holds."""


@in_kernels
def static_print(*values: Any, sep: Any = " ", end: Any = "\n", file: Any = None, flush: Any = False) -> Any:
    """Prints constants when the kernel is compiled."""


@in_kernels
def device_assert(cond: Any, msg: Any = "", mask: Any = None) -> Any:
    """Checks a condition when the kernel runs with checks."""


@in_kernels
def device_print(prefix: Any, *args: Any, hex: Any = False) -> Any:
    """Prints values when the kernel runs with checks."""


@in_kernels
def debug_barrier() -> Any:
    """Waits for all threads of the program."""


@in_kernels
def inline_asm_elementwise(asm: Any, constraints: Any, args: Any, dtype: Any, is_pure: Any, pack: Any) -> Any:
    """Assembly of one vendor: refused, since it runs on that vendor's chips only."""


__all__ = [
    "assume",
    "debug_barrier",
    "device_assert",
    "device_print",
    "inline_asm_elementwise",
    "max_constancy",
    "max_contiguous",
    "multiple_of",
    "static_assert",
    "static_print",
]
