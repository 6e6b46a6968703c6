"""`import triton`, answered by girih."""

from __future__ import annotations

import importlib
import sys
import types

from girih._errors import Error

# Triton's module names, and ours.
_MODULES = {
    "triton": "girih.triton",
    "triton.language": "girih.triton.language",
    "triton.language.core": "girih.triton.language",
    "triton.language.standard": "girih.triton.language",
    "triton.language.semantic": "girih.triton.language",
    "triton.language.random": "girih.triton.language._random",
    "triton.language.math": "girih.triton.language.math",
    "triton.language.extra": "girih.triton.language.extra",
    "triton.language.extra.libdevice": "girih.triton.language.extra.libdevice",
    "triton.language.extra.cuda": "girih.triton.language.extra.cuda",
    "triton.language.extra.cuda.libdevice": "girih.triton.language.extra.libdevice",
    "triton.runtime": "girih.triton.runtime",
    "triton.runtime.jit": "girih.triton.runtime",
    "triton.runtime.autotuner": "girih.triton.runtime",
    "triton.runtime.driver": "girih.triton.runtime",
    "triton.runtime.errors": "girih.triton.runtime",
    "triton.testing": "girih.triton.testing",
    "triton.tools": "girih.triton.tools",
    "triton.tools.tensor_descriptor": "girih.triton.tools.tensor_descriptor",
}


def install() -> None:
    """Makes `import triton` mean `girih.triton`, so that files written for Triton run as they are.

    Call it before anything imports `triton`. A Triton that is already imported is left alone, and that is an error.
    """
    there = sys.modules.get("triton")
    if there is not None and there.__name__ != "girih.triton":
        raise Error(
            "Y014",
            "another `triton` is imported already",
            notes=[f"it is {getattr(there, '__file__', None) or 'a module without a file'}"],
            help="call girih.triton.install() before anything imports triton",
        )
    for name, own in _MODULES.items():
        sys.modules[name] = importlib.import_module(own)


def uninstall() -> None:
    """Undoes `install`: the next `import triton` finds what is installed."""
    for name, own in _MODULES.items():
        found = sys.modules.get(name)
        if isinstance(found, types.ModuleType) and found.__name__ == own:
            del sys.modules[name]
