"""What Triton's `runtime` tells of the machine, for code that asks."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from girih._devices import current_device
from girih.triton._jit import CompiledKernel, JITFunction, KernelParam
from girih.triton._tune import Autotuner, Config, Heuristics


class GPUTarget(NamedTuple):
    """What kernels are compiled for."""

    backend: str
    arch: Any
    warp_size: int


class _Utils:
    @staticmethod
    def get_device_properties(device: Any = None) -> dict[str, int]:
        """Numbers that launchers size grids by: one program per processor is a good start."""
        return {
            "multiprocessor_count": os.cpu_count() or 1,
            "max_shared_mem": 16384,
            "max_num_regs": 65536,
            "warpSize": 32,
            "sm_clock_rate": 0,
            "mem_clock_rate": 0,
            "mem_bus_width": 0,
        }


class _Driver:
    """The device in use, as Triton's drivers describe theirs."""

    utils = _Utils()

    def get_current_target(self) -> GPUTarget:
        """`cpu` or `wgpu`."""
        return GPUTarget(current_device().split(":")[0], "", 32)

    def get_active_torch_device(self) -> Any:
        """torch's CPU device: tensors live in host memory, and kernels run on girih's device."""
        import torch  # type: ignore[import-not-found,unused-ignore]

        return torch.device("cpu")

    def get_current_device(self) -> int:
        """The number of the device."""
        name, _, number = current_device().partition(":")
        return int(number or 0)

    def get_current_stream(self, device: Any = None) -> int:
        """There is one queue."""
        return 0

    def get_device_interface(self) -> Any:
        """torch's module for the CPU."""
        import torch  # type: ignore[import-not-found,unused-ignore]

        return torch.cpu

    def is_active(self) -> bool:
        """Always."""
        return True


class _Drivers:
    def __init__(self) -> None:
        self.active = _Driver()

    def set_active(self, driver: Any) -> None:
        """Kept for callers; girih chooses by `girih.set_device`."""

    def reset_active(self) -> None:
        """Kept for callers."""


driver = _Drivers()


class OutOfResources(Exception):
    """What Triton raises when a block exceeds the chip; girih raises `girih.Error`."""


InterpreterError = OutOfResources

__all__ = [
    "Autotuner",
    "CompiledKernel",
    "Config",
    "GPUTarget",
    "Heuristics",
    "JITFunction",
    "KernelParam",
    "OutOfResources",
    "driver",
]
