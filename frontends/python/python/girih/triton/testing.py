"""Measuring and comparing."""

from __future__ import annotations

import csv
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from girih import _devices


def do_bench(
    fn: Callable[[], Any],
    warmup: float = 25,
    rep: float = 100,
    grad_to_none: Sequence[Any] | None = None,
    quantiles: Sequence[float] | None = None,
    return_mode: str = "mean",
    fast_flush: bool = True,
    device_type: str | None = None,
) -> Any:
    """Milliseconds that a call takes, with the work it starts on the current device.

    Args:
        fn: what to measure.
        warmup: milliseconds of calls before it counts.
        rep: milliseconds of calls that count.
        grad_to_none: tensors whose `grad` is cleared before each call.
        quantiles: gives these quantiles instead of one number.
        return_mode: `mean`, `median`, `min`, `max`, or `all` for the list.
    """
    if return_mode not in ("mean", "median", "min", "max", "all"):
        raise ValueError(f"return_mode {return_mode!r}")

    def once() -> float:
        for x in grad_to_none or ():
            x.grad = None
        start = time.perf_counter()
        fn()
        _devices.synchronize()
        return (time.perf_counter() - start) * 1e3

    once()
    guess = max(min(once() for _ in range(2)), 1e-3)
    for _ in range(int(warmup / guess)):
        once()
    times = [once() for _ in range(max(1, int(rep / guess)))]
    if quantiles is not None:
        found = [float(np.quantile(times, q)) for q in quantiles]
        return found[0] if len(found) == 1 else found
    if return_mode == "all":
        return times
    if return_mode == "mean":
        return statistics.fmean(times)
    if return_mode == "median":
        return statistics.median(times)
    return min(times) if return_mode == "min" else max(times)


do_bench_cudagraph = do_bench


def assert_close(x: Any, y: Any, atol: float | None = None, rtol: float | None = None, err_msg: str = "") -> None:
    """Fails unless `|x - y| <= atol + rtol * |y|` everywhere; 1e-2 and 0 if not given."""
    np.testing.assert_allclose(
        _numpy(x), _numpy(y), atol=1e-2 if atol is None else atol, rtol=0.0 if rtol is None else rtol, err_msg=err_msg
    )


def assert_almost_equal(x: Any, y: Any, decimal: int = 2, err_msg: str = "") -> None:
    """Fails unless `|x - y| <= 1.5 * 10^-decimal` everywhere."""
    np.testing.assert_array_almost_equal(_numpy(x), _numpy(y), decimal=decimal, err_msg=err_msg)


def allclose(x: Any, y: Any, tol: float = 1e-2) -> bool:
    """Whether two arrays are close, as the sum of their differences goes."""
    x, y = _numpy(x).astype(np.float64), _numpy(y).astype(np.float64)
    return bool(np.abs(x - y).max(initial=0.0) <= tol * max(1.0, np.abs(y).max(initial=0.0)))


def _numpy(x: Any) -> np.ndarray:
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        if "bfloat16" in str(x.dtype) or "float8" in str(x.dtype):
            x = x.float()
        return x.numpy()
    return np.asarray(x)


class Benchmark:
    """What `perf_report` measures: a function over the values of some of its arguments, one line for each of another's."""

    def __init__(
        self,
        x_names: Sequence[str],
        x_vals: Sequence[Any],
        line_arg: str,
        line_vals: Sequence[Any],
        line_names: Sequence[str],
        plot_name: str,
        args: dict[str, Any],
        xlabel: str = "",
        ylabel: str = "",
        x_log: bool = False,
        y_log: bool = False,
        styles: Sequence[Any] | None = None,
    ) -> None:
        self.x_names = list(x_names)
        self.x_vals = list(x_vals)
        self.line_arg = line_arg
        self.line_vals = list(line_vals)
        self.line_names = list(line_names)
        self.plot_name = plot_name
        self.args = dict(args)
        self.xlabel, self.ylabel = xlabel, ylabel
        self.x_log, self.y_log, self.styles = x_log, y_log, styles


class Mark:
    """A measured function and its benchmarks."""

    def __init__(self, fn: Callable[..., Any], benchmarks: Benchmark | Sequence[Benchmark]) -> None:
        self.fn = fn
        self.benchmarks = [benchmarks] if isinstance(benchmarks, Benchmark) else list(benchmarks)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

    def run(
        self,
        show_plots: bool = False,
        print_data: bool = False,
        save_path: str = "",
        return_df: bool = False,
        **kwargs: Any,
    ) -> list[list[dict[str, Any]]] | None:
        """Measures; prints the tables, writes them as CSV into `save_path`, or gives their rows. Plots are not drawn."""
        tables = []
        for benchmark in self.benchmarks:
            rows = [self._row(benchmark, x, kwargs) for x in benchmark.x_vals]
            tables.append(rows)
            if print_data:
                sys.stdout.write(_table(benchmark, rows))
            if save_path:
                os.makedirs(save_path, exist_ok=True)
                with open(os.path.join(save_path, f"{benchmark.plot_name}.csv"), "w", newline="") as out:
                    writer = csv.DictWriter(out, list(rows[0]) if rows else [])
                    writer.writeheader()
                    writer.writerows(rows)
        return tables if return_df else None

    def _row(self, benchmark: Benchmark, x: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        xs = x if isinstance(x, (tuple, list)) else [x] * len(benchmark.x_names)
        row = dict(zip(benchmark.x_names, xs))
        for value, name in zip(benchmark.line_vals, benchmark.line_names):
            named = dict(zip(benchmark.x_names, xs)) | {benchmark.line_arg: value} | benchmark.args | kwargs
            found = self.fn(**named)
            row[name] = found[0] if isinstance(found, (tuple, list)) else found
        return row


def _table(benchmark: Benchmark, rows: list[dict[str, Any]]) -> str:
    names = [*benchmark.x_names, *benchmark.line_names]
    texts = [[_text(row[name]) for name in names] for row in rows]
    widths = [max([len(name), *(len(t[i]) for t in texts)]) for i, name in enumerate(names)]
    lines = [" ".join(t.rjust(w) for t, w in zip(line, widths)) for line in [names, *texts]]
    return f"{benchmark.plot_name} ({benchmark.ylabel}):\n" + "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(value)
    return str(value)


def perf_report(benchmarks: Benchmark | Sequence[Benchmark]) -> Callable[[Callable[..., Any]], Mark]:
    """Marks a function as measured by benchmarks; `run` does it."""
    return lambda fn: Mark(fn, benchmarks)


def get_dram_gbps(device: Any = None) -> float:
    """Not known for a device of any maker."""
    return float("nan")


def get_max_tensorcore_tflops(dtype: Any, clock_rate: Any = None, device: Any = None) -> float:
    """Not known for a device of any maker."""
    return float("nan")


def get_max_simd_tflops(dtype: Any, clock_rate: Any = None, device: Any = None) -> float:
    """Not known for a device of any maker."""
    return float("nan")
