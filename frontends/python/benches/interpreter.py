"""How much faster kernels are than the same programs run element by element in Python.

`python benches/interpreter.py [--device cpu]` prints milliseconds of both and their ratio; the results are compared first. The Python
side does what a program of the kernel does for each element, with lists of floats and no library.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np

import girih
import girih.triton as triton
import girih.triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=at < n) + tl.load(y_ptr + at, mask=at < n), mask=at < n)


def add_interpreted(x, y, out, n, BLOCK):
    for pid in range(-(-n // BLOCK)):
        for lane in range(BLOCK):
            at = pid * BLOCK + lane
            if at < n:
                out[at] = x[at] + y[at]


@triton.jit
def softmax(x_ptr, out_ptr, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=-float("inf"))
    e = tl.exp(x - tl.max(x, 0))
    tl.store(out_ptr + row * columns + at, e / tl.sum(e, 0), mask=at < columns)


def softmax_interpreted(x, out, rows, columns):
    for row in range(rows):
        start, top, total = row * columns, -math.inf, 0.0
        for at in range(columns):
            top = max(top, x[start + at])
        for at in range(columns):
            out[start + at] = math.exp(x[start + at] - top)
            total += out[start + at]
        for at in range(columns):
            out[start + at] /= total


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    j = tl.program_id(1) * B + tl.arange(0, B)
    total = tl.zeros((B, B), tl.float32)
    for start in range(0, n, B):
        k = start + tl.arange(0, B)
        a = tl.load(a_ptr + i[:, None] * n + k[None, :], mask=(i[:, None] < n) & (k[None, :] < n), other=0.0)
        b = tl.load(b_ptr + k[:, None] * n + j[None, :], mask=(k[:, None] < n) & (j[None, :] < n), other=0.0)
        total = tl.dot(a, b, total)
    tl.store(c_ptr + i[:, None] * n + j[None, :], total, mask=(i[:, None] < n) & (j[None, :] < n))


def matmul_interpreted(a, b, c, n):
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += a[i * n + k] * b[k * n + j]
            c[i * n + j] = total


def least(run: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the fastest of some calls."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        girih.synchronize()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    with girih.device(parser.parse_args().device) as device:
        print(f"{'kernel':16} {'kernel ms':>10} {'Python ms':>10} {'ratio':>8}  {device}")
        rng = np.random.default_rng(1)
        for name, shape in [("add_262144", (262144,)), ("softmax_256x1024", (256, 1024)), ("matmul_128", (128, 128))]:
            x, y = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
            lists = x.reshape(-1).tolist(), y.reshape(-1).tolist(), [0.0] * x.size
            on_device = girih.array(x), girih.array(y), girih.zeros(shape)
            kernel: Callable[[], object]
            interpreted: Callable[[], object]
            match name.split("_")[0]:
                case "add":
                    kernel = lambda: add[(triton.cdiv(x.size, 1024),)](*on_device, x.size, BLOCK=1024)
                    interpreted = lambda: add_interpreted(*lists, x.size, 1024)
                case "softmax":
                    kernel = lambda: softmax[(shape[0],)](on_device[0], on_device[2], shape[1], BLOCK=1024)
                    interpreted = lambda: softmax_interpreted(lists[0], lists[2], *shape)
                case _:
                    kernel = lambda: matmul[(2, 2)](*on_device, shape[0], B=64)
                    interpreted = lambda: matmul_interpreted(*lists, shape[0])
            kernel()
            slow = least(interpreted, 1)
            np.testing.assert_allclose(on_device[2].numpy().reshape(-1), lists[2], rtol=1e-4, atol=1e-5)
            fast = least(kernel, 20)
            print(f"{name:16} {fast:10.3f} {slow:10.1f} {slow / fast:8.0f}")


if __name__ == "__main__":
    main()
