"""The machine's limits, measured by kernel_bench in the run that they stand beside, and the work of a model's tokens."""
import json
import os
import pathlib
import subprocess

# SmolLM2-135M: values of the linear layers and of the head, and multiplications of a query with a key, all layers.
LINEAR, HEAD, ATTENTION = 106_168_320, 49_152 * 576, 30 * 9 * 64
FACTORS = 9_768_960  # of an adapter of rank 32 on all linear layers


def measure(build, threads):
    """Prints what products, reading and copying reach with so many threads. Returns GFLOP/s and GB/s, the best of each:
    a product that stays in the cache, one of 600 rows with SmolLM2's gate projection, memory read, memory copied."""
    out = subprocess.run([pathlib.Path(build) / "tests/bench/kernel_bench", "--benchmark_format=json",
                          "--benchmark_filter=product_in_cache|read_memory|copy_memory|linear/(1|32|600)/1536/576"],
                         env={**os.environ, "SAMNER_BENCH_THREADS": str(threads)}, check=True, capture_output=True)
    rates = {}
    for row in json.loads(out.stdout)["benchmarks"]:
        name = row["name"].removesuffix("/real_time")
        shown = ", ".join(f"{row[key]:.0f} {key}" for key in ("GFLOP/s", "GB/s") if row[key] > 0)
        print(f"{name:<24} {shown}", flush=True)
        rates[name] = row["GFLOP/s"] if row["GFLOP/s"] > 0 else row["GB/s"]

    def best(start):
        return max(rate for name, rate in rates.items() if name.startswith(start))

    return {"product": best("product_in_cache"), "linear": best("linear/600"), "read": best("read_memory"), "copy": best("copy_memory")}


def decoding_gflop(prompts, answers, shared=0, factors=0):
    """Of prompts (token ids) whose first `shared` tokens are read once, and of answers: every token goes through the
    linear layers and the factors, those that an answer's token is chosen at through the head, and each meets all before it."""
    tokens, pairs, chosen = shared, shared * (shared + 1) / 2, 0
    for prompt, answer in zip(prompts, answers, strict=True):
        length = len(prompt) + max(len(answer) - 1, 0)
        tokens += length - shared
        pairs += (length * (length + 1) - shared * (shared + 1)) / 2
        chosen += len(answer)
    return (2 * (LINEAR + factors) * tokens + 4 * ATTENTION * pairs + 2 * HEAD * chosen) / 1e9
