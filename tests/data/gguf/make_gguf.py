"""Writes blocks.safetensors and qwen3-tiny.gguf (see README.md): what the `gguf` package makes of hostile blocks, and
../models/qwen3-tiny as a GGUF file.

Made with gguf 0.19.0, numpy 2.4.6, safetensors.
"""
import json
import pathlib

import gguf
import numpy
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
# Halves: zeros, the smallest and largest subnormal, the smallest normal, one, the largest, infinities, NaN.
HALVES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00]
# Where a type's halves lie in a block.
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def blocks():
    random = numpy.random.default_rng(17)
    tensors = {}
    for name, places in SCALES.items():
        kind = gguf.GGMLQuantizationType[name]
        size = gguf.GGML_QUANT_SIZES[kind][1]
        rows = []
        for i in range(len(HALVES)):
            for content in (random.integers(0, 256, size, dtype=numpy.uint8), numpy.full(size, 0xFF, numpy.uint8)):
                row = content.copy()
                for at, place in enumerate(places):
                    half = HALVES[(i + 5 * at) % len(HALVES)]
                    row[place:place + 2] = numpy.frombuffer(numpy.uint16(half).tobytes(), numpy.uint8)
                rows.append(row)
        for _ in range(8):  # random scales among the finite
            row = random.integers(0, 256, size, dtype=numpy.uint8)
            for place in places:
                row[place + 1] &= 0xBB
            rows.append(row)
        tensors[name] = numpy.stack(rows)
    tensors["F16"] = numpy.array(HALVES, dtype=numpy.uint16).view(numpy.uint8)[None]
    tensors["BF16"] = random.integers(0, 2**16, 64, dtype=numpy.uint16).view(numpy.uint8)[None]
    result = {}
    with numpy.errstate(all="ignore"):
        for name, raw in tensors.items():
            result[name + ".bytes"] = raw.reshape(-1)
            values = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[name])
            result[name + ".values"] = numpy.ascontiguousarray(values.astype(numpy.float32).reshape(-1))
    save_file(result, HERE / "blocks.safetensors")


NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
         "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def qwen3():
    folder = HERE.parent / "models/qwen3-tiny"
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(HERE / "qwen3-tiny.gguf", "qwen3")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_theta", config.get("rope_parameters", {}).get("rope_theta", 10000.0)))
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name == "lm_head.weight":  # tied
            continue
        stem = name.removesuffix(".weight")
        if stem.startswith("model.layers."):
            layer, stem = stem.removeprefix("model.layers.").split(".", 1)
            target = f"blk.{layer}.{NAMES[stem]}.weight"
        else:
            target = NAMES[stem] + ".weight"
        writer.add_tensor(target, tensor.astype(numpy.float32))  # Qwen's rows of q and k stay as they are
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


blocks()
qwen3()
