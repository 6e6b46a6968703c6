"""Arrays on devices."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from girih import _girih
from girih._devices import Device, full_name, resolve
from girih._dtypes import DType, dtype_of
from girih._errors import Error
from girih._host import host_view, raw


class Array:
    """Elements of one dtype on a device, dense and in row-major order.

    Made by `girih.array`, `girih.zeros` and compiled programs; kernels read and write it in place. `numpy()` copies it to
    the host.
    """

    __slots__ = ("_buffer", "_dtype", "_shape", "__weakref__")

    def __init__(self, buffer: _girih.Buffer, shape: Sequence[int], dtype: DType) -> None:
        self._buffer = buffer
        self._shape = tuple(int(n) for n in shape)
        self._dtype = dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the axes."""
        return self._shape

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self._dtype

    @property
    def device(self) -> Device:
        """Where it lives."""
        return Device(self._buffer.device)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self._buffer.nbytes

    def numel(self) -> int:
        """Number of elements, as torch calls it."""
        return self.size

    def element_size(self) -> int:
        """Bytes of an element, as torch calls it."""
        return self._dtype.itemsize

    def is_contiguous(self) -> bool:
        """Always true."""
        return True

    def stride(self, axis: int | None = None) -> int | tuple[int, ...]:
        """Elements from one index to the next: of one axis, or of all."""
        steps = tuple(math.prod(self._shape[i + 1 :]) for i in range(self.ndim))
        return steps if axis is None else steps[axis]

    def numpy(self, dtype: Any = None) -> np.ndarray:
        """A copy on the host, once everything submitted before is done; in another dtype if one is given."""
        own = self._dtype
        data = self._buffer.read()
        if dtype is not None and dtype_of(dtype) != own:
            own = dtype_of(dtype)
            data = _girih.convert(data, self._dtype, own)
        numpy = own.numpy
        if numpy is None:
            raise Error(
                "Y003",
                f"NumPy has no dtype for `{own}`",
                help='install ml_dtypes, or convert: `numpy(dtype="float32")`',
            )
        # The last byte of elements of four bits may have room for one more.
        return np.frombuffer(data, numpy)[: self.size].reshape(self._shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a girih.Array is copied to become a NumPy array")
        found = self.numpy() if self._dtype.numpy is not None else self.numpy("float32")
        return found if dtype is None else found.astype(dtype, copy=False)

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def item(self) -> Any:
        """The only element, as a Python number."""
        return np.asarray(self).item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return np.asarray(self).tolist()

    def reshape(self, *shape: Any) -> Array:
        """The same memory with another shape; one extent may be -1."""
        sizes = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        if sizes.count(-1) == 1:
            known = math.prod(n for n in sizes if n != -1)
            sizes[sizes.index(-1)] = self.size // known if known else 0
        if any(n < 0 for n in sizes) or math.prod(sizes) != self.size:
            raise Error(
                "Y006", f"{self.size} elements do not reshape to {tuple(sizes)}", notes=[f"the shape is {self._shape}"]
            )
        return Array(self._buffer, sizes, self._dtype)

    def to(self, device: str) -> Array:
        """Itself, or a copy on another device."""
        name = full_name(device)
        if name == self._buffer.device:
            return self
        return Array(_girih.Buffer.upload(name, self._buffer.read()), self._shape, self._dtype)

    def copy(self) -> Array:
        """A copy on the same device."""
        return Array(_girih.Buffer.upload(self._buffer.device, self._buffer.read()), self._shape, self._dtype)

    def set(self, value: Any) -> None:
        """Overwrites the elements with those of a host array of the same shape."""
        data, shape, _ = _bytes(value, self._dtype)
        if shape != self._shape:
            raise Error("Y006", f"elements of shape {shape} for an array of shape {self._shape}")
        self._buffer.write(data)

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("an array without axes has no length")
        return self._shape[0]

    def __bool__(self) -> bool:
        return bool(np.asarray(self))

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self._shape))
        if self.size > 1000:
            return f"girih.Array({self._dtype}[{sizes}] on {self.device})"
        elements = np.array2string(np.asarray(self), separator=", ", prefix="girih.Array(")
        return f"girih.Array({elements}, {self._dtype}[{sizes}] on {self.device})"


def array(x: Any, dtype: Any = None, device: str | None = None) -> Array:
    """A copy of `x` on a device: a NumPy array, a torch CPU tensor, anything with DLPack, numbers in lists.

    Without `dtype` arrays keep theirs; Python floats become f32 and Python integers i32, or i64 where they do not fit.
    """
    if isinstance(x, Array):
        if dtype is None or dtype_of(dtype) == x.dtype:
            return x.to(resolve(device)) if device is not None else x.copy()
        x = x.numpy(dtype)
    data, shape, own = _bytes(x, None if dtype is None else dtype_of(dtype))
    return Array(_girih.Buffer.upload(resolve(device), data), shape, own)


def zeros(shape: int | Sequence[int], dtype: Any = "f32", device: str | None = None) -> Array:
    """An array of zeros."""
    sizes = tuple(operator.index(n) for n in shape) if isinstance(shape, Iterable) else (operator.index(shape),)
    if any(n < 0 for n in sizes):
        raise Error("Y006", f"an array of shape {sizes}")
    own = dtype_of(dtype)
    nbytes = -(-math.prod(sizes) * own.bits // 8)
    if nbytes >= 1 << 63:
        raise Error("Y006", f"an array of shape {sizes}: {nbytes} bytes are more than memory has")
    return Array(_girih.Buffer.zeros(resolve(device), nbytes), sizes, own)


def empty(shape: int | Sequence[int], dtype: Any = "f32", device: str | None = None) -> Array:
    """An array to be written. Its elements are zeros: memory is never handed out as it was left."""
    return zeros(shape, dtype, device)


def _bytes(x: Any, dtype: DType | None) -> tuple[np.ndarray | bytearray, tuple[int, ...], DType]:
    """Elements as flat bytes of a dtype, with their shape."""
    if isinstance(x, np.generic):
        x = np.asarray(x)
    if isinstance(x, np.ndarray) and not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    found = host_view(x)
    if found is None:
        try:
            view = _numbers(_whole(x, np.asarray(x)))
        except (ValueError, OverflowError) as why:
            raise Error("Y003", "these are not numbers of one dtype in rows of one length", notes=[str(why)]) from why
        found = (view, dtype_of(view.dtype))
    view, own = found
    if dtype is not None and dtype != own:
        return _girih.convert(raw(view), own, dtype), view.shape, dtype
    return raw(view), view.shape, own


def _whole(x: Any, found: np.ndarray) -> np.ndarray:
    """NumPy's array of numbers in lists, but for integers that it makes floats of: those of 2^63 and more, beside smaller ones."""
    if found.dtype != np.float64 or not (np.abs(found) >= 2.0**63).any():
        return found
    items = np.asarray(x, object)
    if not all(isinstance(n, int) for n in items.flat):
        return found
    if any(n < 0 for n in items.flat):
        raise OverflowError("some of the integers need 64 bits without a sign, others are negative")
    return items.astype(np.uint64)


def _numbers(x: np.ndarray) -> np.ndarray:
    if x.dtype == np.float64:
        return x.astype(np.float32)
    if x.dtype == np.int64 and ((x >= -(2**31)) & (x < 2**31)).all():
        return x.astype(np.int32)
    if x.dtype == object:
        raise Error("Y003", "these are not numbers", help="give an array or nested lists of numbers")
    return x
