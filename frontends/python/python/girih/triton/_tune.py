"""Constants chosen by the machine: `Config`, `autotune`, `heuristics`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from girih._errors import Error

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

    The first that fits is taken, so that results do not depend on timings; `GIRIH_AUTOTUNE=1` measures all of them, once for each value
    of the key, and takes the fastest.
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
    ) -> None:
        self.fn = fn
        self.configs = list(configs) or [Config({})]
        self.keys = list(key)
        self.prune = dict(prune_configs_by or {})
        self.written = [*(reset_to_zero or ()), *(restore_value or ())]
        self.reset_to_zero = list(reset_to_zero or ())
        self.pre_hook, self.post_hook = pre_hook, post_hook
        self.cache: dict[tuple[Any, ...], Config] = {}
        self.best_config: Config | None = None

    def run(self, *args: Any, grid: Any, **kwargs: Any) -> Any:
        named = dict(zip(self.arg_names, args)) | kwargs
        key = tuple(_key(named.get(name)) for name in self.keys) + tuple(str(getattr(a, "dtype", "")) for a in args)
        best = self.cache.get(key)
        if best is None:
            candidates = self._pruned(named, kwargs)
            best = self._choose(candidates, args, grid, kwargs, named)
            self.cache[key] = best
        self.best_config = best
        return self._launch(best, args, grid, kwargs, named)

    def _pruned(self, named: dict[str, Any], kwargs: dict[str, Any]) -> list[Config]:
        early = self.prune.get("early_config_prune")
        found = list(early(self.configs, named, **kwargs)) if early is not None else self.configs
        if not found:
            raise Error("Y012", f"no configuration of `{self.__name__}` is left after pruning")
        return found

    def _choose(self, configs: list[Config], args: Any, grid: Any, kwargs: Any, named: dict[str, Any]) -> Config:
        measure = os.environ.get("GIRIH_AUTOTUNE", "0") not in ("", "0") and len(configs) > 1
        why: Error | None = None
        timings: list[tuple[float, int, Config]] = []
        for at, config in enumerate(configs):
            try:
                # What does not compile or does not fit the device is passed over.
                self._launch(config, args, grid, kwargs, named, warmup=True)
                if not measure:
                    return config
                timings.append((self._time(config, args, grid, kwargs, named), at, config))
            except Error as e:
                why = why or e
        if not timings:
            raise why if why is not None else Error("Y012", f"`{self.__name__}` has no configuration")
        return min(timings, key=lambda row: row[:2])[2]

    def _time(self, config: Config, args: Any, grid: Any, kwargs: Any, named: dict[str, Any]) -> float:
        """Milliseconds of a launch on copies, so that measuring changes nothing."""
        from girih.triton import testing
        from girih.triton._arguments import duplicate

        copies = [duplicate(a) for a in args]
        others = {name: duplicate(a) for name, a in kwargs.items()}
        return testing.do_bench(lambda: self._launch(config, copies, grid, others, named), warmup=5, rep=20)

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
    return lambda fn: Autotuner(fn, configs, key, prune_configs_by, reset_to_zero, restore_value, pre_hook, post_hook)


def heuristics(values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Callable[[Any], Heuristics]:
    """Computes constants of a kernel from its arguments."""
    return lambda fn: Heuristics(fn, values)


def _key(value: Any) -> Any:
    return (
        value if isinstance(value, (int, float, str, bool, type(None))) else str(getattr(value, "dtype", type(value)))
    )
