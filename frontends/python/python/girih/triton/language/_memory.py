"""Memory: loads, stores, atomics, block pointers, descriptors."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def load(
    pointer: Any,
    mask: Any = None,
    other: Any = None,
    boundary_check: Any = (),
    padding_option: Any = "",
    cache_modifier: Any = "",
    eviction_policy: Any = "",
    volatile: Any = False,
) -> Any:
    """Reads elements at pointers; where `mask` is false memory is not touched and `other` is taken."""


@in_kernels
def store(
    pointer: Any,
    value: Any,
    mask: Any = None,
    boundary_check: Any = (),
    cache_modifier: Any = "",
    eviction_policy: Any = "",
) -> Any:
    """Writes elements at pointers; where `mask` is false memory is not touched."""


@in_kernels
def make_block_ptr(base: Any, shape: Any, strides: Any, offsets: Any, block_shape: Any, order: Any) -> Any:
    """A pointer to a block of a tensor in memory."""


@in_kernels
def advance(base: Any, offsets: Any) -> Any:
    """A block pointer moved by some elements along each axis."""


@in_kernels
def make_tensor_descriptor(base: Any, shape: Any, strides: Any, block_shape: Any, padding_option: Any = "zero") -> Any:
    """A description of a tensor in memory, with `load` and `store` of blocks."""


@in_kernels
def load_tensor_descriptor(desc: Any, offsets: Any) -> Any:
    """A block of a described tensor; zeros outside of it."""


@in_kernels
def store_tensor_descriptor(desc: Any, offsets: Any, value: Any) -> Any:
    """Writes a block of a described tensor; nothing outside of it."""


@in_kernels
def atomic_add(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Adds to memory in one step; gives what was there."""


@in_kernels
def atomic_max(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Keeps the larger in memory in one step; gives what was there."""


@in_kernels
def atomic_min(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Keeps the smaller in memory in one step; gives what was there."""


@in_kernels
def atomic_and(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Bitwise `and` with memory in one step; gives what was there."""


@in_kernels
def atomic_or(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Bitwise `or` with memory in one step; gives what was there."""


@in_kernels
def atomic_xor(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Bitwise `xor` with memory in one step; gives what was there."""


@in_kernels
def atomic_xchg(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Replaces memory in one step; gives what was there."""


@in_kernels
def atomic_cas(pointer: Any, cmp: Any, val: Any, sem: Any = None, scope: Any = None) -> Any:
    """Replaces memory by `val` where it is `cmp`, in one step; gives what was there."""


__all__ = [
    "advance",
    "atomic_add",
    "atomic_and",
    "atomic_cas",
    "atomic_max",
    "atomic_min",
    "atomic_or",
    "atomic_xchg",
    "atomic_xor",
    "load",
    "load_tensor_descriptor",
    "make_block_ptr",
    "make_tensor_descriptor",
    "store",
    "store_tensor_descriptor",
]
