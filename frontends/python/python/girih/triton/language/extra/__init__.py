"""Libraries of functions: only `libdevice`."""

from girih.triton.language.extra import libdevice

__all__ = ["libdevice"]
