"""Devices: their names, and which one is meant where none is given."""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator

from girih import _girih


class Device(str):
    """The name of a device, `cpu` or `wgpu:N`, that also knows what it is.

    Attributes:
        description: adapter, driver, instruction set.
        kind: `cpu`, `discrete`, `integrated`, `virtual` or `other`.
    """

    description: str
    kind: str

    def __new__(cls, name: str, description: str = "", kind: str = "other") -> Device:
        self = super().__new__(cls, name)
        self.description = description
        self.kind = kind
        return self

    def __getnewargs__(self):
        return (str(self), self.description, self.kind)


# What `set_device` chose, for the process; what `with device(...)` chose, for the code inside.
_default: str | None = None
_scope: contextvars.ContextVar[str | None] = contextvars.ContextVar("girih_device", default=None)
_full_names: dict[str, str] = {}


def devices() -> list[Device]:
    """Everything programs can run on here: the CPU, then every graphics adapter."""
    return [Device(*row) for row in _girih.devices()]


def current_device() -> str:
    """The device that is meant where none is given, by its full name.

    The innermost `with girih.device(...)`, else what `set_device` chose, else the environment variable `GIRIH_DEVICE`, else
    the first real GPU, else the CPU.
    """
    return full_name(_scope.get() or _default or os.environ.get("GIRIH_DEVICE") or "auto")


def set_device(name: str) -> None:
    """Chooses the device for all code that names none: `cpu`, `wgpu`, `wgpu:N` or `auto`."""
    global _default
    _default = full_name(name)


@contextlib.contextmanager
def device(name: str) -> Iterator[str]:
    """Chooses the device for the code inside the `with` statement; gives its full name."""
    chosen = full_name(name)
    token = _scope.set(chosen)
    try:
        yield chosen
    finally:
        _scope.reset(token)


def synchronize(device: str | None = None) -> None:
    """Waits until everything submitted to a device is done."""
    _girih.synchronize(resolve(device))


def full_name(name: str) -> str:
    """`cpu` or `wgpu:N` for what a person wrote; opens the device."""
    name = str(name)
    known = _full_names.get(name)
    if known is None:
        known = _girih.open(name)[0]
        _full_names[name] = known
    return known


def resolve(name: str | None) -> str:
    """The full name of the device meant."""
    return current_device() if name is None else full_name(name)
