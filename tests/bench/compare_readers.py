#!/usr/bin/env python3
"""Runs corpus_bench and plain Python readers of the same corpora in turn, and compares their times on one core.

usage: compare_readers.py CORPUS_BENCH DATA_ROOT [ROUNDS]
The Python readers use the standard library alone and do the same: every file under the root that MANIFEST.tsv (or CUTS.tsv)
lists becomes sentences of text, entities with type and offsets, and token ends; jnlpba's sentence breaks are mended and
gmb-news' last sentence is dropped. Both must count the same sentences and entities.
"""
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time


class Builder:
    """Sentences out of tagged tokens, as conlleval reads tags."""

    def __init__(self) -> None:
        self.sentences = []
        self.start()

    def start(self) -> None:
        self.tokens, self.ends, self.entities, self.length, self.open, self.any = [], [], [], 0, None, False

    def add(self, token: str, tag: str) -> None:
        self.any = True
        if token:
            begin = self.length + (1 if self.tokens else 0)
            self.tokens.append(token)
            self.length = begin + len(token)
            self.ends.append(self.length)
        position, _, kind = tag.partition("-")
        if position == "O":
            self.open = None
            return
        if position in "BS" or self.open is None or self.open["type"] != kind:
            self.open = {"type": kind, "first": len(self.tokens) - (1 if token else 0), "start": None, "end": None}
            self.entities.append(self.open)
        if token:
            if self.open["start"] is None:
                self.open["start"] = begin
            self.open["end"] = self.length
        if position in "ES":
            self.open = None

    def end(self) -> None:
        if self.any:
            text = " ".join(self.tokens)
            entities = [(text[e["start"]:e["end"]], e["type"], e["start"], e["end"])
                        for e in self.entities if e["start"] is not None]
            self.sentences.append((text, entities, self.ends))
        self.start()


def read_conll(path, separator="\t", token=0, tag=-1, prefix="", comment=None, names=None):
    builder = Builder()
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if comment and line.startswith(comment):
                continue
            if not line.strip():
                builder.end()
                continue
            if separator == "last":
                fields = list(line.rpartition(" ")[::2])
            else:
                fields = line.split(separator)
            if fields[0].startswith("-DOCSTART-"):
                builder.end()
                continue
            word = fields[token]
            if prefix and word.startswith(prefix):
                word = word[len(prefix):]
            label = fields[tag]
            builder.add(word, names.get(label, label) if names else label)
    builder.end()
    return builder.sentences


def read_shifted(path):
    """jnlpba's training file: cut anew by the block lengths that are not 1, the rest after each full stop."""
    blocks, rows = [0], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.strip():
                rows.append(line.split("\t"))
                blocks[-1] += 1
            elif blocks[-1]:
                blocks.append(0)
    lengths = [length for length in blocks if length > 1][:-1]
    builder, at = Builder(), 0
    for length in lengths:
        for word, label in rows[at:at + length]:
            builder.add(word, label)
        builder.end()
        at += length
    for word, label in rows[at:]:
        builder.add(word, label)
        if word in (".", "?", "!"):
            builder.end()
    builder.end()
    return builder.sentences


def read_inline(path):
    builder = Builder()
    with open(path, encoding="utf-8") as file:
        for line in file:
            for item in line.rpartition(" <=> ")[0].split(" "):
                word, _, label = item.rpartition(":")
                builder.add(word, label)
            builder.end()
    return builder.sentences


def read_e_ner(path):
    builder, names = Builder(), {"P": "I-P"}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            if not row or not row[0] or row[0] == "-DOCSTART-":
                builder.end()
            else:
                builder.add(row[0], names.get(row[1], row[1]))
    builder.end()
    return builder.sentences


def read_gmb(path):
    builder = Builder()
    with open(path, encoding="windows-1252", newline="") as file:
        rows = csv.DictReader(file)
        for row in rows:
            if row["Sentence #"]:
                builder.end()
            builder.add(row["Word"], row["Tag"])
    return builder.sentences  # the last sentence is cut off by the file's end


def read_finer(path):
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
    builder, document, ended = Builder(), None, False
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = tags[int(float(row["gold_label"]))]
            if row["doc_idx"] != document or (ended and not label.startswith("I")):
                builder.end()
            document, ended = row["doc_idx"], row["gold_token"] in (".", "?", "!")
            builder.add(row["gold_token"], label)
    builder.end()
    return builder.sentences


def read_sgd(path):
    sentences = []
    with open(path, encoding="utf-8") as file:
        for dialogue in json.load(file):
            for turn in dialogue["turns"]:
                text = turn["utterance"]
                entities = [(text[slot["start"]:slot["exclusive_end"]], slot["slot"], slot["start"], slot["exclusive_end"])
                            for frame in turn["frames"] for slot in frame["slots"]]
                sentences.append((text, sorted(entities, key=lambda entity: entity[2:]), []))
    return sentences


def reader_of(path: str):
    corpus, _, name = path.partition("/")
    if path == "jnlpba/train.tsv":
        return read_shifted
    if corpus.startswith("mit-"):
        return read_inline
    if corpus in ("wikiann-de", "wikiann-en", "wikiann-nl"):
        return lambda file: read_conll(file, prefix=corpus[-2:] + ":")
    if corpus in ("wikiann-es", "wikiann-ru"):
        return lambda file: read_conll(file, token=1)
    special = {"e-ner": read_e_ner, "gmb-news": read_gmb, "finer-ord": read_finer, "sgd-transport": read_sgd,
               "harveyner": lambda file: read_conll(file, separator=" "),
               "matscholar": lambda file: read_conll(file, separator="last", names={"": "O"}),
               "uner-zh": lambda file: read_conll(file, token=1, tag=2, comment="# ")}
    return special.get(corpus, read_conll)


def in_python(root: pathlib.Path, files: list[str]) -> tuple[float, int, int]:
    start, sentences, entities = time.perf_counter(), 0, 0
    for path in files:
        part = reader_of(path)(root / path)
        sentences += len(part)
        entities += sum(len(sentence[1]) for sentence in part)
    return time.perf_counter() - start, sentences, entities


def in_samner(program: str, root: pathlib.Path) -> tuple[float, int, int]:
    output = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=0.01"], check=True, text=True,
                            env={**os.environ, "SAMNER_DATA": str(root)}, capture_output=True).stdout
    result = json.loads(output)["benchmarks"][0]
    return result["real_time"] / 1000, int(result["sentences"]), int(result["entities"])


def main() -> None:
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    listing = root / "MANIFEST.tsv" if (root / "MANIFEST.tsv").exists() else root / "CUTS.tsv"
    lines = listing.read_text(encoding="utf-8").splitlines()
    column = lines[0].split("\t").index("file")
    files = [line.split("\t")[column] for line in lines[1:]]
    times = {"samner": [], "python": []}
    for _ in range(rounds):
        ours, theirs = in_samner(program, root), in_python(root, files)
        if ours[1:] != theirs[1:]:
            sys.exit(f"error: samner read {ours[1:]} sentences and entities, Python {theirs[1:]}")
        times["samner"].append(ours[0])
        times["python"].append(theirs[0])
    megabytes = sum((root / file).stat().st_size for file in files) / 1e6
    print(f"{len(files)} files, {megabytes:.0f} MB, {ours[1]} sentences, {ours[2]} entities, {rounds} rounds")
    for name, seconds in times.items():
        print(f"{name:<7} {statistics.median(seconds):.3f} s (from {min(seconds):.3f} to {max(seconds):.3f})")
    print(f"python / samner: {statistics.median(times['python']) / statistics.median(times['samner']):.1f}")


if __name__ == "__main__":
    main()
