"""The workloads of `girih bench` in other libraries, run on demand.

    rivals.py numpy|jax|llama_cpp

A line-based server: answers one JSON object per line. First a greeting with the version, then for `prepare NAME` whether the
workload exists here (it is then built and warmed up), and for each `run` the seconds of one run. Data stays in memory; what is
timed is the computation alone. `prepare model PATH` makes `run` alternate between 128 tokens of prefill and 32 of decode.
"""

import json
import math
import os
import sys
import time

THREADS = os.environ.get("GIRIH_BENCH_THREADS", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, THREADS)

BATCH, TOKENS, WIDTH, HEADS, INNER, LAYERS = 8, 128, 384, 12, 1536, 6
EPS = 1e-5


def bert_shapes():
    shapes = [[BATCH, TOKENS, WIDTH]]
    square, norm = [[WIDTH, WIDTH], [WIDTH]], [[WIDTH], [WIDTH]]
    for _ in range(LAYERS):
        shapes += square * 4 + norm + [[WIDTH, INNER], [INNER], [INNER, WIDTH], [WIDTH]] + norm
    return shapes


SHAPES = {
    **{f"matmul_{n}": [[n, n]] * 2 for n in (256, 512, 1024, 2048)},
    "softmax_4096x1024": [[4096, 1024]],
    "softmax_256x32000": [[256, 32000]],
    "layernorm_4096x1024": [[4096, 1024], [1024], [1024]],
    "gelu_fma_16M": [[16384, 1024], [1024], [1024]],
    "sum_axis0_4096": [[4096, 4096]],
    "sum_axis1_4096": [[4096, 4096]],
    "attention_12x512x64": [[1, 12, 512, 64]] * 3,
    "conv2d_3x3_64_56": [[1, 64, 56, 56], [64, 64, 3, 3]],
    "bert6_8x128": bert_shapes(),
}


def functions(np, conv):
    """Each workload as a function of its arrays, for NumPy or a library with its interface."""

    def softmax(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def layer_norm(x, g, b):
        c = x - x.mean(axis=-1, keepdims=True)
        return c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + np.float32(EPS)) * g + b

    def gelu(x):
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
        return np.float32(0.5) * x * (np.float32(1) + np.tanh(inner))

    def attention(q, k, v, causal):
        scores = q @ np.swapaxes(k, -1, -2) * np.float32(1 / math.sqrt(q.shape[-1]))
        if causal:
            n = scores.shape[-1]
            scores = np.where(np.tril(np.ones((n, n), dtype=bool)), scores, np.float32(-1e30))
        return softmax(scores) @ v

    def linear(x, w, b):
        flat = x.reshape(-1, x.shape[-1])
        return (flat @ w + b).reshape(x.shape[:-1] + (w.shape[1],))

    def heads(x):
        return x.reshape(BATCH, TOKENS, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)

    def bert(x, *weights):
        for layer in range(LAYERS):
            wq, bq, wk, bk, wv, bv, wo, bo, g1, h1, w1, b1, w2, b2, g2, h2 = weights[16 * layer : 16 * layer + 16]
            seen = attention(heads(linear(x, wq, bq)), heads(linear(x, wk, bk)), heads(linear(x, wv, bv)), False)
            seen = linear(seen.transpose(0, 2, 1, 3).reshape(x.shape), wo, bo)
            x = layer_norm(x + seen, g1, h1)
            x = layer_norm(x + linear(gelu(linear(x, w1, b1)), w2, b2), g2, h2)
        return x

    table = {name: lambda a, b: a @ b for name in SHAPES if name.startswith("matmul")}
    table |= {name: softmax for name in SHAPES if name.startswith("softmax")}
    return table | {
        "layernorm_4096x1024": layer_norm,
        "gelu_fma_16M": lambda x, w, b: gelu(x * w + b),
        "sum_axis0_4096": lambda x: x.sum(axis=0),
        "sum_axis1_4096": lambda x: x.sum(axis=1),
        "attention_12x512x64": lambda q, k, v: attention(q, k, v, True),
        "conv2d_3x3_64_56": conv,
        "bert6_8x128": bert,
    }


def data(np, name):
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in SHAPES[name]]
    if name == "bert6_8x128":
        arrays = [a / np.float32(math.sqrt(a.shape[0])) if a.ndim == 2 else a for a in arrays]
    return arrays


def numpy_rival():
    import numpy as np

    def conv(x, w):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        columns = np.stack([padded[0, :, i : i + 56, j : j + 56] for i in range(3) for j in range(3)], 1)
        return (w.reshape(64, -1) @ columns.reshape(64 * 9, -1)).reshape(1, 64, 56, 56)

    table = functions(np, conv)

    def prepare(name):
        if name not in table:
            return None
        arrays = data(np, name)
        return lambda: table[name](*arrays)

    return np.__version__, prepare


def jax_rival():
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import jax.numpy as jnp
    import numpy as np

    table = functions(jnp, lambda x, w: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME"))

    def prepare(name):
        if name not in table:
            return None
        arrays = [jax.device_put(a) for a in data(np, name)]
        compiled = jax.jit(table[name])
        return lambda: compiled(*arrays).block_until_ready()

    return jax.__version__, prepare


def llama_rival():
    import llama_cpp
    import numpy as np

    def prepare(name):
        if not name.startswith("model "):
            return None
        n = int(THREADS)
        model = llama_cpp.Llama(name[len("model ") :], n_ctx=512, n_batch=512, n_threads=n, n_threads_batch=n, verbose=False)
        prompt = [100 + i * 37 % 4000 for i in range(128)]
        state = {"decode": False}

        def run():
            if not state["decode"]:
                model.reset()
                model.eval(prompt)
            else:
                for _ in range(32):
                    logits = llama_cpp.llama_get_logits_ith(model.ctx, -1)
                    model.eval([int(np.ctypeslib.as_array(logits, shape=(model.n_vocab(),)).argmax())])
            state["decode"] = not state["decode"]

        return run

    return llama_cpp.__version__, prepare


def main():
    version, prepare = {"numpy": numpy_rival, "jax": jax_rival, "llama_cpp": llama_rival}[sys.argv[1]]()
    # Libraries print as they like; the pipe is for answers only.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    say = lambda value: print(json.dumps(value), file=answers, flush=True)
    say({"version": version})
    run = None
    for line in sys.stdin:
        command, _, name = line.strip().partition(" ")
        if command == "prepare":
            run = prepare(name)
            if run and not name.startswith("model "):
                run()
            say({"ok": run is not None})
        elif command == "run" and run:
            start = time.perf_counter()
            run()
            say({"seconds": time.perf_counter() - start})
        else:
            say({"error": "unknown command"})


main()
