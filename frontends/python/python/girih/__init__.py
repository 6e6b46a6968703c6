"""Girih: readable kernels for any GPU, and for the CPU where there is none.

>>> import numpy as np, girih
>>> x = girih.array(np.arange(4, dtype=np.float32), device="cpu")
>>> double = girih.compile('''graph "double" {
...   %0 = input : f32[4] as "x"
...   %1 = add %0, %0 : f32[4]
...   return %1
... }''', device="cpu")
>>> double(x).numpy()
array([0., 2., 4., 6.], dtype=float32)

What there is:

* `girih.triton`: kernels in Triton's language, on NumPy arrays, torch CPU tensors and arrays of any device;
* `compile`: graphs in text form;
* `GGUF`: language models;
* `devices`, `set_device`, `device`: where to run;
* `array`, `zeros`, `empty`, `Array`: data that stays on a device.

Mistakes are `girih.Error`: with a code, a sentence, where, why, and what to do. `python -m girih.doctor` checks an installation.
"""

from girih import _girih
from girih._array import Array, array, empty, zeros
from girih._devices import Device, current_device, device, devices, set_device, synchronize
from girih._dtypes import DType
from girih._errors import Error
from girih._gguf import GGUF, Answer
from girih._graph import Function, compile

__version__ = _girih.VERSION

__all__ = [
    "GGUF",
    "Answer",
    "Array",
    "DType",
    "Device",
    "Error",
    "Function",
    "array",
    "compile",
    "current_device",
    "device",
    "devices",
    "empty",
    "set_device",
    "synchronize",
    "zeros",
]
