"""A launch: arguments sorted into arrays, numbers and constants, and what a kernel is compiled for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from girih import _girih
from girih._arguments import HostArgument, HostMemory, clusters, extents, pointer
from girih._array import Array
from girih._devices import current_device
from girih._dtypes import dtype_of
from girih._errors import Error
from girih.triton._constants import constant, is_constant, is_torch_dtype, plain
from girih.triton._tune import HINTS
from girih.triton.language import _core
from girih.triton.tools.tensor_descriptor import TensorDescriptor

if TYPE_CHECKING:
    from girih.triton._jit import JITFunction

# Integers up to this are sizes and strides to the compiler; larger ones are plain numbers.
_LARGEST_SIZE = 1 << 30

# What a launch is compiled for: one entry for each parameter, hashable.
Spec = tuple[Any, ...]


class KernelParam:
    """A parameter of a kernel."""

    def __init__(self, number: int, parameter: inspect.Parameter, specialize: bool) -> None:
        self.num = number
        self.name = parameter.name
        self.has_default = parameter.default is not inspect.Parameter.empty
        self.default = parameter.default
        self.do_not_specialize = not specialize
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        self.is_constexpr = annotation is _core.constexpr or text.split(".")[-1] == "constexpr"
        self.dtype = annotation if isinstance(annotation, _core.dtype) else _NAMED.get(text.split(".")[-1])

    def __repr__(self) -> str:
        return self.name


# Types by the names that annotations and signatures use: `i32`, `fp32`, `int32`.
_NAMED = {name: row for name, row in vars(_core).items() if isinstance(row, _core.dtype) and not row.is_ptr()}
_NAMED |= {row.name: row for row in _NAMED.values()} | {
    row.girih_name: row for row in _NAMED.values() if row.girih_name
}
_NAMED["i1"] = _NAMED["u1"] = _core.int1


class Launch:
    """The arguments of one launch, sorted into arrays, numbers and constants."""

    def __init__(self, kernel: JITFunction, args: Sequence[Any], kwargs: dict[str, Any], types: bool = False) -> None:
        self.kernel = kernel
        names = kernel._by_name
        self.hints = {name: kwargs.pop(name) for name in HINTS if name in kwargs and name not in names}
        for name in ("debug", "stream", "device", "device_type", "launch_cooperative_grid", "launch_pdl"):
            if name in kwargs and name not in names:
                kwargs.pop(name)
        self.values = self._bind(args, kwargs)
        self.types = types
        self.pointers: dict[str, Array | HostArgument] = {}
        self.scalars: list[tuple[str, int | float]] = []
        # The memory of host arrays, by the name of the first argument in it.
        self.memories: dict[str, HostMemory] = {}
        # Whether no two of the buffers have bytes of one memory.
        self.apart = True
        self._specs = tuple(self._spec(p, self.values[p.name]) for p in kernel.params)
        self._arrange()
        devices = {str(x.device) for x in self.pointers.values() if isinstance(x, Array)}
        if len(devices) > 1:
            raise Error(
                "X011", f"arguments of `{kernel.__name__}` are on several devices: {', '.join(sorted(devices))}"
            )
        self.device = devices.pop() if devices else current_device()

    def _bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        kernel = self.kernel
        if len(args) > len(kernel.params):
            raise Error("Y013", f"kernel `{kernel.__name__}` takes {len(kernel.params)} arguments, got {len(args)}")
        values = dict(zip(kernel.arg_names, args))
        for name, value in kwargs.items():
            if name not in kernel._by_name:
                known = ", ".join(kernel.arg_names)
                raise Error("Y013", f"kernel `{kernel.__name__}` has no parameter `{name}`", notes=[f"it has {known}"])
            if name in values:
                raise Error("Y013", f"kernel `{kernel.__name__}` got `{name}` twice")
            values[name] = value
        for p in kernel.params:
            if p.name not in values:
                if not p.has_default:
                    raise Error("Y013", f"kernel `{kernel.__name__}` needs a value for `{p.name}`")
                values[p.name] = p.default
        return {name: v.value if isinstance(v, _core.constexpr) else v for name, v in values.items()}

    def specs(self) -> Spec:
        """What to compile for."""
        return self._specs

    def single(self, grid: Any) -> tuple[bool, ...]:
        """Which axes of the grid have one program."""
        return tuple(n == 1 for n in self.extents(grid))

    def extents(self, grid: Any) -> tuple[int, int, int]:
        """The grid as three integers."""
        if callable(grid):
            grid = grid(self.values | self.hints)
        return extents(self.kernel.__name__, grid)

    def _spec(self, p: KernelParam, value: Any, name: str | None = None) -> Spec:
        name = name or p.name
        if not p.is_constexpr:
            if isinstance(value, (tuple, list)) and not all(is_constant(item) for item in value):
                # Arguments in a tuple are known by its name and their number.
                parts = tuple(self._spec(p, item, f"{name}.{i}") for i, item in enumerate(value))
                return (name, "tuple", parts)
            if isinstance(value, TensorDescriptor):
                return self._descriptor(name, value)
            if self.types and isinstance(value, str):
                return self._typed(p, value)
            if isinstance(value, _core.dtype) or is_torch_dtype(value):
                # In Triton's `warmup` a dtype stands for a pointer to it.
                return (name, "pointer", dtype_of(value), 1, _PLACE)
            found = pointer(name, value)
            if found is not None:
                return self._pointer(name, found)
            value = plain(value)
            if isinstance(value, int) and not isinstance(value, bool):
                return self._integer(p, value, name)
            if isinstance(value, float):
                if p.dtype is not None and p.dtype.is_int():
                    raise Error("Y013", f"argument `{name}` of `{self.kernel.__name__}` is {p.dtype}, got {value!r}")
                dtype = "f64" if p.dtype is _core.float64 else "f32"
                self.scalars.append((name, value))
                return (name, "float", dtype)
        return (name, "constant", constant(self.kernel.__name__, name, value))

    def _descriptor(self, name: str, value: TensorDescriptor) -> Spec:
        rank = len(value.block_shape)
        if not len(value.shape) == len(value.strides) == rank or not rank or value.strides[-1] != 1:
            raise Error(
                "Y013",
                f"descriptor `{name}` of `{self.kernel.__name__}` has shape {list(value.shape)}, strides {list(value.strides)}"
                f" and blocks {list(value.block_shape)}",
                help="as many extents as strides, the last stride 1",
            )
        found = pointer(name, value.base)
        if found is None:
            raise Error("Y013", f"the base of descriptor `{name}` is no array: {type(value.base).__name__}")
        place = self._place(name, found)
        for axis, (extent, stride) in enumerate(zip(value.shape, value.strides)):
            self.scalars += [(f"{name}.shape.{axis}", int(extent)), (f"{name}.stride.{axis}", int(stride))]
        block = tuple(int(n) for n in value.block_shape)
        return (name, "descriptor", found.dtype, block, value.padding == "nan", place)

    def _pointer(self, name: str, array: Array | HostArgument) -> Spec:
        elements = array.size if isinstance(array, Array) else array.elements
        return (name, "pointer", array.dtype, _divisor(elements), self._place(name, array))

    def _place(self, name: str, array: Array | HostArgument) -> tuple[str | None, int | None]:
        """Which earlier argument it is, if it is one."""
        for other, earlier in self.pointers.items():
            if _same(array, earlier):
                return (other, None)
            if isinstance(array, Array) and isinstance(earlier, Array) and array._buffer is earlier._buffer:
                self.apart = False
        self.pointers[name] = array
        return _PLACE

    def _arrange(self) -> None:
        """Gives host arrays that overlap one memory, in which each begins somewhere."""
        rows: dict[str, tuple[int, tuple[str | None, int | None]]] = {}
        for cluster in clusters(x for x in self.pointers.values() if isinstance(x, HostArgument)):
            memory = HostMemory(cluster)
            if len(cluster) == 1:
                self.memories[cluster[0].name] = memory
                continue
            size = cluster[0].dtype.itemsize
            one = all(_alike(x, cluster[0]) and memory.offset(x) % size == 0 for x in cluster)
            if not one:
                # Types of several sizes: each has a copy, unless what one writes is an element of another.
                self.memories |= {x.name: HostMemory([x]) for x in cluster}
                self.apart = False
                continue
            self.memories[cluster[0].name] = memory
            for x in cluster:
                start = memory.offset(x) // size
                alias = None if x is cluster[0] else cluster[0].name
                rows[x.name] = (_divisor(memory.nbytes // size), (alias, _divisor(start)))
                self.scalars.append((f"{x.name}.start", start))
        if rows:
            self._specs = tuple(_replaced(spec, rows) for spec in self._specs)

    def _integer(self, p: KernelParam, value: int, name: str) -> Spec:
        if value == 1 and p.dtype is None and not p.do_not_specialize:
            # As Triton does: a stride of 1 is a fact to compile for.
            return (name, "constant", ("int", 1))
        dtype = "i32" if -(2**31) <= value < 2**31 else "i64" if -(2**63) <= value < 2**63 else "u64"
        if p.dtype is not None and p.dtype.is_int() and not p.dtype.is_bool():
            dtype = p.dtype.girih_name
        if not -(2**63) <= value < 2**64:
            raise Error("Y013", f"argument `{name}` of `{self.kernel.__name__}` does not fit 64 bits: {value}")
        if p.dtype is not None and p.dtype.is_floating():
            self.scalars.append((name, float(value)))
            return (name, "float", p.dtype.girih_name if p.dtype is _core.float64 else "f32")
        size = dtype in ("i32", "i64") and 0 <= value <= _LARGEST_SIZE
        self.scalars.append((name, value))
        return (name, "int", dtype, 16 if value % 16 == 0 and not p.do_not_specialize else 1, size)

    def _typed(self, p: KernelParam, text: str) -> Spec:
        """A type given as text: `*fp32`, `*fp32:16`, `i32`, `fp32`."""
        kind, _, multiple = text.partition(":")
        row = _NAMED.get(kind.removeprefix("*").strip())
        if row is None or (multiple and not multiple.isdecimal()):
            known = ", ".join(sorted({r.name for r in _NAMED.values()}))
            raise Error(
                "Y003", f"`{text}` is no type for argument `{p.name}`", help=f"`*` for a pointer, and one of {known}"
            )
        times = int(multiple or 1)
        if kind.startswith("*"):
            return (p.name, "pointer", row.girih_name, times, _PLACE)
        if row.is_floating():
            return (p.name, "float", "f64" if row is _core.float64 else "f32")
        return (p.name, "int", row.girih_name, times, row.girih_name == "i32")

    def start(self, compiled: _girih.TritonKernel, extents: tuple[int, int, int]) -> None:
        """Uploads host arrays, launches, and copies back what was written."""
        name = self.kernel.__name__
        written = {row[0] for row in compiled.pointers if row[2]}
        if not self.apart:
            self._refuse_shared(written)
        buffers = {n: x._buffer for n, x in self.pointers.items() if isinstance(x, Array)}
        memories = self.memories
        for n, memory in memories.items():
            buffers[n] = memory.upload(self.device, name, n in written, self.apart)
        compiled.launch(extents, list(buffers.items()), self.scalars)
        for n, memory in memories.items():
            if n in written:
                memory.write_back(buffers[n], name)

    def _refuse_shared(self, written: set[str]) -> None:
        """Refuses elements that a kernel writes through one argument, and has a copy of in another: their types differ in size."""
        for n in written:
            a = self.pointers[n]
            for m, b in self.pointers.items():
                if isinstance(a, Array):
                    shared = isinstance(b, Array) and a._buffer is b._buffer
                else:
                    shared = isinstance(b, HostArgument) and n in self.memories and m in self.memories and a.shares(b)
                if m != n and shared:
                    raise Error(
                        "Y005",
                        f"arguments `{n}`, of {a.dtype}, and `{m}`, of {b.dtype}, of `{self.kernel.__name__}` share"
                        f" elements, and the kernel writes `{n}`",
                        help="give a copy for one of them",
                    )


# Memory of its own, from the first element on.
_PLACE = (None, None)


def _divisor(elements: int) -> int:
    return 16 if elements % 16 == 0 else 4 if elements % 4 == 0 else 1


def _replaced(spec: Spec, rows: Mapping[str, tuple[int, tuple[str | None, int | None]]]) -> Spec:
    """The same with where pointers begin in memory that they share."""
    if spec[1] == "tuple":
        return (*spec[:2], tuple(_replaced(part, rows) for part in spec[2]))
    if spec[0] not in rows:
        return spec
    multiple, place = rows[spec[0]]
    return (*spec[:3], multiple, place) if spec[1] == "pointer" else (*spec[:5], place)


def _same(a: Array | HostArgument, b: Array | HostArgument) -> bool:
    if isinstance(a, Array) and isinstance(b, Array):
        return a._buffer is b._buffer and _alike(a, b)
    if isinstance(a, HostArgument) and isinstance(b, HostArgument):
        return (a.start, a.extent) == (b.start, b.extent) and a.extent > 0 and _alike(a, b)
    return False


def _alike(a: Array | HostArgument, b: Array | HostArgument) -> bool:
    """Whether elements of one may be seen as elements of the other."""
    return a.dtype == b.dtype or (a.dtype.bits == b.dtype.bits and "bool" not in (a.dtype, b.dtype))
