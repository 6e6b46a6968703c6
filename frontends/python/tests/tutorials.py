"""Kernels of Triton's six public tutorials: those of the compiler's own tests, read as they are, and more of them."""

import importlib.util
import pathlib
import types

import girih.triton as triton
import girih.triton.language as tl

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "triton/tests/kernels"


def load(name: str) -> types.ModuleType:
    """A file that imports `triton`."""
    triton.install()
    try:
        spec = importlib.util.spec_from_file_location(f"kernels_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        triton.uninstall()


# --- dropout by a mask


@triton.jit
def dropout(x_ptr, keep_ptr, out_ptr, n, p, BLOCK: tl.constexpr):
    at = tl.program_id(axis=0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    keep = tl.load(keep_ptr + at, mask=inside)
    tl.store(out_ptr + at, tl.where(keep, x / (1 - p), 0.0), mask=inside)


# --- attention without the matrix of scores, forward and backward, with strides and in half precision


@triton.jit
def attention_forward(
    Q,
    K,
    V,
    O,
    L,
    scale,
    stride_h,
    stride_m,
    N_CTX,
    D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    start = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1).to(tl.int64) * stride_h
    at_m = start + tl.arange(0, BLOCK_M)
    at_d = tl.arange(0, D)
    rows = at_m[:, None] < N_CTX
    q = tl.load(Q + head + at_m[:, None] * stride_m + at_d[None, :], mask=rows, other=0.0)
    m = tl.full([BLOCK_M], -float("inf"), dtype=tl.float32)
    l = tl.zeros([BLOCK_M], dtype=tl.float32)
    acc = tl.zeros([BLOCK_M, D], dtype=tl.float32)
    # Powers of two: exp(x) = 2 ** (x / log 2).
    qk_scale = scale * 1.44269504
    end = N_CTX
    if CAUSAL:
        end = min(start + BLOCK_M, N_CTX)
    for n in range(0, end, BLOCK_N):
        at_n = n + tl.arange(0, BLOCK_N)
        cols = at_n[:, None] < N_CTX
        k = tl.load(K + head + at_n[:, None] * stride_m + at_d[None, :], mask=cols, other=0.0)
        v = tl.load(V + head + at_n[:, None] * stride_m + at_d[None, :], mask=cols, other=0.0)
        s = tl.dot(q, tl.trans(k)) * qk_scale
        seen = at_n[None, :] < N_CTX
        if CAUSAL:
            seen = seen & (at_m[:, None] >= at_n[None, :])
        s = tl.where(seen, s, -1.0e6)
        m_new = tl.maximum(m, tl.max(s, 1))
        p = tl.math.exp2(s - m_new[:, None])
        alpha = tl.math.exp2(m - m_new)
        l = l * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None]
        acc = tl.dot(p.to(v.dtype), v, acc)
        m = m_new
    acc = acc / l[:, None]
    tl.store(L + tl.program_id(1) * N_CTX + at_m, m + tl.math.log2(l), mask=at_m < N_CTX)
    tl.store(O + head + at_m[:, None] * stride_m + at_d[None, :], acc.to(O.dtype.element_ty), mask=rows)


@triton.jit
def attention_delta(O, DO, Delta, stride_h, stride_m, N_CTX, D: tl.constexpr, BLOCK_M: tl.constexpr):
    at_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_d = tl.arange(0, D)
    at = tl.program_id(1) * stride_h + at_m[:, None] * stride_m + at_d[None, :]
    o = tl.load(O + at, mask=at_m[:, None] < N_CTX, other=0.0).to(tl.float32)
    do = tl.load(DO + at, mask=at_m[:, None] < N_CTX, other=0.0).to(tl.float32)
    tl.store(Delta + tl.program_id(1) * N_CTX + at_m, tl.sum(o * do, axis=1), mask=at_m < N_CTX)


@triton.jit
def attention_block(q, k, at_m, at_n, l, qk_scale, N_CTX, CAUSAL: tl.constexpr):
    """The weights of a block of attention, from the logarithms of the sums of its rows."""
    seen = (at_m[:, None] < N_CTX) & (at_n[None, :] < N_CTX)
    if CAUSAL:
        seen = seen & (at_m[:, None] >= at_n[None, :])
    p = tl.math.exp2(tl.dot(q, tl.trans(k)) * qk_scale - l[:, None])
    return tl.where(seen, p, 0.0)


@triton.jit
def attention_dkdv(
    Q,
    K,
    V,
    DO,
    DK,
    DV,
    L,
    Delta,
    scale,
    stride_h,
    stride_m,
    N_CTX,
    D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    start = tl.program_id(0) * BLOCK_N
    head = tl.program_id(1) * stride_h
    line = tl.program_id(1) * N_CTX
    at_n = start + tl.arange(0, BLOCK_N)
    at_d = tl.arange(0, D)
    here = at_n[:, None] < N_CTX
    block = head + at_n[:, None] * stride_m + at_d[None, :]
    k = tl.load(K + block, mask=here, other=0.0)
    v = tl.load(V + block, mask=here, other=0.0)
    dk = tl.zeros([BLOCK_N, D], dtype=tl.float32)
    dv = tl.zeros([BLOCK_N, D], dtype=tl.float32)
    first = 0
    if CAUSAL:
        first = start // BLOCK_M * BLOCK_M
    for m in range(first, N_CTX, BLOCK_M):
        at_m = m + tl.arange(0, BLOCK_M)
        rows = at_m[:, None] < N_CTX
        q = tl.load(Q + head + at_m[:, None] * stride_m + at_d[None, :], mask=rows, other=0.0)
        do = tl.load(DO + head + at_m[:, None] * stride_m + at_d[None, :], mask=rows, other=0.0)
        l = tl.load(L + line + at_m, mask=at_m < N_CTX, other=0.0)
        delta = tl.load(Delta + line + at_m, mask=at_m < N_CTX, other=0.0)
        p = attention_block(q, k, at_m, at_n, l, scale * 1.44269504, N_CTX, CAUSAL)
        dv += tl.dot(tl.trans(p).to(do.dtype), do)
        ds = p * (tl.dot(do, tl.trans(v)) - delta[:, None])
        dk += tl.dot(tl.trans(ds).to(q.dtype), q)
    tl.store(DV + block, dv.to(DV.dtype.element_ty), mask=here)
    tl.store(DK + block, (dk * scale).to(DK.dtype.element_ty), mask=here)


@triton.jit
def attention_dq(
    Q,
    K,
    V,
    DO,
    DQ,
    L,
    Delta,
    scale,
    stride_h,
    stride_m,
    N_CTX,
    D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    start = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1) * stride_h
    line = tl.program_id(1) * N_CTX
    at_m = start + tl.arange(0, BLOCK_M)
    at_d = tl.arange(0, D)
    here = at_m[:, None] < N_CTX
    block = head + at_m[:, None] * stride_m + at_d[None, :]
    q = tl.load(Q + block, mask=here, other=0.0)
    do = tl.load(DO + block, mask=here, other=0.0)
    l = tl.load(L + line + at_m, mask=at_m < N_CTX, other=0.0)
    delta = tl.load(Delta + line + at_m, mask=at_m < N_CTX, other=0.0)
    dq = tl.zeros([BLOCK_M, D], dtype=tl.float32)
    end = N_CTX
    if CAUSAL:
        end = min(start + BLOCK_M, N_CTX)
    for n in range(0, end, BLOCK_N):
        at_n = n + tl.arange(0, BLOCK_N)
        cols = at_n[:, None] < N_CTX
        k = tl.load(K + head + at_n[:, None] * stride_m + at_d[None, :], mask=cols, other=0.0)
        v = tl.load(V + head + at_n[:, None] * stride_m + at_d[None, :], mask=cols, other=0.0)
        p = attention_block(q, k, at_m, at_n, l, scale * 1.44269504, N_CTX, CAUSAL)
        ds = p * (tl.dot(do, tl.trans(v)) - delta[:, None])
        dq += tl.dot(ds.to(k.dtype), k)
    tl.store(DQ + block, (dq * scale).to(DQ.dtype.element_ty), mask=here)
