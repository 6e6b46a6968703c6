"""Launches: arguments of every kind, results, mistakes."""

import pathlib
import runpy
import subprocess
import sys

import kernels
import numpy as np
import pytest

import girih
import girih.triton as triton
import girih.triton.language as tl

F32 = np.float32


def grid(n, block=64):
    return (triton.cdiv(n, block),)


def launch_add(x, y, out, n=None):
    n = int(np.prod(x.shape)) if n is None else n
    return kernels.add_kernel[grid(n)](x, y, out, n, BLOCK=64)


def test_constants_helpers_and_libraries(device):
    x = np.linspace(-2, 2, 100, dtype=F32)
    out = np.zeros_like(x)
    kernels.scale_kernel[grid(100)](x, out, 100, BLOCK=64)
    np.testing.assert_allclose(out, x * F32(1.5), rtol=1e-6)
    kernels.tanh_kernel[grid(100)](x, out, 100, 64)
    np.testing.assert_allclose(out, np.tanh(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [100, 101])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.int8, np.uint8, np.int16, np.int64, np.float64])
def test_dtypes(device, dtype, n):
    x = (np.arange(n) % 50).astype(dtype)
    out = np.zeros_like(x)
    try:
        launch_add(x, x + dtype(1), out)
    except girih.Error as e:
        # Adapters may lack 64-bit types; then they say so by name.
        assert x.itemsize == 8 and device != "cpu" and ("64" in str(e)), e
        return
    np.testing.assert_array_equal(out, x + x + dtype(1))


def test_bf16_lives_on_devices(device):
    x = girih.array(np.arange(100, dtype=F32), "bf16")
    out = girih.zeros(100, "bf16")
    launch_add(x, x, out)
    np.testing.assert_array_equal(out.numpy("f32"), np.arange(100) * 2)


def test_arrays_stay_on_their_device(device):
    x = girih.array(np.arange(100, dtype=F32))
    out = girih.zeros(100)
    with girih.device("cpu"):
        # The arrays decide, not the current device.
        launch_add(x, x, out)
    assert out.device == device
    np.testing.assert_array_equal(out.numpy(), np.arange(100) * 2)
    # Host and device arrays in one launch.
    host = np.zeros(100, F32)
    launch_add(out, np.ones(100, F32), host)
    np.testing.assert_array_equal(host, np.arange(100) * 2 + 1)


def test_one_array_for_several_arguments(device):
    x = np.arange(100, dtype=F32)
    launch_add(x, x, x)
    np.testing.assert_array_equal(x, np.arange(100) * 2)
    a = girih.array(np.arange(100, dtype=F32))
    launch_add(a, a, a)
    np.testing.assert_array_equal(a.numpy(), np.arange(100) * 2)


def test_views_that_share_memory(device):
    @triton.jit
    def both(x_ptr, a_ptr, b_ptr, n, stride, BLOCK: tl.constexpr):
        at = tl.arange(0, BLOCK)
        x = tl.load(x_ptr + at * stride, mask=at < n)
        tl.store(a_ptr + at * stride, x + 1, mask=at < n)
        tl.store(b_ptr + at * stride, x + 2, mask=at < n)

    # Three interleaved columns of one array: reading one, writing the others.
    table = np.zeros((50, 4), F32)
    table[:, 0] = np.arange(50)
    table[:, 3] = 7
    both[(1,)](table[:, 0], table[:, 1], table[:, 2], 50, 4, BLOCK=64)
    want = np.stack([np.arange(50), np.arange(50) + 1, np.arange(50) + 2, np.full(50, 7)], 1)
    np.testing.assert_array_equal(table, want)


def test_strided_and_read_only_views(device):
    x = np.arange(200, dtype=F32).reshape(20, 10)
    x.flags.writeable = False

    @triton.jit
    def column(x_ptr, out_ptr, stride, n, BLOCK: tl.constexpr):
        at = tl.arange(0, BLOCK)
        tl.store(out_ptr + at, tl.load(x_ptr + at * stride, mask=at < n), mask=at < n)

    out = np.zeros(20, F32)
    column[(1,)](x[:, 3], out, 10, 20, BLOCK=32)
    np.testing.assert_array_equal(out, x[:, 3])
    with pytest.raises(girih.Error, match="writes argument `out_ptr`, which is read-only"):
        column[(1,)](out, x[:, 3], 10, 20, BLOCK=32)
    with pytest.raises(girih.Error, match="negative stride"):
        column[(1,)](out[::-1], out, 1, 20, BLOCK=32)


def test_numbers(device):
    @triton.jit
    def numbers(out_ptr, i, big, f, flag, nothing, pair: tl.constexpr, name: tl.constexpr, kind: tl.constexpr):
        tl.store(out_ptr, i.to(tl.float32))
        tl.store(out_ptr + 1, f)
        if flag:
            tl.store(out_ptr + 2, 1.0)
        if nothing is None:
            tl.store(out_ptr + 3, pair[0] + pair[1])
        if name == "relu":
            tl.store(out_ptr + 4, tl.cast(7, kind).to(tl.float32))
        tl.store(out_ptr + 5, (big >> 33).to(tl.float32))

    for i, f, flag in ((-3, 0.5, True), (123456, -1e30, False), (np.int64(16), np.float32(0.1), True)):
        out = np.zeros(6, F32)
        numbers[(1,)](out, i, 5 << 33, f, flag, None, (2, 3), "relu", tl.float16)
        np.testing.assert_array_equal(out, np.array([i, f, flag, 5, 7, 5], F32))


def test_a_helper_may_be_given_tensors_for_constants(device):
    @triton.jit
    def shifted(x, by: tl.constexpr):
        return x + by

    @triton.jit
    def kernel(out_ptr, BLOCK: tl.constexpr):
        at = tl.arange(0, BLOCK)
        tl.store(out_ptr + at, shifted(at, at * 2) + shifted(at, 1))

    out = np.zeros(8, np.int32)
    kernel[(1,)](out, BLOCK=8)
    np.testing.assert_array_equal(out, np.arange(8) * 4 + 1)


def test_what_is_printed_when_a_kernel_is_compiled(device, capsys):
    @triton.jit
    def kernel(out_ptr, BLOCK: tl.constexpr):
        tl.static_print("block of", BLOCK)
        tl.static_assert(BLOCK > 4, "too small")
        tl.store(out_ptr + tl.arange(0, BLOCK), BLOCK)

    out = np.zeros(8, np.int32)
    kernel[(1,)](out, BLOCK=8)
    kernel[(1,)](out, BLOCK=8)
    assert capsys.readouterr().out.count("block of 8") == 1
    with pytest.raises(girih.Error, match="too small"):
        kernel[(1,)](out, BLOCK=4)


def test_a_stride_of_one_is_a_constant(device):
    @triton.jit
    def first(out_ptr, n):
        tl.store(out_ptr, n)

    out = np.zeros(1, np.int32)
    for n in (1, 2, 3, 16, 32, -1, 0):
        first[(1,)](out, n)
        assert out[0] == n
    # 1; 2 and 3; 16, 32 and 0; -1.
    assert len(first._compiled) == 4


def test_grids(device):
    @triton.jit
    def where(out_ptr, WIDTH: tl.constexpr, HEIGHT: tl.constexpr):
        x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
        tl.store(out_ptr + x + WIDTH * (y + HEIGHT * z), tl.num_programs(0) * 100 + z)

    out = np.zeros(24, np.int32)
    where[(2, 3, 4)](out, WIDTH=2, HEIGHT=3)
    np.testing.assert_array_equal(out, 200 + np.arange(24) // 6)
    where[lambda meta: (meta["WIDTH"], np.int64(3))](out, WIDTH=2, HEIGHT=3)
    assert where[(0,)](out, WIDTH=2, HEIGHT=3) is None
    where[1](out, WIDTH=2, HEIGHT=3)
    for wrong in ((), (1, 1, 1, 1), (-1,), "x", None):
        with pytest.raises(girih.Error) as e:
            where[wrong](out, WIDTH=2, HEIGHT=3)
        assert e.value.code == "Y013"


def test_autotune_and_heuristics(device, monkeypatch):
    seen = []

    @triton.autotune(
        configs=[triton.Config({"BLOCK": b}, num_warps=w, pre_hook=seen.append) for b, w in ((32, 2), (128, 4))],
        key=["n"],
    )
    @triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
    @triton.jit
    def fill(out_ptr, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        if EVEN:
            tl.store(out_ptr + at, BLOCK)
        else:
            tl.store(out_ptr + at, -BLOCK, mask=at < n)

    out = np.zeros(256, np.int32)
    sized = lambda meta: (triton.cdiv(256, meta["BLOCK"]),)
    fill[sized](out, 256)
    np.testing.assert_array_equal(out, 32)
    fill[lambda meta: (triton.cdiv(100, meta["BLOCK"]),)](out, 100)
    np.testing.assert_array_equal(out[:101], [-32] * 100 + [32])
    assert fill.best_config.kwargs == {"BLOCK": 32} and seen and seen[0]["n"] == 256
    # Configurations that give different results are no choice.
    monkeypatch.setenv("GIRIH_AUTOTUNE", "1")
    with pytest.raises(girih.Error, match="different results"):
        triton.Autotuner(fill.fn, fill.configs, ["n"])[sized](out, 256)


def _counter(**options):
    blocks = [triton.Config({"BLOCK": b}) for b in (32, 64, 1 << 21, 128)]

    @triton.autotune(configs=blocks, key=["n"], **options)
    @triton.jit
    def count(total_ptr, out_ptr, n, BLOCK: tl.constexpr):
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        tl.store(out_ptr + at, at * 1.0, mask=at < n)
        tl.atomic_add(total_ptr + at % 4, 1, mask=at < n)

    return count


def test_tuning_keeps_strides(device):
    @triton.autotune(configs=[triton.Config({"BLOCK": b}) for b in (16, 32)], key=["n"], warmup=1, rep=2)
    @triton.jit
    def column(x_ptr, out_ptr, stride, n, BLOCK: tl.constexpr):
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        tl.store(out_ptr + at * stride, tl.load(x_ptr + at * stride, mask=at < n) + 1, mask=at < n)

    table = np.arange(400, dtype=F32).reshape(100, 4)
    want = table.copy()
    sized = lambda meta: (triton.cdiv(100, meta["BLOCK"]),)
    column.tune[sized](table[:, 1], table[:, 2], 4, 100)
    np.testing.assert_array_equal(table, want)
    column[sized](table[:, 1], table[:, 2], 4, 100)
    want[:, 2] = want[:, 1] + 1
    np.testing.assert_array_equal(table, want)


def test_tuning_measures_on_copies(device, monkeypatch):
    total, out = np.zeros(4, np.int32), np.zeros(256, F32)
    sized = lambda meta: (triton.cdiv(256, meta["BLOCK"]),)
    count = _counter(reset_to_zero=["total_ptr"], warmup=1, rep=2)
    best = count.tune[sized](total, out, 256)
    # Nothing has changed, and what does not compile is passed over.
    assert total.sum() == 0 and out.sum() == 0
    assert {c.kwargs["BLOCK"] for c in count.configs_timings} == {32, 64, 128} and best in count.configs_timings
    count[sized](total, out, 256)
    assert count.best_config is best
    np.testing.assert_array_equal(total, 64)
    np.testing.assert_array_equal(out, np.arange(256))
    # Another value of the key was not measured.
    count[sized](total, out, 200)
    assert count.best_config is count.configs[0]
    monkeypatch.setenv("GIRIH_AUTOTUNE", "1")
    seen = []
    other = _counter(do_bench=lambda launch, quantiles: seen.append(launch()) or [float(-len(seen))])
    other[sized](total, out, 256)
    assert len(seen) == 3 and other.best_config.kwargs == {"BLOCK": 128}


def test_pruning(device):
    total, out = np.zeros(4, np.int32), np.zeros(256, F32)
    costs = {"perf_model": lambda BLOCK, n, **_: abs(BLOCK - 64), "top_k": 1}
    count = _counter(prune_configs_by=costs)
    count[lambda meta: (triton.cdiv(256, meta["BLOCK"]),)](total, out, 256)
    assert count.best_config.kwargs == {"BLOCK": 64}


def test_texts_of_a_kernel(device):
    types = {"x_ptr": "*fp32", "y_ptr": "*fp32", "out_ptr": "*fp32", "n": "i32", "BLOCK": 64}
    marks = {
        "tile": "kernel add_kernel",
        "wgsl": "@compute",
        "msl": "kernel void",
        "hlsl": "numthreads",
        "spirv": "07230203",
    }
    for target, mark in marks.items():
        assert mark in kernels.add_kernel.emit(target, **types), target
    assert "add_kernel" in kernels.add_kernel.emit("simt", **types)
    assert kernels.add_kernel.emit("wgsl", device=device, **types) == kernels.add_kernel.emit(
        "wgsl", device=device, **types
    )
    with pytest.raises(girih.Error) as e:
        kernels.add_kernel.emit("ptx", **types)
    assert e.value.code == "Y015"
    with pytest.raises(girih.Error, match="is no type"):
        kernels.add_kernel.emit("wgsl", **(types | {"x_ptr": "*fp12"}))
    x = np.zeros(64, F32)
    compiled = launch_add(x, x, np.zeros(64, F32))
    assert "@compute" in compiled.asm["wgsl"] and set(compiled.asm) >= set(marks)
    with pytest.raises(KeyError):
        compiled.asm["ptx"]
    assert launch_add(x, x, np.zeros(64, F32)) is compiled
    warm = kernels.add_kernel.warmup(x, x, x, 64, BLOCK=64, grid=(1,))
    out = np.zeros(64, F32)
    warm[(1,)](x + 1, x, out, 64, 64)
    assert out.sum() == 64 and warm.n_regs > 0 and warm.metadata.shared > 0


def test_mistakes_name_the_line(device):
    x = np.zeros(64, F32)
    with pytest.raises(girih.Error) as e:
        kernels.typo_kernel[(1,)](x, 64, BLOCK=64)
    file, line, _, text = e.value.labels[0]
    assert file == kernels.__file__ and "tl.exq" in pathlib.Path(file).read_text().splitlines()[line - 1]
    assert "^" in text and "tl.exp" in e.value.help
    mistakes = [
        ("Y013", lambda: kernels.add_kernel[(1,)](x, x, x)),
        ("Y013", lambda: kernels.add_kernel[(1,)](x, x, x, 64, BLOCK=64, LOCK=3)),
        ("Y013", lambda: kernels.add_kernel[(1,)](x, x, x, 64, 64, BLOCK=64)),
        ("Y013", lambda: kernels.add_kernel[(1,)](x, x, x, {}, BLOCK=64)),
        ("Y013", lambda: kernels.add_kernel[(1,)](x, x, x, 1 << 70, BLOCK=64)),
        ("Y010", lambda: kernels.add_kernel(x, x, x, 64, 64)),
        ("Y011", lambda: triton.jit(3)),
    ]
    for code, call in mistakes:
        with pytest.raises(girih.Error) as e:
            call()
        assert e.value.code == code, e.value
    if len(girih.devices()) > 1:
        with pytest.raises(girih.Error) as e:
            launch_add(girih.zeros(64, device="cpu"), girih.zeros(64, device="wgpu:0"), x)
        assert e.value.code == "X011"


SCRIPT = """
import numpy as np
import triton
import triton.language as tl
from triton.language.extra import libdevice
from triton.runtime import driver


@triton.jit
def square(x_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(x_ptr + at, libdevice.pow(x, 2.0) + tl.math.exp2(x) * 0, mask=at < n)


x = np.arange(100, dtype=np.float32)
square[(triton.cdiv(100, 64),)](x, 100, BLOCK=64)
triton.testing.assert_close(x, np.arange(100.0) ** 2, rtol=1e-5)
target = driver.active.get_current_target().backend
milliseconds = triton.testing.do_bench(lambda: square[(2,)](x, 100, BLOCK=64), warmup=1, rep=1)
"""


def test_files_for_triton_run_as_they_are(tmp_path, device):
    path = tmp_path / "square.py"
    path.write_text(SCRIPT)
    triton.install()
    try:
        found = runpy.run_path(str(path))
    finally:
        triton.uninstall()
    assert found["target"] == device.split(":")[0] and found["milliseconds"] > 0
    assert "triton" not in sys.modules and "triton.language" not in sys.modules


def test_another_triton_is_left_alone(tmp_path):
    (tmp_path / "triton.py").write_text("")
    code = "import triton, girih.triton\ntry: girih.triton.install()\nexcept girih.Error as e: print(e.code)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "Y014", done.stderr


def test_reports(capsys, tmp_path):
    @triton.testing.perf_report(
        triton.testing.Benchmark(
            ["n"], [1, 2], "provider", ["a", "b"], ["A", "B"], "report", {"offset": 1}, ylabel="GB/s"
        )
    )
    def bench(n, provider, offset):
        return (n + offset) * (10 if provider == "b" else 1)

    rows = bench.run(print_data=True, save_path=str(tmp_path), return_df=True)
    assert rows == [[{"n": 1, "A": 2, "B": 20}, {"n": 2, "A": 3, "B": 30}]]
    assert "report (GB/s)" in capsys.readouterr().out and (tmp_path / "report.csv").read_text().startswith("n,A,B")
    triton.testing.assert_close(np.ones(3), np.ones(3) + 1e-3)
    with pytest.raises(AssertionError):
        triton.testing.assert_close(np.ones(3), np.ones(3) + 0.1)


def test_torch_tensors(device):
    torch = pytest.importorskip("torch")
    x = torch.arange(100, dtype=torch.float32)
    out = torch.zeros_like(x)
    launch_add(x, x, out)
    assert torch.equal(out, 2 * x)
    half = torch.arange(100).to(torch.bfloat16)
    out = torch.zeros_like(half)
    launch_add(half, half, out)
    assert torch.equal(out, 2 * half)
