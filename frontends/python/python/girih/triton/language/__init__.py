"""Triton's language: what kernels are written in.

Everything here has its meaning in functions with `@girih.triton.jit`, which are never run by Python: their source is compiled. Outside
of them dtypes and `constexpr` are ordinary objects, and calling a function is an error. docs/triton.md lists every name and whether it
is supported.
"""

from girih.triton.language import extra, math
from girih.triton.language import _random as random
from girih.triton.language._core import (
    bfloat16,
    block_type,
    const,
    constexpr,
    dtype,
    float8e4b8,
    float8e4b15,
    float8e4nv,
    float8e5,
    float8e5b16,
    float16,
    float32,
    float64,
    in_kernels,
    int1,
    int8,
    int16,
    int32,
    int64,
    pi32_t,
    pointer_type,
    tensor,
    tensor_descriptor,
    uint8,
    uint16,
    uint32,
    uint64,
    void,
)
from girih.triton.language._fold import *  # noqa: F403
from girih.triton.language._hints import *  # noqa: F403
from girih.triton.language._memory import *  # noqa: F403
from girih.triton.language._random import *  # noqa: F403
from girih.triton.language._rare import *  # noqa: F403
from girih.triton.language._shape import *  # noqa: F403
from girih.triton.language.math import *  # noqa: F403


class range:
    """A loop: `for i in tl.range(n)`. What it says about stages and unrolling are hints."""

    @in_kernels
    def __init__(
        self,
        arg1: object,
        arg2: object = None,
        step: object = None,
        num_stages: object = None,
        loop_unroll_factor: object = None,
        disallow_acc_multi_buffer: bool = False,
        flatten: bool = False,
        warp_specialize: bool = False,
        disable_licm: bool = False,
    ) -> None: ...


class static_range:
    """A loop over constants, unrolled: `for i in tl.static_range(4)`."""

    @in_kernels
    def __init__(self, arg1: object, arg2: object = None, step: object = None) -> None: ...


class condition:
    """The condition of a `while` loop with hints."""

    @in_kernels
    def __init__(self, arg1: object, disable_licm: bool = False) -> None: ...


class target_info:
    """What Triton tells of one vendor's chips; kernels that ask are refused."""


TRITON_MAX_TENSOR_NUMEL = 1 << 20


class PropagateNan:
    """What `maximum`, `minimum` and `clamp` make of NaN."""

    NONE = 0
    ALL = 0xFFFF
