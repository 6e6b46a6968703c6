"""Arguments beyond arrays and numbers: functions, tuples, descriptors made on the host."""

import numpy as np
import pytest

import girih
import girih.triton as triton
import girih.triton.language as tl
from girih.triton.tools.tensor_descriptor import TensorDescriptor

F32 = np.float32


@triton.jit
def twice(x):
    return x * 2


@triton.jit
def relu(x):
    return tl.maximum(x, 0.0)


@triton.jit
def composed(x_ptr, y_ptr, n, F: tl.constexpr, G: tl.constexpr, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(y_ptr + at, G(F(tl.load(x_ptr + at, mask=at < n))), mask=at < n)


@triton.jit
def weighted(xs, weights, y_ptr, n, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    total = tl.zeros((B,), tl.float32)
    for i in tl.static_range(len(xs)):
        total += tl.load(xs[i] + at, mask=at < n) * weights[i]
    tl.store(y_ptr + at, total, mask=at < n)


@triton.jit
def doubled(source, target, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    i, j = tl.program_id(0) * ROWS, tl.program_id(1) * COLUMNS
    target.store([i, j], source.load([i, j]) * 2)


def test_functions(device):
    x = np.linspace(-3, 3, 100, dtype=F32)
    y = np.zeros_like(x)
    for f, g, want in [(twice, relu, np.maximum(2 * x, 0)), (relu, twice, 2 * np.maximum(x, 0)), (twice, twice, 4 * x)]:
        composed[(4,)](x, y, 100, F=f, G=g, B=32)
        np.testing.assert_array_equal(y, want)
    # Two functions of one name are two functions.

    def local(factor):
        @triton.jit
        def scaled(x):
            return x * factor

        return scaled

    composed[(4,)](x, y, 100, F=local(3), G=local(5), B=32)
    np.testing.assert_allclose(y, 15 * x, rtol=1e-6)


def test_what_is_no_function_of_the_language():
    x = np.zeros(32, F32)
    with pytest.raises(girih.Error, match="builtin_function"):
        composed[(1,)](x, x, 32, F=print, G=relu, B=32)


def test_tuples(device):
    a, b, c = (np.random.default_rng(i).standard_normal(100).astype(F32) for i in range(3))
    y = np.zeros_like(a)
    weighted[(4,)]((a, b, c), (1, 2.5, 16), y, 100, B=32)
    np.testing.assert_allclose(y, a + 2.5 * b + 16 * c, rtol=1e-5, atol=1e-5)
    # Once and again the same array.
    weighted[(4,)]((a, a), (1, 2), y, 100, B=32)
    np.testing.assert_allclose(y, 3 * a, rtol=1e-6)
    weighted[(4,)]((girih.array(a),), (2,), y, 100, B=32)
    np.testing.assert_array_equal(y, 2 * a)


def test_host_descriptors(device):
    x = np.random.default_rng(4).standard_normal((20, 30)).astype(F32)
    y = np.zeros_like(x)
    doubled[(3, 4)](TensorDescriptor.from_tensor(x, [8, 8]), TensorDescriptor(y, [20, 30], [30, 1], [8, 8]), 8, 8)
    np.testing.assert_array_equal(y, 2 * x)
    # Part of an array; what is outside stays.
    y[:] = 7
    part = TensorDescriptor.from_tensor(x[:10, :12], [8, 8])
    assert part.strides == [30, 1]
    doubled[(2, 2)](part, TensorDescriptor(y, [10, 12], [30, 1], [8, 8]), 8, 8)
    np.testing.assert_array_equal(y[:10, :12], 2 * x[:10, :12])
    assert (y[10:] == 7).all() and (y[:, 12:] == 7).all()


@triton.jit
def padded(source, out_ptr):
    block = source.load([0])
    tl.store(out_ptr + tl.arange(0, 8), tl.where(block == block, 0, 1))


def test_descriptors_pad(device):
    x, out = np.ones(5, F32), np.zeros(8, np.int32)
    for padding, want in [("zero", 0), ("nan", 3)]:
        padded[(1,)](TensorDescriptor.from_tensor(x, [8], padding), out)
        assert out.sum() == want
    with pytest.raises(girih.Error, match="strides"):
        padded[(1,)](TensorDescriptor(x, [5], [2], [8]), out)
