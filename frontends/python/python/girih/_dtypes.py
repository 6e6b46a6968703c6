"""Dtypes: Girih's names, and what NumPy, ml_dtypes, torch and Triton call them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from girih import _girih
from girih._errors import Error

# Names that others use. ml_dtypes spells the small floats as torch does, but for the last one.
_NUMPY = {
    "bool": "bool",
    "i8": "int8",
    "u8": "uint8",
    "i16": "int16",
    "u16": "uint16",
    "i32": "int32",
    "u32": "uint32",
    "i64": "int64",
    "u64": "uint64",
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
}
_ML_DTYPES = {
    "bf16": "bfloat16",
    "f8e4m3fn": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2",
    "f8e8m0": "float8_e8m0fnu",
}
_ALIASES = {name: own for own, name in (_NUMPY | _ML_DTYPES).items()} | {
    "bool_": "bool",
    "half": "f16",
    "float": "f32",
    "double": "f64",
    "int1": "bool",
    "fp16": "f16",
    "fp32": "f32",
    "fp64": "f64",
    "float8e4nv": "f8e4m3fn",
    "float8e5": "f8e5m2",
}


class DType(str):
    """The name of an element type, as in Girih's text forms: `f32`, `bf16`, `i64`.

    Attributes:
        bits: size of an element.
        kind: `bool`, `signed`, `unsigned` or `float`.
    """

    bits: int
    kind: str

    @property
    def itemsize(self) -> int:
        """Size of an element in bytes, rounded up."""
        return -(-self.bits // 8)

    @property
    def numpy(self) -> np.dtype | None:
        """NumPy's dtype, or that of ml_dtypes if it is installed; None where there is none."""
        if self in _NUMPY:
            return np.dtype(_NUMPY[self])
        if self in _ML_DTYPES:
            try:
                import ml_dtypes  # type: ignore[import-not-found,unused-ignore]
            except ImportError:
                return None
            found = getattr(ml_dtypes, _ML_DTYPES[self], None)
            return None if found is None else np.dtype(found)
        return None

    def __getnewargs__(self):
        return (str(self),)


def _table() -> dict[str, DType]:
    rows = {}
    for name, bits, kind in _girih.dtypes():
        row = DType(name)
        row.bits, row.kind = bits, kind
        rows[name] = row
    return rows


DTYPES = _table()


_OF_NUMPY: dict[np.dtype, DType] = {}


def dtype_of(what: Any) -> DType:
    """The dtype that a name, a NumPy dtype, a torch dtype or `tl.float32` means."""
    if isinstance(what, DType):
        return what
    if isinstance(what, np.dtype):
        # Asked at each launch, and NumPy makes names anew each time.
        known = _OF_NUMPY.get(what)
        if known is not None:
            return known
    name = getattr(what, "girih_name", None) or getattr(what, "name", None)
    if not isinstance(name, str):
        name = what.__name__ if isinstance(what, type) else str(what)
    name = name.removeprefix("torch.").removeprefix("numpy.")
    found = DTYPES.get(_ALIASES.get(name, name))
    if found is None and not isinstance(what, str):
        try:
            found = DTYPES.get(_ALIASES.get(np.dtype(what).name, ""))
        except TypeError:
            pass
    if found is not None and isinstance(what, np.dtype):
        _OF_NUMPY[what] = found
    if found is None:
        raise Error("Y003", f"there is no dtype `{name}`", help=f"known: {', '.join(DTYPES)}")
    return found


def is_torch_tensor(x: Any) -> bool:
    """Whether it is a torch tensor; torch is not imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, getattr(torch, "Tensor", ()))
