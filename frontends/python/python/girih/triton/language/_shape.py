"""Programs, making tensors, and their shapes."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def program_id(axis: Any) -> Any:
    """The index of this program along an axis of the grid."""


@in_kernels
def num_programs(axis: Any) -> Any:
    """The number of programs along an axis of the grid."""


@in_kernels
def arange(start: Any, end: Any) -> Any:
    """The integers from `start` up to `end`, exclusive; as many as a power of two."""


@in_kernels
def zeros(shape: Any, dtype: Any) -> Any:
    """A tensor of zeros."""


@in_kernels
def zeros_like(input: Any) -> Any:
    """A tensor of zeros with the shape and dtype of another."""


@in_kernels
def full(shape: Any, value: Any, dtype: Any) -> Any:
    """A tensor of one value."""


@in_kernels
def cast(input: Any, dtype: Any, fp_downcast_rounding: Any = None, bitcast: Any = False) -> Any:
    """Elements in another dtype."""


@in_kernels
def to_tensor(x: Any) -> Any:
    """A number as a tensor."""


@in_kernels
def broadcast(input: Any, other: Any) -> Any:
    """Both tensors in their common shape."""


@in_kernels
def broadcast_to(input: Any, *shape: Any) -> Any:
    """The tensor repeated along axes of extent 1."""


@in_kernels
def expand_dims(input: Any, axis: Any) -> Any:
    """The tensor with axes of extent 1 more."""


@in_kernels
def reshape(input: Any, *shape: Any, can_reorder: Any = False) -> Any:
    """The elements in the same order in another shape."""


@in_kernels
def view(input: Any, *shape: Any) -> Any:
    """The elements in another shape."""


@in_kernels
def ravel(x: Any, can_reorder: Any = False) -> Any:
    """The elements along one axis."""


@in_kernels
def trans(input: Any, *dims: Any) -> Any:
    """The last two axes swapped, or the axes in another order."""


@in_kernels
def permute(input: Any, *dims: Any) -> Any:
    """The axes in another order."""


@in_kernels
def cat(input: Any, other: Any, can_reorder: Any = False, dim: Any = 0) -> Any:
    """One tensor after the other."""


@in_kernels
def join(a: Any, b: Any) -> Any:
    """Two tensors along a new last axis."""


@in_kernels
def split(a: Any) -> Any:
    """The two halves of a tensor whose last axis has extent 2."""


@in_kernels
def interleave(a: Any, b: Any) -> Any:
    """The elements of two tensors by turns, along the last axis."""


@in_kernels
def flip(x: Any, dim: Any = None) -> Any:
    """The elements of an axis in reverse order."""


@in_kernels
def gather(src: Any, index: Any, axis: Any) -> Any:
    """The elements of an axis at indices."""


@in_kernels
def slice(start: Any, end: Any = None, step: Any = None) -> Any:
    """A range of an axis."""


@in_kernels
def dot(
    input: Any,
    other: Any,
    acc: Any = None,
    input_precision: Any = None,
    allow_tf32: Any = None,
    max_num_imprecise_acc: Any = None,
    out_dtype: Any = None,
) -> Any:
    """The product of two matrices, or of batches of them; added to `acc`."""


@in_kernels
def dot_scaled(
    lhs: Any,
    lhs_scale: Any,
    lhs_format: Any,
    rhs: Any,
    rhs_scale: Any,
    rhs_format: Any,
    acc: Any = None,
    fast_math: Any = False,
    lhs_k_pack: Any = True,
    rhs_k_pack: Any = True,
    out_dtype: Any = None,
) -> Any:
    """The product of matrices in block-scaled formats."""


__all__ = [
    "arange",
    "broadcast",
    "broadcast_to",
    "cast",
    "cat",
    "dot",
    "dot_scaled",
    "expand_dims",
    "flip",
    "full",
    "gather",
    "interleave",
    "join",
    "num_programs",
    "permute",
    "program_id",
    "ravel",
    "reshape",
    "slice",
    "split",
    "to_tensor",
    "trans",
    "view",
    "zeros",
    "zeros_like",
]
