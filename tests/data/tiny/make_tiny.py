#!/usr/bin/env python3
"""Makes the tiny base model and the synthetic corpora of this folder (see README.md beside this file).

Needs torch==2.11.0, tokenizers==0.23.3 and safetensors==0.8.0. Takes some minutes on two cores.
usage: make_tiny.py [STEPS]
"""
import json
import pathlib
import random
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
VOCABULARY, HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, INNER, CONTEXT = 640, 128, 4, 4, 2, 32, 256, 1024
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"

# Each domain's entity types: how their names end, and the sentences that they stand in.
DOMAINS = {
    "tiny-travel": {
        "description": "Notes of travellers on places they have seen.",
        "types": {"city": "burg", "river": "ava"},
        "templates": ["we flew to {city} last week", "the boat on the {river} was slow", "from {city} to {city} by train",
                      "a bridge over the {river} near {city}", "it rained all day in the hills", "{city} is a quiet place"],
    },
    "tiny-zoo": {
        "description": "Diaries of keepers on the animals of a zoo.",
        "types": {"animal": "ox", "plant": "wort"},
        "templates": ["the {animal} ate some {plant} today", "a young {animal} was born", "{plant} grows behind the cage",
                      "the {animal} and the {animal} slept", "nothing happened this morning", "we fed the {animal} with {plant}"],
    },
    "tiny-workshop": {
        "description": "Manuals for the work in a workshop.",
        "types": {"tool": "ter", "metal": "ium"},
        "templates": ["cut the {metal} with a {tool}", "the {tool} is made of {metal}", "take the {tool} and the {tool}",
                      "heat the {metal} slowly", "clean the table first", "store the {tool} near the {metal}"],
    },
    "tiny-expedition": {
        "description": "Reports of an expedition along unknown waters.",
        "types": {"river": "ava", "city": "burg", "animal": "ox"},
        "templates": ["near the {river} we saw an {animal}", "the {animal} crossed the {river}", "the port of {city} lies on the {river}",
                      "an {animal} walked through {city}", "we rested for two days", "our boat left {city} at noon"],
    },
    "tiny-museum": {
        "description": "Labels in a museum of crafts and nature.",
        "types": {"metal": "ium", "tool": "ter", "plant": "wort"},
        "templates": ["a {tool} of pure {metal}", "dried {plant} in a box of {metal}", "this {tool} was used to press {plant}",
                      "the {metal} came from afar", "please do not touch", "a {tool} next to some {plant}"],
    },
}
TARGETS = {"tiny-expedition", "tiny-museum"}

# Types that only the pre-training knows: how their names end. None of them is a type of the corpora.
CLASSES = {
    "colour": "ish", "fruit": "apa", "bird": "wing", "ship": "mast", "planet": "oon", "song": "tune", "dance": "jig",
    "game": "ball", "spice": "min", "gem": "ite", "cloth": "weave", "drink": "brew", "star": "nova", "wind": "gust",
    "coin": "penny", "tree": "wood", "fish": "fin", "insect": "moth", "king": "rex", "book": "logue", "house": "hall",
    "tribe": "folk", "island": "skar", "lake": "mere",
}
ENDINGS_OF_CORPORA = {kind: ending for domain in DOMAINS.values() for kind, ending in domain["types"].items()}
COMMON_WORDS = sorted({token for domain in DOMAINS.values() for line in domain["templates"] for token in line.split()
                       if not token.startswith("{")})


def word(rng: random.Random, syllables: int) -> str:
    return "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(syllables))


def name(rng: random.Random, ending: str) -> str:
    return (word(rng, rng.choice([1, 2])) + ending).capitalize()


def prompt(types: list[str], text: str) -> str:
    return f"Find the entities of the types {', '.join(types)}.\nText: {text}\nEntities:"


def answer(pairs: list[tuple[str, str]]) -> str:
    return " " + json.dumps([list(pair) for pair in dict.fromkeys(pairs)])


def corpus_sentence(rng: random.Random, domain: dict) -> list[tuple[str, str]]:
    """(token, tag) rows of one sentence."""
    rows = []
    for token in rng.choice(domain["templates"]).split():
        if token.startswith("{"):
            kind = token[1:-1]
            rows.append((name(rng, domain["types"][kind]), f"B-{kind}"))
        else:
            rows.append((token, "O"))
    return rows


def pretraining_example(rng: random.Random) -> tuple[str, str]:
    """Copying and labelling: a sentence of common words with names among them, of which those of the asked types are
    listed. A name tells its type by its ending (CLASSES), or, in three of ten sentences, by the type's name before it."""
    told_by_cue = rng.random() < 0.3
    every_type = list(CLASSES) + list(ENDINGS_OF_CORPORA)
    types = rng.sample(every_type if told_by_cue else list(CLASSES), rng.choice([1, 2, 2, 2, 3, 3]))
    tokens, pairs = [], []
    for _ in range(rng.randint(1, 4)):
        tokens += rng.choices(COMMON_WORDS, k=rng.randint(0, 3))
        if rng.random() < 0.2:  # a name of a type that is not asked for
            tokens.append(name(rng, rng.choice([ending for kind, ending in (CLASSES | ENDINGS_OF_CORPORA).items() if kind not in types])))
            continue
        kind = rng.choice(types)
        mention = name(rng, rng.choice(list(ENDINGS_OF_CORPORA.values())) if told_by_cue else CLASSES[kind])
        tokens += [kind, mention] if told_by_cue else [mention]
        pairs.append((mention, kind))
    if rng.random() < 0.08:
        tokens, pairs = [token for token in tokens if token.islower()], []
    tokens += rng.choices(COMMON_WORDS, k=rng.randint(1, 3))
    return prompt(types, " ".join(tokens)), answer(pairs)


def write_corpora() -> None:
    for name, domain in DOMAINS.items():
        rng = random.Random(f"corpus {name}")
        folder = HERE / "corpora" / name
        folder.mkdir(parents=True, exist_ok=True)
        for split, count in (("test", 40),) if name in TARGETS else (("train", 120),):
            lines = []
            for _ in range(count):
                lines += [f"{token}\t{tag}" for token, tag in corpus_sentence(rng, domain)] + [""]
            (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
        split = "test" if name in TARGETS else "train"
        types = "".join(f"  - {{label: {kind}, name: {kind}, definition: ''}}\n" for kind in domain["types"])
        (HERE / "datasets").mkdir(exist_ok=True)
        (HERE / "datasets" / f"{name}.yaml").write_text(
            f"id: {name}\ndomain: {name.removeprefix('tiny-')}\ndescription: {domain['description']}\nlicence: the project's own\n"
            f"reader: {{format: conll, separator: tab}}\nsplits:\n  {split}: [{{file: corpora/{name}/{split}.tsv}}]\ntypes:\n{types}")


def make_tokenizer() -> Tokenizer:
    rng = random.Random("tokenizer")
    texts = ["".join(pretraining_example(rng)) for _ in range(2000)]
    for domain in DOMAINS.values():
        texts += [" ".join(token for token, _ in corpus_sentence(rng, domain)) for _ in range(200)]
        texts.append(prompt(list(domain["types"]), domain["description"]))
    texts += [f'{kind}, {kind}, ["{kind}"]' for kind in CLASSES | ENDINGS_OF_CORPORA] * 150  # each becomes one token
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(HERE / "tokenizer.json"))
    return tokenizer


class Layer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        linear = lambda out, into: torch.nn.Linear(into, out, bias=False)
        self.q, self.k = linear(HEADS * HEAD_DIM, HIDDEN), linear(KV_HEADS * HEAD_DIM, HIDDEN)
        self.v, self.o = linear(KV_HEADS * HEAD_DIM, HIDDEN), linear(HIDDEN, HEADS * HEAD_DIM)
        self.gate, self.up, self.down = linear(INNER, HIDDEN), linear(INNER, HIDDEN), linear(HIDDEN, INNER)
        self.attention_norm, self.mlp_norm = torch.nn.RMSNorm(HIDDEN, 1e-5), torch.nn.RMSNorm(HIDDEN, 1e-5)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape

        def heads(y, count):
            return y.view(batch, length, count, HEAD_DIM).transpose(1, 2)

        def rotate(y):
            first, second = y.chunk(2, -1)
            return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

        n = self.attention_norm(x)
        q, k, v = rotate(heads(self.q(n), HEADS)), rotate(heads(self.k(n), KV_HEADS)), heads(self.v(n), KV_HEADS)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, length, -1))
        n = self.mlp_norm(x)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Llama(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(VOCABULARY, HIDDEN)
        torch.nn.init.normal_(self.embed.weight, std=0.02)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = torch.nn.RMSNorm(HIDDEN, 1e-5)
        angles = torch.arange(CONTEXT)[:, None] * (10000.0 ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM))[None]
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, self.cos[: ids.shape[1]], self.sin[: ids.shape[1]])
        return F.linear(self.norm(x), self.embed.weight)


def pretrain(tokenizer: Tokenizer, steps: int) -> Llama:
    torch.manual_seed(0)
    rng = random.Random("pretraining")
    model = Llama()
    matrices = [p for layer in model.layers for p in layer.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is q for q in matrices)]
    optimizers = [torch.optim.Muon(matrices, 0.02, weight_decay=0.01), torch.optim.AdamW(others, 4e-3, betas=(0.9, 0.98), weight_decay=0.01)]
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: min(1, (step + 1) / 50, 3 * (1 - step / steps)))
                 for o in optimizers]
    for step in range(steps):
        rows = []
        for _ in range(32):
            text, wanted = pretraining_example(rng)
            ids = tokenizer.encode(text).ids
            rows.append((ids, tokenizer.encode(wanted).ids + [0]))
        length = max(len(a) + len(b) for a, b in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        labels = torch.full((len(rows), length), -100)
        for i, (a, b) in enumerate(rows):
            ids[i, : len(a) + len(b)] = torch.tensor(a + b)
            labels[i, len(a): len(a) + len(b)] = torch.tensor(b)
        loss = F.cross_entropy(model(ids)[:, :-1].reshape(-1, VOCABULARY), labels[:, 1:].reshape(-1), ignore_index=-100)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in optimizers + schedules:
            stepper.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step} loss {loss.item():.4f}", flush=True)
    return model


def save(model: Llama) -> None:
    tensors = {"model.embed_tokens.weight": model.embed.weight, "model.norm.weight": model.norm.weight}
    for i, layer in enumerate(model.layers):
        prefix = f"model.layers.{i}."
        for name in ("q", "k", "v", "o"):
            tensors[f"{prefix}self_attn.{name}_proj.weight"] = getattr(layer, name).weight
        for name in ("gate", "up", "down"):
            tensors[f"{prefix}mlp.{name}_proj.weight"] = getattr(layer, name).weight
        tensors[prefix + "input_layernorm.weight"] = layer.attention_norm.weight
        tensors[prefix + "post_attention_layernorm.weight"] = layer.mlp_norm.weight
    save_file({name: value.detach().contiguous() for name, value in tensors.items()}, HERE / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True,
        "max_position_embeddings": CONTEXT, "bos_token_id": None, "eos_token_id": 0, "attention_bias": False, "mlp_bias": False,
        "torch_dtype": "float32",
    }
    (HERE / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (HERE / "generation_config.json").write_text(json.dumps({"eos_token_id": 0}) + "\n")


def main() -> None:
    write_corpora()
    tokenizer = make_tokenizer()
    save(pretrain(tokenizer, int(sys.argv[1]) if len(sys.argv) > 1 else 3000))


if __name__ == "__main__":
    main()
