"""Random numbers: Philox, a function of a seed and a counter."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def rand(seed: Any, offset: Any, n_rounds: Any = 10) -> Any:
    """f32 in [0, 1), uniform."""


@in_kernels
def randn(seed: Any, offset: Any, n_rounds: Any = 10) -> Any:
    """f32, normal with mean 0 and variance 1."""


@in_kernels
def randint(seed: Any, offset: Any, n_rounds: Any = 10) -> Any:
    """Random 32-bit integers."""


@in_kernels
def rand4x(seed: Any, offsets: Any, n_rounds: Any = 10) -> Any:
    """Four blocks of rand at the price of one."""


@in_kernels
def randn4x(seed: Any, offset: Any, n_rounds: Any = 10) -> Any:
    """Four blocks of randn at the price of one."""


@in_kernels
def randint4x(seed: Any, offset: Any, n_rounds: Any = 10) -> Any:
    """Four blocks of randint at the price of one."""


@in_kernels
def philox(seed: Any, c0: Any, c1: Any, c2: Any, c3: Any, n_rounds: Any = 10) -> Any:
    """The generator itself: four blocks of 32-bit integers of four counters."""


@in_kernels
def philox_impl(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any, n_rounds: Any = 10) -> Any:
    """The rounds of the generator."""


@in_kernels
def pair_uniform_to_normal(u1: Any, u2: Any) -> Any:
    """Two uniform blocks as two normal ones, by Box and Muller."""


@in_kernels
def uint_to_uniform_float(x: Any) -> Any:
    """Random integers as f32 in [0, 1)."""


__all__ = [
    "pair_uniform_to_normal",
    "philox",
    "philox_impl",
    "rand",
    "rand4x",
    "randint",
    "randint4x",
    "randn",
    "randn4x",
    "uint_to_uniform_float",
]
