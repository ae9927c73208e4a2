#!/usr/bin/env python3
"""Makes the synthetic corpora of this folder and their descriptions (see README.md beside this file).

Needs the standard library only. The bytes are the same with any Python from 3.9 on: of `random` only `random()` is used,
whose sequence for a seed is promised not to change.
"""
import pathlib
import random
import shutil

HERE = pathlib.Path(__file__).parent
TRAIN, TEST = 96, 24  # sentences of a split
CUES = 0.3  # share of the names with their type before them, which the model can label without any expert
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"

# How names of a type end, the same in all English corpora. Types are words that are one token of the model of
# tests/data/tiny, and endings those of the names that it was pre-trained to copy; but none is the ending that it knows a
# type by: as a base it finds little.
ENDINGS = {
    "city": "burg", "king": "ava", "star": "ox", "plant": "wort", "tool": "ter", "metal": "ium",
    "river": "mere", "animal": "fin", "tribe": "ish", "coin": "skar", "house": "gust", "song": "wing", "game": "jig", "insect": "ite",
    "planet": "weave", "gem": "moth", "book": "wood", "ship": "apa", "drink": "min",
}

# Sources: a corpus each. finance belongs to news, materials to stem and dialogue to traffic, unless they are experts of their own.
SOURCES = {
    "news": ("news", "Reports of newspapers.", [
        "the mayor of {city} met {king} last week", "{king} spoke to the {tribe} in {city}", "voters in {city} and {city} wait for {king}",
        "the {tribe} left {city} at noon", "{king} is not the friend of {king}", "an election near {city} was quiet",
        "nothing happened this morning in parliament"]),
    "finance": ("finance", "Market reports.", [
        "shares of {house} rose to ten {coin}", "{house} paid {house} in {coin}", "the bank sold {coin} for {coin}",
        "profit of {house} was low last week", "the {coin} fell as {house} waited", "markets rested for two days"]),
    "social-media": ("social media", "Short messages of a social network.", [
        "lol {star} played {game} all day", "listen to {song} by {star}", "we love {game} and {song}", "{star} and {star} at the party",
        "my friend {star} is bad at {game}", "so tired this morning"]),
    "biomedical": ("biomedical", "Abstracts on cells and diseases.", [
        "the {insect} gene was found in {animal}", "cells of {plant} bind {insect}", "we fed the {animal} with {plant}",
        "{insect} and {insect} were low in the blood", "a dose of {plant} cured the {animal}", "no patient was treated last week"]),
    "stem": ("stem", "Papers of engineers and physicists.", [
        "the {tool} measures light of {planet}", "a {tool} near {planet} was slow", "we built the {tool} and the {tool}",
        "the orbit of {planet} crossed {planet}", "data of {tool} came from {planet}", "the results of the model are shown"]),
    "materials": ("materials", "Notes of a laboratory for materials.", [
        "heat the {metal} slowly with {gem}", "{gem} grows on pure {metal}", "the layer of {metal} was {gem}",
        "an alloy of {metal} and {metal}", "press the {gem} in a box of {metal}", "clean the table first"]),
    "legal": ("legal", "Judgments of courts.", [
        "the court cited {book} against {house}", "{king} sued {house} under {book}", "by {book} the claim of {king} is denied",
        "{book} and {book} do not apply", "the judge asked {king} and {house}", "the appeal was dismissed"]),
    "traffic": ("traffic", "Messages on traffic.", [
        "the {ship} is late on the {river}", "a bridge over the {river} is closed", "take the {ship} or the {ship} at noon",
        "{ship} crossed the {river} slowly", "jam near the {river} so wait for {ship}", "it rained and the road was slow"]),
    "dialogue": ("dialogue", "Talks with an assistant that books trips and tables.", [
        "book a table in {city} with {drink}", "do you want {drink} or {drink}", "from {city} to {city} by train please",
        "we take some {drink} in {city}", "is there {drink} near {city}", "yes please and thank you"]),
}

# Targets: their types are those of their neighbours among the sources.
TARGETS = {
    "ai": ("Articles on artificial intelligence.", [
        "the {tool} of {house} won at {game}", "{house} built a {tool} with data", "the model {tool} played {game} and {game}",
        "results of {tool} and {tool} are shown", "{house} trained {tool} on {game}"]),
    "literature": ("Articles on writers and their works.", [
        "{king} wrote {book} and {book}", "in {book} the poet came to {city}", "{book} by {king} was read in {city}",
        "the novel of {king} is {book}", "{king} and {king} left {city}"]),
    "music": ("Articles on music.", [
        "{star} sang {song} in {city}", "listen to {song} and {song}", "the band of {star} played {song}", "{star} and {star} met in {city}",
        "the song {song} was played in {city}"]),
    "politics": ("Articles on parties and elections.", [
        "{king} won the election in {city}", "the {tribe} and {king} signed {book}", "voters of the {tribe} left {city}",
        "{king} met {king} under {book}", "the parliament of {city} asked the {tribe}"]),
    "science": ("Articles on science.", [
        "the {metal} on {planet} was found", "cells of {insect} bind {metal}", "{plant} and {insect} were treated",
        "light of {planet} and {planet} is shown", "a dose of {metal} in {plant}"]),
    "movie": ("Questions on movies.", [
        "who played {king} in the movie with {star}", "a film with {star} and {star} on {ship}", "is {ship} by {king} a good movie",
        "movies of {star} about {king}", "did {star} see the {ship}"]),
    "restaurant": ("Requests for a restaurant.", [
        "book a table in {city} with {plant}", "is there {drink} near {city} please", "some {plant} and {drink} for us",
        "where in {city} do they have {drink}", "do you want {plant} or {plant}"]),
}

# Languages: types that all have, with endings that neighbours share in part. Accents stand in common words only, because
# the model was not trained to copy them; Russian and Chinese are transliterated.
LANGUAGES = {
    "de": ("Deutsche Sätze aus Artikeln.", {"city": ["burg", "hall"], "king": ["fin", "mast"], "tribe": ["ish", "weave"]}, [
        "{king} wohnt in {city}", "die {tribe} kamen nach {city}", "{king} und {king} grüßen die {tribe}", "von {city} nach {city} mit dem Zug",
        "der Bürger {king} aus {city}", "es regnet seit zwei Tagen"]),
    "en": ("English sentences from articles.", {"city": ["hall", "wood"], "king": ["mast", "penny"], "tribe": ["weave", "apa"]}, [
        "{king} lives in {city}", "the {tribe} came to {city}", "{king} and {king} greet the {tribe}", "from {city} to {city} by train",
        "the citizen {king} of {city}", "it rained for two days"]),
    "es": ("Frases españolas de artículos.", {"city": ["wood", "wing"], "king": ["penny", "moth"], "tribe": ["apa", "min"]}, [
        "{king} vive en {city}", "los {tribe} llegaron a {city}", "{king} y {king} saludan a los {tribe}", "de {city} a {city} en tren",
        "el señor {king} de {city}", "llovió dos días"]),
    "nl": ("Nederlandse zinnen uit artikelen.", {"city": ["burg", "mere"], "king": ["fin", "ball"], "tribe": ["ish", "gust"]}, [
        "{king} woont in {city}", "de {tribe} kwamen naar {city}", "{king} en {king} groeten de {tribe}", "van {city} naar {city} met de trein",
        "de burger {king} uit {city}", "het regent twee dagen"]),
    "ru": ("Predlozheniya iz statey.", {"city": ["wing", "skar"], "king": ["moth", "nova"], "tribe": ["min", "oon"]}, [
        "{king} zhivyot v {city}", "{tribe} prishli v {city}", "{king} i {king} vstretili {tribe}", "iz {city} v {city} na poezde",
        "grazhdanin {king} iz {city}", "dva dnya shyol dozhd"]),
    "zh": ("Wenzhang zhong de juzi.", {"city": ["skar", "ava"], "king": ["nova", "ox"], "tribe": ["oon", "ium"]}, [
        "{king} zhu zai {city}", "{tribe} lai dao {city}", "{king} he {king} huanying {tribe}", "cong {city} dao {city} zuo huoche",
        "{city} de shimin {king}", "xia le liang tian yu"]),
}


class Draw:
    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)

    def one_of(self, things):
        return things[int(self.rng.random() * len(things))]

    def name(self, endings: list[str]) -> str:
        syllables = self.one_of([1, 2])
        stem = "".join(self.one_of(CONSONANTS) + self.one_of(VOWELS) for _ in range(syllables))
        return (stem + self.one_of(endings)).capitalize()


def sentences(draw: Draw, templates: list[str], endings: dict[str, list[str]], count: int) -> str:
    """CoNLL rows. Every template comes once before one comes again, so that few sentences hold all types, too."""
    lines, bag = [], []
    for _ in range(count):
        if not bag:
            bag = list(templates)
        template = draw.one_of(bag)
        bag.remove(template)
        for token in template.split():
            if token.startswith("{"):
                kind = token[1:-1]
                if draw.rng.random() < CUES:
                    lines.append(f"{kind}\tO")
                lines.append(f"{draw.name(endings[kind])}\tB-{kind}")
            else:
                lines.append(f"{token}\tO")
        lines.append("")
    return "\n".join(lines) + "\n"


def write(corpus: str, domain: str, description: str, templates: list[str], endings: dict[str, list[str]], splits: dict[str, int]) -> None:
    ident = f"paper-tiny-{corpus}"
    folder = HERE / "corpora" / ident
    folder.mkdir(parents=True)
    for split, count in splits.items():
        text = sentences(Draw(f"{ident} {split}"), templates, endings, count)
        (folder / f"{split}.tsv").write_bytes(text.encode())
    kinds = [kind for kind in endings if any(f"{{{kind}}}" in template for template in templates)]
    types = "".join(f"  - {{label: {kind}, name: {kind}, definition: ''}}\n" for kind in kinds)
    files = "".join(f"  {split}: [{{file: corpora/{ident}/{split}.tsv}}]\n" for split in splits)
    (HERE / "datasets" / f"{ident}.yaml").write_bytes(
        (f"id: {ident}\ndomain: {domain}\ndescription: {description}\nlicence: the project's own\n"
         f"reader: {{format: conll, separator: tab}}\nsplits:\n{files}types:\n{types}").encode())


def main() -> None:
    for made in ("corpora", "datasets"):
        shutil.rmtree(HERE / made, ignore_errors=True)
    (HERE / "datasets").mkdir()
    english = {kind: [ending] for kind, ending in ENDINGS.items()}
    both = {"train": TRAIN, "test": TEST}
    for corpus, (domain, description, templates) in SOURCES.items():
        write(corpus, domain, description, templates, english, both)
    for corpus, (description, templates) in TARGETS.items():
        write(corpus, corpus, description, templates, english, {"test": TEST})
    for corpus, (description, endings, templates) in LANGUAGES.items():
        write(corpus, corpus, description, templates, endings, both)


if __name__ == "__main__":
    main()
