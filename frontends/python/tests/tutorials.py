"""The algorithms of Triton's six public tutorials, in its language."""

import girih.triton as triton
import girih.triton.language as tl

# --- 1. addition of vectors


@triton.jit
def vector_add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(axis=0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    y = tl.load(y_ptr + at, mask=inside)
    tl.store(out_ptr + at, x + y, mask=inside)


# --- 2. softmax over rows; each program takes every n-th row


@triton.jit
def softmax(out_ptr, in_ptr, in_stride, out_stride, rows, cols, BLOCK: tl.constexpr, num_stages: tl.constexpr):
    first = tl.program_id(0)
    step = tl.num_programs(0)
    for row in tl.range(first, rows, step, num_stages=num_stages):
        at = tl.arange(0, BLOCK)
        inside = at < cols
        x = tl.load(in_ptr + row * in_stride + at, mask=inside, other=-float("inf"))
        e = tl.exp(x - tl.max(x, axis=0))
        tl.store(out_ptr + row * out_stride + at, e / tl.sum(e, axis=0), mask=inside)


# --- 3. product of matrices, blocks walked in groups of rows


@triton.jit
def leaky_relu(x):
    return tl.where(x >= 0, x, 0.01 * x)


@triton.autotune(
    configs=[
        triton.Config({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32, "GROUP_M": 8}, num_stages=3, num_warps=4),
        triton.Config({"BLOCK_M": 64, "BLOCK_N": 32, "BLOCK_K": 32, "GROUP_M": 4}, num_stages=4, num_warps=2),
    ],
    key=["M", "N", "K"],
)
@triton.jit
def matmul(
    a_ptr,
    b_ptr,
    c_ptr,
    M,
    N,
    K,
    stride_am,
    stride_ak,
    stride_bk,
    stride_bn,
    stride_cm,
    stride_cn,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr,
    ACTIVATION: tl.constexpr,
):
    pid = tl.program_id(axis=0)
    blocks_m = tl.cdiv(M, BLOCK_M)
    blocks_n = tl.cdiv(N, BLOCK_N)
    in_group = GROUP_M * blocks_n
    first_m = pid // in_group * GROUP_M
    height = min(blocks_m - first_m, GROUP_M)
    pid_m = first_m + (pid % in_group) % height
    pid_n = (pid % in_group) // height

    at_m = (pid_m * BLOCK_M + tl.arange(0, BLOCK_M)) % M
    at_n = (pid_n * BLOCK_N + tl.arange(0, BLOCK_N)) % N
    at_k = tl.arange(0, BLOCK_K)
    a_ptrs = a_ptr + (at_m[:, None] * stride_am + at_k[None, :] * stride_ak)
    b_ptrs = b_ptr + (at_k[:, None] * stride_bk + at_n[None, :] * stride_bn)
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for k in range(0, tl.cdiv(K, BLOCK_K)):
        a = tl.load(a_ptrs, mask=at_k[None, :] < K - k * BLOCK_K, other=0.0)
        b = tl.load(b_ptrs, mask=at_k[:, None] < K - k * BLOCK_K, other=0.0)
        acc = tl.dot(a, b, acc)
        a_ptrs += BLOCK_K * stride_ak
        b_ptrs += BLOCK_K * stride_bk
    if ACTIVATION == "leaky_relu":
        acc = leaky_relu(acc)
    c = acc.to(c_ptr.dtype.element_ty)
    at_cm = pid_m * BLOCK_M + tl.arange(0, BLOCK_M)
    at_cn = pid_n * BLOCK_N + tl.arange(0, BLOCK_N)
    c_ptrs = c_ptr + stride_cm * at_cm[:, None] + stride_cn * at_cn[None, :]
    tl.store(c_ptrs, c, mask=(at_cm[:, None] < M) & (at_cn[None, :] < N))


# --- 4. dropout by a mask, and by a seed


@triton.jit
def dropout(x_ptr, keep_ptr, out_ptr, n, p, BLOCK: tl.constexpr):
    at = tl.program_id(axis=0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    keep = tl.load(keep_ptr + at, mask=inside)
    tl.store(out_ptr + at, tl.where(keep, x / (1 - p), 0.0), mask=inside)


@triton.jit
def seeded_dropout(x_ptr, out_ptr, n, p, seed, BLOCK: tl.constexpr):
    at = tl.program_id(axis=0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    keep = tl.rand(seed, at) > p
    tl.store(out_ptr + at, tl.where(keep, x / (1 - p), 0.0), mask=inside)


# --- 5. layer norm, forward and backward


@triton.jit
def layer_norm_forward(X, Y, W, B, Mean, Rstd, stride, N, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    Y += row * stride
    X += row * stride
    total = tl.zeros([BLOCK], dtype=tl.float32)
    for off in range(0, N, BLOCK):
        cols = off + tl.arange(0, BLOCK)
        total += tl.load(X + cols, mask=cols < N, other=0.0).to(tl.float32)
    mean = tl.sum(total, axis=0) / N
    squares = tl.zeros([BLOCK], dtype=tl.float32)
    for off in range(0, N, BLOCK):
        cols = off + tl.arange(0, BLOCK)
        x = tl.load(X + cols, mask=cols < N, other=0.0).to(tl.float32)
        x = tl.where(cols < N, x - mean, 0.0)
        squares += x * x
    rstd = 1 / tl.sqrt(tl.sum(squares, axis=0) / N + eps)
    tl.store(Mean + row, mean)
    tl.store(Rstd + row, rstd)
    for off in range(0, N, BLOCK):
        cols = off + tl.arange(0, BLOCK)
        mask = cols < N
        w = tl.load(W + cols, mask=mask)
        b = tl.load(B + cols, mask=mask)
        x = tl.load(X + cols, mask=mask, other=0.0).to(tl.float32)
        tl.store(Y + cols, (x - mean) * rstd * w + b, mask=mask)


@triton.jit
def layer_norm_dx(DX, DY, DW, DB, X, W, Mean, Rstd, Lock, stride, N, GROUP: tl.constexpr, BLOCK: tl.constexpr):
    """The gradient by x, and sums of the gradients by w and b in GROUP rows, each under a lock."""
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < N
    X += row * stride
    DY += row * stride
    DX += row * stride
    group = row % GROUP
    Lock += group
    Count = Lock + GROUP
    DW = DW + group * N + cols
    DB = DB + group * N + cols
    x = tl.load(X + cols, mask=mask, other=0).to(tl.float32)
    dy = tl.load(DY + cols, mask=mask, other=0).to(tl.float32)
    w = tl.load(W + cols, mask=mask).to(tl.float32)
    mean = tl.load(Mean + row)
    rstd = tl.load(Rstd + row)
    xhat = tl.where(mask, (x - mean) * rstd, 0.0)
    wdy = tl.where(mask, w * dy, 0.0)
    c1 = tl.sum(xhat * wdy, axis=0) / N
    c2 = tl.sum(wdy, axis=0) / N
    tl.store(DX + cols, (wdy - (xhat * c1 + c2)) * rstd, mask=mask)
    dw = (dy * xhat).to(w.dtype)
    db = dy.to(w.dtype)
    while tl.atomic_cas(Lock, 0, 1) == 1:
        pass
    count = tl.load(Count)
    if count == 0:
        tl.atomic_xchg(Count, 1)
    else:
        dw += tl.load(DW, mask=mask)
        db += tl.load(DB, mask=mask)
    tl.store(DW, dw, mask=mask)
    tl.store(DB, db, mask=mask)
    tl.debug_barrier()
    tl.atomic_xchg(Lock, 0)


@triton.jit
def layer_norm_dx_lock_free(DX, DY, DW, DB, X, W, Mean, Rstd, stride, N, ROWS, PER: tl.constexpr, BLOCK: tl.constexpr):
    """The same, each program with PER rows of its own and one row of sums."""
    program = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < N
    w = tl.load(W + cols, mask=mask, other=0).to(tl.float32)
    dw = tl.zeros([BLOCK], dtype=tl.float32)
    db = tl.zeros([BLOCK], dtype=tl.float32)
    for i in range(PER):
        row = program * PER + i
        here = mask & (row < ROWS)
        x = tl.load(X + row * stride + cols, mask=here, other=0).to(tl.float32)
        dy = tl.load(DY + row * stride + cols, mask=here, other=0).to(tl.float32)
        mean = tl.load(Mean + row, mask=row < ROWS, other=0)
        rstd = tl.load(Rstd + row, mask=row < ROWS, other=0)
        xhat = tl.where(here, (x - mean) * rstd, 0.0)
        wdy = w * dy
        c1 = tl.sum(xhat * wdy, axis=0) / N
        c2 = tl.sum(wdy, axis=0) / N
        tl.store(DX + row * stride + cols, (wdy - (xhat * c1 + c2)) * rstd, mask=here)
        dw += dy * xhat
        db += dy
    tl.store(DW + program * N + cols, dw, mask=mask)
    tl.store(DB + program * N + cols, db, mask=mask)


@triton.jit
def column_sums(DW, DB, FINAL_DW, FINAL_DB, M, N, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    cols = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    dw = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    db = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for i in range(0, M, BLOCK_M):
        rows = i + tl.arange(0, BLOCK_M)
        mask = (rows[:, None] < M) & (cols[None, :] < N)
        offs = rows[:, None] * N + cols[None, :]
        dw += tl.load(DW + offs, mask=mask, other=0.0)
        db += tl.load(DB + offs, mask=mask, other=0.0)
    tl.store(FINAL_DW + cols, tl.sum(dw, axis=0), mask=cols < N)
    tl.store(FINAL_DB + cols, tl.sum(db, axis=0), mask=cols < N)


# --- 6. attention without the matrix of scores, forward and backward


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
