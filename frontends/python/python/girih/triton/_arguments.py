"""Arguments of a launch: host arrays become arrays on the device, and what a kernel wrote goes back."""

from __future__ import annotations

from typing import Any

import numpy as np

from girih import _girih
from girih._array import Array, zeros
from girih._dtypes import DType
from girih._errors import Error
from girih._host import host_view, raw


class HostArgument:
    """A host array that a kernel gets a pointer to.

    Kernels see memory, not shapes: what they get is the memory from the first element of the array to its last, gaps of a strided
    view included, so that the strides they are given mean what they say.
    """

    def __init__(self, name: str, view: np.ndarray, dtype: DType) -> None:
        if view.size and any(step < 0 for step in view.strides):
            raise Error(
                "Y005",
                f"argument `{name}` has a negative stride",
                notes=["kernels get memory from an array's first element on; this one's lies after others"],
                help="give a copy: `numpy.ascontiguousarray(...)`",
            )
        self.name = name
        self.dtype = dtype
        self.view = view
        extent = sum((n - 1) * step for n, step in zip(view.shape, view.strides)) + view.itemsize if view.size else 0
        if extent % max(view.itemsize, 1):
            raise Error("Y005", f"the strides of argument `{name}` are no multiples of its element size")
        self.elements = extent // max(view.itemsize, 1)
        self.memory = self._span()
        self.address = (view.__array_interface__["data"][0], extent)

    def _span(self) -> np.ndarray:
        """The memory as one axis, without a copy."""
        if self.view.flags.c_contiguous:
            return self.view.reshape(-1)
        strides = (self.view.itemsize,)
        return np.lib.stride_tricks.as_strided(
            self.view, (self.elements,), strides, writeable=self.view.flags.writeable
        )

    def upload(self, device: str, written: bool) -> _girih.Buffer:
        """A copy on the device. What is not written may stay in host memory."""
        data = self.memory.view(np.uint8)
        return _girih.Buffer.upload(device, data) if written else _girih.Buffer.constant(device, data)

    def check_writable(self, kernel: str) -> None:
        """Refuses an array that the kernel writes and the host cannot."""
        if not self.view.flags.writeable:
            raise Error(
                "Y005",
                f"kernel `{kernel}` writes argument `{self.name}`, which is read-only",
                help="give a writable array, or a girih.Array",
            )

    def write_back(self, buffer: _girih.Buffer, shared: bool) -> None:
        """Copies what the kernel left in the buffer into the host array.

        If other arguments share the memory, only elements that changed are written, so that each argument's results survive.
        """
        found = np.frombuffer(buffer.read(), self.memory.dtype)
        if not shared:
            np.copyto(self.memory, found)
            return
        same_size = f"u{self.memory.itemsize}"
        changed = found.view(same_size) != self._before.view(same_size)
        np.copyto(self.memory, found, where=changed)

    def remember(self) -> None:
        """Keeps the elements as they are now, to tell what changed."""
        self._before = self.memory.copy()

    def overlaps(self, other: HostArgument) -> bool:
        """Whether the two share memory."""
        (a, n), (b, m) = self.address, other.address
        return a < b + m and b < a + n


def pointer(name: str, value: Any) -> Array | HostArgument | None:
    """The array that an argument is; None for what is no array."""
    if isinstance(value, Array):
        return value
    reinterpreted = getattr(value, "__girih_reinterpret__", None)
    if reinterpreted is not None:
        base, dtype = reinterpreted
        found = pointer(name, base)
        if isinstance(found, Array):
            return Array(found._buffer, found.shape, dtype)
        if found is not None:
            found.dtype = dtype
        return found
    view = host_view(value)
    return None if view is None else HostArgument(name, *view)


def duplicate(value: Any, zero: bool = False) -> Any:
    """A copy of an array, or zeros like it, for measurements; anything else as it is."""
    if isinstance(value, (tuple, list)):
        return type(value)(duplicate(item, zero) for item in value)
    if isinstance(value, Array):
        copy: Any = value.copy()
    elif hasattr(value, "clone") and hasattr(value, "stride"):
        copy = value.clone()
    elif isinstance(value, np.ndarray):
        copy = value.copy()
    else:
        return value
    if zero and isinstance(copy, Array):
        return zeros(copy.shape, copy.dtype, str(copy.device))
    if zero:
        copy[...] = 0
    return copy


def contents(value: Any) -> np.ndarray | None:
    """A copy of an array's elements on the host; None for what is no array. Floats that NumPy lacks come as f32."""
    if isinstance(value, Array):
        return value.numpy("f32") if value.dtype in _NARROW else value.numpy()
    found = host_view(value)
    if found is None:
        return None
    view, own = found
    if own in _NARROW:
        return np.frombuffer(_girih.convert(raw(view).tobytes(), own, "f32"), np.float32)
    return view.copy()


# Floats that NumPy lacks.
_NARROW = ("bf16", "f8e4m3fn", "f8e5m2")
