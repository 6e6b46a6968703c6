"""Kernels in the checker: `kernel.check[grid](...)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from girih._array import Array
from girih._devices import device


class Checked:
    """A kernel that is launched in the checker.

    It runs slowly, and raises `girih.Error` at the first access out of bounds, data race, read of what nobody wrote, or barrier that not
    every thread reaches. Host arrays are written as in any launch; arrays on devices are checked with copies.
    """

    def __init__(self, kernel: Any, subgroup: int = 32) -> None:
        self._kernel = kernel
        self._subgroup = subgroup

    def __call__(self, *, subgroup: int) -> Checked:
        """With subgroups (CUDA's warps) of 4, 8, 16, 32 or 64 threads."""
        return Checked(self._kernel, subgroup)

    def __getitem__(self, shape: Any) -> Callable[..., Any]:
        launch = self._kernel[shape]

        def checked(*args: Any, **kwargs: Any) -> Any:
            with device(f"check:{self._subgroup}") as checker:
                # Arrays that are one memory stay one.
                copies: dict[int, Array] = {}

                def there(x: Any) -> Any:
                    if isinstance(x, (tuple, list)):
                        return type(x)(there(item) for item in x)
                    if hasattr(x, "__girih_reinterpret__"):
                        return type(x)(there(x.base), x.dtype)
                    if hasattr(x, "block_shape"):
                        # A tensor descriptor.
                        return dataclasses.replace(x, base=there(x.base))
                    if not isinstance(x, Array):
                        return x
                    if id(x._buffer) not in copies:
                        copies[id(x._buffer)] = x.to(checker)
                    return Array(copies[id(x._buffer)]._buffer, x.shape, x.dtype)

                return launch(*map(there, args), **{name: there(x) for name, x in kwargs.items()})

        return checked
