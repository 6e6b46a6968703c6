"""Names that few kernels use, and those of one vendor, which are refused with advice when a kernel is compiled."""

from __future__ import annotations

from typing import Any

from girih.triton.language._core import in_kernels


@in_kernels
def squeeze(x: Any, dim: int) -> Any:
    """The tensor without an axis of extent 1."""


@in_kernels
def unsqueeze(x: Any, dim: int) -> Any:
    """The tensor with an axis of extent 1 more."""


@in_kernels
def map_elementwise(scalar_fn: Any, *args: Any, pack: Any = 1) -> Any:
    """A function of elements, applied to each."""


@in_kernels
def div_rz(x: Any, y: Any) -> Any:
    """Quotient, rounded towards zero."""


@in_kernels
def popc(x: Any) -> Any:
    """The number of bits that are set."""


@in_kernels
def clz(x: Any) -> Any:
    """The number of zero bits before the first that is set."""


@in_kernels
def atomic_load(pointer: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Reads memory in one step."""


@in_kernels
def atomic_store(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Any:
    """Writes memory in one step."""


@in_kernels
def atomic_poll(pointer: Any, val: Any, sem: Any = None, scope: Any = None) -> Any:
    """Waits for a value in memory."""


@in_kernels
def descriptor_load(desc: Any, offsets: Any) -> Any:
    """A block of a described tensor."""


@in_kernels
def descriptor_store(desc: Any, offsets: Any, value: Any) -> Any:
    """Writes a block of a described tensor."""


@in_kernels
def descriptor_atomic_add(desc: Any, offsets: Any, value: Any) -> Any:
    """Adds to a block of a described tensor."""


@in_kernels
def descriptor_gather(desc: Any, x_offsets: Any, y_offset: Any) -> Any:
    """Rows of a described tensor."""


@in_kernels
def descriptor_scatter(desc: Any, value: Any, x_offsets: Any, y_offset: Any) -> Any:
    """Writes rows of a described tensor."""


@in_kernels
def expect_zero(x: Any) -> Any:
    """A check of the compiler's own tests."""


@in_kernels
def globaltimer() -> Any:
    """A clock of one vendor's chips."""


@in_kernels
def clock() -> Any:
    """A clock of one vendor's chips."""


@in_kernels
def smid() -> Any:
    """The number of a processor of one vendor's chips."""


@in_kernels
def num_threads() -> Any:
    """Threads of a program on one vendor's chips."""


@in_kernels
def num_warps() -> Any:
    """Warps of a program on one vendor's chips."""


@in_kernels
def gdc_wait() -> Any:
    """Waits for the kernel before, on one vendor's chips."""


@in_kernels
def gdc_launch_dependents() -> Any:
    """Starts the kernel after, on one vendor's chips."""


@in_kernels
def experimental_device_tensormap_create1d(*args: Any) -> Any:
    """A descriptor of one vendor's chips."""


@in_kernels
def experimental_device_tensormap_create2d(*args: Any) -> Any:
    """A descriptor of one vendor's chips."""


__all__ = [
    "atomic_load",
    "atomic_poll",
    "atomic_store",
    "clock",
    "clz",
    "descriptor_atomic_add",
    "descriptor_gather",
    "descriptor_load",
    "descriptor_scatter",
    "descriptor_store",
    "div_rz",
    "expect_zero",
    "experimental_device_tensormap_create1d",
    "experimental_device_tensormap_create2d",
    "gdc_launch_dependents",
    "gdc_wait",
    "globaltimer",
    "map_elementwise",
    "num_threads",
    "num_warps",
    "popc",
    "smid",
    "squeeze",
    "unsqueeze",
]
