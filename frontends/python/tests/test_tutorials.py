"""The algorithms of the six public tutorials against NumPy, for several sizes, odd ones too, on every device."""

import numpy as np
import pytest
import tutorials as kernels
from tutorials import load

import girih
import girih.triton as triton

F32 = np.float32


def normal(seed, *shape, dtype=F32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def strides(x):
    return [s // x.itemsize for s in x.strides]


def close(got, want, terms=1, dtype=F32):
    """Within the bound of sums of `terms` products, rounded to a dtype: sqrt(terms) units times 8, of the largest value."""
    unit = {np.float32: 2.0**-23, np.float16: 2.0**-10}[dtype]
    limit = 8 * unit * max(1.0, terms**0.5) * max(1.0, float(np.abs(want).max()))
    error = float(np.abs(np.asarray(got, np.float64) - want).max())
    assert error <= limit, f"error {error:.2e}, allowed {limit:.2e}"


@pytest.mark.parametrize("n", [1, 255, 1024, 98433])
def test_vector_add(device, n):
    x, y = normal(1, n), normal(2, n)
    out = np.zeros_like(x)
    load("vector_add").add[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](x, y, out, n, BLOCK=1024)
    np.testing.assert_array_equal(out, x + y)


@pytest.mark.parametrize("rows, cols, programs", [(1, 1, 1), (7, 33, 3), (65, 781, 16), (3, 2048, 3)])
def test_softmax(device, rows, cols, programs):
    x = normal(3, rows, cols)
    out = np.zeros_like(x)
    block = triton.next_power_of_2(cols)
    softmax = load("softmax").softmax_rows
    softmax[(programs,)](out, x, strides(x)[0], strides(out)[0], rows, cols, BLOCK=block, num_stages=2, num_warps=8)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    close(out, e / e.sum(1, keepdims=True), 8)


# Once, so that its kernels are compiled once.
MATMUL = load("matmul").matmul


@pytest.mark.parametrize("m, k, n", [(64, 64, 64), (33, 70, 129), (1, 5, 1), (200, 100, 96)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("activation", ["", "leaky_relu"])
def test_matmul(device, m, k, n, dtype, activation):
    # The second one comes transposed: kernels are told strides.
    a, b = normal(4, m, k, dtype=dtype), normal(5, n, k, dtype=dtype).T
    c = np.zeros((m, n), dtype)
    grid = lambda meta: (triton.cdiv(m, meta["BM"]) * triton.cdiv(n, meta["BN"]),)
    MATMUL[grid](a, b, c, m, n, k, *strides(a), *strides(b), *strides(c), ACTIVATION=activation)
    want = a.astype(np.float64) @ b.astype(np.float64)
    if activation:
        want = np.where(want >= 0, want, 0.01 * want)
    close(c, want, k, dtype)


def philox(seed, counter):
    """Philox 4x32 with 10 rounds: the first of the four words of each counter."""
    c = [counter.astype(np.uint64), *(np.zeros_like(counter, np.uint64) for _ in range(3))]
    k0, k1 = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ k0, b & low, (a >> np.uint64(32)) ^ c[3] ^ k1, a & low]
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c[0]


def uniform(seed, counter):
    """Words as floats in [0, 1): the absolute value of the signed word, with -x - 1 for negative ones, scaled."""
    word = philox(seed, counter).astype(np.uint32).view(np.int32)
    return np.where(word < 0, -word - 1, word).astype(F32) * F32(4.6566127342e-10)


@pytest.mark.parametrize("n", [1, 10, 1000, 4096])
@pytest.mark.parametrize("seed", [0, 123, 2**31 + 5])
def test_dropout(device, n, seed):
    p = 0.25
    x = normal(6, n)
    keep = (normal(7, n) > 0).astype(np.int32)
    out = np.full_like(x, 9)
    grid = (triton.cdiv(n, 1024),)
    kernels.dropout[grid](x, keep, out, n, p, BLOCK=1024)
    close(out, np.where(keep, x / 0.75, 0))
    seeded = load("dropout").dropout
    seeded[grid](x, out, n, p, seed, BLOCK=1024)
    close(out, np.where(uniform(seed, np.arange(n)) > p, x / 0.75, 0))
    again = np.zeros_like(x)
    seeded[grid](x, again, n, p, seed, BLOCK=1024)
    np.testing.assert_array_equal(again, out)


def layer_norm(x, w, b, dy, eps):
    x, w, b, dy = (v.astype(np.float64) for v in (x, w, b, dy))
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    xhat = (x - mean) * rstd
    wdy = w * dy
    dx = rstd * (wdy - xhat * (wdy * xhat).mean(1, keepdims=True) - wdy.mean(1, keepdims=True))
    return xhat * w + b, dx, (dy * xhat).sum(0), dy.sum(0)


@pytest.mark.parametrize("rows, cols", [(1, 8), (17, 100), (33, 257), (64, 512)])
@pytest.mark.parametrize("locks", [True, False])
def test_layer_norm(device, rows, cols, locks):
    eps = 1e-5
    x, dy = normal(8, rows, cols) * 0.5 - 2.3, normal(9, rows, cols) * 0.1
    w, b = normal(10, cols), normal(11, cols)
    y, dx = np.zeros_like(x), np.zeros_like(x)
    mean, rstd = np.zeros(rows, F32), np.zeros(rows, F32)
    want_y, want_dx, want_dw, want_db = layer_norm(x, w, b, dy, eps)
    # Narrower blocks than rows in the forward pass: it loops.
    norm = load("layer_norm")
    norm.forward[(rows,)](x, y, w, b, mean, rstd, cols, cols, eps, BLOCK=128)
    close(y, want_y, 64)
    block, groups = triton.next_power_of_2(cols), 4
    if locks:
        dw, db = np.full((groups, cols), 7, F32), np.full((groups, cols), 7, F32)
        lock = np.zeros(2 * groups, np.int32)
        norm.backward_x[(rows,)](
            dx, dy, dw, db, x, w, mean, rstd, lock, cols, cols, GROUP=groups, BLOCK=block, num_warps=4
        )
        dw[min(rows, groups) :] = db[min(rows, groups) :] = 0
        assert not lock[:groups].any()
    else:
        dw, db = np.zeros((groups, cols), F32), np.zeros((groups, cols), F32)
        norm.backward_x_lock_free[(groups,)](dx, dy, dw, db, x, w, mean, rstd, cols, rows, cols, BLOCK=block)
    close(dx, want_dx, cols)
    final_dw, final_db = np.zeros(cols, F32), np.zeros(cols, F32)
    grid = lambda meta: (triton.cdiv(cols, meta["BN"]),)
    norm.backward_wb[grid](dw, db, final_dw, final_db, groups, cols, BM=32, BN=128)
    close(final_dw, want_dw, rows * 16)
    close(final_db, want_db, rows * 16)


def attention(q, k, v, do, scale, causal):
    q, k, v, do = (x.astype(np.float64) for x in (q, k, v, do))
    s = q @ k.swapaxes(1, 2) * scale
    if causal:
        s = np.where(np.tri(s.shape[1], dtype=bool), s, -np.inf)
    p = np.exp(s - s.max(2, keepdims=True))
    p /= p.sum(2, keepdims=True)
    o = p @ v
    dp = do @ v.swapaxes(1, 2)
    ds = p * (dp - (dp * p).sum(2, keepdims=True))
    return o, ds @ k * scale, ds.swapaxes(1, 2) @ q * scale, p.swapaxes(1, 2) @ do


@pytest.mark.parametrize(
    "heads, n, d, causal, dtype",
    [
        (1, 64, 16, False, np.float32),
        (3, 50, 32, True, np.float32),
        (2, 33, 16, False, np.float16),
        (2, 129, 64, True, np.float16),
    ],
)
def test_attention(device, heads, n, d, causal, dtype):
    scale = d**-0.5
    # On the device from end to end: nothing is copied between the kernels.
    host = [normal(20 + i, heads, n, d, dtype=dtype) for i in range(4)]
    q, k, v, do = map(girih.array, host)
    o, dq, dk, dv = (girih.zeros((heads, n, d), dtype) for _ in range(4))
    l, delta = girih.zeros((heads, n)), girih.zeros((heads, n))
    steps = q.stride()[:2]
    blocks = {"D": d, "BLOCK_M": 32, "BLOCK_N": 32}
    grid = (triton.cdiv(n, 32), heads)
    kernels.attention_forward[grid](q, k, v, o, l, scale, *steps, n, **blocks, CAUSAL=causal)
    kernels.attention_delta[grid](o, do, delta, *steps, n, D=d, BLOCK_M=32)
    kernels.attention_dkdv[grid](q, k, v, do, dk, dv, l, delta, scale, *steps, n, **blocks, CAUSAL=causal)
    kernels.attention_dq[grid](q, k, v, do, dq, l, delta, scale, *steps, n, **blocks, CAUSAL=causal)
    wants = attention(*host, scale, causal)
    for got, want in zip((o, dq, dk, dv), wants):
        assert got.device == device
        close(got.numpy("float32"), want, n, dtype)
