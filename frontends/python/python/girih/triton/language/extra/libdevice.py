"""Mathematical functions by the names of vendors' libraries."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def abs(x: Any) -> Any:
    """Absolute values."""


@in_kernels
def acos(x: Any) -> Any:
    """Inverse cosine."""


@in_kernels
def acosh(x: Any) -> Any:
    """Inverse hyperbolic cosine."""


@in_kernels
def asin(x: Any) -> Any:
    """Inverse sine."""


@in_kernels
def asinh(x: Any) -> Any:
    """Inverse hyperbolic sine."""


@in_kernels
def atan(x: Any) -> Any:
    """Inverse tangent."""


@in_kernels
def atan2(y: Any, x: Any) -> Any:
    """Angle of the point (x, y)."""


@in_kernels
def atanh(x: Any) -> Any:
    """Inverse hyperbolic tangent."""


@in_kernels
def cbrt(x: Any) -> Any:
    """Cube root."""


@in_kernels
def ceil(x: Any) -> Any:
    """Rounded up."""


@in_kernels
def copysign(x: Any, y: Any) -> Any:
    """x with the sign of y."""


@in_kernels
def cos(x: Any) -> Any:
    """Cosine."""


@in_kernels
def cosh(x: Any) -> Any:
    """Hyperbolic cosine."""


@in_kernels
def div_rn(x: Any, y: Any) -> Any:
    """Quotient, rounded to nearest."""


@in_kernels
def erf(x: Any) -> Any:
    """The error function."""


@in_kernels
def erfc(x: Any) -> Any:
    """1 - erf(x)."""


@in_kernels
def exp(x: Any) -> Any:
    """e to the power of x."""


@in_kernels
def exp10(x: Any) -> Any:
    """10 to the power of x."""


@in_kernels
def exp2(x: Any) -> Any:
    """2 to the power of x."""


@in_kernels
def expm1(x: Any) -> Any:
    """exp(x) - 1."""


@in_kernels
def fabs(x: Any) -> Any:
    """Absolute values."""


@in_kernels
def fast_dividef(x: Any, y: Any) -> Any:
    """Quotient, approximately."""


@in_kernels
def fast_expf(x: Any) -> Any:
    """e to the power of x, approximately."""


@in_kernels
def fast_logf(x: Any) -> Any:
    """Natural logarithm, approximately."""


@in_kernels
def fast_tanhf(x: Any) -> Any:
    """Hyperbolic tangent, approximately."""


@in_kernels
def finitef(x: Any) -> Any:
    """Whether elements are finite."""


@in_kernels
def floor(x: Any) -> Any:
    """Rounded down."""


@in_kernels
def fma(x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once."""


@in_kernels
def fmod(x: Any, y: Any) -> Any:
    """Remainder with the sign of x."""


@in_kernels
def hypot(x: Any, y: Any) -> Any:
    """sqrt(x * x + y * y)."""


@in_kernels
def isfinited(x: Any) -> Any:
    """Whether elements are finite."""


@in_kernels
def isinf(x: Any) -> Any:
    """Whether elements are infinite."""


@in_kernels
def isnan(x: Any) -> Any:
    """Whether elements are NaN."""


@in_kernels
def lgamma(x: Any) -> Any:
    """Logarithm of the gamma function."""


@in_kernels
def log(x: Any) -> Any:
    """Natural logarithm."""


@in_kernels
def log10(x: Any) -> Any:
    """Logarithm to base 10."""


@in_kernels
def log1p(x: Any) -> Any:
    """log(1 + x)."""


@in_kernels
def log2(x: Any) -> Any:
    """Logarithm to base 2."""


@in_kernels
def nearbyint(x: Any) -> Any:
    """Rounded to nearest, ties to even."""


@in_kernels
def pow(x: Any, y: Any) -> Any:
    """x to the power of y."""


@in_kernels
def rcbrt(x: Any) -> Any:
    """One over the cube root."""


@in_kernels
def rint(x: Any) -> Any:
    """Rounded to nearest, ties to even."""


@in_kernels
def round(x: Any) -> Any:
    """Rounded to nearest, ties away from zero."""


@in_kernels
def rsqrt(x: Any) -> Any:
    """One over the square root."""


@in_kernels
def signbit(x: Any) -> Any:
    """Whether the sign is negative."""


@in_kernels
def sin(x: Any) -> Any:
    """Sine."""


@in_kernels
def sinh(x: Any) -> Any:
    """Hyperbolic sine."""


@in_kernels
def sqrt(x: Any) -> Any:
    """Square root."""


@in_kernels
def tan(x: Any) -> Any:
    """Tangent."""


@in_kernels
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""


@in_kernels
def tgamma(x: Any) -> Any:
    """The gamma function."""


@in_kernels
def trunc(x: Any) -> Any:
    """Rounded towards zero."""


__all__ = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "copysign",
    "cos",
    "cosh",
    "div_rn",
    "erf",
    "erfc",
    "exp",
    "exp10",
    "exp2",
    "expm1",
    "fabs",
    "fast_dividef",
    "fast_expf",
    "fast_logf",
    "fast_tanhf",
    "finitef",
    "floor",
    "fma",
    "fmod",
    "hypot",
    "isfinited",
    "isinf",
    "isnan",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "nearbyint",
    "pow",
    "rcbrt",
    "rint",
    "round",
    "rsqrt",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "tgamma",
    "trunc",
]
