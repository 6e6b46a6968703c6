"""Host memory of whatever users pass: NumPy arrays, torch CPU tensors, anything with DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from girih._dtypes import DType, dtype_of, is_torch_tensor
from girih._errors import Error


def host_view(x: Any) -> tuple[np.ndarray, DType] | None:
    """The elements of a host array without a copy, and their dtype; None for what is no array.

    Elements without a NumPy dtype (bf16 and fp8 of torch) come as unsigned integers of the same size.
    """
    if isinstance(x, np.ndarray):
        if isinstance(x, np.ma.MaskedArray):
            raise Error(
                "Y005",
                "a masked array",
                notes=["kernels see its elements, not which of them are masked"],
                help="give `x.filled(...)`, or `x.data` and `x.mask` as two arrays",
            )
        if not x.dtype.isnative:
            raise Error(
                "Y005",
                f"an array of dtype `{x.dtype.str}`, whose bytes are in the other order than this machine's",
                help="give a copy: `x.astype(x.dtype.newbyteorder('='))`",
            )
        return x, dtype_of(x.dtype)
    if is_torch_tensor(x):
        return _torch_view(x)
    if hasattr(x, "__dlpack__"):
        try:
            view = np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError, ValueError) as why:
            raise Error(
                "Y005",
                f"the memory of a {type(x).__module__}.{type(x).__name__} cannot be read here",
                notes=[str(why)],
                help="give it in host memory, as a NumPy array",
            ) from why
        return view, dtype_of(view.dtype)
    return None


def _torch_view(x: Any) -> tuple[np.ndarray, DType]:
    if x.device.type != "cpu":
        raise Error(
            "Y005",
            f"a torch tensor on `{x.device}`",
            notes=["Girih reads host memory; it shares none with torch's GPU back ends"],
            help="make the tensor on torch's cpu device; the kernel still runs on the device of girih",
        )
    dtype = dtype_of(x.dtype)
    x = x.detach()
    try:
        if dtype in _TORCH_HAS:
            return x.numpy(), dtype
        import torch  # type: ignore[import-not-found,unused-ignore]

        same_size = {1: torch.uint8, 2: torch.int16}[dtype.itemsize]
        return x.view(same_size).numpy().view(f"u{dtype.itemsize}"), dtype
    except (RuntimeError, TypeError) as why:
        # Sparse and quantised tensors, tensors with a pending negation.
        raise Error("Y005", "a torch tensor whose elements do not lie in memory", notes=[str(why)]) from why


# Dtypes that torch and NumPy both have.
_TORCH_HAS = {"bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f16", "f32", "f64"}


def raw(x: np.ndarray) -> np.ndarray:
    """The bytes of an array in row-major order, flat; a copy only if they do not lie so."""
    flat = np.ascontiguousarray(x).reshape(-1)
    return flat.view(np.uint8)
