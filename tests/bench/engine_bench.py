"""Decoding, encoding and loading beside transformers, peft and sentence-transformers, in one run.

    python tests/bench/engine_bench.py [--work DIR] [--rows a,b,...] [--repeats N]

Needs torch, transformers, peft, gguf and sentence-transformers, and build/samner with build/tests/bench/kernel_bench
(-DSAMNER_BENCH=ON). Both sides: SmolLM2-135M from the same GGUF, the same prompts, fp32, two threads. samner's times are
of whole processes, with start and loading; those of the peer leave both out, but in the row `load`, where they are what
is measured. Of several repeats the best counts, on both sides. Behind each row stands the share of the machine's product
rate (of its copying rate for `load`), measured in the same run, that samner's time makes of the work: what the model's
size and the tokens ask for, with a shared instruction counted once. Sentences come from SAMNER_DATA, or from tests/data/corpora.
"""
import argparse, json, os, pathlib, shutil, subprocess, sys, time

import roofline

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMNER = ROOT / "build/samner"
GGUF = ROOT / ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = ROOT / ".deps/minilm"
THREADS = "2"
PREFIX_TOKENS = 436
NEW_TOKENS = 128
BARS = {"predict_long": 4, "predict_short": 2, "sampling": 4, "encode": 1.3, "load": 5}
SHORT = "Name the entities of the sentence and their types as a JSON list.\n"


def corpus(name, split):
    roots = [pathlib.Path(os.environ.get("SAMNER_DATA", "/nonexistent")), ROOT / "tests/data/corpora"]
    paths = [path for root in roots if (path := root / name / f"{split}.txt").exists()]
    for block in paths[0].read_text().split("\n\n") if paths else []:
        rows = [line.split("\t") for line in block.splitlines() if "\t" in line]
        if rows:
            yield rows


def text_of(rows):
    return " ".join(row[0] for row in rows)


def answer_of(rows):
    pairs = []
    for token, tag in rows:
        if tag.startswith("B-"):
            pairs.append([token, tag[2:]])
        elif tag.startswith("I-") and pairs:
            pairs[-1][0] += " " + token
    return " " + json.dumps(pairs)


def prompt_of(instruction, rows):
    return f"{instruction}Sentence: {text_of(rows)}\nAnswer:"


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def samner(*arguments):
    begin = time.perf_counter()
    subprocess.run([SAMNER, *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def completions(path):
    return [json.loads(line)["tokens"] for line in path.read_text().splitlines()]


class Bench:
    def __init__(self, work):
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        import torch
        torch.set_num_threads(int(THREADS))
        self.torch = torch
        self.sentences = list(corpus("crossner-science", "test"))[:100]
        self._model = None

    def model(self):
        """The base model and tokeniser; left padding as generate wants it."""
        if not self._model:
            from transformers import AutoModelForCausalLM
            model = AutoModelForCausalLM.from_pretrained(GGUF.parent, gguf_file=GGUF.name, dtype=self.torch.float32)
            self._model = model.eval()
        return self._model

    def tokens(self, prompts):
        texts = write_lines(self.work / "texts.jsonl", [{"id": i, "text": p} for i, p in enumerate(prompts)])
        samner("model", "tokenize", GGUF, "--in", texts, "--out", self.work / "ids.jsonl")
        return [json.loads(line)["ids"] for line in (self.work / "ids.jsonl").read_text().splitlines()]

    def adapters(self):
        """Six adapters, trained for a few steps so that answers end; the others are it with another strength."""
        first = self.work / "adapter0"
        if not first.exists():
            examples = [{"prompt": prompt_of(SHORT, rows), "answer": answer_of(rows)} for rows in corpus("crossner-science", "test")]
            data = write_lines(self.work / "train.jsonl", examples[:160])
            samner("train", "--model", GGUF, "--data", data, "--out", first, "r=32", "lora_alpha=64", "learning_rate=1e-3",
                   "num_train_epochs=1", "batch_size=8", "micro_batch_size=8", "max_length=256", "--threads", THREADS)
        from safetensors.torch import load_file, save_file
        folders = [first]
        for i in range(1, 6):
            folder = self.work / f"adapter{i}"
            if not folder.exists():
                shutil.copytree(first, folder)
                tensors = load_file(first / "adapter_model.safetensors")
                for name in tensors:
                    if "lora_B" in name:
                        tensors[name] *= 1 - 0.03 * i
                save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
            folders.append(folder)
        return folders

    def instruction(self):
        """An instruction of PREFIX_TOKENS tokens, as long as the paper's with definitions."""
        import yaml
        types = yaml.safe_load((ROOT / "configs/data/crossner-science.yaml").read_text())["types"]
        text = SHORT + "".join(f"{t['name']}: {t['definition']}\n" for t in types) + "Keep to the list of types. " * 20
        words = text.split(" ")
        counts = [len(ids) for ids in self.tokens([" ".join(words[:n]) for n in range(len(words))])]
        return " ".join(words[:max(n for n, count in enumerate(counts) if count < PREFIX_TOKENS)]) + "\n"

    def generate_by_peer(self, model, ids, batch):
        results = []
        for begin in range(0, len(ids), batch):
            part = ids[begin:begin + batch]
            width = max(map(len, part))
            pad = model.config.eos_token_id
            padded = self.torch.tensor([[pad] * (width - len(p)) + p for p in part])
            mask = self.torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in part])
            with self.torch.no_grad():
                out = model.generate(padded, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=pad)
            for row in out[:, width:].tolist():
                results.append(row[:row.index(pad) + 1] if pad in row else row)
        return results

    def predict(self, instruction, repeats):
        from peft import PeftModel
        import copy
        adapter = self.adapters()[0]
        prompts = [prompt_of(instruction, rows) for rows in self.sentences]
        ids = self.tokens(prompts)
        file = write_lines(self.work / "prompts.jsonl", [{"id": i, "prompt": p} for i, p in enumerate(prompts)])
        out = self.work / "completions.jsonl"
        ours = min(samner("generate", "--model", GGUF, "--adapter", adapter, "--in", file, "--out", out, "--max-new-tokens",
                          NEW_TOKENS, "--threads", THREADS) for _ in range(repeats))
        folded = PeftModel.from_pretrained(copy.deepcopy(self.model()), adapter).merge_and_unload().eval()
        theirs, expected = best(repeats, lambda: self.generate_by_peer(folded, ids, 16))
        shared = len(os.path.commonprefix(ids))
        work = roofline.decoding_gflop(ids, completions(out), shared, roofline.FACTORS)
        return ours, theirs, work, agreement(completions(out), expected)

    def predict_long(self, repeats):
        return self.predict(self.instruction(), repeats)

    def predict_short(self, repeats):
        return self.predict(SHORT, repeats)

    def sampling(self, repeats):
        from peft import PeftModel
        import copy
        folders = self.adapters()
        prompts = [prompt_of(SHORT, rows) for rows in self.sentences[:10]]
        ids = self.tokens(prompts)
        lines = [{"id": f"{a.name}/{i}", "prompt": p, "adapter": str(a)} for a in folders for i, p in enumerate(prompts)]
        file = write_lines(self.work / "prompts.jsonl", lines)
        out = self.work / "completions.jsonl"
        ours = min(samner("generate", "--model", GGUF, "--in", file, "--out", out, "--max-new-tokens", NEW_TOKENS, "--threads", THREADS)
                   for _ in range(repeats))
        model = PeftModel.from_pretrained(copy.deepcopy(self.model()), folders[0], adapter_name="0")
        for i, folder in enumerate(folders[1:], 1):
            model.load_adapter(folder, adapter_name=str(i))
        model.eval()

        def all_adapters():
            results = []
            for i in range(len(folders)):
                model.set_adapter(str(i))
                results += self.generate_by_peer(model, ids, 10)
            return results

        theirs, expected = best(repeats, all_adapters)
        answers = completions(out)
        work = sum(roofline.decoding_gflop(ids, answers[i:i + 10], len(os.path.commonprefix(ids)), roofline.FACTORS)
                   for i in range(0, len(answers), 10))
        return ours, theirs, work, agreement(answers, expected)

    def encode(self, repeats):
        from sentence_transformers import SentenceTransformer
        import numpy as np
        from safetensors.numpy import load_file
        texts = []
        for name in ("crossner-ai", "crossner-literature", "crossner-music", "crossner-politics", "crossner-science", "ncbi", "wnut2017"):
            texts += [text_of(rows) for rows in corpus(name, "test")]
        texts = (texts * 5000)[:5000]
        file = write_lines(self.work / "texts.jsonl", [{"id": i, "text": t} for i, t in enumerate(texts)])
        out = self.work / "embeddings.safetensors"
        ours = min(samner("encode", "--encoder", MINILM, "--in", file, "--out", out, "--threads", THREADS) for _ in range(repeats))
        model = SentenceTransformer(str(MINILM), device="cpu")
        theirs, expected = best(repeats, lambda: model.encode(texts, normalize_embeddings=True))
        error = np.abs(load_file(out)["embeddings"] - expected).max()
        lengths = [len(ids) for ids in model.tokenizer(texts, truncation=True, max_length=model.max_seq_length)["input_ids"]]
        layer = 4 * 384**2 + 2 * 384 * 1536
        work = sum(6 * (2 * layer * n + 4 * 384 * n * n) for n in lengths) / 1e9
        return ours, theirs, work, f"largest difference {error:.1e}"

    def load(self, repeats):
        file = write_lines(self.work / "prompts.jsonl", [{"id": 0, "prompt": "The capital of France is"}])
        out = self.work / "completions.jsonl"
        ours = min(samner("generate", "--model", GGUF, "--in", file, "--out", out, "--max-new-tokens", 1, "--threads", THREADS)
                   for _ in range(max(repeats, 3)))
        program = (f"import torch; torch.set_num_threads({THREADS})\n"
                   "from transformers import AutoModelForCausalLM\n"
                   f"m = AutoModelForCausalLM.from_pretrained({str(GGUF.parent)!r}, gguf_file={GGUF.name!r}, dtype=torch.float32)\n"
                   f"ids = torch.tensor([{self.tokens(['The capital of France is'])[0]}])\n"
                   "print(m.generate(ids, max_new_tokens=1, do_sample=False)[0, -1].item())")
        theirs, token = best(repeats, lambda: int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout))
        return ours, theirs, None, agreement(completions(out), [[token]])


def best(repeats, work):
    seconds, result = [], None
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds), result


def agreement(ours, theirs):
    equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
    return f"{equal} of {len(ours)} answers equal, {sum(map(len, ours))} tokens"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/samner-engine-bench"))
    parser.add_argument("--rows", default=",".join(BARS))
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    rates = roofline.measure(ROOT / "build", THREADS)
    bench = Bench(options.work)
    for row in options.rows.split(","):
        ours, theirs, work, note = getattr(bench, row)(options.repeats)
        if work is None:  # reads the file and writes the weights as fp32
            moved = (GGUF.stat().st_size + 4 * (roofline.LINEAR + roofline.HEAD)) / 1e9
            share = f"{moved / ours:.1f} of {rates['copy']:.0f} GB/s"
        else:
            share = f"{work / ours:.0f} of {rates['product']:.0f} GFLOP/s, {100 * work / ours / rates['product']:.0f} %"
        print(f"{row:<14} samner {ours:7.2f} s  peer {theirs:7.2f} s  {theirs / ours:5.2f} times (bar {BARS[row]})  {share}  {note}", flush=True)


if __name__ == "__main__":
    main()
