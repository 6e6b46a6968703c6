"""Triton's `tools`: tensor descriptors."""

from girih.triton.tools import tensor_descriptor

__all__ = ["tensor_descriptor"]
