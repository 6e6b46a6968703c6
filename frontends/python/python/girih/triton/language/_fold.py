"""Reductions, scans, sorts."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def sum(input: Any, axis: Any = None, keep_dims: Any = False, dtype: Any = None) -> Any:
    """Sums along an axis, or of all elements."""


@in_kernels
def max(
    input: Any,
    axis: Any = None,
    return_indices: Any = False,
    return_indices_tie_break_left: Any = True,
    keep_dims: Any = False,
) -> Any:
    """The largest along an axis. The second argument is an axis; tl.maximum compares two tensors."""


@in_kernels
def min(
    input: Any,
    axis: Any = None,
    return_indices: Any = False,
    return_indices_tie_break_left: Any = True,
    keep_dims: Any = False,
) -> Any:
    """The smallest along an axis. The second argument is an axis; tl.minimum compares two tensors."""


@in_kernels
def argmax(input: Any, axis: Any, tie_break_left: Any = True, keep_dims: Any = False) -> Any:
    """Where the largest along an axis is."""


@in_kernels
def argmin(input: Any, axis: Any, tie_break_left: Any = True, keep_dims: Any = False) -> Any:
    """Where the smallest along an axis is."""


@in_kernels
def xor_sum(input: Any, axis: Any = None, keep_dims: Any = False) -> Any:
    """Bitwise `xor` of all elements along an axis."""


@in_kernels
def reduce_or(input: Any, axis: Any = None, keep_dims: Any = False) -> Any:
    """Bitwise `or` of all elements along an axis."""


@in_kernels
def reduce(input: Any, axis: Any, combine_fn: Any, keep_dims: Any = False, reduction_ordering: Any = None) -> Any:
    """Folds an axis with a function of two values, or of two tuples."""


@in_kernels
def cumsum(input: Any, axis: Any = 0, reverse: Any = False, dtype: Any = None) -> Any:
    """Running sums along an axis."""


@in_kernels
def cumprod(input: Any, axis: Any = 0, reverse: Any = False) -> Any:
    """Running products along an axis."""


@in_kernels
def associative_scan(input: Any, axis: Any, combine_fn: Any, reverse: Any = False) -> Any:
    """Running folds along an axis with a function of two values, or of two tuples."""


@in_kernels
def sort(x: Any, dim: Any = None, descending: Any = False) -> Any:
    """The elements of the last axis in order."""


@in_kernels
def topk(x: Any, k: Any, dim: Any = None) -> Any:
    """The `k` largest elements of the last axis, in falling order."""


@in_kernels
def bitonic_merge(x: Any, dim: Any = None, descending: Any = False) -> Any:
    """Sorts an axis whose halves are sorted in opposite directions."""


@in_kernels
def histogram(input: Any, num_bins: Any, mask: Any = None) -> Any:
    """How often each of `0..num_bins` occurs."""


__all__ = [
    "argmax",
    "argmin",
    "associative_scan",
    "bitonic_merge",
    "cumprod",
    "cumsum",
    "histogram",
    "max",
    "min",
    "reduce",
    "reduce_or",
    "sort",
    "sum",
    "topk",
    "xor_sum",
]
