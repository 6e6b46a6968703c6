"""Constants of a launch in a hashable form: numbers, texts, dtypes, functions, tuples of them."""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from girih._dtypes import dtype_of
from girih._errors import Error
from girih.triton.language import _core


class FunctionConstant:
    """A function among the arguments; equal to itself only."""

    def __init__(self, fn: Callable[..., Any], decorator: str | None) -> None:
        self.fn = fn
        self.decorator = decorator

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FunctionConstant) and self.fn is other.fn

    def __hash__(self) -> int:
        return id(self.fn)


def functions(spec: Any) -> Iterator[FunctionConstant]:
    """The functions in a part of what a launch is compiled for."""
    if isinstance(spec, FunctionConstant):
        yield spec
    elif isinstance(spec, tuple):
        for part in spec:
            yield from functions(part)


def placed(spec: Any, places: dict[int, Any]) -> Any:
    """The same with modules and names for functions."""
    if isinstance(spec, FunctionConstant):
        return places[id(spec.fn)]
    return tuple(placed(part, places) for part in spec) if isinstance(spec, tuple) else spec


def is_torch_dtype(value: Any) -> bool:
    """Whether it is an element type of torch's; torch is not imported for the question."""
    return str(type(value)) == "<class 'torch.dtype'>"


def is_constant(value: Any) -> bool:
    """Whether an item of a tuple is decided by its value, not by its type."""
    if isinstance(value, (tuple, list)):
        return all(is_constant(item) for item in value)
    return value is None or isinstance(value, (bool, str, _core.constexpr, _core.dtype)) or is_function(value)


def is_function(value: Any) -> bool:
    """Whether it is a kernel, or a function that kernels may call."""
    return hasattr(value, "__girih_function__") or inspect.isfunction(value)


def plain(value: Any) -> Any:
    """A Python number or text for NumPy's, and for members of enumerations that are such."""
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        value = value.item()
    if isinstance(value, (bool, type(None))):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str.__str__(value) if isinstance(value, str) else value


def constant(kernel: str, name: str, value: Any) -> Any:
    """A constant in a hashable form that Rust reads: numbers, text, None, ("dtype", name), functions, tuples."""
    if isinstance(value, _core.constexpr):
        value = value.value
    value = plain(value)
    if isinstance(value, int) and not -(1 << 127) <= value < 1 << 127:
        raise Error("Y013", f"constant `{name}` of kernel `{kernel}` does not fit 128 bits: {value}")
    if isinstance(value, float):
        # 0.0 and -0.0 are equal to a dictionary, and no NaN is: their bits tell.
        return ("float", struct.unpack("<Q", struct.pack("<d", value))[0])
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as why:
            raise Error("Y013", f"constant `{name}` of kernel `{kernel}` is no text: {value!r}") from why
    if value is None or isinstance(value, (bool, int, str)):
        # 1 and True are equal to a dictionary; their types tell them apart.
        return (type(value).__name__, value)
    if isinstance(value, _core.dtype) or is_torch_dtype(value):
        return ("dtype", str(dtype_of(value)))
    if isinstance(value, (tuple, list)):
        return ("tuple", tuple(constant(kernel, name, item) for item in value))
    if is_function(value):
        decorator, fn = getattr(value, "__girih_function__", (None, value))
        return ("function", FunctionConstant(fn, decorator))
    raise Error(
        "Y013",
        f"`{name}` of kernel `{kernel}` cannot be a {type(value).__module__}.{type(value).__name__}",
        notes=[
            "arguments are arrays, integers, floats and tuples of them; constants are numbers, text, None, dtypes, functions and tuples"
        ],
    )
