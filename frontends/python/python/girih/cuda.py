"""CUDA C++ kernels, on any GPU and on the CPU.

>>> import numpy as np
>>> import girih.cuda
>>> module = girih.cuda.load('''
... template <typename T, int N>
... __global__ void scale(T* x, T factor, int n) {
...     int i = blockIdx.x * blockDim.x + threadIdx.x;
...     if (i < n) x[i] *= factor * N;
... }''')
>>> x = np.arange(100, dtype=np.float32)
>>> module["scale<float, 4>"][(1,), (128,)](x, 0.5, 100)
>>> float(x[10])
20.0

Host code in the file is skipped: Python launches. What has no portable form is refused with its line and advice.
"""

from __future__ import annotations

import os
import pathlib
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from girih import _girih
from girih._arguments import HostArgument, HostMemory, clusters, extents, pointer
from girih._array import Array
from girih._check import Checked
from girih._devices import current_device
from girih._dtypes import _ML_DTYPES, dtype_of
from girih._errors import Error

__all__ = ["Kernel", "Module", "load"]

_FORMATS = {"bool": "?", "i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I", "i64": "q", "u64": "Q"}
_FLOATS = {"f16": "e", "f32": "f", "f64": "d"}


class Module(Mapping[str, "Kernel"]):
    """The kernels of a file, by name: `module["scale"]`, with template arguments `module["scale<float, 4>"]`, and with the types of
    parameters where several kernels have one name: `module["scale(float*, int)"]`."""

    def __init__(self, module: _girih.CudaModule) -> None:
        self._module = module
        self._rows = {name: (template, params, place) for name, template, params, place in module.kernels}
        self._kernels: dict[str, Kernel] = {}

    def __getitem__(self, name: str) -> Kernel:
        found = self._kernels.get(name)
        if found is None:
            plain = re.split("[<(]", name)[0].strip()
            if plain not in (re.split("[<(]", known)[0] for known in self._rows):
                raise KeyError(f"{name!r}: the file has {', '.join(self._rows) or 'no kernel'}")
            found = self._kernels[name] = Kernel(self._module, name, self._module.parameters(name))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class Kernel:
    """A kernel: `kernel[grid, block](*arguments)`, or `kernel[grid, block, bytes_of_dynamic_shared_memory]`.

    Pointers are NumPy arrays, torch CPU tensors and what else has DLPack (what the kernel writes is copied back into them),
    `girih.Array` (which stays on its device), or None for null. Numbers are Python's or NumPy's; structs by value are bytes.
    """

    def __init__(self, module: _girih.CudaModule, name: str, parameters: Sequence[str]) -> None:
        self._module = module
        self.__name__ = name
        self.parameters = list(parameters)
        self._compiled: dict[tuple[Any, ...], _girih.CudaKernel] = {}

    def __getitem__(self, shape: Any) -> Callable[..., None]:
        if not isinstance(shape, tuple) or not 2 <= len(shape) <= 3:
            raise Error(
                "Y013",
                f"`{self.__name__}` is launched as `kernel[grid, block]`, or with bytes of shared memory as third",
            )
        grid, block = (extents(self.__name__, n) for n in shape[:2])
        shared = shape[2] if len(shape) == 3 else 0
        if not isinstance(shared, (int, np.integer)) or not 0 <= shared < 1 << 32:
            raise Error("Y013", f"{shared!r} bytes of shared memory for `{self.__name__}`")
        shared = int(shared)
        return lambda *args: self._launch(grid, block, shared, args)

    @property
    def check(self) -> Checked:
        """`kernel.check[grid, block](*arguments)`: a launch that raises `girih.Error` at the first race or wrong access."""
        return Checked(self)

    def compiled(
        self,
        grid: Any,
        block: Any,
        shared: int = 0,
        nulls: Sequence[bool] = (),
        device: str | None = None,
        places: Sequence[tuple[int, int, bool]] = (),
    ) -> _girih.CudaKernel:
        """The kernel for a shape of launch; its `text` is what the device gets.

        Args:
            grid: blocks.
            block: threads of a block.
            shared: bytes of dynamic shared memory.
            nulls: which parameters are null pointers.
            device: where it runs.
            places: for arrays that share memory: the parameter's number, a number for the memory, whether it begins inside.
        """
        grid, block = extents(self.__name__, grid), extents(self.__name__, block)
        axes = max((i + 1 for i, n in enumerate(grid) if n != 1), default=1)
        mask = sum(1 << i for i, null in enumerate(nulls) if null and i < 64)
        key = (device or current_device(), block, axes, shared, mask, tuple(places))
        found = self._compiled.get(key)
        if found is None:
            shape = (block, axes, shared, mask)
            found = self._compiled[key] = self._module.compile(self.__name__, key[0], shape, list(places))
        return found

    def _launch(self, grid: tuple[int, ...], block: tuple[int, ...], shared: int, args: Sequence[Any]) -> None:
        name = self.__name__
        if len(args) != len(self.parameters):
            raise Error("Y013", f"kernel `{name}` takes {len(self.parameters)} arguments, got {len(args)}")
        found = {i: pointer(self.parameters[i], x) for i, x in enumerate(args) if not _is_bytes(x)}
        arrays = {i: x for i, x in found.items() if isinstance(x, Array)}
        hosts = {i: x for i, x in found.items() if isinstance(x, HostArgument)}
        devices = {str(x.device) for x in arrays.values()}
        if len(devices) > 1:
            raise Error("X011", f"arguments of `{name}` are on several devices: {', '.join(sorted(devices))}")
        device = devices.pop() if devices else current_device()
        # Arrays that overlap are one buffer; its number is that of the first parameter in it.
        numbers_of = {id(x): i for i, x in hosts.items()}
        memories = {min(numbers_of[id(x)] for x in c): HostMemory(c) for c in clusters(hosts.values())}
        place: dict[int, tuple[int, int]] = {}
        for first, memory in memories.items():
            place |= {numbers_of[id(x)]: (first, memory.offset(x)) for x in memory.arguments}
        for i, x in arrays.items():
            place[i] = (next(j for j, y in arrays.items() if y._buffer is x._buffer), 0)
        places = [(i, first, at != 0) for i, (first, at) in sorted(place.items())]
        if all(i == first for i, first, _ in places):
            places = []
        kernel = self.compiled(grid, block, shared, [x is None for x in args], device, places)
        if 0 in grid:
            return
        for i, _, element in kernel.pointers:
            if i in place and element is not None:
                self._check_type(i, found[i], element)
        written = {place[i][0] for i, writes, _ in kernel.pointers if writes and i in place}
        buffers: dict[int, _girih.Buffer] = {i: x._buffer for i, x in arrays.items()}
        for first, memory in memories.items():
            buffers[first] = memory.upload(device, name, first in written, True)
        numbers: dict[int, list[tuple[str, int]]] = {}
        for parameter, dtype, offset in kernel.numbers:
            numbers.setdefault(parameter, []).append((dtype, offset))
        values: list[Any] = []
        for i, x in enumerate(args):
            if i in place:
                values.append(buffers[place[i][0]])
            else:
                values.append(None if x is None else self._bytes(i, x, numbers.get(i, [])))
        kernel.launch(grid, values, {i: at for i, (_, at) in place.items() if at})
        for first, memory in memories.items():
            if first in written:
                memory.write_back(buffers[first], name)

    def _check_type(self, index: int, array: Array | HostArgument | None, element: str) -> None:
        """Refuses an array of another type than a pointer's; integers of one size are taken for each other, as by a cast."""
        if array is None or array.dtype == element:
            return
        own, want = array.dtype, dtype_of(element)
        # What NumPy lacks comes as unsigned integers.
        held = want in _ML_DTYPES and own.kind == "unsigned"
        if own.bits != want.bits or ("float" in (own.kind, want.kind) and not held):
            raise Error(
                "Y013",
                f"argument `{self.parameters[index]}` of kernel `{self.__name__}` points to {want}, got an array of {own}",
                help="convert it, `x.astype(...)`, or give its memory as it is with another type, `x.view(...)`",
            )

    def _bytes(self, index: int, value: Any, parts: list[tuple[str, int]]) -> bytes:
        """A number or struct as C lays it out."""
        name = self.parameters[index]
        if isinstance(value, (np.void, bytes, bytearray)):
            return value.tobytes() if isinstance(value, np.void) else bytes(value)
        if len(parts) != 1 or parts[0][1] != 0:
            raise Error(
                "Y013",
                f"argument `{name}` of kernel `{self.__name__}` is no number",
                help="give a pointer as an array, and a struct as bytes",
            )
        dtype = parts[0][0]
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            value = value.item()
        try:
            if dtype in _FORMATS and isinstance(value, (bool, int)):
                return struct.pack("<" + _FORMATS[dtype], value)
            if dtype in _FLOATS and isinstance(value, (bool, int, float)):
                return struct.pack("<" + _FLOATS[dtype], value)
            if isinstance(value, (bool, int, float)) and dtype_of(dtype).kind == "float":
                return bytes(_girih.convert(struct.pack("<f", value), "f32", dtype))
        except (struct.error, OverflowError) as why:
            raise Error(
                "Y013", f"{value!r} does not fit argument `{name}` of kernel `{self.__name__}`, which is {dtype}"
            ) from why
        raise Error("Y013", f"argument `{name}` of kernel `{self.__name__}` is {dtype}, got {type(value).__name__}")

    def __repr__(self) -> str:
        return f"<girih CUDA kernel {self.__name__}({', '.join(self.parameters)})>"


def load(
    source: str | os.PathLike[str],
    *,
    include: Sequence[str | os.PathLike[str]] = (),
    defines: Mapping[str, Any] | None = None,
) -> Module:
    """Reads CUDA C++: the file at a path, or the text itself if it has more than one line.

    Args:
        source: a path, or a program.
        include: folders whose headers `#include` finds; the file's own folder is one.
        defines: macros defined before the first line.
    """
    folders = [pathlib.Path(folder) for folder in include]
    if isinstance(source, os.PathLike) or "\n" not in source:
        path = pathlib.Path(source)
        try:
            text, file = path.read_text(encoding="utf-8", errors="replace"), os.fspath(source)
        except OSError as why:
            raise Error("Y016", f"{path} cannot be read", notes=[str(why)]) from why
        folders.insert(0, path.parent)
    else:
        text, file = source, "<cuda>"
    if not text.isascii():
        # Python's text may have halves of characters, which no file has.
        text = text.encode("utf-8", "replace").decode("utf-8")
    # As C++ writes them.
    words = {True: "1", False: "0"}
    given = [(n, words[v] if isinstance(v, bool) else str(v)) for n, v in (defines or {}).items()]
    return Module(_girih.CudaModule(text, file, _headers(text, folders), given))


def _headers(text: str, folders: Sequence[pathlib.Path]) -> dict[str, str]:
    """The files that `#include` may ask for, by the names they are asked by."""
    found: dict[str, str] = {}
    waiting = [text]
    while waiting:
        for line in waiting.pop().splitlines():
            words = line.strip()
            if not words.startswith("#") or not words[1:].strip().startswith("include"):
                continue
            name = words[1:].strip().removeprefix("include").strip().split("//")[0].strip().strip('"<>')
            for folder in folders:
                path = folder / name
                if name and name not in found and path.is_file():
                    found[name] = path.read_text(encoding="utf-8", errors="replace")
                    waiting.append(found[name])
    return found


def _is_bytes(x: Any) -> bool:
    return x is None or isinstance(x, (bytes, bytearray, np.generic, bool, int, float))
