"""Numbers as arguments: what fits a kernel's types, what does not, and constants that must not be taken for each other."""

import enum
import fractions
import math

import numpy as np
import pytest

import girih
import girih.cuda
import girih.triton as triton
import girih.triton.language as tl

F32 = np.float32


class Mode(enum.IntEnum):
    """An enumeration of integers."""

    SLOW = 1
    FAST = 7


class Name(str, enum.Enum):
    """An enumeration of texts."""

    RELU = "relu"


@triton.jit
def stored(out_ptr, value):
    tl.store(out_ptr, value)


@triton.jit
def constant(out_ptr, value: tl.constexpr):
    tl.store(out_ptr, value)


@triton.jit
def typed(out_ptr, a: tl.int32, b: tl.int64, c: tl.uint32, d: tl.float32, e: tl.float64):
    tl.store(out_ptr, a)
    tl.store(out_ptr + 1, b)
    tl.store(out_ptr + 2, c)
    tl.store(out_ptr + 3, d.to(tl.int64))
    tl.store(out_ptr + 4, e.to(tl.int64))


def run(kernel, value, dtype):
    out = np.full(1, 99, dtype)
    kernel[(1,)](out, value)
    return out[0]


INTEGERS = [0, 1, -1, 2, 15, 16, 2**30, 2**30 + 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 2**63 - 1, -(2**63)]


@pytest.mark.parametrize("value", INTEGERS)
def test_integers_of_every_size(value):
    with girih.device("cpu"):
        assert run(stored, value, np.int64) == run(constant, value, np.int64) == value
        assert run(stored, np.int64(value), np.int64) == value


def test_unsigned_integers():
    with girih.device("cpu"):
        for value in (2**63, 2**64 - 1):
            assert run(stored, value, np.uint64) == run(stored, np.uint64(value), np.uint64) == value
        for value in (2**64, -(2**63) - 1, 10**40, -(10**40)):
            with pytest.raises(girih.Error, match="does not fit") as e:
                run(stored, value, np.int64)
            assert e.value.code == "Y013"
        with pytest.raises(girih.Error):
            run(constant, 10**60, np.int64)


FLOATS = [0.0, -0.0, 1.0, -1.5, 1e-45, 3.4e38, math.inf, -math.inf, math.nan, 2.0**-149, 1 / 3]


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_floats_keep_their_bits(device, value, kind):
    for kernel in (stored, constant):
        found, want = run(kernel, kind(value), F32), F32(value)
        assert found.tobytes() == want.tobytes() or (math.isnan(found) and math.isnan(want)) or abs(want) < 1e-37


def test_floats_beyond_f32():
    # As in C, and as Triton passes them.
    with girih.device("cpu"), np.errstate(over="ignore"):
        assert run(stored, 1e300, F32) == np.inf and run(stored, -1e300, F32) == -np.inf
        assert run(stored, np.float64(1e300), np.float64) == np.inf


def test_constants_that_compare_equal(device):
    # One kernel, so that each finds the others compiled.
    for value in (0.0, -0.0, 0, False):
        found = run(constant, value, F32)
        assert math.copysign(1, found) == math.copysign(1, value) and found == 0
    for value in (1, True, 1.0):
        assert run(constant, value, F32) == 1
    before = len(constant._compiled)
    for _ in range(3):
        assert math.isnan(run(constant, float("nan"), F32))
    assert len(constant._compiled) <= before + 1


def test_booleans(device):
    @triton.jit
    def flagged(out_ptr, flag):
        if flag:
            tl.store(out_ptr, 5)
        else:
            tl.store(out_ptr, 6)
        tl.store(out_ptr + 1, flag)

    for flag in (True, False, np.True_, np.False_):
        out = np.zeros(2, np.int32)
        flagged[(1,)](out, flag)
        assert out.tolist() == [6 - bool(flag), int(flag)]


def test_numbers_of_numpy(device):
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float16, np.float32):
        assert run(stored, kind(100), F32) == 100
    assert run(stored, np.array(7, np.int32)[()], F32) == 7


def test_enumerations(device):
    @triton.jit
    def chosen(out_ptr, mode, MODE: tl.constexpr, NAME: tl.constexpr):
        if MODE == 7 and NAME == "relu":
            tl.store(out_ptr, mode)

    out = np.zeros(1, np.int32)
    chosen[(1,)](out, Mode.FAST, Mode.FAST, Name.RELU)
    assert out[0] == 7
    chosen[(1,)](out, Mode.SLOW, Mode.FAST, Name.RELU)
    assert out[0] == 1


def test_types_of_parameters():
    with girih.device("cpu"):
        out = np.zeros(5, np.int64)
        typed[(1,)](out, 1, 2, 3, 4, 5)
        assert out.tolist() == [1, 2, 3, 4, 5]
        typed[(1,)](out, -(2**31), -(2**63), 2**32 - 1, 4.9, 1e15)
        assert out.tolist() == [-(2**31), -(2**63), 2**32 - 1, 4, 10**15]
        typed[(1,)](out, True, False, True, True, False)
        assert out.tolist() == [1, 0, 1, 1, 0]
        good = [1, 2, 3, 4, 5]
        for at, wrong in [(0, 2**31), (0, -(2**31) - 1), (2, -1), (2, 2**32), (1, 2**63), (0, 1.5), (1, np.float32(2))]:
            given = list(good)
            given[at] = wrong
            with pytest.raises(girih.Error, match="abc"[at]) as e:
                typed[(1,)](out, *given)
            assert e.value.code in ("Y013", "K012"), e.value


@pytest.mark.parametrize(
    "value",
    [
        1j,
        np.complex64(1),
        np.datetime64(5, "ns"),
        np.timedelta64(5),
        fractions.Fraction(1, 2),
        object(),
        {},
        {1},
        b"xy",
        range(3),
        ...,
    ],
)
def test_what_is_no_number(value):
    with girih.device("cpu"):
        for kernel in (stored, constant):
            with pytest.raises(girih.Error) as e:
                run(kernel, value, F32)
            assert e.value.code == "Y013", e.value


def test_texts_that_are_none():
    with girih.device("cpu"), pytest.raises(girih.Error) as e:
        run(constant, "a\ud800", F32)
    assert e.value.code == "Y013"


def test_none_where_a_number_belongs():
    with girih.device("cpu"), pytest.raises(girih.Error) as e:
        run(stored, None, F32)
    assert e.value.code.startswith("K") and e.value.labels[0][0] == __file__


GRIDS = [1.0, (1.5,), ("1",), (np.float32(2),), (1 << 40,), (-1,), (1, 2, 3, 4), (), None, [None]]


@pytest.mark.parametrize("grid", GRIDS, ids=map(str, GRIDS))
def test_what_is_no_grid(grid):
    module = girih.cuda.load("__global__ void k(float* x) {\n    x[0] = 1;\n}\n")
    out = np.zeros(1, F32)
    with girih.device("cpu"):
        with pytest.raises(girih.Error) as e:
            stored[grid](out, 2.0)
        assert e.value.code == "Y013"
        for shape in ((grid, 1), (1, grid)):
            with pytest.raises(girih.Error) as e:
                module["k"][shape](out)
            assert e.value.code == "Y013", e.value
        for shared in (-1, 1.5, 1 << 40, "x"):
            with pytest.raises(girih.Error) as e:
                module["k"][1, 1, shared](out)
            assert e.value.code == "Y013", e.value


CUDA = """
struct Pair { int a; float b; };
struct Far { float* p; int n; };
__global__ void numbers(double* out, bool t, signed char c, unsigned char uc, short s, unsigned short us, int i, unsigned u,
                        long long l, unsigned long long ul, float f, double d) {
    out[0] = t; out[1] = c; out[2] = uc; out[3] = s; out[4] = us; out[5] = i; out[6] = u; out[7] = (double)l;
    out[8] = (double)ul; out[9] = f; out[10] = d;
}
__global__ void pair(float* out, Pair p) { out[0] = p.a + p.b; }
__global__ void far(float* out, Far f) { out[0] = f.p[0] + f.n; }
"""


def test_numbers_for_cuda():
    kernel = girih.cuda.load(CUDA)["numbers"]
    good = [True, -5, 200, -300, 60000, -(2**31), 2**32 - 1, -(2**62), 2**63, 0.5, 1e300]
    with girih.device("cpu"):
        out = np.zeros(11)
        kernel[1, 1](out, *good)
        assert out.tolist() == [float(x) for x in good]
        kinds = [
            np.bool_,
            np.int8,
            np.uint8,
            np.int16,
            np.uint16,
            np.int32,
            np.uint32,
            np.int64,
            np.uint64,
            F32,
            np.float64,
        ]
        kernel[1, 1](out, *(kind(x) for kind, x in zip(kinds, good)))
        assert out.tolist() == [float(x) for x in good]
        wrong = [
            (1, 128),
            (1, -129),
            (2, -1),
            (2, 256),
            (3, 40000),
            (4, -1),
            (5, 2**31),
            (6, -1),
            (7, 2**63),
            (8, 2**64),
            (5, 1.5),
            (5, np.float32(1)),
            (6, 10**30),
            (9, 1e300),
            (9, 10**400),
            (10, 10**400),
            (5, None),
            (5, "x"),
            (9, 1j),
            (5, np.datetime64(5, "ns")),
            (5, b"\0\0"),
            (10, bytes(4)),
            (5, [1]),
            (5, object()),
        ]
        for at, value in wrong:
            given = list(good)
            given[at] = value
            with pytest.raises(girih.Error) as e:
                kernel[1, 1](out, *given)
            assert e.value.code in ("Y013", "U007", "Y003"), (at, value, e.value)


def test_structs_for_cuda():
    module = girih.cuda.load(CUDA)
    out = np.zeros(1, F32)
    with girih.device("cpu"):
        pair = np.zeros((), np.dtype([("a", np.int32), ("b", F32)]))
        pair["a"], pair["b"] = 3, 0.25
        for value in (pair[()], pair.tobytes()):
            out[:] = 0
            module["pair"][1, 1](out, value)
            assert out[0] == 3.25
        for wrong in (b"", bytes(4), 3, 1.5, None):
            with pytest.raises(girih.Error) as e:
                module["pair"][1, 1](out, wrong)
            assert e.value.code in ("Y013", "U007"), e.value
        with pytest.raises(girih.Error, match="pointer inside a struct"):
            module["far"][1, 1](out, bytes(16))
