"""CUDA C++ kernels, launched from Python."""

import json

import numpy as np
import pytest

import girih
import girih.cuda

SOURCE = """
#include "scale.h"
#include <cuda_fp16.h>

template <typename T, int N>
__global__ void scale(T* x, T factor, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = times(x[i], factor) * T(N);
}

__constant__ float table[4] = {1, 2, 3, 4};

__global__ void sums(const float* x, float* out, const float* extra, unsigned n) {
    extern __shared__ float part[];
    unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    part[threadIdx.x] = at < n ? x[at] : 0.0f;
    __syncthreads();
    for (unsigned step = blockDim.x / 2; step > 0; step /= 2) {
        if (threadIdx.x < step) part[threadIdx.x] += part[threadIdx.x + step];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = part[0] * table[blockIdx.x % 4] + (extra ? extra[0] : 0.0f);
}
"""

HEADER = """
#pragma once
template <typename T> __device__ T times(T a, T b) { return a * b; }
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuda")
    (folder / "scale.h").write_text(HEADER)
    (folder / "scale.cu").write_text(SOURCE)
    return girih.cuda.load(folder / "scale.cu")


def test_templates_and_numbers(device, module):
    assert set(module) == {"scale", "sums"} and module["scale"].parameters == ["x", "factor", "n"]
    x = np.arange(100, dtype=np.float32)
    module["scale<float, 4>"][1, 128](x, 0.5, 100)
    np.testing.assert_array_equal(x, np.arange(100) * 2)
    n = girih.array(np.arange(100, dtype=np.int32))
    module["scale<int, -1>"][(2,), (64, 1, 1)](n, np.int64(3), 50)
    np.testing.assert_array_equal(n.numpy(), np.where(np.arange(100) < 50, np.arange(100) * -3, np.arange(100)))
    assert n.device == device


def test_shared_memory_null_and_constants(device, module):
    x = np.arange(200, dtype=np.float32)
    out = np.zeros(4, np.float32)
    sums = module["sums"]
    parts = np.pad(x, (0, 56)).reshape(4, 64).sum(1) * [1, 2, 3, 4]
    sums[4, 64, 256](x, out, None, 200)
    np.testing.assert_allclose(out, parts)
    sums[4, 64, 256](x, out, np.full(1, 5, np.float32), 200)
    np.testing.assert_allclose(out, parts + 5)
    # Memory of a `__constant__` variable can be read and written from here.
    kernel = sums.compiled(4, 64, 256, [False, False, True, False])
    table = kernel.symbol("table")
    assert np.frombuffer(table.read(), np.float32)[:4].tolist() == [1, 2, 3, 4] and kernel.symbols == ["table"]
    assert "part" in kernel.text


def test_one_array_for_two_pointers(device):
    module = girih.cuda.load(
        """
        __global__ void shift(const float* x, float* out, int n) {
            int i = threadIdx.x;
            float v = i + 1 < n ? x[i + 1] : 0.0f;
            __syncthreads();
            if (i < n) out[i] = v;
        }
        """
    )
    x = np.arange(32, dtype=np.float32)
    module["shift"][1, 32](x, x, 32)
    np.testing.assert_array_equal(x, [*range(1, 32), 0])


def test_kernels_of_one_name(device):
    source = """
    __global__ void k(float* x) { x[0] = 1.5f; }
    __global__ void k(int* x, int n) { x[0] = n; }
    """
    module = girih.cuda.load(source)
    assert list(module) == ["k(float*)", "k(int*, int)"]
    x, n = np.zeros(1, np.float32), np.zeros(1, np.int32)
    module["k(float*)"][1, 1](x)
    module["k(int *, int)"][1, 1](n, 7)
    assert (x[0], n[0]) == (1.5, 7)
    with pytest.raises(girih.Error, match="there are 2 kernels `k`"):
        module["k"]
    with pytest.raises(girih.Error, match="takes these parameters"):
        module["k(double*)"]


def test_mistakes(device, module, tmp_path):
    x = np.zeros(4, np.float32)
    launch = module["scale<float, 4>"][1, 32]
    mistakes = [
        ("Y013", lambda: launch(x, 0.5)),
        ("Y013", lambda: launch(x, 0.5, 4.5)),
        ("Y013", lambda: launch(x, 0.5, 1 << 40)),
        ("U007", lambda: launch(x, x, 4)),
        ("Y013", lambda: launch(3, 0.5, 4)),
        ("Y013", lambda: module["scale<float, 4>"][1]),
        ("Y013", lambda: module["scale<float, 4>"][(1, 1, 1, 1), 32](x, 0.5, 4)),
        ("U007", lambda: module["scale<float, 4, 5>"][1, 32](x, 0.5, 4)),
        ("Y016", lambda: girih.cuda.load(tmp_path / "absent.cu")),
        ("Y016", lambda: module["sums"].compiled(1, 32, 128).symbol("chair")),
    ]
    for code, call in mistakes:
        with pytest.raises(girih.Error) as e:
            call()
        assert e.value.code == code, e.value
    with pytest.raises(KeyError, match="the file has scale, sums"):
        module["scail"]
    (tmp_path / "wrong.cu").write_text("__global__ void wrong(float* x) {\n    x[0] = missing;\n}\n")
    with pytest.raises(girih.Error) as e:
        girih.cuda.load(tmp_path / "wrong.cu")["wrong"][1, 1](x)
    assert e.value.code == "U003" and e.value.labels[0][1] == 2


def test_arrays_are_what_pointers_point_to(device):
    module = girih.cuda.load(
        """
        #include <cuda_bf16.h>
        __global__ void one(float* x) { x[0] = 1; }
        __global__ void four(float4* x) { x[0].w = 1; }
        __global__ void bytes(unsigned char* x) { x[0] = 255; }
        __global__ void halves(__nv_bfloat16* x) { x[0] = __float2bfloat16(1.0f); }
        struct Pair { int a; float b; };
        __global__ void pairs(Pair* x) { x[0].b = x[0].a; }
        """
    )
    good = [
        ("one", np.float32, 0x3F800000),
        ("four", np.float32, 0),
        ("bytes", np.uint8, 255),
        ("bytes", np.int8, 255),
        ("bytes", np.bool_, 255),
        ("halves", np.uint16, 0x3F80),
        ("pairs", np.uint32, 5),
    ]
    for name, dtype, first in good:
        x = np.full(16, 5).astype(dtype) if name == "pairs" else np.zeros(16, dtype)
        module[name][1, 1](x)
        assert int.from_bytes(x[:1].tobytes(), "little") == first, name
    wrong = [("one", np.float64), ("one", np.int32), ("four", np.float16), ("bytes", np.int32), ("halves", np.int16)]
    for name, dtype in [*wrong, ("halves", np.float16)]:
        for x in (np.zeros(16, dtype), girih.array(np.zeros(16, dtype))):
            with pytest.raises(girih.Error, match="points to") as e:
                module[name][1, 1](x)
            assert e.value.code == "Y013"
            assert not np.asarray(x).any()


def test_sources_in_any_encoding(tmp_path):
    (tmp_path / "latin.cu").write_bytes(b"// caf\xe9\n__global__ void k(float* x) { x[0] = N + F; }\n")
    module = girih.cuda.load(tmp_path / "latin.cu", defines={"N": True, "F": False})
    x = np.zeros(1, np.float32)
    with girih.device("cpu"):
        module["k"][1, 1](x)
    assert x[0] == 1
    assert list(girih.cuda.load("// \ud800\n__global__ void k(float* x) {}\n")) == ["k"]


def test_kernels_are_checked():
    module = girih.cuda.load(
        """
        __global__ void reverse(int* x) {
            __shared__ int s[64];
            s[threadIdx.x] = x[threadIdx.x];
            x[threadIdx.x] = s[63 - threadIdx.x];
        }
        __global__ void twice(float* x, int n) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) x[i] *= 2;
        }
        __global__ void first_lanes(float* x) {
            float v = x[threadIdx.x];
            for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(0xffffffff, v, o);
            x[threadIdx.x] = v;
        }
        """
    )
    x = np.arange(64, dtype=np.int32)
    with pytest.raises(girih.Error) as error:
        module["reverse"].check[1, 64](x)
    assert error.value.code in ("S102", "S103")
    report = json.loads(json.dumps(error.value.as_dict()))
    assert (
        report["code"] == error.value.code and report["labels"][0]["line"] == 5 and report["text"] == str(error.value)
    )
    y = np.arange(100, dtype=np.float32)
    module["twice"].check[4, 32](y, 100)
    assert y[99] == 198
    with pytest.raises(girih.Error) as error:
        module["twice"].check[4, 32](y, 128)
    assert error.value.code == "S101"
    a, b = np.arange(32, dtype=np.float32), np.arange(32, dtype=np.float32)
    module["first_lanes"].check[1, 32](a)
    module["first_lanes"].check(subgroup=8)[1, 32](b)
    assert a[0] == 496 and b[0] != 496
