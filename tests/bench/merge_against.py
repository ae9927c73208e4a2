"""samner's merges beside peft's, a memory copy and the disk, in one run.

    cmake --preset release -DSAMNER_BENCH=ON && cmake --build build --target merge_bench samner
    pip install -r tests/bench/requirements.txt
    python tests/bench/merge_against.py [--shape 7b] [--shape smollm2] [--rounds 3] [--threads 2] [--build build]

TIES in factor space, three rank-32 adapters on all linear layers: samner and peft take turns, both on tensors that are in
memory. Then a full merge into the weights of a model of SmolLM2's shape (`samner merge --space delta`), from files that
are not in the page cache to files that are on the disk, beside the disk's own sequential rates. Prints the best of the
rounds.
"""

import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import tempfile
import time

import numpy

RANK = 32
EXPERTS = 3
SHAPES = {
    "7b": (28, {"self_attn.q_proj": (3584, 3584), "self_attn.k_proj": (512, 3584), "self_attn.v_proj": (512, 3584),
                "self_attn.o_proj": (3584, 3584), "mlp.gate_proj": (18944, 3584), "mlp.up_proj": (18944, 3584),
                "mlp.down_proj": (3584, 18944)}),
    "smollm2": (30, {"self_attn.q_proj": (576, 576), "self_attn.k_proj": (192, 576), "self_attn.v_proj": (192, 576),
                     "self_attn.o_proj": (576, 576), "mlp.gate_proj": (1536, 576), "mlp.up_proj": (1536, 576),
                     "mlp.down_proj": (576, 1536)}),
}
BENCH_NAMES = {"7b": "qwen_7b", "smollm2": "smollm2"}


def peft_model(shape):
    """Linear layers whose weights take no memory, and adapters with random ones."""
    import peft
    import torch

    layers, linears = SHAPES[shape]
    root = torch.nn.Module()
    root.layers = torch.nn.ModuleList()
    for _ in range(layers):
        layer = torch.nn.Module()
        for name, (out, into) in linears.items():
            linear = torch.nn.Linear(into, out, bias=False, device="meta")
            linear.weight = torch.nn.Parameter(torch.zeros(1, 1).expand(out, into), requires_grad=False)
            layer.add_module(name.split(".")[1], linear)
        root.layers.append(layer)
    root.config = {"model_type": "custom"}
    targets = sorted(name.split(".")[1] for name in linears)
    config = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=targets)
    model = peft.PeftModel(root, config, adapter_name="e0")
    for expert in range(1, EXPERTS):
        model.add_adapter(f"e{expert}", config)
    generator = torch.Generator().manual_seed(3)
    for module in model.modules():
        if not isinstance(module, peft.tuners.lora.LoraLayer):
            continue
        for factors in (module.lora_A, module.lora_B):
            for name in list(factors):
                shape_of = factors[name].weight.shape
                values = torch.empty(shape_of).normal_(0, 0.02, generator=generator)
                factors[name].weight = torch.nn.Parameter(values, requires_grad=False)
    return model


def time_peft(model, threads):
    import torch

    torch.set_num_threads(threads)
    names = [f"e{i}" for i in range(EXPERTS)]
    begin = time.perf_counter()
    with torch.no_grad():
        model.base_model.add_weighted_adapter(names, [1.5, 1.0, 0.5], "merged", combination_type="ties", density=0.5)
    seconds = time.perf_counter() - begin
    model.base_model.delete_adapter("merged")
    return seconds


def time_samner(build, shape, threads):
    """Seconds of the merge and of the copy of as many bytes."""
    name = BENCH_NAMES[shape]
    result = subprocess.run(
        [build / "tests/bench/merge_bench", f"--benchmark_filter=^(merge/{name}_ties|copy/{name})/",
         "--benchmark_format=json"],
        env={**os.environ, "SAMNER_BENCH_THREADS": str(threads)}, check=True, capture_output=True, text=True)
    times = {each["name"].split("/")[0]: each["real_time"] / 1e3 for each in json.loads(result.stdout)["benchmarks"]}
    return times["merge"], times["copy"]


def write_safetensors(path, tensors, dtype):
    offset, header = 0, {"__metadata__": {"format": "pt"}}
    for name in sorted(tensors):
        size = tensors[name].nbytes
        header[name] = {"dtype": dtype, "shape": list(tensors[name].shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            file.write(tensors[name].tobytes())


def make_base_and_adapters(folder):
    """A model of SmolLM2-135M's shape in bfloat16 and adapters for it, with random values."""
    random = numpy.random.default_rng(3)
    layers, linears = SHAPES["smollm2"]
    vocabulary, hidden = 49152, 576

    def values(*shape):
        return random.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.02)

    def bfloat16(array):
        return ((array.view(numpy.uint32) + 0x8000) >> 16).astype(numpy.uint16)

    weights = {"model.embed_tokens.weight": bfloat16(values(vocabulary, hidden)),
               "model.norm.weight": bfloat16(values(hidden))}
    for layer in range(layers):
        for name, shape in linears.items():
            weights[f"model.layers.{layer}.{name}.weight"] = bfloat16(values(*shape))
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{name}.weight"] = bfloat16(values(hidden))
    base = folder / "base"
    base.mkdir()
    write_safetensors(base / "model.safetensors", weights, "BF16")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": hidden,
              "intermediate_size": 1536, "num_hidden_layers": layers, "num_attention_heads": 9,
              "num_key_value_heads": 3, "vocab_size": vocabulary, "max_position_embeddings": 8192,
              "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "tie_word_embeddings": True, "hidden_act": "silu",
              "bos_token_id": 1, "eos_token_id": 2}
    (base / "config.json").write_text(json.dumps(config))
    adapters = []
    for expert in range(EXPERTS):
        factors = {}
        for layer in range(layers):
            for name, (out, into) in linears.items():
                prefix = f"base_model.model.model.layers.{layer}.{name}"
                factors[f"{prefix}.lora_A.weight"] = values(RANK, into)
                factors[f"{prefix}.lora_B.weight"] = values(out, RANK)
        adapter = folder / f"e{expert}"
        adapter.mkdir()
        write_safetensors(adapter / "adapter_model.safetensors", factors, "F32")
        settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "base_model_name_or_path": "base",
                    "target_modules": sorted(name.split(".")[1] for name in linears)}
        (adapter / "adapter_config.json").write_text(json.dumps(settings))
        adapters.append(adapter)
    return base, adapters


def forget(path):
    """Takes a file out of the page cache."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_seconds(model, folder):
    """What reading and writing as many bytes as the model has takes, one after the other and with nothing else."""
    block = 4 << 20
    forget(model)
    begin = time.perf_counter()
    data = []
    with open(model, "rb", buffering=0) as file:
        while chunk := file.read(block):
            data.append(chunk)
    read = time.perf_counter() - begin
    copy = folder / "copy"
    begin = time.perf_counter()
    with open(copy, "wb", buffering=0) as file:
        for chunk in data:
            file.write(chunk)
        os.fsync(file.fileno())
    write = time.perf_counter() - begin
    copy.unlink()
    return read, write


def fold(build, rounds, method, ranks):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        base, adapters = make_base_and_adapters(folder)
        model = base / "model.safetensors"
        size = model.stat().st_size
        shares, rates = [], []
        for number in range(rounds):
            read, write = disk_seconds(model, folder)
            forget(model)
            out = folder / f"out{number}"
            command = [build / "samner", "merge", *adapters, "--method", method, "--space", "delta", "--base", base, "--out", out]
            begin = time.perf_counter()
            subprocess.run(command + (["-n", str(ranks)] if ranks > 1 else []), check=True)
            seconds = time.perf_counter() - begin
            shares.append((read + write) / seconds)
            rates.append(2 * size / seconds)
        print(f"delta space, {method}, {ranks} rank(s), {size / 1e6:.0f} MB: {max(rates) / 1e6:.0f} MB/s read and "
              f"written, {100 * statistics.median(shares):.0f} % (median; {100 * min(shares):.0f} to "
              f"{100 * max(shares):.0f}) of the disk's sequential rate")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", action="append", choices=sorted(SHAPES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    arguments = parser.parse_args()
    for shape in arguments.shape or ["7b", "smollm2"]:
        model = peft_model(shape)
        ours, copies, theirs = [], [], []
        for _ in range(arguments.rounds):
            merge, copy = time_samner(arguments.build, shape, arguments.threads)
            ours.append(merge)
            copies.append(copy)
            theirs.append(time_peft(model, arguments.threads))
        print(f"factor space, ties, {shape}: samner {min(ours):.3f} s, peft {min(theirs):.2f} s "
              f"({min(theirs) / min(ours):.0f} times), a copy of as many bytes {min(copies):.3f} s "
              f"(the merge takes {min(ours) / min(copies):.1f} times as long)")
    for method, ranks in (("linear", 1), ("ties", 1), ("ties", 2)):
        fold(arguments.build, arguments.rounds, method, ranks)


if __name__ == "__main__":
    main()
