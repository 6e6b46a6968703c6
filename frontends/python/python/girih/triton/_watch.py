"""Global variables that kernels were compiled with: they must not change afterwards."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from girih._errors import Error
from girih.triton.language import _core


class ChangedGlobal(Error, RuntimeError):
    """A global variable that a kernel reads has changed since the kernel was compiled: a RuntimeError, as in Triton."""


class Watched:
    """A variable with the value that a kernel was compiled with.

    Args:
        name: as the kernel calls it.
        kernel: the function that reads it.
        space: the variables of a module, or the cell of a variable of an enclosing function.
        literal: a value's text where it is a constant of the language, else None.
    """

    def __init__(
        self,
        name: str,
        kernel: str,
        space: dict[str, Any] | types.CellType,
        value: Any,
        literal: Callable[[Any], str | None],
    ) -> None:
        self.name = name
        self.kernel = kernel
        self.space = space
        self.value = value
        self.literal = literal
        self.text = literal(value)
        self.shown = repr(value)
        # What changes only when the name is bound anew.
        self.fixed = self.text is None or isinstance(value, (bool, int, float, str, type(None)))

    def check(self) -> None:
        """Raises where the variable is not what it was."""
        now = self._now()
        if now is self.value and self.fixed:
            return
        if self.text is None:
            same = now is self.value or _inner(now) is _inner(self.value)
        else:
            same = self.literal(now) == self.text
        if not same:
            shown = "nothing" if now is _ABSENT else repr(now)
            raise ChangedGlobal(
                "Y017",
                f"Global variable {self.name} has changed since we compiled this kernel, from {self.shown} to {shown}",
                notes=[f"`{self.kernel}` reads it"],
                help="what differs between launches is an argument, marked `tl.constexpr` where it is a constant; or make the"
                " kernel again with `triton.jit`",
            )

    def _now(self) -> Any:
        if isinstance(self.space, types.CellType):
            try:
                return self.space.cell_contents
            except ValueError:
                return _ABSENT
        return self.space.get(self.name, _ABSENT)


_ABSENT: Any = object()


def _inner(value: Any) -> Any:
    """The function that several kernels may be made of."""
    if isinstance(value, _core.constexpr):
        value = value.value
    inner = getattr(value, "__girih_function__", None)
    return value if inner is None else inner[1]
