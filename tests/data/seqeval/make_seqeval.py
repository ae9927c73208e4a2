"""Writes seqeval.jsonl: random tag sequences, and what seqeval 1.2.2 says of them.

    pip install seqeval==1.2.2 && python make_seqeval.py

Each line is one corpus: "gold" and "predicted" (a list of sentences, each a string of tags separated by spaces),
"micro" [precision, recall, f1] and "per_type" {type: [precision, recall, f1, gold entities]} in seqeval's default mode,
which reads tags as conlleval does. The cases begin with well-formed IOB2, then have tags in any order (an I- after O),
then sentences without entities.
"""
import json
import random

from seqeval.metrics import classification_report

TYPES = ["person", "location", "event"]


def well_formed(rng, length, density):
    tags = []
    while len(tags) < length:
        if rng.random() < density:
            kind = rng.choice(TYPES)
            size = min(rng.randint(1, 4), length - len(tags))
            tags += ["B-" + kind] + ["I-" + kind] * (size - 1)
        else:
            tags.append("O")
    return tags


def any_order(rng, length, density):
    return [rng.choice("BI") + "-" + rng.choice(TYPES) if rng.random() < density else "O" for _ in range(length)]


def disturbed(rng, tags, make, density):
    if rng.random() < 0.4:
        return list(tags)
    return [new if rng.random() < 0.2 else old for old, new in zip(tags, make(rng, len(tags), density))]


def corpus(rng, make, density, sentences):
    gold = [make(rng, rng.randint(1, 20), density) for _ in range(sentences)]
    predicted = [disturbed(rng, tags, make if make is any_order else well_formed, density) for tags in gold]
    if make is well_formed:  # mend what the exchange of tags broke
        for tags in predicted:
            for i, tag in enumerate(tags):
                if tag[0] == "I" and (i == 0 or tags[i - 1][1:] != tag[1:]):
                    tags[i] = "B" + tag[1:]
    return gold, predicted


def main():
    rng = random.Random(20)
    lines = []
    for make, density in [(well_formed, 0.3), (well_formed, 0.6), (any_order, 0.3), (any_order, 0.8), (well_formed, 0.02)]:
        gold, predicted = corpus(rng, make, density, 40)
        report = classification_report(gold, predicted, output_dict=True, zero_division=0)
        numbers = lambda entry: [float(entry[key]) for key in ("precision", "recall", "f1-score")]
        lines.append(json.dumps({
            "gold": [" ".join(tags) for tags in gold],
            "predicted": [" ".join(tags) for tags in predicted],
            "micro": numbers(report["micro avg"]),
            "per_type": {kind: numbers(report[kind]) + [int(report[kind]["support"])] for kind in TYPES if kind in report},
        }))
    with open("seqeval.jsonl", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


main()
