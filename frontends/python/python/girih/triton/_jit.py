"""`jit`: a Python function as a kernel."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from girih import _girih
from girih._check import Checked
from girih._devices import resolve
from girih._errors import Error
from girih.triton import _source
from girih.triton._constants import FunctionConstant, functions, placed
from girih.triton._launch import KernelParam, Launch, Spec
from girih.triton._tune import Wrapper
from girih.triton._watch import Watched


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
        self._watched: list[Watched] = []

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
        launch = Launch(self, args, dict(kwargs))
        return self._compile(launch.device, launch.specs(), launch.single(grid), launch.hints)

    def run(self, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> CompiledKernel | None:
        """Launches it over a grid: integers for up to three axes, or a function from the arguments to them."""
        if warmup:
            return self.warmup(*args, grid=grid, **kwargs)
        launch = Launch(self, args, kwargs)
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
        launch = Launch(self, (), dict(signature), types=True)
        where = None if device is None else resolve(device)
        single = (False, False, False)
        return self._made(launch.specs(), lambda m, spec: m.emit(self.__name__, target, spec, single, where))

    def _parsed(self, specs: Spec) -> tuple[_Parsed, Spec]:
        """The files that the source takes part in, functions among the arguments included, and what to compile it for."""
        found = [f for spec in specs for f in functions(spec)]
        key = tuple(id(f.fn) for f in found)
        with self._lock:
            known = self._modules.get(key)
            if known is None:
                source = _source.kernel_source(self.fn, [(f.fn, f.decorator) for f in found])
                module = _girih.TritonModule(source.main, source.modules)
                # The functions are kept, for their identity is the key.
                known = _Parsed(module, found, source.places, source.watched)
                self._modules[key] = known
        return known, tuple(placed(spec, known.places) for spec in specs)

    def _unchanged(self) -> None:
        """Raises where a global variable is not what it was when a form of this kernel was compiled."""
        for watched in self._watched:
            watched.check()

    def _compile(
        self,
        device: str,
        specs: Spec,
        single: tuple[bool, ...],
        hints: Mapping[str, Any],
        grid: tuple[int, int, int] | None = None,
        scalars: Sequence[tuple[str, int | float]] = (),
    ) -> CompiledKernel:
        self._unchanged()
        key = (device, single, specs)
        found = self._compiled.get(key)
        if found is None:
            compiled = self._made(
                specs, lambda m, spec: m.compile(self.__name__, device, spec, single, grid, list(scalars))
            )
            for line in compiled.notes:
                # What `tl.static_print` says, when the kernel is compiled, as in Triton.
                sys.stdout.write(f"{line}\n")
            found = self._compiled[key] = CompiledKernel(self, compiled, hints)
        return found

    def _made(self, specs: Spec, make: Callable[[_girih.TritonModule, Spec], Any]) -> Any:
        """What is made of the source with the values that global variables have now."""
        self._unchanged()
        parsed, spec = self._parsed(specs)
        try:
            made = make(parsed.module, spec)
        except Error:
            if not parsed.used:
                # The next try sees what was defined or corrected meanwhile.
                with self._lock:
                    self._modules = {key: other for key, other in self._modules.items() if other is not parsed}
            raise
        if not parsed.used:
            parsed.used = True
            self._watched = [*self._watched, *parsed.watched]
        return made

    def __repr__(self) -> str:
        return f"JITFunction({self.__module__}:{self.__qualname__})"


class _Parsed:
    """A parsed kernel, where functions among its arguments are ((module, name) by identity), and the global variables in it."""

    def __init__(
        self,
        module: _girih.TritonModule,
        functions: list[FunctionConstant],
        places: dict[int, Any],
        watched: list[Watched],
    ) -> None:
        self.module = module
        self.functions = functions
        self.places = places
        self.watched = watched
        # Whether something was made of it.
        self.used = False


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
