"""Graphs in text form."""

import threading

import numpy as np
import pytest

import girih

MATMUL = """symbol n 1..=64

graph "product" {
  %0 = input : f32[n, 5] as "x"
  %1 = input : f32[5, 3] as "w"
  %2 = dot %0, %1 {batch = [], contract = [[1, 0]], acc = f32, precision = exact} : f32[n, 3]
  return %2
}
"""

TWO = """graph "two" {
  %0 = input : f32[4] as "x"
  %1 = input : i32[4] as "n"
  %2 = add %0, %0 : f32[4]
  %3 = add %1, %1 : i32[4]
  return %2, %3
}
"""

WEIGHT = """graph "scale" {
  %0 = input : f32[4] as "x"
  %1 = weight : f32[4] as "w"
  %2 = mul %0, %1 : f32[4]
  return %2
}
"""


def test_sizes_come_from_the_inputs(device):
    f = girih.compile(MATMUL)
    assert f.inputs == [("x", "f32[n, 5]"), ("w", "f32[5, 3]")] and f.device == device
    rng = np.random.default_rng(0)
    w = rng.normal(size=(5, 3)).astype(np.float32)
    on_device = girih.array(w)
    for n in (1, 7, 64):
        x = rng.normal(size=(n, 5)).astype(np.float32)
        got = f(x, on_device)
        assert got.device == device and got.shape == (n, 3)
        np.testing.assert_allclose(got.numpy(), x @ w, rtol=1e-5, atol=1e-5)
        # Results are inputs again, without leaving the device.
        np.testing.assert_array_equal(f(girih.array(x), w=w).numpy(), got.numpy())


def test_several_results_and_numbers(device):
    f = girih.compile(TWO)
    doubled, twice = f([1, 2, 3, 4], n=[1, 2, 3, 4])
    assert doubled.numpy().tolist() == [2, 4, 6, 8] and twice.dtype == "i32" and twice.tolist() == [2, 4, 6, 8]
    assert len(f.kernels) >= 1 and "two" in repr(f)


def test_weights(device):
    w = np.arange(4, dtype=np.float32)
    f = girih.compile(WEIGHT, weights={"w": w})
    np.testing.assert_array_equal(f(np.full(4, 2, np.float32)).numpy(), 2 * w)
    for weights in ({}, {"w": w, "v": w}):
        with pytest.raises(girih.Error) as e:
            girih.compile(WEIGHT, weights=weights)
        assert e.value.code == "Y002"


def test_mistakes_name_the_place(device, tmp_path):
    f = girih.compile(MATMUL)
    for wrong in (np.ones((2, 4), np.float32), np.ones((2, 5)), np.ones((65, 5), np.float32)):
        with pytest.raises(girih.Error) as e:
            f(wrong, np.ones((5, 3), np.float32))
        assert e.value.code in ("Y002", "X004")
    with pytest.raises(girih.Error, match="takes 2 inputs, got 1"):
        f(np.ones((2, 5), np.float32))
    with pytest.raises(TypeError, match="needs the input 'w'"):
        f(x=np.ones((2, 5), np.float32))
    path = tmp_path / "wrong.girih"
    path.write_text(TWO.replace("f32[4]\n  %3", "f32[5]\n  %3"))
    with pytest.raises(girih.Error) as e:
        girih.compile(path)
    assert e.value.labels[0][:2] == (str(path), 4)


def test_threads_share_a_device(device):
    f = girih.compile(MATMUL)
    w = np.ones((5, 3), np.float32)
    wrong = []

    def work(seed):
        x = np.random.default_rng(seed).normal(size=(seed % 60 + 1, 5)).astype(np.float32)
        for _ in range(20):
            if not np.allclose(f(x, w).numpy(), x @ w, atol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
