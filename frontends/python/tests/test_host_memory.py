"""Arrays of the host as arguments: views, overlaps, odd layouts, and what no kernel can have."""

import numpy as np
import pytest

import girih
import girih.cuda
import girih.triton as triton
import girih.triton.language as tl
from girih.triton.tools.tensor_descriptor import TensorDescriptor

F32 = np.float32

CUDA = """
__global__ void shift(float* out, const float* in, int n) {
    for (int i = 0; i < n; i++) out[i] = in[i] + 1.0f;
}
__global__ void copy(float* out, const float* in, int stride, int n) {
    int i = threadIdx.x;
    if (i < n) out[i * stride] = in[i * stride] * 2.0f;
}
__global__ void bits(unsigned* out, const float* in, int n) {
    int i = threadIdx.x;
    if (i < n) out[i] = __float_as_uint(in[i]) + 1u;
}
__global__ void bytes(unsigned char* out, const float* in, int n) {
    int i = threadIdx.x;
    float v = in[i];
    __syncthreads();
    if (i < n) out[4 * i] = (unsigned char)(int)v;
}
"""


@pytest.fixture(scope="module")
def cuda():
    return girih.cuda.load(CUDA)


@triton.jit
def shift(out_ptr, in_ptr, n):
    for i in range(n):
        tl.store(out_ptr + i, tl.load(in_ptr + i) + 1)


@triton.jit
def copy(out_ptr, in_ptr, stride, n, B: tl.constexpr):
    at = tl.arange(0, B)
    x = tl.load(in_ptr + at * stride, mask=at < n)
    tl.store(out_ptr + at * stride, x * 2, mask=at < n)


@triton.jit
def bits(out_ptr, in_ptr, n, B: tl.constexpr):
    at = tl.arange(0, B)
    x = tl.load(in_ptr + at, mask=at < n)
    tl.store(out_ptr + at, x.to(tl.int32, bitcast=True) + 1, mask=at < n)


@triton.jit
def narrowed(out_ptr, in_ptr, n, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(out_ptr + at, tl.load(in_ptr + at, mask=at < n).to(tl.float16), mask=at < n)


# Each way to launch `out[i] = in[i] + 1`, one element after the other.
WAYS = {
    "triton": lambda cuda, out, x, n: shift[(1,)](out, x, n),
    "cuda": lambda cuda, out, x, n: cuda["shift"][1, 1](out, x, n),
    "triton, checked": lambda cuda, out, x, n: shift.check[(1,)](out, x, n),
    "cuda, checked": lambda cuda, out, x, n: cuda["shift"].check[1, 1](out, x, n),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n, ahead", [(20, 1), (20, 3), (7, 16), (40, 4), (5, 0), (20, -1), (20, -16)])
def test_views_of_one_array_that_overlap(device, cuda, way, n, ahead):
    base = np.arange(100, dtype=F32) * 10
    want = base.copy()
    for i in range(n):
        want[20 + ahead + i] = want[20 + i] + 1
    WAYS[way](cuda, base[20 + ahead :][:n], base[20 : 20 + n], n)
    np.testing.assert_array_equal(base, want)


@pytest.mark.parametrize("way", WAYS)
def test_one_view_in_another(device, cuda, way):
    base = np.arange(64, dtype=F32)
    want = base.copy()
    for i in range(8):
        want[16 + i] = want[i] + 1
    WAYS[way](cuda, base[16:24], base, 8)
    np.testing.assert_array_equal(base, want)
    # The whole written, a part read.
    base = np.arange(64, dtype=F32)
    want = base.copy()
    for i in range(8):
        want[i] = want[16 + i] + 1
    WAYS[way](cuda, base, base[16:24], 8)
    np.testing.assert_array_equal(base, want)


@pytest.mark.parametrize("way", WAYS)
def test_arrays_of_devices_that_are_one(device, cuda, way):
    x = girih.array(np.arange(10, dtype=F32))
    WAYS[way](cuda, x, x, 10)
    checked = "checked" in way
    np.testing.assert_array_equal(x.numpy(), np.arange(10) + (0 if checked else 1))
    WAYS[way](cuda, x.reshape(2, 5), x, 10)
    np.testing.assert_array_equal(x.numpy(), np.arange(10) + (0 if checked else 2))


def test_columns_of_one_table(device, cuda):
    for launch in (
        lambda a, b: copy[(1,)](a, b, 4, 25, B=32),
        lambda a, b: cuda["copy"][1, 32](a, b, 4, 25),
    ):
        table = np.arange(100, dtype=F32).reshape(25, 4)
        want = table.copy()
        want[:, 2] = want[:, 1] * 2
        launch(table[:, 2], table[:, 1])
        np.testing.assert_array_equal(table, want)


def test_a_read_only_view_of_what_is_written(device, cuda):
    for way in ("triton", "cuda"):
        base = np.arange(30, dtype=F32)
        source = base[:10]
        source.flags.writeable = False
        WAYS[way](cuda, base[10:], source, 10)
        np.testing.assert_array_equal(base[10:20], np.arange(10) + 1)
        # Writes go through the array that may be written, and only there.
        WAYS[way](cuda, base[5:15], source, 3)
        np.testing.assert_array_equal(base[5:8], np.arange(3) + 1)
        target = base[:10]
        target.flags.writeable = False
        with pytest.raises(girih.Error, match="read-only") as e:
            WAYS[way](cuda, target, base[5:15], 3)
        assert e.value.code == "Y005"


def test_one_memory_as_two_types(device, cuda):
    base = np.arange(8, dtype=F32)
    want = base.view(np.int32) + 1
    bits[(1,)](base.view(np.int32), base, 8, B=8)
    np.testing.assert_array_equal(base.view(np.int32), want)
    base = np.arange(8, dtype=F32)
    cuda["bits"][1, 32](base.view(np.uint32), base, 8)
    np.testing.assert_array_equal(base.view(np.int32), want)
    # Into the lowest byte of each float, as C does.
    base = np.arange(8, dtype=F32)
    want = base.copy()
    want.view(np.uint8)[::4] = np.arange(8)
    cuda["bytes"][1, 8](base.view(np.uint8), base, 8)
    np.testing.assert_array_equal(base, want)
    # Types of different sizes have no pointer in common in Triton's language here.
    with pytest.raises(girih.Error, match="share elements, and the kernel writes `out_ptr`") as e:
        narrowed[(1,)](base.view(np.float16), base, 8, B=8)
    assert e.value.code == "Y005"
    apart = np.zeros(8, np.dtype([("x", F32), ("h", np.float16), ("rest", np.float16)]))
    apart["x"] = np.arange(8)

    @triton.jit
    def fields(out_ptr, in_ptr, n, B: tl.constexpr):
        at = tl.arange(0, B)
        tl.store(out_ptr + at * 4, tl.load(in_ptr + at * 2, mask=at < n).to(tl.float16), mask=at < n)

    # Their elements are apart.
    fields[(1,)](apart["h"], apart["x"], 8, B=8)
    np.testing.assert_array_equal(apart["h"], np.arange(8))
    np.testing.assert_array_equal(apart["x"], np.arange(8))
    assert (apart["rest"] == 0).all()


def test_descriptors_of_one_array(device):
    @triton.jit
    def moved(target, source, x_ptr):
        block = source.load([0, 0])
        target.store([1, 0], block + tl.load(x_ptr))
        target.store([2, 0], source.load([1, 0]) + tl.load(x_ptr))

    x = np.arange(64, dtype=F32).reshape(8, 8)
    want = x.copy()
    want[1] = want[0] + want[0, 1]
    want[2] = want[1] + want[0, 1]
    moved[(1,)](TensorDescriptor.from_tensor(x, [1, 8]), TensorDescriptor.from_tensor(x, [1, 8]), x[0, 1:])
    np.testing.assert_array_equal(x, want)
    a = girih.array(np.arange(64, dtype=F32).reshape(8, 8))
    moved[(1,)](TensorDescriptor.from_tensor(a, [1, 8]), TensorDescriptor.from_tensor(a, [1, 8]), girih.array([1.0]))
    np.testing.assert_array_equal(a.numpy(), want)


def test_tuples_of_views(device):
    @triton.jit
    def chained(xs, n):
        for i in range(n):
            tl.store(xs[1] + i, tl.load(xs[0] + i) + 1)
            tl.store(xs[2] + i, tl.load(xs[1] + i) + 1)

    base = np.arange(12, dtype=F32)
    want = base.copy()
    for i in range(5):
        want[3 + i] = want[i] + 1
        want[4 + i] = want[3 + i] + 1
    chained[(1,)]((base[:5], base[3:8], base[4:9]), 5)
    np.testing.assert_array_equal(base, want)


@pytest.mark.parametrize("order", ["C", "F"])
def test_layouts(device, cuda, order):
    """Kernels get memory from the first element on, with its gaps, and strides say where elements are."""
    base = np.zeros((6, 10), F32, order=order)
    base[...] = np.arange(60).reshape(6, 10)
    for view in (base[1, ::3], base[1:5, 7], base[::2, 2], base.T[3, 1:4]):
        stride, n = view.strides[0] // 4, len(view)
        for way in ("triton", "cuda"):
            x, others = view.copy(), base.copy()
            if way == "triton":
                copy[(1,)](view, view, stride, n, B=16)
            else:
                cuda["copy"][1, 16](view, view, stride, n)
            np.testing.assert_array_equal(view, x * 2)
            view[...] = x
            np.testing.assert_array_equal(base, others)


def test_no_axes_and_no_elements(device, cuda):
    x, out = np.array(3, F32), np.array(0, F32)
    for way in ("triton", "cuda"):
        out[...] = 0
        WAYS[way](cuda, out, x, 1)
        assert out == 4
        empty = np.zeros(0, F32)
        WAYS[way](cuda, empty, empty, 0)
        WAYS[way](cuda, np.zeros((3, 0), F32), np.zeros((0, 5), F32), 0)


def test_an_empty_view_among_others(device, cuda):
    @triton.jit
    def three(out_ptr, nothing_ptr, in_ptr, n):
        for i in range(n):
            tl.store(out_ptr + i, tl.load(in_ptr + i) + 1)
            tl.store(nothing_ptr + i, 7.0, mask=i < 0)

    base = np.arange(100, dtype=F32)
    want = base.copy()
    for i in range(30):
        want[41 + i] = want[40 + i] + 1
    three[(1,)](base[41:71], base[50:50], base[40:70], 30)
    np.testing.assert_array_equal(base, want)


@pytest.mark.parametrize("seed", range(40))
def test_views_at_random(cuda, seed):
    """Several views of one array in an order and with overlaps of any kind; each is read and written."""

    @triton.jit
    def mixed(ps, n):
        for i in range(n):
            total = 0.0
            for k in tl.static_range(len(ps)):
                total += tl.load(ps[k] + i)
            for k in tl.static_range(len(ps)):
                tl.store(ps[k] + i, total + k)

    dice = np.random.default_rng(seed)
    base = dice.integers(-5, 5, 60).astype(F32)
    n = 4
    starts = [int(s) for s in dice.integers(0, 56, dice.integers(2, 5))]
    want = base.copy()
    for i in range(n):
        total = sum(want[s + i] for s in starts)
        for k, s in enumerate(starts):
            want[s + i] = total + k
    views = tuple(base[s : s + int(dice.integers(n, 60))] for s in starts)
    with girih.device("cpu"):
        mixed[(1,)](views, n)
    np.testing.assert_array_equal(base, want)


def test_repeated_elements(device, cuda):
    x = np.broadcast_to(F32(7), (5,))
    out = np.zeros(5, F32)
    copy[(1,)](out, x[:1], 1, 1, B=8)
    assert out[0] == 14
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(10, dtype=F32), 4)
    for way in ("triton", "cuda"):
        out = np.zeros(10, F32)
        WAYS[way](cuda, out, windows, 10)
        np.testing.assert_array_equal(out, np.arange(10) + 1)
        # All its elements are one, and none may be written.
        with pytest.raises(girih.Error, match="read-only"):
            WAYS[way](cuda, x, out, 1)


REFUSED = [
    ("negative stride", lambda: np.zeros(8, F32)[::-1]),
    ("negative stride", lambda: np.zeros((4, 4), F32)[:, ::-1]),
    ("no multiples of its element size", lambda: np.zeros(8, np.dtype([("a", "u1"), ("b", "<f4")]))["b"]),
    ("the other order", lambda: np.zeros(8, ">f4")),
    ("masked", lambda: np.ma.masked_array(np.zeros(8, F32), mask=[0, 1] * 4)),
    ("no dtype", lambda: np.zeros(8, np.complex64)),
    ("no dtype", lambda: np.zeros(8, object)),
    ("no dtype", lambda: np.zeros(8, "U3")),
    ("no dtype", lambda: np.zeros(8, "datetime64[s]")),
    ("no dtype", lambda: np.zeros(8, np.longdouble)),
    ("no dtype", lambda: np.zeros(8, np.dtype([("a", "<f4")]))),
]


@pytest.mark.parametrize("why, make", REFUSED, ids=range(len(REFUSED)))
def test_what_no_kernel_can_have(why, make, cuda):
    with girih.device("cpu"):
        for way in ("triton", "cuda"):
            for arguments in ((make(), np.zeros(8, F32)), (np.zeros(8, F32), make())):
                with pytest.raises(girih.Error, match=why):
                    WAYS[way](cuda, *arguments, 8)


def test_copies_to_devices_take_any_order():
    x = np.arange(6, dtype=">f4").reshape(2, 3)
    assert girih.array(x).numpy().tolist() == x.tolist()
    assert girih.array(x.T[::-1], "f64").numpy().tolist() == x.T[::-1].tolist()


class Own(np.ndarray):
    """An array of a class of its own."""


def test_subclasses_and_files(device, tmp_path, cuda):
    for way in ("triton", "cuda"):
        x = np.memmap(tmp_path / f"{way[:3]}.bin", F32, "w+", shape=(8,))
        WAYS[way](cuda, x, np.arange(8, dtype=F32), 8)
        x.flush()
        assert np.fromfile(tmp_path / f"{way[:3]}.bin", F32).tolist() == list(range(1, 9))
        m = np.zeros((2, 4), F32).view(Own)
        WAYS[way](cuda, m, np.arange(8, dtype=F32), 8)
        assert m.sum() == 36


class Foreign:
    """What knows only DLPack."""

    def __init__(self, x, old=False):
        self.x, self.old = x, old

    def __dlpack__(self, *, stream=None, **options):
        if self.old and options:
            raise TypeError("unexpected keyword")
        return self.x.__dlpack__(stream=stream, **options)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


def test_dlpack(device, cuda):
    for way in ("triton", "cuda"):
        x, out = np.arange(10, dtype=F32), np.zeros((10, 3), F32)
        WAYS[way](cuda, Foreign(out), Foreign(x), 10)
        np.testing.assert_array_equal(out.reshape(-1)[:10], x + 1)
        # Overlap is seen through it, strides and offsets too.
        base = np.arange(20, dtype=F32)
        want = base.copy()
        for i in range(10):
            want[4 + i] = want[3 + i] + 1
        WAYS[way](cuda, Foreign(base[4:14]), base[3:13], 10)
        np.testing.assert_array_equal(base, want)
        # Memory that its owner does not want to be written is not.
        frozen = np.zeros(10, F32)
        frozen.flags.writeable = False
        with pytest.raises(girih.Error, match="read-only|readonly|cannot be read"):
            WAYS[way](cuda, Foreign(frozen), x, 10)
        assert (frozen == 0).all()
        # The first version of the protocol does not say; NumPy takes such memory as read-only.
        old = Foreign(np.zeros(10, F32), old=True)
        WAYS[way](cuda, out, old, 10)
        with pytest.raises(girih.Error, match="read-only"):
            WAYS[way](cuda, old, x, 10)


def test_what_is_no_memory(cuda):
    x = np.zeros(8, F32)
    for wrong in (memoryview(x), bytearray(32), "x", 3.5, {}, object(), [1.0, 2.0], x.tolist(), None):
        for way in ("triton", "cuda"):
            with pytest.raises(girih.Error) as e:
                WAYS[way](cuda, wrong, x, 8)
            assert e.value.code[0] in "YKU", e.value
