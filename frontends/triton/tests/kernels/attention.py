import triton
import triton.language as tl


@triton.jit
def inner(acc, l, m, q, k_ptr, v_ptr, low, high, rows, length, scale,
          BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr):
    d = tl.arange(0, D)
    for start in range(low, high, BN):
        columns = start + tl.arange(0, BN)
        k = tl.load(k_ptr + columns[None, :] * D + d[:, None], mask=columns[None, :] < length, other=0.0)
        s = tl.dot(q, k) * scale
        s = tl.where(columns[None, :] < length, s, float("-inf"))
        if CAUSAL:
            s = tl.where(rows[:, None] >= columns[None, :], s, float("-inf"))
        new = tl.maximum(m, tl.max(s, 1))
        p = tl.math.exp2(s - new[:, None])
        old = tl.math.exp2(m - new)
        l = l * old + tl.sum(p, 1)
        v = tl.load(v_ptr + columns[:, None] * D + d[None, :], mask=columns[:, None] < length, other=0.0)
        acc = tl.dot(p, v, acc * old[:, None])
        m = new
    return acc, l, m


@triton.jit
def forward(q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, length, scale,
            BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr):
    block = tl.program_id(0)
    head = tl.program_id(1).to(tl.int64)
    base = head * length * D
    rows = block * BM + tl.arange(0, BM)
    d = tl.arange(0, D)
    q = tl.load(q_ptr + base + rows[:, None] * D + d[None, :], mask=rows[:, None] < length, other=0.0)
    m = tl.zeros([BM], dtype=tl.float32) - 1e30
    l = tl.zeros([BM], dtype=tl.float32)
    acc = tl.zeros([BM, D], dtype=tl.float32)
    log2e: tl.constexpr = 1.44269504
    high = length
    if CAUSAL:
        high = tl.minimum(length, (block + 1) * BM)
    acc, l, m = inner(acc, l, m, q, k_ptr + base, v_ptr + base, 0, high, rows, length, scale * log2e, BM, BN, D, CAUSAL)
    acc = acc / l[:, None]
    tl.store(out_ptr + base + rows[:, None] * D + d[None, :], acc, mask=rows[:, None] < length)
    tl.store(lse_ptr + head * length + rows, m + tl.math.log2(l), mask=rows < length)


@triton.jit
def delta(out_ptr, do_ptr, delta_ptr, length, BM: tl.constexpr, D: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    head = tl.program_id(1)
    at = head * length * D + rows[:, None] * D + tl.arange(0, D)[None, :]
    inside = rows[:, None] < length
    o = tl.load(out_ptr + at, mask=inside, other=0.0)
    do = tl.load(do_ptr + at, mask=inside, other=0.0)
    tl.store(delta_ptr + head * length + rows, tl.sum(o * do, axis=1), mask=rows < length)


@triton.jit
def backward(q_ptr, k_ptr, v_ptr, do_ptr, dq_ptr, dk_ptr, dv_ptr, lse_ptr, delta_ptr, length, scale,
             BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr):
    log2e: tl.constexpr = 1.44269504
    block = tl.program_id(0)
    head = tl.program_id(1)
    base = head * length * D
    d = tl.arange(0, D)
    # The gradients of a block of keys and values.
    columns = block * BN + tl.arange(0, BN)
    at = base + columns[:, None] * D + d[None, :]
    inside = columns[:, None] < length
    k = tl.load(k_ptr + at, mask=inside, other=0.0)
    v = tl.load(v_ptr + at, mask=inside, other=0.0)
    dk = tl.zeros([BN, D], dtype=tl.float32)
    dv = tl.zeros([BN, D], dtype=tl.float32)
    for start in range(0, length, BM):
        rows = start + tl.arange(0, BM)
        q_at = base + rows[:, None] * D + d[None, :]
        q = tl.load(q_ptr + q_at, mask=rows[:, None] < length, other=0.0)
        do = tl.load(do_ptr + q_at, mask=rows[:, None] < length, other=0.0)
        lse = tl.load(lse_ptr + head * length + rows, mask=rows < length, other=0.0)
        di = tl.load(delta_ptr + head * length + rows, mask=rows < length, other=0.0)
        s = tl.dot(q, tl.trans(k)) * (scale * log2e)
        p = tl.math.exp2(s - lse[:, None])
        valid = (rows[:, None] < length) & (columns[None, :] < length)
        if CAUSAL:
            valid = valid & (rows[:, None] >= columns[None, :])
        p = tl.where(valid, p, 0.0)
        dv += tl.dot(tl.trans(p), do)
        dp = tl.dot(do, tl.trans(v))
        ds = p * (dp - di[:, None])
        dk += tl.dot(tl.trans(ds), q)
    tl.store(dk_ptr + at, dk * scale, mask=inside)
    tl.store(dv_ptr + at, dv, mask=inside)
    # The gradients of a block of queries.
    rows = block * BM + tl.arange(0, BM)
    q_at = base + rows[:, None] * D + d[None, :]
    inside = rows[:, None] < length
    q = tl.load(q_ptr + q_at, mask=inside, other=0.0)
    do = tl.load(do_ptr + q_at, mask=inside, other=0.0)
    lse = tl.load(lse_ptr + head * length + rows, mask=rows < length, other=0.0)
    di = tl.load(delta_ptr + head * length + rows, mask=rows < length, other=0.0)
    dq = tl.zeros([BM, D], dtype=tl.float32)
    for start in range(0, length, BN):
        columns = start + tl.arange(0, BN)
        k_at = base + columns[:, None] * D + d[None, :]
        k = tl.load(k_ptr + k_at, mask=columns[:, None] < length, other=0.0)
        v = tl.load(v_ptr + k_at, mask=columns[:, None] < length, other=0.0)
        s = tl.dot(q, tl.trans(k)) * (scale * log2e)
        p = tl.math.exp2(s - lse[:, None])
        valid = (rows[:, None] < length) & (columns[None, :] < length)
        if CAUSAL:
            valid = valid & (rows[:, None] >= columns[None, :])
        p = tl.where(valid, p, 0.0)
        ds = p * (tl.dot(do, tl.trans(v)) - di[:, None])
        dq += tl.dot(ds, k)
    tl.store(dq_ptr + q_at, dq * scale, mask=inside)
