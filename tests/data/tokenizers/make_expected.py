"""Writes what the `tokenizers` package gives, for tests/token.

    python make_expected.py pre-tokens                          -> pre_tokens.json
    SAMNER_DATA=DIR build/tests/token/corpus_texts | python make_expected.py corpora   -> corpora.json

pre_tokens.json: the ids of all strings of ../golden/tokenizers/strings.json with llama3-style's vocabulary cut up as the
GGUF names gpt-2 and tekken say. corpora.json: a split's number of sentences, a SHA-256 over its texts (UTF-8, each
followed by a zero byte) and for each tokenizer one over its ids (32-bit, little-endian, -1 after each sentence; with the
special tokens around a sentence, nothing cut off).

Made with tokenizers 0.23.3, gguf 0.19.0.
"""
import hashlib
import json
import pathlib
import sys

import numpy
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden/tokenizers"
DEPS = HERE.parents[2] / ".deps"
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def plain(tokenizer):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def from_file(path):
    return plain(tokenizers.Tokenizer.from_file(str(path)))


def smollm2():
    """The tokenizer of the GGUF file, put together as its pre-tokeniser `smollm` means: each digit alone, then GPT-2's."""
    import gguf

    reader = gguf.GGUFReader(DEPS / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    tokens, merges, types = (reader.fields["tokenizer.ggml." + name].contents() for name in ("tokens", "merges", "token_type"))
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def with_pre_tokenizer(steps):
    tokenizer = json.loads((GOLDEN / "llama3-style.tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    tokenizer["model"]["ignore_merges"] = len(steps) > 1  # tekken's is true, gpt-2's false
    return plain(tokenizers.Tokenizer.from_str(json.dumps(tokenizer)))


def pre_tokens():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    split = {"type": "Split", "pattern": {"Regex": TEKKEN}, "behavior": "Isolated", "invert": False}
    texts = [entry["text"] for entry in json.loads((GOLDEN / "strings.json").read_text())]
    expected = {}
    for name, steps in {"gpt-2": [byte_level], "tekken": [split, byte_level | {"use_regex": False}]}.items():
        tokenizer = with_pre_tokenizer(steps)
        expected[name] = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    write("pre_tokens.json", expected)


def corpora():
    encoders = {"smollm2": smollm2(), "minilm": from_file(DEPS / "minilm/tokenizer.json"),
                "llama3-style": from_file(GOLDEN / "llama3-style.tokenizer.json"),
                "qwen2-style": from_file(GOLDEN / "qwen2-style.tokenizer.json")}
    splits = {}
    for line in sys.stdin:
        entry = json.loads(line)
        splits.setdefault(entry["split"], []).append(entry["text"])
    expected = {}
    for split, texts in splits.items():
        hashes = {"texts": hashlib.sha256(b"".join(text.encode() + b"\0" for text in texts)).hexdigest()}
        for name, tokenizer in encoders.items():
            digest = hashlib.sha256()
            for start in range(0, len(texts), 1000):
                for encoding in tokenizer.encode_batch(texts[start:start + 1000]):
                    digest.update(numpy.array(encoding.ids + [-1], dtype="<i4").tobytes())
            hashes[name] = digest.hexdigest()
        expected[split] = {"sentences": len(texts)} | hashes
    write("corpora.json", expected)


def write(name, expected):
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items()]
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


{"pre-tokens": pre_tokens, "corpora": corpora}[sys.argv[1]]()
