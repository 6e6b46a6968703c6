"""What the compiler is given: functions at their lines, names with their values."""

import linecache
import pathlib
import re

import kernels
import numpy as np
import pytest

import girih
import girih.triton as triton
import girih.triton.language as tl
from girih.triton._source import kernel_source


def lines(text):
    return {at: line for at, line in enumerate(text.splitlines(), 1) if line.strip()}


def test_functions_stand_at_their_lines():
    source = kernel_source(kernels.scale_kernel.fn)
    ((file, text),) = source.modules.values()
    own = linecache.getlines(kernels.__file__)
    assert file == kernels.__file__
    for name in ("scaled", "scale_kernel"):
        at = next(i for i, line in enumerate(own, 1) if line.startswith(f"def {name}("))
        assert text.splitlines()[at - 1] == own[at - 1].rstrip()
        assert text.splitlines()[at - 2] == "@triton.jit"
    tail = text.splitlines()[len(own) - text.count("libdevice") :]
    assert "SCALE = 3" in text and "HALF = 0.5" in text and "import triton.language as tl" in text
    # What is not reached is not there.
    assert "add_kernel" not in text and tail is not None


def test_nested_kernels_see_what_surrounds_them():
    factor = 7

    @triton.jit
    def inner(x):
        return x * factor

    def make(limit):
        @triton.jit
        def outer(x_ptr, n: tl.constexpr):
            tl.store(x_ptr, inner(n) + limit)

        return outer

    ((_, text),) = kernel_source(make(float("inf")).fn).modules.values()
    assert "factor = 7" in text and "limit = float('inf')" in text
    first = text.splitlines().index("            tl.store(x_ptr, inner(n) + limit)")
    assert text.splitlines()[first - 2 : first] == ["        @triton.jit", "        def outer(x_ptr, n: tl.constexpr):"]


def test_names_of_other_modules():
    @triton.jit
    def kernel(x_ptr):
        tl.store(x_ptr, kernels.scaled(kernels.SCALE))

    renamed = kernels.scaled

    @triton.jit
    def other(x_ptr):
        tl.store(x_ptr, renamed(1))

    modules = kernel_source(kernel.fn).modules
    texts = "\n".join(text for _, text in modules.values())
    assert "def scaled(x):" in texts and " as kernels" in texts and "import scaled as scaled" in texts
    assert {file for file, _ in modules.values()} >= {__file__, kernels.__file__}
    texts = "\n".join(text for _, text in kernel_source(other.fn).modules.values())
    assert "import scaled as renamed" in texts


def test_two_functions_of_one_name():
    def make(value):
        @triton.jit
        def helper(x):
            return x + value

        return helper

    one, two = make(1), make(2)

    @triton.jit
    def kernel(x_ptr):
        tl.store(x_ptr, one(0) * two(0))

    modules = kernel_source(kernel.fn).modules
    texts = [text for _, text in modules.values()]
    assert sum("value = 1" in text for text in texts) == sum("value = 2" in text for text in texts) == 1
    assert len({file for file, _ in modules.values()}) == len(modules)


def test_recursion_and_missing_sources():
    @triton.jit
    def endless(x):
        return endless(x)

    with pytest.raises(girih.Error, match="calls itself"):
        kernel_source(endless.fn)
    space = {"triton": triton, "tl": tl}
    exec("@triton.jit\ndef nowhere(x_ptr):\n    tl.store(x_ptr, 1)\n", space)
    with pytest.raises(girih.Error, match="is not to be had") as e:
        kernel_source(space["nowhere"].fn)
    assert e.value.code == "Y011"
    with pytest.raises(girih.Error) as e:
        triton.jit(lambda x: x)
        kernel_source((lambda x: x))
    assert e.value.code == "Y011"


def test_the_language_outside_of_kernels():
    with pytest.raises(girih.Error, match=r"tl\.load was called outside of a kernel") as e:
        tl.load(0)
    assert e.value.code == "Y010" and "@triton.jit" in e.value.help
    for call in (lambda: tl.range(3), lambda: kernels.add_kernel(1), lambda: tl.math.exp(1), lambda: tl.sum(1, axis=0)):
        with pytest.raises(girih.Error) as e:
            call()
        assert e.value.code == "Y010"
    assert tl.load.__doc__ and "mask" in tl.load.__doc__
    assert (tl.float32.primitive_bitwidth, str(tl.float16), tl.int1.is_int()) == (32, "fp16", True)
    assert (
        tl.constexpr(3) + 1 == 4 and 2 * tl.constexpr(3) == tl.constexpr(6) and list(range(tl.constexpr(2))) == [0, 1]
    )
    assert tl.pointer_type(tl.float32).element_ty is tl.float32


def test_every_name_of_the_table_is_here():
    page = (pathlib.Path(__file__).resolve().parents[3] / "docs/triton.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if "not in Triton" not in row]
    names = re.findall(r"^\| `([\w.]+)` \|", "\n".join(rows), re.M)
    assert len(names) > 150
    missing = [n for n in names if not any(hasattr(m, n.split(".")[-1]) for m in (tl, tl.extra.libdevice))]
    assert not missing


def test_small_functions():
    assert [triton.cdiv(a, b) for a, b in ((0, 4), (1, 4), (4, 4), (5, 4))] == [0, 1, 1, 2]
    assert [triton.next_power_of_2(n) for n in (0, 1, 2, 3, 1000)] == [1, 1, 2, 4, 1024]
    config = triton.Config({"BLOCK": 4}, num_warps=2)
    assert config.all_kwargs() == {"BLOCK": 4} and str(config) == "BLOCK: 4"


DEFAULT = 32


@triton.jit
def padded(x, é="ü", B: tl.constexpr = DEFAULT, PAIR: tl.constexpr = (DEFAULT, -DEFAULT), *, SUM: tl.constexpr = (
    DEFAULT
    + 1
), KIND: tl.constexpr = tl.float32):  # fmt: skip
    return (x + B + PAIR[1] * 100 + SUM * 10000).to(KIND)


@triton.jit
def with_defaults(x_ptr, E: tl.constexpr = DEFAULT):
    tl.store(x_ptr, padded(tl.load(x_ptr)))
    tl.store(x_ptr + 1, E)


def test_defaults_are_what_they_were_when_the_function_was_defined(monkeypatch):
    monkeypatch.setitem(globals(), "DEFAULT", 5)
    x = np.zeros(2, np.float32)
    with girih.device("cpu"):
        with_defaults[(1,)](x)
        assert x.tolist() == [32 - 3200 + 330000, 32]
        # They are no variables that the kernel reads.
        monkeypatch.setitem(globals(), "DEFAULT", 6)
        with_defaults[(1,)](x)
    with pytest.raises(girih.Error) as e:
        wrong_after_defaults[(1,)](x)
    assert e.value.labels[0][1] == wrong_after_defaults.fn.__code__.co_firstlineno + 2


@triton.jit
def wrong_after_defaults(x_ptr, B: tl.constexpr = DEFAULT * 1000):
    tl.store(x_ptr, nothing)  # noqa: F821
