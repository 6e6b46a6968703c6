"""Graphs in text form, compiled for a device."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from girih import _girih
from girih._array import Array, _bytes, array
from girih._devices import resolve
from girih._dtypes import dtype_of


class Function:
    """A compiled graph. Call it with arrays in the order of its inputs, or by their names.

    It gives one `girih.Array`, or a tuple of them; they stay on the device. States that the graph keeps start at zero and
    live as long as the function.
    """

    def __init__(self, program: _girih.Program) -> None:
        self._program = program
        self._inputs = [(name, dtype_of(dtype)) for name, dtype, _ in program.inputs]
        self.__name__ = program.name

    @property
    def device(self) -> str:
        """Where it runs."""
        return self._program.device

    @property
    def inputs(self) -> list[tuple[str, str]]:
        """Name and type of each input."""
        return [(name, _type(dtype, shape)) for name, dtype, shape in self._program.inputs]

    @property
    def outputs(self) -> list[tuple[str, str]]:
        """Name and type of each result."""
        return [(name, _type(dtype, shape)) for name, dtype, shape in self._program.outputs]

    @property
    def kernels(self) -> list[tuple[str, str]]:
        """Name and text of each kernel: WGSL, or tile kernels on the CPU."""
        return self._program.kernels

    def __call__(self, *args: Any, **named: Any) -> Array | tuple[Array, ...]:
        given = list(args)
        if named:
            rest = [name for name, _ in self._inputs[len(args) :]]
            unknown = sorted(set(named) - set(rest))
            if unknown:
                raise TypeError(f"{self.__name__}() takes no further input {unknown[0]!r}")
            missing = [name for name in rest if name not in named]
            if missing:
                raise TypeError(f"{self.__name__}() needs the input {missing[0]!r}")
            given += [named[name] for name in rest]
        wanted = [dtype for _, dtype in self._inputs] + [None] * len(given)
        arrays = [_input(x, dtype, self.device) for x, dtype in zip(given, wanted)]
        results = self._program.run([(a._buffer, a.dtype, list(a.shape)) for a in arrays])
        made = tuple(Array(buffer, shape, dtype_of(dtype)) for buffer, dtype, shape in results)
        return made[0] if len(made) == 1 else made

    def __repr__(self) -> str:
        takes = ", ".join(f"{name}: {ty}" for name, ty in self.inputs)
        gives = ", ".join(ty for _, ty in self.outputs)
        return f"<girih function {self.__name__}({takes}) -> ({gives}) on {self.device}>"


def compile(
    text: str | os.PathLike[str], device: str | None = None, weights: Mapping[str, Any] | None = None
) -> Function:
    """Compiles a graph in text form (docs/tour.md), or the file at a `pathlib.Path`, for a device.

    `weights` gives the graph's weight parameters, by name.

    Compiled plans are kept in the user's cache folder, or in `GIRIH_CACHE`.
    """
    file = "<text>"
    if isinstance(text, os.PathLike):
        file = os.fspath(text)
        text = pathlib.Path(file).read_text(encoding="utf-8")
    given = {}
    for name, x in (weights or {}).items():
        x = x.numpy() if isinstance(x, Array) else x
        given[name] = bytes(_bytes(x, None)[0])
    return Function(_girih.Program(text, file, resolve(device), given))


def _input(x: Any, dtype: Any, device: str) -> Array:
    if isinstance(x, Array):
        return x.to(device)
    # Python numbers take the dtype that is wanted; arrays keep theirs, and a wrong one is an error.
    number = isinstance(x, (bool, int, float, list, tuple))
    return array(x, dtype if number else None, device)


def _type(dtype: str, shape: list[str]) -> str:
    return f"{dtype}[{', '.join(shape)}]"
