"""Arrays: what goes to a device comes back."""

import pickle

import numpy as np
import pytest

import girih

DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 0, 4), (2, 3, 4, 5)])
def test_what_goes_there_comes_back(device, dtype, shape):
    x = (np.random.default_rng(1).normal(size=shape) * 100).astype(dtype)
    a = girih.array(x)
    assert (a.shape, a.device, a.dtype.numpy, a.size, a.nbytes) == (shape, device, x.dtype, x.size, x.nbytes)
    np.testing.assert_array_equal(a.numpy(), x)
    np.testing.assert_array_equal(np.asarray(a), x)


def test_views_become_dense(device):
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    for view in (x.T, x[::2, 1:4], x[::-1], x[:, :0], np.asfortranarray(x)):
        np.testing.assert_array_equal(girih.array(view).numpy(), view)


def test_results_are_writable_copies(device):
    x = np.zeros(3, np.float32)
    a = girih.array(x)
    x[:] = 7
    got = a.numpy()
    got[:] = 9
    np.testing.assert_array_equal(a.numpy(), 0)


def test_numbers_in_lists(device):
    assert girih.array([1.5, 2.5]).dtype == "f32"
    assert girih.array([[1, 2], [3, 4]]).dtype == "i32"
    assert girih.array([1 << 40]).dtype == "i64"
    assert girih.array(3).item() == 3
    assert girih.array([True]).dtype == "bool"
    with pytest.raises(girih.Error, match="not numbers"):
        girih.array([object()])


def test_integers_at_the_ends():
    with girih.device("cpu"):
        for x in (-(2**63), 2**63 - 1, 2**31, -(2**31) - 1, -(2**31), 2**31 - 1, 2**63):
            a = girih.array([x, 0])
            assert a.tolist() == [x, 0]
            assert a.dtype == ("i32" if -(2**31) <= x < 2**31 else "u64" if x == 2**63 else "i64")


def test_truth_and_odd_numbers_of_small_elements():
    with girih.device("cpu"):
        assert girih.array([1.5]) and not girih.array([0.0]) and not girih.array(0)
        with pytest.raises(ValueError, match="ambiguous"):
            bool(girih.zeros(2))
        a = girih.array([1.0, 2.0, -3.0], "f4e2m1")
        assert a.nbytes == 2 and a.numpy("f32").tolist() == [1, 2, -3]


@pytest.mark.parametrize("dtype, worst", [("bf16", 2**-8), ("f16", 2**-11), ("float8e4nv", 2**-4), ("f8e5m2", 2**-3)])
def test_small_floats(device, dtype, worst):
    x = np.random.default_rng(2).normal(size=1000).astype(np.float32)
    a = girih.array(x, dtype)
    assert a.nbytes == 1000 * a.dtype.itemsize
    back = a.numpy("float32")
    # Half a unit in the last place of a normal number; what is below the normal range is off by less than 2^-10.
    assert np.all(np.abs(back - x) <= np.maximum(worst * np.abs(x), 2**-10))
    np.testing.assert_array_equal(girih.array(back, dtype).numpy("float32"), back)


def test_zeros_and_empty(device):
    for make in (girih.zeros, girih.empty):
        a = make((2, 3), "f16")
        assert a.shape == (2, 3) and a.dtype == "f16"
        np.testing.assert_array_equal(a.numpy(), np.zeros((2, 3), np.float16))
    assert girih.zeros(4).shape == girih.zeros(np.int64(4)).shape == girih.zeros([np.int8(4)]).shape == (4,)
    for wrong in (2.5, "4", (1.0,), None):
        with pytest.raises(TypeError):
            girih.zeros(wrong)
    with pytest.raises(girih.Error) as e:
        girih.zeros((-1, 2))
    assert e.value.code == "Y006"


def test_dlpack_in_and_out(device):
    class Foreign:
        """What knows only DLPack."""

        def __init__(self, x):
            self.x = x

        def __dlpack__(self, **options):
            return self.x.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.x.__dlpack_device__()

    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    a = girih.array(Foreign(x))
    np.testing.assert_array_equal(a.numpy(), x)
    np.testing.assert_array_equal(np.from_dlpack(a), x)


def test_reshape_shares_memory(device):
    a = girih.array(np.arange(6, dtype=np.float32))
    b = a.reshape(2, -1)
    assert b.shape == (2, 3) and b.stride() == (3, 1) and b.stride(0) == 3
    b.set(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(a.numpy(), 1)
    with pytest.raises(girih.Error, match="do not reshape"):
        a.reshape(4)


def test_copies_between_devices():
    x = np.arange(5, dtype=np.float32)
    for there in girih.devices():
        a = girih.array(x, device="cpu").to(there)
        assert a.device == there
        np.testing.assert_array_equal(a.to("cpu").numpy(), x)
        assert a.to(there) is a and a.copy() is not a


def test_which_device_is_meant(monkeypatch):
    monkeypatch.setenv("GIRIH_DEVICE", "cpu")
    assert girih.current_device() == "cpu"
    for name in map(str, girih.devices()):
        with girih.device(name):
            assert girih.current_device() == name == girih.zeros(1).device
    assert girih.current_device() == "cpu"
    girih.set_device(girih.devices()[-1])
    try:
        assert girih.current_device() == girih.devices()[-1]
    finally:
        girih.set_device("cpu")


def test_the_list_of_devices():
    listed = girih.devices()
    assert listed[0] == "cpu" and listed[0].kind == "cpu" and "processor" in listed[0].description
    assert all(d.startswith("wgpu:") for d in listed[1:])


@pytest.mark.parametrize(
    "call, code",
    [
        (lambda: girih.array([1], device="tpu"), "Y001"),
        (lambda: girih.array([1], device="wgpu:x"), "Y001"),
        (lambda: girih.array([1], device="wgpu:99"), "W010"),
        (lambda: girih.array([1], dtype="float3"), "Y003"),
        (lambda: girih.array([[1, 2], [3]]), "Y003"),
        (lambda: girih.array([1 << 63, -1]), "Y003"),
        (lambda: girih.zeros((1 << 40, 1 << 40)), "Y006"),
        (lambda: girih.zeros(2, "bf16", "cpu").set(np.zeros((1, 2), np.float32)), "Y006"),
    ],
)
def test_mistakes(call, code):
    with pytest.raises(girih.Error) as e:
        call()
    assert e.value.code == code
    assert str(e.value).startswith(f"error[{code}]: {e.value.message}")
    again = pickle.loads(pickle.dumps(e.value))
    assert (again.code, str(again)) == (code, str(e.value))
