"""Arguments of a launch: host arrays become arrays on the device, and what a kernel wrote goes back."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from girih import _girih
from girih._array import Array, zeros
from girih._dtypes import DType
from girih._errors import Error
from girih._host import host_view, raw


def extents(kernel: str, sizes: Any) -> tuple[int, int, int]:
    """The grid or block of a launch as three integers."""
    try:
        given = [int(sizes)] if isinstance(sizes, (int, np.integer)) else [operator.index(n) for n in sizes]
    except (TypeError, ValueError) as why:
        raise Error("Y013", f"{sizes!r} is no grid or block of `{kernel}`: those are tuples of integers") from why
    if not 1 <= len(given) <= 3 or any(not 0 <= n < 1 << 32 for n in given):
        raise Error("Y013", f"a grid or block has one to three extents, not negative, of 32 bits; got {tuple(given)}")
    x, y, z = (*given, 1, 1)[:3]
    return (x, y, z)


# Steps that telling whether two arrays have common elements may take.
_MOST_WORK = 1 << 20


class HostArgument:
    """A host array that a kernel gets a pointer to.

    Kernels see memory, not shapes: what they get is the memory from the first element of the array to its last, gaps of a strided
    view included, so that the strides they are given mean what they say.
    """

    def __init__(self, name: str, view: np.ndarray, dtype: DType) -> None:
        self.name = name
        self.dtype = dtype
        self.view = view
        # Where it lies in the host's memory: the first byte, and how many.
        self.start = view.__array_interface__["data"][0]
        self.extent = view.nbytes if view.flags.c_contiguous else self._spread()
        self.elements = self.extent // (view.itemsize or 1)

    def _spread(self) -> int:
        """Bytes from the first element to the last."""
        name, view = self.name, self.view
        if view.size and any(step < 0 for step in view.strides):
            raise Error(
                "Y005",
                f"argument `{name}` has a negative stride",
                notes=["kernels get memory from an array's first element on; this one's lies after others"],
                help="give a copy: `numpy.ascontiguousarray(...)`",
            )
        extent = sum((n - 1) * step for n, step in zip(view.shape, view.strides)) + view.itemsize if view.size else 0
        if extent % max(view.itemsize, 1):
            raise Error("Y005", f"the strides of argument `{name}` are no multiples of its element size")
        return extent

    def bytes(self) -> np.ndarray:
        """The memory as bytes, without a copy."""
        flat = self.view
        if flat.flags.c_contiguous:
            flat = flat.reshape(-1)
        else:
            writeable = flat.flags.writeable
            flat = as_strided(flat, (self.elements,), (flat.itemsize,), writeable=writeable)
        return flat.view(np.uint8)

    def overlaps(self, other: HostArgument) -> bool:
        """Whether the memory of the two, gaps included, has common bytes."""
        return self.start < other.start + other.extent and other.start < self.start + self.extent

    def shares(self, other: HostArgument) -> bool:
        """Whether the two have common elements; where that is hard to tell, they are taken to have some."""
        if not self.overlaps(other):
            return False
        try:
            return bool(np.shares_memory(self.view, other.view, _MOST_WORK))  # type: ignore[arg-type]
        except np.exceptions.TooHardError:
            return True


class HostMemory:
    """Host memory that is one buffer on the device during a launch: that of an array, or of several that overlap."""

    def __init__(self, arguments: list[HostArgument]) -> None:
        self.arguments = arguments
        self.start, self.nbytes = arguments[0].start, arguments[0].extent
        if len(arguments) > 1:
            self.start = min(x.start for x in arguments)
            self.nbytes = max(x.start + x.extent for x in arguments) - self.start
        self._before: np.ndarray | None = None

    def offset(self, argument: HostArgument) -> int:
        """Where an argument begins, in bytes."""
        return argument.start - self.start

    def _bytes(self) -> np.ndarray:
        if len(self.arguments) == 1:
            return self.arguments[0].bytes()
        # Each byte between the first and the last belongs to one of the arrays.
        data = np.empty(self.nbytes, np.uint8)
        for x in self.arguments:
            data[self.offset(x) :][: x.extent] = x.bytes()
        return data

    def upload(self, device: str, kernel: str, written: bool, alone: bool) -> _girih.Buffer:
        """A copy on the device. What is not written may stay in host memory.

        Args:
            alone: whether no other buffer of the launch has bytes of this memory.
        """
        data = self._bytes()
        if not written:
            return _girih.Buffer.constant(device, data)
        if not any(x.view.flags.writeable for x in self.arguments):
            raise _read_only(kernel, self.arguments[0].name)
        if not alone or len(self.arguments) > 1:
            # To tell what the kernel changed.
            self._before = data if len(self.arguments) > 1 else data.copy()
        return _girih.Buffer.upload(device, data)

    def write_back(self, buffer: _girih.Buffer, kernel: str) -> None:
        """Copies what the kernel left in the buffer into the host arrays.

        If other arguments have some of the memory, only what changed is written, so that each argument's results survive.
        """
        found = np.frombuffer(buffer.read(), np.uint8)
        if self._before is None:
            np.copyto(self.arguments[0].bytes(), found)
            return
        changed = found != self._before
        parts = [(x, slice(self.offset(x), self.offset(x) + x.extent)) for x in self.arguments]
        for x, part in parts:
            if x.view.flags.writeable:
                np.copyto(x.bytes(), found[part], where=changed[part])
                changed[part] = False
        for x, part in parts:
            if changed[part].any():
                raise _read_only(kernel, x.name)


def _read_only(kernel: str, name: str) -> Error:
    return Error(
        "Y005",
        f"kernel `{kernel}` writes argument `{name}`, which is read-only",
        help="give a writable array, or a girih.Array",
    )


def clusters(arguments: Iterable[HostArgument]) -> list[list[HostArgument]]:
    """The arguments that overlap, directly or through others, together; each cluster in the given order."""
    given = list(arguments)
    found: list[list[int]] = []
    end = 0
    for start, extent, at in sorted((x.start, x.extent, i) for i, x in enumerate(given) if x.extent):
        if start < end:
            found[-1].append(at)
        else:
            found.append([at])
        if start + extent > end:
            end = start + extent
    empty = [[x] for x in given if not x.extent]
    if len(found) + len(empty) == len(given):
        return [[x] for x in given]
    return [*([given[i] for i in sorted(cluster)] for cluster in found), *empty]


def pointer(name: str, value: Any) -> Array | HostArgument | None:
    """The array that an argument is; None for what is no array."""
    if isinstance(value, Array):
        return value
    reinterpreted = getattr(value, "__girih_reinterpret__", None)
    if reinterpreted is not None:
        base, dtype = reinterpreted
        found = pointer(name, base)
        if found is not None and found.dtype.itemsize != dtype.itemsize:
            raise Error("Y003", f"argument `{name}` is {found.dtype}, which is not seen as {dtype}: of another size")
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
        copy = _spread(value)
    else:
        return value
    if zero and isinstance(copy, Array):
        return zeros(copy.shape, copy.dtype, str(copy.device))
    if zero:
        copy[...] = 0
    return copy


def _spread(value: np.ndarray) -> np.ndarray:
    """A copy with the same strides, for a kernel that is told them."""
    if value.flags.c_contiguous or not value.size or any(step < 0 for step in value.strides):
        return value.copy()
    span = sum((n - 1) * step for n, step in zip(value.shape, value.strides)) + value.itemsize
    data = as_strided(value.view(np.ndarray), (span // value.itemsize,), (value.itemsize,), writeable=False).copy()
    return as_strided(data, value.shape, value.strides)


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
