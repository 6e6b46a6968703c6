"""`jit`: a Python function as a kernel."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from girih import _girih
from girih._array import Array
from girih._check import Checked
from girih._devices import current_device, resolve
from girih._dtypes import dtype_of
from girih._errors import Error
from girih.triton import _source
from girih.triton._arguments import HostArgument, pointer
from girih.triton._tune import HINTS, Wrapper
from girih.triton.language import _core
from girih.triton.tools.tensor_descriptor import TensorDescriptor

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


class CompiledKernel:
    """A kernel compiled for the types of its arguments. `asm` has its texts: `tile`, `simt`, `wgsl`, `msl`, `hlsl`, `spirv`."""

    # What Triton says of one vendor's chip; code that divides by them works.
    n_regs = 32
    n_spills = 0

    def __init__(self, function: JITFunction, compiled: _girih.TritonKernel, hints: Mapping[str, Any]) -> None:
        self.function = function
        self.name = name = function.__name__
        self.compiled = compiled
        self.num_warps = hints.get("num_warps", 4)
        self.num_stages = hints.get("num_stages", 1)
        self.metadata = Metadata(name, self.num_warps, self.num_stages)
        self.asm = Texts(compiled)

    @property
    def notes(self) -> list[str]:
        """What `tl.static_print` said."""
        return self.compiled.notes

    def __getitem__(self, grid: Any) -> Callable[..., CompiledKernel | None]:
        """Launches the function it comes from: arguments of other types compile it again."""
        return self.function[grid]

    def _init_handles(self) -> None:
        """Nothing: kernels are loaded when they are compiled."""


class Metadata:
    """What Triton tells of a compiled kernel."""

    # Bytes of workgroup memory: what launchers divide by; the real use depends on the device.
    shared = 1024
    num_ctas = 1

    def __init__(self, name: str, num_warps: int, num_stages: int) -> None:
        self.name = name
        self.num_warps = num_warps
        self.num_stages = num_stages


class Texts(Mapping[str, str]):
    """Texts of a kernel by language, made when they are asked for."""

    def __init__(self, compiled: _girih.TritonKernel) -> None:
        self._compiled = compiled

    def __getitem__(self, target: str) -> str:
        if target not in _girih.TARGETS:
            raise KeyError(f"{target!r}: girih makes {', '.join(_girih.TARGETS)}")
        return self._compiled.emit(target)

    def __iter__(self) -> Iterator[str]:
        return iter(_girih.TARGETS)

    def __len__(self) -> int:
        return len(_girih.TARGETS)


class JITFunction:
    """A kernel: `kernel[grid](*arguments, **constants)` compiles it for the types of its arguments, once, and launches it.

    Arguments are NumPy arrays, torch CPU tensors and what else has DLPack (what the kernel writes is copied back into them),
    `girih.Array` (which stays on its device), integers, floats, and constants for parameters marked `tl.constexpr`.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        do_not_specialize: Sequence[str | int] = (),
        debug: bool = False,
        **options: Any,
    ) -> None:
        self.fn = fn
        self.debug = debug
        self.__name__ = fn.__name__
        self.__qualname__ = fn.__qualname__
        self.__module__ = fn.__module__
        self.__doc__ = fn.__doc__
        self.__globals__ = fn.__globals__
        parameters = list(inspect.signature(fn).parameters.values())
        fixed = set(do_not_specialize)
        self.params = [KernelParam(i, p, not {i, p.name} & fixed) for i, p in enumerate(parameters)]
        self.arg_names = [p.name for p in self.params]
        self._by_name = {p.name: p for p in self.params}
        self._lock = threading.Lock()
        self._modules: dict[tuple[int, ...], _Parsed] = {}
        self._compiled: dict[Spec, CompiledKernel] = {}

    @property
    def __girih_function__(self) -> tuple[str, Callable[..., Any]]:
        return ("jit", self.fn)

    @property
    def src(self) -> str:
        """The source of the function."""
        return inspect.getsource(self.fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise Error(
            "Y010",
            f"kernel `{self.__name__}` was called without a grid",
            notes=["only other kernels call it like a function"],
            help=f"say how many programs run: `{self.__name__}[(n,)](...)`",
        )

    def __getitem__(self, grid: Any) -> Callable[..., CompiledKernel | None]:
        return lambda *args, **kwargs: self.run(*args, grid=grid, **kwargs)

    @property
    def check(self) -> Checked:
        """`kernel.check[grid](*arguments)`: a launch that raises `girih.Error` at the first race or wrong access."""
        return Checked(self)

    def warmup(self, *args: Any, grid: Any = (1,), **kwargs: Any) -> CompiledKernel:
        """Compiles for these arguments, without a launch. Dtypes may stand for arrays."""
        launch = _Launch(self, args, dict(kwargs))
        return self._compile(launch.device, launch.specs(), launch.single(grid), launch.hints)

    def run(self, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> CompiledKernel | None:
        """Launches it over a grid: integers for up to three axes, or a function from the arguments to them."""
        if warmup:
            return self.warmup(*args, grid=grid, **kwargs)
        launch = _Launch(self, args, kwargs)
        extents = launch.extents(grid)
        if 0 in extents:
            return None
        single = tuple(n == 1 for n in extents)
        compiled = self._compile(launch.device, launch.specs(), single, launch.hints, extents, launch.scalars)
        launch.start(compiled.compiled, extents)
        return compiled

    def emit(self, target: str = "wgsl", *, device: str | None = None, **signature: Any) -> str:
        """The kernel's text: `tile`, `simt`, `wgsl`, `msl`, `hlsl`, or `spirv` (in hexadecimal words).

        The signature gives a type for each argument and a value for each constant, as in `x_ptr="*fp32", n="i32", BLOCK=256`; what
        would be given in a launch works as well. Shaders are for plain WebGPU, or use what a `device` has.
        """
        launch = _Launch(self, (), dict(signature), types=True)
        where = None if device is None else resolve(device)
        parsed, specs = self._parsed(launch.specs())
        return parsed.emit(self.__name__, target, specs, (False, False, False), where)

    def _parsed(self, specs: Spec) -> tuple[_girih.TritonModule, Spec]:
        """The files that the source takes part in, functions among the arguments included, and what to compile it for."""
        functions = [f for spec in specs for f in _functions(spec)]
        key = tuple(id(f.fn) for f in functions)
        with self._lock:
            known = self._modules.get(key)
            if known is None:
                source = _source.kernel_source(self.fn, [(f.fn, f.decorator) for f in functions])
                module = _girih.TritonModule(source.main, source.modules)
                # The functions are kept, for their identity is the key.
                known = self._modules[key] = _Parsed(module, functions, source.places)
        return known.module, tuple(_placed(spec, known.places) for spec in specs)

    def _compile(
        self,
        device: str,
        specs: Spec,
        single: tuple[bool, ...],
        hints: Mapping[str, Any],
        grid: tuple[int, int, int] | None = None,
        scalars: Sequence[tuple[str, int | float]] = (),
    ) -> CompiledKernel:
        key = (device, single, specs)
        found = self._compiled.get(key)
        if found is None:
            parsed, placed = self._parsed(specs)
            compiled = parsed.compile(self.__name__, device, placed, single, grid, list(scalars))
            for line in compiled.notes:
                # What `tl.static_print` says, when the kernel is compiled, as in Triton.
                sys.stdout.write(f"{line}\n")
            found = self._compiled[key] = CompiledKernel(self, compiled, hints)
        return found

    def __repr__(self) -> str:
        return f"JITFunction({self.__module__}:{self.__qualname__})"


class _Parsed:
    """A parsed kernel, and where functions among its arguments are: (module, name) by identity."""

    def __init__(self, module: _girih.TritonModule, functions: list[_FunctionConstant], places: dict[int, Any]) -> None:
        self.module = module
        self.functions = functions
        self.places = places


class _FunctionConstant:
    """A function among the arguments; equal to itself only."""

    def __init__(self, fn: Callable[..., Any], decorator: str | None) -> None:
        self.fn = fn
        self.decorator = decorator

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _FunctionConstant) and self.fn is other.fn

    def __hash__(self) -> int:
        return id(self.fn)


def _functions(spec: Any) -> Iterator[_FunctionConstant]:
    if isinstance(spec, _FunctionConstant):
        yield spec
    elif isinstance(spec, tuple):
        for part in spec:
            yield from _functions(part)


def _placed(spec: Any, places: dict[int, Any]) -> Any:
    """The same with modules and names for functions."""
    if isinstance(spec, _FunctionConstant):
        return places[id(spec.fn)]
    return tuple(_placed(part, places) for part in spec) if isinstance(spec, tuple) else spec


class _Launch:
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
        self._specs = tuple(self._spec(p, self.values[p.name]) for p in kernel.params)
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
        if isinstance(grid, (int, np.integer)):
            grid = (grid,)
        try:
            sizes = [int(n) for n in grid]
        except (TypeError, ValueError) as why:
            raise Error("Y013", f"the grid of `{self.kernel.__name__}` is no tuple of integers: {grid!r}") from why
        if not 1 <= len(sizes) <= 3 or any(n < 0 for n in sizes):
            raise Error("Y013", f"a grid has one to three extents, not negative; got {tuple(sizes)}")
        x, y, z = (*sizes, 1, 1)[:3]
        return (x, y, z)

    def _spec(self, p: KernelParam, value: Any, name: str | None = None) -> Spec:
        name = name or p.name
        if not p.is_constexpr:
            if isinstance(value, (tuple, list)) and not all(_is_constant(item) for item in value):
                # Arguments in a tuple are known by its name and their number.
                parts = tuple(self._spec(p, item, f"{name}.{i}") for i, item in enumerate(value))
                return (name, "tuple", parts)
            if isinstance(value, TensorDescriptor):
                return self._descriptor(name, value)
            if self.types and isinstance(value, str):
                return self._typed(p, value)
            if isinstance(value, _core.dtype) or _is_torch_dtype(value):
                # In Triton's `warmup` a dtype stands for a pointer to it.
                return (name, "pointer", dtype_of(value), 1, None)
            found = pointer(name, value)
            if found is not None:
                return self._pointer(name, found)
            if isinstance(value, np.generic):
                value = value.item()
            if isinstance(value, int) and not isinstance(value, bool):
                return self._integer(p, value, name)
            if isinstance(value, float):
                dtype = "f64" if p.dtype is _core.float64 else "f32"
                self.scalars.append((name, value))
                return (name, "float", dtype)
        return (name, "constant", _constant(self.kernel.__name__, name, value))

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
        self.pointers[name] = found
        for axis, (extent, stride) in enumerate(zip(value.shape, value.strides)):
            self.scalars += [(f"{name}.shape.{axis}", int(extent)), (f"{name}.stride.{axis}", int(stride))]
        block = tuple(int(n) for n in value.block_shape)
        return (name, "descriptor", found.dtype, block, value.padding == "nan")

    def _pointer(self, name: str, array: Array | HostArgument) -> Spec:
        alias = None
        for other, earlier in self.pointers.items():
            if _same(array, earlier):
                alias = other
                break
        if alias is None:
            self.pointers[name] = array
        elements = array.size if isinstance(array, Array) else array.elements
        return (name, "pointer", array.dtype, 16 if elements % 16 == 0 else 4 if elements % 4 == 0 else 1, alias)

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
            return (p.name, "pointer", row.girih_name, times, None)
        if row.is_floating():
            return (p.name, "float", "f64" if row is _core.float64 else "f32")
        return (p.name, "int", row.girih_name, times, row.girih_name == "i32")

    def start(self, compiled: _girih.TritonKernel, extents: tuple[int, int, int]) -> None:
        """Uploads host arrays, launches, and copies back what was written."""
        name = self.kernel.__name__
        written = {row[0] for row in compiled.pointers if row[2]}
        hosts = {n: x for n, x in self.pointers.items() if isinstance(x, HostArgument)}
        shared = {
            n: any(x.overlaps(other) for m, other in hosts.items() if m != n) for n, x in hosts.items() if n in written
        }
        buffers = {}
        for n, x in self.pointers.items():
            if isinstance(x, Array):
                buffers[n] = x._buffer
                continue
            if n in written:
                x.check_writable(name)
                if shared[n]:
                    x.remember()
            buffers[n] = x.upload(self.device, n in written)
        compiled.launch(extents, list(buffers.items()), self.scalars)
        for n, x in hosts.items():
            if n in written:
                x.write_back(buffers[n], shared[n])


def _same(a: Array | HostArgument, b: Array | HostArgument) -> bool:
    if isinstance(a, Array) and isinstance(b, Array):
        return a._buffer is b._buffer and a.dtype == b.dtype
    if isinstance(a, HostArgument) and isinstance(b, HostArgument):
        return a.address == b.address and a.dtype == b.dtype and a.view.size > 0
    return False


def _is_torch_dtype(value: Any) -> bool:
    return str(type(value)) == "<class 'torch.dtype'>"


def _is_constant(value: Any) -> bool:
    """Whether an item of a tuple is decided by its value, not by its type."""
    if isinstance(value, (tuple, list)):
        return all(_is_constant(item) for item in value)
    return value is None or isinstance(value, (bool, str, _core.constexpr, _core.dtype)) or _is_function(value)


def _is_function(value: Any) -> bool:
    return hasattr(value, "__girih_function__") or inspect.isfunction(value)


def _constant(kernel: str, name: str, value: Any) -> Any:
    """A constant in a hashable form that Rust reads: numbers, text, None, ("dtype", name), functions, tuples."""
    if isinstance(value, _core.constexpr):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        # 1 and 1.0 and True are equal to a dictionary; their types tell them apart.
        return (type(value).__name__, value)
    if isinstance(value, _core.dtype) or _is_torch_dtype(value):
        return ("dtype", str(dtype_of(value)))
    if isinstance(value, (tuple, list)):
        return ("tuple", tuple(_constant(kernel, name, item) for item in value))
    if _is_function(value):
        decorator, fn = getattr(value, "__girih_function__", (None, value))
        return ("function", _FunctionConstant(fn, decorator))
    raise Error(
        "Y013",
        f"`{name}` of kernel `{kernel}` cannot be a {type(value).__module__}.{type(value).__name__}",
        notes=[
            "arguments are arrays, integers, floats and tuples of them; constants are numbers, text, None, dtypes, functions and tuples"
        ],
    )


class ConstexprFunction:
    """A Python function that kernels call at compile time, with constants."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.__name__ = fn.__name__
        self.__doc__ = fn.__doc__

    @property
    def __girih_function__(self) -> tuple[str, Callable[..., Any]]:
        return ("constexpr_function", self.fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)


def jit(fn: Any = None, **options: Any) -> Any:
    """Makes a function a kernel in Triton's language: its source is compiled, Python never runs it."""
    if fn is None:
        return lambda f: jit(f, **options)
    if isinstance(fn, (JITFunction, Wrapper)):
        return fn
    if not inspect.isfunction(fn):
        raise Error("Y011", f"`triton.jit` makes kernels of functions with `def`, not of {type(fn).__name__}")
    known = {name: options[name] for name in ("do_not_specialize", "debug") if options.get(name)}
    return JITFunction(fn, **known)


def constexpr_function(fn: Callable[..., Any]) -> ConstexprFunction:
    """Lets kernels call a Python function at compile time, with constants."""
    return ConstexprFunction(fn)
