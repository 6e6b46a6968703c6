"""`libdevice` under the name of one vendor."""

from girih.triton.language.extra import libdevice

__all__ = ["libdevice"]
