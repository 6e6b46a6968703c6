"""What the language is made of on the host: dtypes, constants, and functions that exist in kernels only."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar

from girih._errors import Error

F = TypeVar("F", bound=Callable[..., Any])


def in_kernels(function: F) -> F:
    """A function of the language: described here, meant in kernels, refused outside of them."""

    name = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise Error(
            "Y010",
            f"tl.{name} was called outside of a kernel",
            notes=["functions of triton.language describe what a kernel does; they have no meaning on the host"],
            help="call it in a function with `@triton.jit`, and launch that as `kernel[grid](...)`",
        )

    setattr(refuse, "__girih_language__", (function.__module__, name))
    return refuse  # type: ignore[return-value]


class dtype:
    """An element type, such as `tl.float32`."""

    def __init__(self, name: str, girih_name: str, bits: int, kind: str) -> None:
        self.name = name
        self.girih_name = girih_name
        self.primitive_bitwidth = bits
        self.itemsize = -(-bits // 8)
        self._kind = kind

    @property
    def scalar(self) -> dtype:
        """Itself: the element type of a tensor of it."""
        return self

    @property
    def int_bitwidth(self) -> int:
        """Size in bits."""
        return self.primitive_bitwidth

    def is_floating(self) -> bool:
        """Whether it is a floating point type."""
        return self._kind == "float"

    def is_int(self) -> bool:
        """Whether it is an integer type; `tl.int1` is one."""
        return self._kind != "float"

    def is_int_signed(self) -> bool:
        """Whether it is a signed integer type."""
        return self._kind == "signed"

    def is_int_unsigned(self) -> bool:
        """Whether it is an unsigned integer type."""
        return self._kind in ("unsigned", "bool")

    def is_bool(self) -> bool:
        """Whether it is `tl.int1`."""
        return self._kind == "bool"

    def is_fp8(self) -> bool:
        """Whether it is an 8-bit float."""
        return self.is_floating() and self.primitive_bitwidth == 8

    def is_fp16(self) -> bool:
        """Whether it is `tl.float16`."""
        return self.name == "fp16"

    def is_bf16(self) -> bool:
        """Whether it is `tl.bfloat16`."""
        return self.name == "bf16"

    def is_fp32(self) -> bool:
        """Whether it is `tl.float32`."""
        return self.name == "fp32"

    def is_fp64(self) -> bool:
        """Whether it is `tl.float64`."""
        return self.name == "fp64"

    def is_ptr(self) -> bool:
        """Whether it is a pointer type."""
        return False

    def is_block(self) -> bool:
        """Whether it is the type of a block."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dtype) and other.name == self.name

    def __hash__(self) -> int:
        return hash(("tl.dtype", self.name))

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"triton.language.{self.name}"


class pointer_type(dtype):
    """The type of pointers to elements."""

    def __init__(self, element_ty: dtype, address_space: int = 1) -> None:
        super().__init__(f"*{element_ty.name}", "u64", 64, "pointer")
        self.element_ty = element_ty
        self.address_space = address_space

    def is_ptr(self) -> bool:
        return True

    def is_int(self) -> bool:
        return False


class constexpr:
    """A value that is known when a kernel is compiled. `x: tl.constexpr` marks a parameter, `tl.constexpr(2)` a constant."""

    value: Any

    def __init__(self, value: Any) -> None:
        self.value = value.value if isinstance(value, constexpr) else value

    def __repr__(self) -> str:
        return f"constexpr[{self.value!r}]"

    def __bool__(self) -> bool:
        return bool(self.value)

    def __index__(self) -> int:
        return operator.index(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.value(*args, **kwargs)


def _operators() -> None:
    def plain(x: Any) -> Any:
        return x.value if isinstance(x, constexpr) else x

    def binary(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], constexpr]:
        return lambda self, other: constexpr(op(self.value, plain(other)))

    def swapped(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], constexpr]:
        return lambda self, other: constexpr(op(plain(other), self.value))

    def compare(op: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
        return lambda self, other: op(self.value, plain(other))

    both = "add sub mul truediv floordiv mod pow lshift rshift and or xor".split()
    for name in both:
        op = getattr(operator, name + "_" if name in ("and", "or") else name)
        setattr(constexpr, f"__{name}__", binary(op))
        setattr(constexpr, f"__r{name}__", swapped(op))
    for name in "eq ne lt le gt ge".split():
        setattr(constexpr, f"__{name}__", compare(getattr(operator, name)))
    for name in "neg pos invert".split():
        op = getattr(operator, name)
        setattr(constexpr, f"__{name}__", lambda self, op=op: constexpr(op(self.value)))


_operators()
void = dtype("void", "", 0, "void")
int1 = dtype("int1", "bool", 1, "bool")
int8 = dtype("int8", "i8", 8, "signed")
int16 = dtype("int16", "i16", 16, "signed")
int32 = dtype("int32", "i32", 32, "signed")
int64 = dtype("int64", "i64", 64, "signed")
uint8 = dtype("uint8", "u8", 8, "unsigned")
uint16 = dtype("uint16", "u16", 16, "unsigned")
uint32 = dtype("uint32", "u32", 32, "unsigned")
uint64 = dtype("uint64", "u64", 64, "unsigned")
float8e4nv = dtype("fp8e4nv", "f8e4m3fn", 8, "float")
float8e5 = dtype("fp8e5", "f8e5m2", 8, "float")
float16 = dtype("fp16", "f16", 16, "float")
bfloat16 = dtype("bf16", "bf16", 16, "float")
float32 = dtype("fp32", "f32", 32, "float")
float64 = dtype("fp64", "f64", 64, "float")
pi32_t = pointer_type(int32)

# 8-bit floats of one vendor's chips: kernels that use them are refused.
float8e4b8 = dtype("fp8e4b8", "", 8, "float")
float8e4b15 = dtype("fp8e4b15", "", 8, "float")
float8e5b16 = dtype("fp8e5b16", "", 8, "float")


class block_type(dtype):
    """The type of a block of elements."""

    def __init__(self, element_ty: dtype, shape: list[int]) -> None:
        sizes = "x".join(map(str, shape))
        super().__init__(f"<{sizes}x{element_ty.name}>", "", element_ty.primitive_bitwidth, "block")
        self.element_ty = element_ty
        self.shape = tuple(shape)

    @property
    def scalar(self) -> dtype:
        return self.element_ty

    def is_block(self) -> bool:
        return True


class const:
    """Marks a pointer parameter that is only read."""


class tensor_descriptor:
    """What `make_tensor_descriptor` gives; there are none on the host."""


class tensor:
    """The values of a kernel. There are none on the host; `isinstance` may be asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Error(
            "Y010", "tl.tensor was made outside of a kernel", help="tensors come from tl.load, tl.zeros and the like"
        )
