#!/usr/bin/env python3
"""Writes mergekit/: a tiny Llama of four layers, PEFT adapters e0 e1 e2 for it, cases.json with configurations of
mergekit, and <case>/<tensor> in expected.safetensors: what mergekit makes of the tensors that an adapter changes.

The adapters are folded into the base by numpy in float64 and stored as float32, and mergekit 0.1.5 merges these models.
Needs numpy, safetensors, mergekit and its torch. Run in this folder. No case hangs on a near tie: the script fails where
magnitudes at a threshold or the two sides of an elected sum are closer than MARGIN.
"""
import json
import pathlib
import tempfile

import numpy as np
import torch
from mergekit.config import MergeConfiguration, evaluate_setting
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).parent / "mergekit"
LAYERS, HIDDEN, INNER, VOCAB, RANK, ALPHA = 4, 16, 24, 20, 2, 4
MARGIN, LEAST = 3e-5, 5e-7  # relative; of an elected sum that is not 0, beside what float32 changes
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER,
    "num_hidden_layers": LAYERS, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": VOCAB,
    "tie_word_embeddings": False, "dtype": "float32", "hidden_act": "silu",
    "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip

THREE = ["e0", "e1", "e2"]


def case(name, method, parameters, own, base=True):
    models = [{"model": m, "parameters": p} for m, p in zip(THREE, own)]
    config = {"merge_method": method, "dtype": "float32", "models": models}
    if base:
        config["base_model"] = "base"
    if parameters:
        config["parameters"] = parameters
    return {"name": name, "config": config}


CASES = [
    case("ties-density-by-model", "ties", {},
         [{"weight": 1.5, "density": 0.3}, {"weight": 1, "density": 0.7}, {"weight": 0.5}]),
    case("ties-gradients", "ties", {"normalize": False},
         [{"weight": [0.2, 1, 0.4], "density": [0.9, 0.3]}, {"weight": [1, 0.3], "density": 0.5},
          {"weight": 0.7, "density": [0.2, 0.4, 0.6, 0.8, 1]}]),
    case("ties-filters-fall-through", "ties", {"density": [{"filter": "mlp", "value": [0.4, 0.6]}, {"value": 0.8}],
                                               "weight": 0.6},
         [{"density": [{"filter": "layers.2.", "value": 0.25}]},
          {"weight": [{"filter": "q_proj.weight", "value": [1, 2]}, {"filter": "layers.1", "value": 1.25}]},
          {"weight": {"filter": "lm_head", "value": 0.9}, "density": 0.5}]),
    case("task_arithmetic-gradients", "task_arithmetic", {"lambda": 0.8, "weight": [0.1, 0.9]},
         [{}, {"weight": [{"filter": "self_attn", "value": [1, -1]}, {"filter": "*", "value": 0.5}]}, {"weight": -0.5}]),
    case("linear-gradients", "linear", {}, [{"weight": [1, 0.25]}, {"weight": [0.5, 2, 0.5]}, {"weight": 1}], base=False),
    case("breadcrumbs-by-model", "breadcrumbs", {"gamma": 0.05},
         [{"weight": 1, "density": [0.3, 0.6]}, {"weight": 0.5, "density": 0.4}, {"weight": 0.8, "density": 0.9}]),
    {"name": "slices-of-all-layers", "config": {
        "merge_method": "ties", "base_model": "base", "dtype": "float32", "parameters": {"density": 0.3, "weight": 1.0},
        "slices": [{"parameters": {"density": [0.8, 0.4]}, "sources": [
            {"model": "e0", "layer_range": [0, LAYERS], "parameters": {"weight": [0.5, 1.5]}},
            {"model": "e1", "layer_range": [0, LAYERS]},
            {"model": "base", "layer_range": [0, LAYERS]},
            {"model": "e2", "layer_range": [0, LAYERS], "parameters": {"density": 0.6}}]}]}},
]  # fmt: skip


def shapes():
    out = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCAB, HIDDEN)}
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        out |= {p + "input_layernorm.weight": (HIDDEN,), p + "post_attention_layernorm.weight": (HIDDEN,),
                p + "self_attn.q_proj.weight": (HIDDEN, HIDDEN), p + "self_attn.k_proj.weight": (8, HIDDEN),
                p + "self_attn.v_proj.weight": (8, HIDDEN), p + "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
                p + "mlp.up_proj.weight": (INNER, HIDDEN), p + "mlp.gate_proj.weight": (INNER, HIDDEN),
                p + "mlp.down_proj.weight": (HIDDEN, INNER)}  # fmt: skip
    return out


def write_model(folder, tensors):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def write_adapter(folder, factors):
    folder.mkdir(parents=True)
    modules = sorted({m.split(".")[-1] for m in factors})
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": modules, "bias": "none",
         "base_model_name_or_path": "base", "fan_in_fan_out": False, "use_rslora": False}, indent=1) + "\n")  # fmt: skip
    tensors = {}
    for module, (a, b) in factors.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = a
        tensors[f"base_model.model.{module}.lora_B.weight"] = b
    save_file(tensors, folder / "adapter_model.safetensors")


def resolve(config, name, key, tensor, default):
    """What mergekit takes for a model, for the check of margins."""
    layer = next((int(p) for p in tensor.split(".") if p.isdigit()), None)
    t = 0 if layer is None else layer / (LAYERS - 1)
    sources = config.get("models") or config["slices"][0]["sources"]
    scopes = [next(s for s in sources if s["model"] == name).get("parameters", {})]
    scopes += [config["slices"][0].get("parameters", {})] if "slices" in config else []
    for scope in [*scopes, config.get("parameters", {})]:
        if key in scope:
            setting = MergeConfiguration(merge_method="x", models=[{"model": "x"}], parameters={key: scope[key]})
            value = evaluate_setting(tensor, setting.parameters[key], t, validate=float)
            if value is not None:
                return value
    return default


def check_margins(config, tensor, updates):
    method = config["merge_method"]
    if method not in ("ties", "breadcrumbs"):
        return
    terms = []
    for name, update in updates.items():
        density, flat = resolve(config, name, "density", tensor, 1.0), update.ravel().copy()
        order = np.argsort(-np.abs(flat), kind="stable")
        k, size = int(density * len(flat)), np.abs(flat)[order]
        top = min(int(config["parameters"]["gamma"] * len(flat)), len(flat) - k) if method == "breadcrumbs" else 0
        if density < 1:
            for cut in (top, top + k):
                assert cut in (0, len(flat)) or size[cut - 1] - size[cut] > MARGIN * size[cut - 1], (tensor, name)
            flat[np.r_[order[:top], order[top + k :]]] = 0
        terms.append(resolve(config, name, "weight", tensor, None) * flat)
    total, size = abs(sum(terms)), sum(abs(t) for t in terms)
    assert method != "ties" or np.all((size == 0) | (total > MARGIN * size + LEAST)), tensor


def main():
    rng = np.random.default_rng(21)
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
    base = {name: 0.05 * normal(*shape) for name, shape in shapes().items()}
    changed = [n for n in base if n.split(".")[-2] in ("q_proj", "down_proj", "lm_head")]
    write_model(HERE / "base", base)
    updates = {}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        write_model(scratch / "base", base)
        for name in THREE:
            factors, updates[name], model = {}, {}, dict(base)
            for tensor in changed:
                if (name, tensor) == ("e2", "model.layers.3.mlp.down_proj.weight"):
                    continue  # an adapter need not have every module
                out, inner = base[tensor].shape
                a, b = normal(RANK, inner), 0.1 * normal(out, RANK)
                factors[tensor.removesuffix(".weight")] = a, b
                updates[name][tensor] = ALPHA / RANK * b.astype(np.float64) @ a.astype(np.float64)
                model[tensor] = (base[tensor] + updates[name][tensor]).astype(np.float32)
            write_adapter(HERE / name, factors)
            write_model(scratch / name, model)
        expected = {}
        for one in CASES:
            config = one["config"]
            for tensor in changed:
                check_margins(config, tensor, {n: u[tensor] for n, u in updates.items() if tensor in u})
            placed = json.loads(json.dumps(config))
            for entry in placed.get("models") or placed["slices"][0]["sources"]:
                entry["model"] = str(scratch / entry["model"])
            if "base_model" in placed:
                placed["base_model"] = str(scratch / "base")
            out = scratch / f"out-{one['name']}"
            run_merge(MergeConfiguration.model_validate(placed), str(out),
                      MergeOptions(copy_tokenizer=False, write_model_card=False))  # fmt: skip
            for tensor in changed:
                expected[f"{one['name']}/{tensor}"] = load_file(next(out.glob("*.safetensors")))[tensor]
    (HERE / "cases.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]\n")
    save_file(expected, HERE / "expected.safetensors")


main()
