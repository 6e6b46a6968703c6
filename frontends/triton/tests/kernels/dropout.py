import triton
import triton.language as tl


@triton.jit
def dropout(x_ptr, out_ptr, n, p, seed, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    keep = tl.rand(seed, at) > p
    tl.store(out_ptr + at, tl.where(keep, x / (1 - p), 0.0), mask=inside)


@triton.jit
def numbers(int_ptr, uniform_ptr, normal_ptr, seed, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(int_ptr + at, tl.randint(seed, at), mask=at < n)
    tl.store(uniform_ptr + at, tl.rand(seed, at), mask=at < n)
    tl.store(normal_ptr + at, tl.randn(seed, at), mask=at < n)
