#!/usr/bin/env python3
"""Makes the small cuts of real corpora in this folder from a full copy of the data (see README.md beside this file).

usage: make_cuts.py DATA_ROOT
Each file is the first so many sentences of the upstream file, byte for byte. CUTS.tsv lists what was cut, so that nobody
takes the cuts for the whole: file, sentences, SHA-256 of the cut.
"""
import hashlib
import pathlib
import sys

SENTENCES = {
    "bc5cdr/train.tsv": 900,
    "ncbi/train.tsv": 900,
    "broadtweet/a.conll": 200,
    "broadtweet/b.conll": 300,
    "broadtweet/e.conll": 200,
    "broadtweet/g.conll": 300,
    "wnut2017/train.conll": 900,
    "wlpc/train.txt": 1200,
    "crossner-science/test.txt": 200,
    "crossner-politics/test.txt": 200,
}


def first_sentences(data: bytes, count: int) -> bytes:
    """The lines up to and with the separator of the count-th sentence; separators are white-space-only lines."""
    kept, seen, inside = [], 0, False
    for line in data.splitlines(keepends=True):
        kept.append(line)
        if line.strip():
            inside = True
        elif inside:
            inside = False
            seen += 1
            if seen == count:
                break
    return b"".join(kept)


def main() -> None:
    root = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).parent
    listing = ["file\tsentences\tsha256"]
    for name, count in SENTENCES.items():
        target = here / name
        target.parent.mkdir(parents=True, exist_ok=True)
        cut = first_sentences((root / name).read_bytes(), count)
        target.write_bytes(cut)
        listing.append(f"{name}\t{count}\t{hashlib.sha256(cut).hexdigest()}")
    (here / "CUTS.tsv").write_text("\n".join(listing) + "\n")


if __name__ == "__main__":
    main()
