"""Constants chosen by the machine: `Config`, `autotune`, `heuristics`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from girih._errors import Error
from girih._arguments import contents, duplicate

# Parameters of a configuration that are hints for one vendor's chips.
HINTS = (
    "num_warps",
    "num_stages",
    "num_ctas",
    "maxnreg",
    "num_buffers_warp_spec",
    "ir_override",
    "warp_size",
    "waves_per_eu",
    "matrix_instr_nonkdim",
    "kpack",
)


class Config:
    """One choice of constants for a kernel. `num_warps` and `num_stages` are accepted as hints."""

    def __init__(
        self,
        kwargs: Mapping[str, Any],
        num_warps: int = 4,
        num_stages: int = 3,
        num_ctas: int = 1,
        maxnreg: int | None = None,
        pre_hook: Callable[[dict[str, Any]], None] | None = None,
        ir_override: str | None = None,
    ) -> None:
        self.kwargs = dict(kwargs)
        self.num_warps = num_warps
        self.num_stages = num_stages
        self.num_ctas = num_ctas
        self.maxnreg = maxnreg
        self.pre_hook = pre_hook
        self.ir_override = ir_override

    def all_kwargs(self) -> dict[str, Any]:
        """The constants."""
        return dict(self.kwargs)

    def __str__(self) -> str:
        return ", ".join(f"{name}: {value}" for name, value in self.kwargs.items())

    def __repr__(self) -> str:
        return f"Config({self.kwargs!r}, num_warps={self.num_warps}, num_stages={self.num_stages})"


class Wrapper:
    """A kernel with something before it. Launched like the kernel itself."""

    fn: Any

    def __getitem__(self, grid: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.run(*args, grid=grid, **kwargs)

    def run(self, *args: Any, grid: Any, **kwargs: Any) -> Any:
        """Launches it."""
        raise NotImplementedError

    @property
    def kernel(self) -> Any:
        """The kernel inside."""
        return self.fn.kernel if isinstance(self.fn, Wrapper) else self.fn

    @property
    def arg_names(self) -> list[str]:
        """Names of the kernel's parameters."""
        return self.kernel.arg_names

    @property
    def __name__(self) -> str:  # type: ignore[override]
        return self.kernel.__name__

    @property
    def __girih_function__(self) -> tuple[str, Callable[..., Any]]:
        return self.kernel.__girih_function__

    def emit(self, target: str = "wgsl", **signature: Any) -> str:
        """As `JITFunction.emit`."""
        return self.fn.emit(target, **signature)


class Autotuner(Wrapper):
    """A kernel with configurations to choose from.

    The first that fits is taken, so that results do not depend on timings. `kernel.tune[grid](*arguments)` measures them for these
    arguments' values of the key, and later launches take the fastest; with `GIRIH_AUTOTUNE=1` the first launch for each value of the
    key does so. Measuring happens on copies of the arguments, and a configuration whose results differ from the first one's is an
    error.
    """

    def __init__(
        self,
        fn: Any,
        configs: Sequence[Config],
        key: Sequence[str],
        prune_configs_by: Mapping[str, Any] | None = None,
        reset_to_zero: Sequence[str] | None = None,
        restore_value: Sequence[str] | None = None,
        pre_hook: Callable[..., None] | None = None,
        post_hook: Callable[..., None] | None = None,
        warmup: float | None = None,
        rep: float | None = None,
        do_bench: Callable[..., Any] | None = None,
    ) -> None:
        self.fn = fn
        self.configs = list(configs) or [Config({})]
        self.warmup_ms, self.rep_ms, self.do_bench = warmup or 5, rep or 20, do_bench
        self.keys = list(key)
        self.prune = dict(prune_configs_by or {})
        self.reset_to_zero, self.restore_value = list(reset_to_zero or ()), list(restore_value or ())
        # Milliseconds of each configuration that was measured last, as Triton keeps them.
        self.configs_timings: dict[Config, float] = {}
        self.pre_hook, self.post_hook = pre_hook, post_hook
        self.cache: dict[tuple[Any, ...], Config] = {}
        self.best_config: Config | None = None

    def run(self, *args: Any, grid: Any, **kwargs: Any) -> Any:
        named = dict(zip(self.arg_names, args)) | kwargs
        key = self._cache_key(named, args)
        best = self.cache.get(key)
        if best is None:
            if os.environ.get("GIRIH_AUTOTUNE", "0") not in ("", "0"):
                best = self._fastest(args, grid, kwargs, named)
            else:
                best = self._first(args, grid, kwargs, named)
            self.cache[key] = best
        self.best_config = best
        return self._launch(best, args, grid, kwargs, named)

    @property
    def tune(self) -> _Tuning:
        """`kernel.tune[grid](*arguments)` measures the configurations, without a launch that changes anything; gives the fastest."""
        return _Tuning(self)

    def _cache_key(self, named: dict[str, Any], args: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(_key(named.get(name)) for name in self.keys) + tuple(str(getattr(a, "dtype", "")) for a in args)

    def _pruned(self, named: dict[str, Any], kwargs: dict[str, Any]) -> list[Config]:
        early = self.prune.get("early_config_prune")
        found = list(early(self.configs, named, **kwargs)) if early is not None else self.configs
        if not found:
            raise Error("Y012", f"no configuration of `{self.__name__}` is left after pruning")
        model, top = self.prune.get("perf_model"), self.prune.get("top_k", len(found))
        if isinstance(top, float) and top <= 1.0:
            top = max(int(len(self.configs) * top), 1)
        if model is None or top >= len(found):
            return found
        cost = {
            id(c): model(**named, **kwargs, **c.all_kwargs(), num_warps=c.num_warps, num_stages=c.num_stages)
            for c in found
        }
        return sorted(found, key=lambda c: cost[id(c)])[: int(top)]

    def _first(self, args: Any, grid: Any, kwargs: Any, named: dict[str, Any]) -> Config:
        """The first configuration that compiles and fits the device."""
        why: Error | None = None
        for config in self._pruned(named, kwargs):
            try:
                self._launch(config, args, grid, kwargs, named, warmup=True)
                return config
            except Error as e:
                why = why or e
        raise why if why is not None else Error("Y012", f"`{self.__name__}` has no configuration")

    def _fastest(self, args: Any, grid: Any, kwargs: Any, named: dict[str, Any]) -> Config:
        """The configuration that takes least time, of those that compile and fit the device."""
        from girih.triton import testing

        why: Error | None = None
        expected: tuple[Config, list[np.ndarray]] | None = None
        timings: list[tuple[float, int, Config]] = []
        for at, config in enumerate(self._pruned(named, kwargs)):
            copies, others = self._copies(args, kwargs)
            launch = functools.partial(
                self._launch, config, copies, grid, others, named | _named(self, copies) | others
            )
            try:
                launch()
            except Error as e:
                why = why or e
                continue
            found = [contents(x) for x in (*copies, *others.values())]
            results = [x for x in found if x is not None]
            if expected is None:
                expected = (config, results)
            elif not all(map(_agree, results, expected[1])):
                raise Error(
                    "Y012",
                    f"configurations of `{self.__name__}` give different results",
                    notes=[f"one is {{{expected[0]}}}", f"another is {{{config}}}"],
                    help="list what it adds to in `reset_to_zero`, and check its masks",
                )
            if self.do_bench is not None:
                time = self.do_bench(launch, quantiles=(0.5,))
                time = time[0] if isinstance(time, (list, tuple)) else time
            else:
                time = testing.do_bench(launch, warmup=self.warmup_ms, rep=self.rep_ms, return_mode="median")
            timings.append((float(time), at, config))
        if not timings:
            raise why if why is not None else Error("Y012", f"`{self.__name__}` has no configuration")
        self.configs_timings = {config: time for time, _, config in timings}
        return min(timings, key=lambda row: row[:2])[2]

    def _copies(self, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
        """Copies of the arguments, those of `reset_to_zero` filled with zeros."""

        def copy(name: str, value: Any) -> Any:
            return duplicate(value, zero=name in self.reset_to_zero)

        return [copy(n, x) for n, x in zip(self.arg_names, args)], {n: copy(n, x) for n, x in kwargs.items()}

    def _launch(
        self, config: Config, args: Any, grid: Any, kwargs: Any, named: dict[str, Any], warmup: bool = False
    ) -> Any:
        if config.pre_hook is not None:
            config.pre_hook(named | config.all_kwargs())
        if self.pre_hook is not None and not warmup:
            self.pre_hook(named | config.all_kwargs())
        given = kwargs | config.all_kwargs() | {"num_warps": config.num_warps, "num_stages": config.num_stages}
        if warmup:
            return self.fn.warmup(*args, grid=grid, **given)
        result = self.fn.run(*args, grid=grid, **given)
        if self.post_hook is not None:
            self.post_hook(named | config.all_kwargs(), exception=None)
        return result

    def warmup(self, *args: Any, grid: Any, **kwargs: Any) -> Any:
        """Compiles the first configuration for these arguments, without a launch."""
        named = dict(zip(self.arg_names, args)) | kwargs
        return self._launch(self._pruned(named, kwargs)[0], args, grid, kwargs, named, warmup=True)

    def emit(self, target: str = "wgsl", **signature: Any) -> str:
        return self.fn.emit(target, **(self.configs[0].all_kwargs() | signature))


class _Tuning:
    """What `kernel.tune` is."""

    def __init__(self, tuner: Autotuner) -> None:
        self.tuner = tuner

    def __getitem__(self, grid: Any) -> Callable[..., Config]:
        return lambda *args, **kwargs: self(*args, grid=grid, **kwargs)

    def __call__(self, *args: Any, grid: Any, **kwargs: Any) -> Config:
        tuner = self.tuner
        named = dict(zip(tuner.arg_names, args)) | kwargs
        best = tuner._fastest(args, grid, kwargs, named)
        tuner.best_config = tuner.cache[tuner._cache_key(named, args)] = best
        return best


class Heuristics(Wrapper):
    """A kernel some of whose constants are functions of its arguments."""

    def __init__(self, fn: Any, values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> None:
        self.fn = fn
        self.values = dict(values)

    def _decide(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        named = dict(zip(self.arg_names, args)) | kwargs
        for name, decide in self.values.items():
            kwargs[name] = named[name] = decide(named)
        return kwargs

    def run(self, *args: Any, grid: Any, **kwargs: Any) -> Any:
        return self.fn.run(*args, grid=grid, **self._decide(args, kwargs))

    def warmup(self, *args: Any, grid: Any, **kwargs: Any) -> Any:
        """Compiles for these arguments, without a launch."""
        return self.fn.warmup(*args, grid=grid, **self._decide(args, kwargs))

    def emit(self, target: str = "wgsl", **signature: Any) -> str:
        return self.fn.emit(target, **self._decide((), dict(signature)))


def autotune(
    configs: Sequence[Config],
    key: Sequence[str],
    prune_configs_by: Mapping[str, Any] | None = None,
    reset_to_zero: Sequence[str] | None = None,
    restore_value: Sequence[str] | None = None,
    pre_hook: Callable[..., None] | None = None,
    post_hook: Callable[..., None] | None = None,
    warmup: int | None = None,
    rep: int | None = None,
    use_cuda_graph: bool = False,
    do_bench: Callable[..., float] | None = None,
    cache_results: bool = False,
) -> Callable[[Any], Autotuner]:
    """Gives a kernel configurations to choose from; `Autotuner` says how one is chosen."""
    tuner = functools.partial(Autotuner, configs=configs, key=key, prune_configs_by=prune_configs_by)
    hooks = functools.partial(tuner, pre_hook=pre_hook, post_hook=post_hook, warmup=warmup, rep=rep, do_bench=do_bench)
    return lambda fn: hooks(fn, reset_to_zero=reset_to_zero, restore_value=restore_value)


def heuristics(values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Callable[[Any], Heuristics]:
    """Computes constants of a kernel from its arguments."""
    return lambda fn: Heuristics(fn, values)


def _named(tuner: Autotuner, args: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(tuner.arg_names, args))


def _agree(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two results are the same but for the order of sums."""
    if a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    a, b = a.astype(np.float64), b.astype(np.float64)
    largest = np.abs(b, where=np.isfinite(b), out=np.zeros_like(b)).max(initial=0.0)
    return bool(np.allclose(a, b, rtol=1e-2, atol=1e-2 * largest, equal_nan=True))


def _key(value: Any) -> Any:
    return (
        value if isinstance(value, (int, float, str, bool, type(None))) else str(getattr(value, "dtype", type(value)))
    )
