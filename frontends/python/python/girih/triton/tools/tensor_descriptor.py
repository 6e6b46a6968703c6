"""Descriptors made on the host."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class TensorDescriptor:
    """A tensor in memory, by base, shape, strides and the shape of the blocks that kernels read.

    Kernels do not take descriptors that were made on the host: they make them with `tl.make_tensor_descriptor`.
    """

    base: Any
    shape: list[int]
    strides: list[int]
    block_shape: list[int]
    padding: str = "zero"

    @staticmethod
    def from_tensor(tensor: Any, block_shape: list[int], padding: str = "zero") -> TensorDescriptor:
        """The description of a whole tensor."""
        return TensorDescriptor(tensor, list(tensor.shape), list(tensor.stride()), block_shape, padding)
