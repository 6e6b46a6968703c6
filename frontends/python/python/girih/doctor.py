"""`python -m girih.doctor`: what is installed here, and whether it computes right.

Runs a graph and a Triton kernel on every device and compares them with NumPy. The exit code is 0 if all agree, else 1.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable

import numpy as np

import girih
import girih.triton as triton
import girih.triton.language as tl
from girih import _girih

_SOFTMAX = """graph "softmax" {
  %0 = input : f32[33, 70] as "x"
  %1 = reduce %0 {monoid = max, axes = [1], acc = f32} : f32[33]
  %2 = broadcast %1 {shape = [33, 70], axes = [0]} : f32[33, 70]
  %3 = sub %0, %2 : f32[33, 70]
  %4 = exp %3 : f32[33, 70]
  %5 = reduce %4 {monoid = sum, axes = [1], acc = f32} : f32[33]
  %6 = broadcast %5 {shape = [33, 70], axes = [0]} : f32[33, 70]
  %7 = div %4, %6 : f32[33, 70]
  return %7
}
"""


@triton.jit
def scaled_sum(x_ptr, y_ptr, out_ptr, n, factor, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    y = tl.load(y_ptr + at, mask=inside)
    tl.store(out_ptr + at, x * factor + y, mask=inside)


def check_graph(device: str) -> float:
    """The largest error of a softmax over rows."""
    x = np.random.default_rng(0).normal(size=(33, 70)).astype(np.float32)
    e = np.exp(x - x.max(1, keepdims=True))
    found = np.asarray(girih.compile(_SOFTMAX, device=device)(x))
    return float(np.abs(found - e / e.sum(1, keepdims=True)).max())


def check_kernel(device: str) -> float:
    """The largest error of `2.5 * x + y`."""
    x, y = np.random.default_rng(1).normal(size=(2, 1000)).astype(np.float32)
    out = np.zeros_like(x)
    with girih.device(device):
        scaled_sum[(triton.cdiv(x.size, 256),)](x, y, out, x.size, 2.5, BLOCK=256)
    return float(np.abs(out - (2.5 * x + y)).max())


CHECKS: list[tuple[str, Callable[[str], float]]] = [("graph", check_graph), ("kernel", check_kernel)]


def main() -> int:
    """Prints the report; gives the exit code."""
    print(f"girih {girih.__version__}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{platform.system()} {platform.machine()}; {_girih.__file__}")
    print(f"device where none is named: {girih.current_device()}")
    failed = 0
    for device in girih.devices():
        print(f"\n{device}: {device.description}")
        for name, check in CHECKS:
            start = time.perf_counter()
            try:
                error = check(device)
            except girih.Error as why:
                failed += 1
                print(f"  {name:8} failed\n{why}")
                continue
            right = error <= 1e-5
            failed += not right
            took = (time.perf_counter() - start) * 1e3
            print(f"  {name:8} {'ok' if right else 'WRONG'}, largest error {error:.1e}, {took:.0f} ms with compiling")
    if len(girih.devices()) == 1:
        print(
            "\nNo graphics adapter was found. On Linux, the package mesa-vulkan-drivers has a driver for every machine."
        )
    print("\nAll good." if failed == 0 else f"\n{failed} failed.")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
