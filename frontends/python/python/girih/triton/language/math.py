"""Mathematical functions of elements: `tl.exp` and `tl.math.exp` are the same."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def abs(x: Any) -> Any:
    """Absolute values."""


@in_kernels
def add(x: Any, y: Any, sanitize_overflow: Any = True) -> Any:
    """Sums of elements."""


@in_kernels
def sub(x: Any, y: Any, sanitize_overflow: Any = True) -> Any:
    """Differences of elements."""


@in_kernels
def mul(x: Any, y: Any, sanitize_overflow: Any = True) -> Any:
    """Products of elements."""


@in_kernels
def cdiv(x: Any, div: Any) -> Any:
    """Quotients of integers, rounded up."""


@in_kernels
def ceil(x: Any) -> Any:
    """Rounded up."""


@in_kernels
def floor(x: Any) -> Any:
    """Rounded down."""


@in_kernels
def clamp(x: Any, min: Any, max: Any, propagate_nan: Any = None) -> Any:
    """Elements between two bounds."""


@in_kernels
def cos(x: Any) -> Any:
    """Cosine."""


@in_kernels
def sin(x: Any) -> Any:
    """Sine."""


@in_kernels
def exp(x: Any) -> Any:
    """e to the power of x."""


@in_kernels
def exp2(x: Any) -> Any:
    """2 to the power of x."""


@in_kernels
def log(x: Any) -> Any:
    """Natural logarithm."""


@in_kernels
def log2(x: Any) -> Any:
    """Logarithm to base 2."""


@in_kernels
def sqrt(x: Any) -> Any:
    """Square root."""


@in_kernels
def sqrt_rn(x: Any) -> Any:
    """Square root, rounded to nearest."""


@in_kernels
def rsqrt(x: Any) -> Any:
    """One over the square root."""


@in_kernels
def erf(x: Any) -> Any:
    """The error function."""


@in_kernels
def div_rn(x: Any, y: Any) -> Any:
    """Quotient, rounded to nearest."""


@in_kernels
def fdiv(x: Any, y: Any, ieee_rounding: Any = False) -> Any:
    """Quotient of floats."""


@in_kernels
def fma(x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once."""


@in_kernels
def umulhi(x: Any, y: Any) -> Any:
    """The high half of the product of unsigned integers."""


@in_kernels
def maximum(x: Any, y: Any, propagate_nan: Any = None) -> Any:
    """The larger of two elements."""


@in_kernels
def minimum(x: Any, y: Any, propagate_nan: Any = None) -> Any:
    """The smaller of two elements."""


@in_kernels
def where(condition: Any, x: Any, y: Any) -> Any:
    """Elements of x where the condition holds, else of y."""


@in_kernels
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""


@in_kernels
def softmax(x: Any, dim: Any = None, keep_dims: Any = False, ieee_rounding: Any = False) -> Any:
    """exp(x) over its sum along an axis."""


@in_kernels
def swizzle2d(i: Any, j: Any, size_i: Any, size_j: Any, size_g: Any) -> Any:
    """Indices of a matrix walked in groups of rows."""


__all__ = [
    "abs",
    "add",
    "cdiv",
    "ceil",
    "clamp",
    "cos",
    "div_rn",
    "erf",
    "exp",
    "exp2",
    "fdiv",
    "floor",
    "fma",
    "log",
    "log2",
    "maximum",
    "minimum",
    "mul",
    "rsqrt",
    "sigmoid",
    "sin",
    "softmax",
    "sqrt",
    "sqrt_rn",
    "sub",
    "swizzle2d",
    "umulhi",
    "where",
]
