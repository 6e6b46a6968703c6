"""Descriptors made on the host."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class TensorDescriptor:
    """A tensor in memory, by base, shape, strides in elements (the last is 1), and the shape of the blocks that kernels read.

    Elements outside the tensor read as 0, or with `padding="nan"` as NaN; they are never written.
    """

    base: Any
    shape: list[int]
    strides: list[int]
    block_shape: list[int]
    padding: str = "zero"

    @staticmethod
    def from_tensor(tensor: Any, block_shape: list[int], padding: str = "zero") -> TensorDescriptor:
        """The description of a whole tensor."""
        return TensorDescriptor(tensor, list(tensor.shape), _strides(tensor), block_shape, padding)


def _strides(tensor: Any) -> list[int]:
    """Strides in elements, of what has shape and strides like torch's or NumPy's, else row by row."""
    if callable(getattr(tensor, "stride", None)):
        return list(tensor.stride())
    if hasattr(tensor, "strides") and hasattr(tensor, "itemsize"):
        return [step // tensor.itemsize for step in tensor.strides]
    rows = [1]
    for extent in reversed(tensor.shape[1:]):
        rows.insert(0, rows[0] * extent)
    return rows
