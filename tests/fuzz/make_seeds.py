"""Writes the seeds of the GGUF, tokenizer, model configuration and score file targets (numpy and gguf are needed).

    python make_seeds.py      -> seeds/gguf, seeds/tokenizer, seeds/model_config, seeds/score_files
"""
import json
import pathlib
import struct

import gguf
import numpy

SEEDS = pathlib.Path(__file__).parent / "seeds"
TOKENS = ["a", "b", "ab", "Ġ", "1", "2", "<end>", "<tool>"]


def put(target, name, data):
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def gguf_file(architecture, tensors, pre="smollm", **more):
    path = SEEDS / "written"
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(16)
    writer.add_embedding_length(4)
    writer.add_feed_forward_length(4)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([1] * 6 + [3, 4])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(6)
    writer.add_eos_token_id(6)
    for key, value in more.items():
        writer.add_key_value(key.replace("__", "."), value, gguf.GGUFValueType.get_type(value))
    for name, (values, kind) in tensors.items():
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    path.unlink()
    return data


def model(architecture, tied):
    random = numpy.random.default_rng(3)
    shapes = {"token_embd": (8, 4), "output_norm": (4,), "blk.0.attn_norm": (4,), "blk.0.ffn_norm": (4,),
              "blk.0.attn_q": (4, 4), "blk.0.attn_k": (2, 4), "blk.0.attn_v": (2, 4), "blk.0.attn_output": (4, 4),
              "blk.0.ffn_gate": (4, 4), "blk.0.ffn_up": (4, 4), "blk.0.ffn_down": (4, 4)}
    if not tied:
        shapes["output"] = (8, 4)
    if architecture == "qwen3":
        shapes |= {"blk.0.attn_q_norm": (2,), "blk.0.attn_k_norm": (2,)}
    tensors = {name + ".weight": (random.standard_normal(shape).astype(numpy.float32), None)
               for name, shape in shapes.items()}
    if architecture == "qwen2":
        tensors |= {f"blk.0.attn_{name}.bias": (numpy.ones(size, numpy.float32), None)
                    for name, size in {"q": 4, "k": 2, "v": 2}.items()}
    return tensors


def blocks():
    random = numpy.random.default_rng(5)
    tensors = {}
    for kind in ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"):
        quantity = gguf.GGMLQuantizationType[kind]
        size = gguf.GGML_QUANT_SIZES[quantity][1]
        tensors[kind] = (random.integers(0, 256, (1, size), dtype=numpy.uint8), quantity)
    return tensors


def gguf_seeds():
    put("gguf", "llama", gguf_file("llama", model("llama", False)))
    put("gguf", "llama_bpe", gguf_file("llama", model("llama", True), pre="llama-bpe"))
    put("gguf", "qwen2", gguf_file("qwen2", model("qwen2", True), pre="qwen2"))
    put("gguf", "qwen3", gguf_file("qwen3", model("qwen3", True), pre="qwen2", qwen3__attention__key_length=2))
    put("gguf", "scaled_rope", gguf_file(
        "llama", model("llama", True) | {"rope_freqs.weight": (numpy.ones(1, numpy.float32), None)}, pre="gpt-2"))
    put("gguf", "blocks", gguf_file("llama", blocks()))
    put("gguf", "gemma", gguf_file("gemma", {}))
    put("gguf", "types", gguf_file("llama", {}, a__u8=3, a__text="é\u0000", a__list=[1, 2], a__texts=["", "x"],
                                   a__float=0.5, a__flag=True, general__alignment=64))
    head = b"GGUF" + struct.pack("<I", 3)
    put("gguf", "empty", b"")
    put("gguf", "many_tensors", head + struct.pack("<QQ", 2**60, 0))
    put("gguf", "many_keys", head + struct.pack("<QQ", 0, 2**60))
    put("gguf", "long_text", head + struct.pack("<QQQ", 0, 1, 3) + b"key" + struct.pack("<IQ", 8, 2**61))
    put("gguf", "long_array", head + struct.pack("<QQQ", 0, 1, 3) + b"key" + struct.pack("<IIQ", 9, 12, 2**61))
    put("gguf", "huge_tensor", head + struct.pack("<QQQ", 1, 0, 1) + b"t" + struct.pack("<IQQIQ", 2, 2**33, 2**31, 0, 0))
    put("gguf", "big_endian", b"GGUF" + struct.pack(">I", 3) + bytes(16))


def tokenizer(model, pre, decoder, **more):
    return json.dumps({"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": pre,
                       "post_processor": None, "decoder": decoder, "model": model} | more, ensure_ascii=False)


def tokenizer_seeds():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    bpe = {"type": "BPE", "unk_token": None, "byte_fallback": False, "ignore_merges": False,
           "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ã": 4, "©": 5, "Ã©": 6}, "merges": [["a", "b"], "Ã ©"]}
    added = [{"id": 7, "content": "<end>", "special": True, "normalized": False, "single_word": False},
             {"id": 8, "content": "caf\u00e9", "special": False, "normalized": True}]
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}},
                                                         {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<end>": {"id": "<end>", "ids": [7], "tokens": ["<end>"]}}}
    split = {"type": "Split", "behavior": "Isolated", "invert": False,
             "pattern": {"Regex": r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+"}}
    sequence = {"type": "Sequence", "pretokenizers": [split, byte_level | {"use_regex": False}]}
    pieces = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "[CLS]": 1, "the": 2, "ca": 3, "##f": 4, "##e": 5}}
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}
    level = {"type": "ByteLevel"}
    put("tokenizer", "bpe", tokenizer(bpe, byte_level, level, added_tokens=added, post_processor=template))
    put("tokenizer", "split", tokenizer(bpe | {"ignore_merges": True}, sequence, level, normalizer={"type": "NFC"}))
    put("tokenizer", "digits", tokenizer(bpe | {"unk_token": "a", "fuse_unk": True}, {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, byte_level]}, level))
    put("tokenizer", "literal", tokenizer(bpe, {"type": "Sequence", "pretokenizers": [
        split | {"pattern": {"String": "a"}}, byte_level]}, level, normalizer={"type": "Sequence", "normalizers": [{"type": "NFD"}]}))
    put("tokenizer", "wordpiece", tokenizer(pieces, {"type": "BertPreTokenizer"}, {"type": "WordPiece", "prefix": "##",
                                            "cleanup": True}, normalizer=bert))
    put("tokenizer", "unigram", tokenizer({"type": "Unigram", "vocab": [["a", -1.5]]}, {"type": "Metaspace"}, level))
    put("tokenizer", "backtracking", tokenizer(bpe, {"type": "Sequence", "pretokenizers": [
        split | {"pattern": {"Regex": "(a*)*$"}}, byte_level]}, level))
    put("tokenizer", "largest_id", tokenizer(bpe | {"vocab": {"a": 4194303}, "merges": []}, byte_level, level))
    put("tokenizer", "deep", '{"model":' * 200)


def config_seeds():
    base = {"model_type": "llama", "vocab_size": 8, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": [2, 3]}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    index = {"metadata": {"total_size": 4}, "weight_map": {"model.norm.weight": "model-1.safetensors"}}

    def seed(name, config, generation=None, shards=None):
        parts = [config, {} if generation is None else generation, {} if shards is None else shards]
        put("model_config", name, "\n%\n".join(json.dumps(part) for part in parts))

    seed("llama", base, {"eos_token_id": 2, "pad_token_id": 0}, index)
    seed("llama3_rope", base | {"rope_scaling": llama3}, shards={"weight_map": {}})
    seed("rope_parameters", base | {"rope_parameters": llama3 | {"rope_theta": 5e5}, "rope_theta": None})
    seed("qwen2", base | {"model_type": "qwen2", "use_sliding_window": False, "sliding_window": 4})
    seed("qwen3", base | {"model_type": "qwen3", "head_dim": 16})
    seed("mistral", base | {"model_type": "mistral", "sliding_window": 4, "head_dim": None})
    seed("gemma", base | {"model_type": "gemma"})
    seed("quantised", base | {"quantization_config": {"bits": 4}})
    seed("yarn", base | {"rope_scaling": {"type": "yarn", "factor": 2}})
    seed("many_layers", base | {"num_hidden_layers": 10**4})
    seed("too_large", base | {"hidden_size": 2**31, "num_hidden_layers": 2**62})
    seed("no_heads", base | {"num_attention_heads": 0, "num_key_value_heads": -1})
    seed("wrong_types", base | {"vocab_size": 8.5, "hidden_size": True, "eos_token_id": "2"})
    seed("outside", base, shards={"weight_map": {"a": "../model-1.safetensors", "b": "/etc/x.safetensors"}})
    seed("absent_shard", base, shards={"weight_map": {"a": "model-2.safetensors"}})
    put("model_config", "empty", b"")


def score_seeds():
    gold = ['{"id": 1, "text": "Ada in Zoë", "types": ["PER", "place"], "entities": [{"text": "Ada", "type": "PER", "start": 0, "end": 3}]}',
            '{"id": "b", "text": "none", "entities": []}']
    answers = ['{"id": 1, "completion": "[{\\"Ada\\": \\"PER\\"}]"}', '{"id": "b", "entities": [], "unparsable": true}']
    samples = [line[:-1] + f', "sample": {i}}}' for i in range(2) for line in answers]

    def seed(name, formats, gold, answers):
        put("score_files", name, formats + "\n".join(gold) + "\n%\n" + "\n".join(answers))

    seed("both", "0", gold, answers)
    seed("samples", "2", gold, samples)
    seed("twice", "1", gold, answers + answers)
    seed("missing", "3", gold, answers[:1])
    seed("offsets", "0", ['{"id": 1, "entities": [{"text": "a", "type": "b", "start": 5, "end": 2}]}'], answers)
    seed("huge_offset", "0", ['{"id": 1, "entities": [{"text": "a", "type": "b", "start": 0, "end": 1e30}]}'], answers[:1])
    seed("empty", "0", [], [])


gguf_seeds()
tokenizer_seeds()
config_seeds()
score_seeds()
