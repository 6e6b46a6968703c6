"""Global variables that kernels read: what is compiled is what they are, or the launch says that they changed."""

import math
import types

import numpy as np
import pytest

import girih
import girih.triton as triton
import girih.triton.language as tl

FACTOR = 2
LIMIT: tl.constexpr = tl.constexpr(8)
TABLE = [1, 2, 3]
DTYPE = tl.float32
UNUSED = 1
SPACE = types.ModuleType("space")
SPACE.OFFSET = 10


@triton.jit
def twice(x):
    return x * FACTOR


@triton.jit
def thrice(x):
    return x * 3


@triton.jit
def scaled(x_ptr, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(x_ptr + at, tl.load(x_ptr + at) * FACTOR)


@triton.jit
def through_a_helper(x_ptr, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(x_ptr + at, twice(tl.load(x_ptr + at)))


@triton.jit
def with_constants(x_ptr, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(x_ptr + at, at.to(DTYPE) + TABLE[1] + SPACE.OFFSET, mask=at < LIMIT)


@triton.jit
def late(x_ptr):
    tl.store(x_ptr, NOT_YET)  # noqa: F821


def fresh(kernel):
    """The same kernel, of which nothing is compiled."""
    return triton.jit(kernel.fn)


def launch(kernel, block=8):
    x = np.ones(16, np.float32)
    kernel[(1,)](x, B=block)
    return x


@pytest.fixture
def name(monkeypatch):
    return lambda name, value: monkeypatch.setitem(globals(), name, value)


@pytest.mark.parametrize("kernel", [scaled, through_a_helper])
def test_a_changed_variable_is_told(kernel, name):
    kernel = fresh(kernel)
    assert launch(kernel)[0] == 2
    name("FACTOR", 5)
    # Of what is compiled, and of what would be.
    for block in (8, 16):
        with pytest.raises(
            RuntimeError, match="Global variable FACTOR has changed since we compiled this kernel, from 2 to 5"
        ):
            launch(kernel, block)
    with pytest.raises(girih.Error, match="reads it") as e:
        kernel.emit(x_ptr="*fp32", B=8)
    assert e.value.code == "Y017"
    # What it was is right again, and so is a kernel made anew.
    assert launch(fresh(kernel))[0] == 5
    name("FACTOR", 2)
    assert launch(kernel)[0] == 2


@pytest.mark.parametrize(
    "variable, other",
    [
        ("FACTOR", 2.0),
        ("FACTOR", True),
        ("FACTOR", tl.constexpr(3)),
        ("FACTOR", None),
        ("FACTOR", math.nan),
        ("FACTOR", (2,)),
    ],
)
def test_another_type_is_another_value(variable, other, name):
    kernel = fresh(scaled)
    launch(kernel)
    name(variable, other)
    with pytest.raises(RuntimeError, match=variable):
        launch(kernel)


@pytest.mark.parametrize(
    "variable, other",
    [("TABLE", [1, 5, 3]), ("DTYPE", tl.float16), ("LIMIT", tl.constexpr(4)), ("LIMIT", 4)],
)
def test_constants_of_every_kind(variable, other, name):
    kernel = fresh(with_constants)
    np.testing.assert_array_equal(launch(kernel, 16), [*np.arange(8) + 12, *[1] * 8])
    name(variable, other)
    with pytest.raises(RuntimeError, match=variable):
        launch(kernel, 16)


def test_what_is_equal_has_not_changed(name):
    kernel = fresh(with_constants)
    launch(kernel)
    name("TABLE", [1, 2, 3])
    name("LIMIT", tl.constexpr(8))
    name("UNUSED", 7)
    launch(kernel)


def test_lists_and_modules_change_in_place(monkeypatch):
    kernel = fresh(with_constants)
    launch(kernel)
    TABLE[1] = 9
    try:
        with pytest.raises(RuntimeError, match=r"TABLE has changed .* from \[1, 2, 3\] to \[1, 9, 3\]"):
            launch(kernel)
    finally:
        TABLE[1] = 2
    launch(kernel)
    monkeypatch.setattr(SPACE, "OFFSET", 11)
    with pytest.raises(RuntimeError, match="OFFSET"):
        launch(kernel)
    monkeypatch.delattr(SPACE, "OFFSET")
    with pytest.raises(RuntimeError, match="to nothing"):
        launch(kernel)


def test_another_helper_is_another_value(name):
    kernel = fresh(through_a_helper)
    launch(kernel)
    # The same function made a kernel again is the same.
    name("twice", triton.jit(twice.fn))
    launch(kernel)
    name("twice", thrice)
    with pytest.raises(RuntimeError, match="twice"):
        launch(kernel)


def test_variables_of_enclosing_functions():
    factor = 4

    @triton.jit
    def kernel(x_ptr, B: tl.constexpr):
        at = tl.arange(0, B)
        tl.store(x_ptr + at, tl.load(x_ptr + at) * factor)

    assert launch(kernel)[0] == 4
    factor = 6
    with pytest.raises(RuntimeError, match="factor has changed since we compiled this kernel, from 4 to 6"):
        launch(kernel)
    del factor
    with pytest.raises(RuntimeError, match="nothing"):
        launch(kernel)


def test_what_was_missing_may_come(name):
    x = np.zeros(1, np.float32)
    kernel = fresh(late)
    with pytest.raises(girih.Error) as e:
        kernel[(1,)](x)
    assert e.value.code == "K003"
    name("NOT_YET", 3.5)
    kernel[(1,)](x)
    assert x[0] == 3.5
