"""Runs every command of the documents. Usage: check_commands.py SOURCES BINARY FOLDER [PAGE...]

A command stands in an indented block whose first line is one, or in a fenced block called console, sh or nothing:

    samner status RUN            # in FOLDER/PAGE, where set_up has made the files that commands name

    ```console
    $ samner status RUN
    a line that it prints; all of them in this order, and others may be between them
    of a long line its beginning …
    ```

A fenced block with a path behind its language, as ```yaml my.yaml, is written to that file. A command has to end with
exit code 0, or with N where its comment says `exit code N`; one with 75 is told to stop when it has something to show.

Every command is run, unless NOT_RUN says why not. INSTEAD says what is run for those that only show how commands look,
and for those that take long. Commands in the text, as `samner status RUN`, have to name verbs and options that exist,
and so have paths such as src/plan/graph.h.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

PROGRAMS = (
    "samner samner-analysis mpirun srun sbatch squeue scancel module ctest cmake ninja make python python3 pip pytest "
    "timeout export cp rm mv mkdir ln ls cat head tail echo grep curl wget tar git docker apt-get sudo cd for source"
).split()
SCRIPTS = ("./", "build/", "tests/", "analysis/")

# What stands for names in capitals. Each page has its own folder.
PLACEHOLDERS = {
    "M": "tests/data/tiny",
    "E": ".deps/minilm",
    "A": "library/travel",
    "B": "library/zoo",
    "C": "library/workshop",
    "ADAPTER": "elsewhere",
    "LIBRARY": "library",
    "RUN": "runs/tiny",
    "OUT": "out",
    "MERGED": "merged",
    "MODEL": "merged-model",
    "FOLDER": "pictures",
}

# Of a pattern: why such a command is not run here.
NOT_RUN = {
    r"\./bootstrap( .*)?": "installs, downloads and builds; .ci/run calls it",
    r"module load .*": "asks for a cluster's modules",
    r"cmake .*": "builds, or copies libtorch",
    r"pip install .*": "downloads",
    r"samner data fetch( crossner-politics)? --root corpora": "downloads; corpus/fetch_test fetches from servers and mirrors of its own",
    r"samner run experiments/paper\.yaml --config configs/runs/paper-qwen2\.5-7b\.yaml .*":
        "asks for a 7B model and whole corpora; app_paper_test runs these experiments on the tiny model",
    r"samner-analysis .*": "asks for Python packages; the CTest `analysis` installs them and calls it",
    r"analysis/run_tests build/analysis": "is the CTest `analysis`",
    r"tests/gpu/run": "asks for a GPU; the CTest `gpu_run` calls it with made programs",
    r"build/tests/plan/plan_test .*": "writes a document; plan_test compares it",
    r"python3 tests/report/check_page\.py .*": "asks for Chromium; the CTest `report_page` calls it",
}

DATA = "--root tests/data/tiny --configs tests/data/tiny/datasets"
# Of a command as a page has it, spaces made one: what is run for it. Together these have all of its options.
INSTEAD = {
    # app_paper_test runs it in a minute or two.
    "samner run experiments/paper.yaml --config configs/runs/paper-tiny.yaml --out runs/paper -n 2":
        ["samner run experiments/paper.yaml --config configs/runs/paper-tiny.yaml --out runs/paper -n 2 --dry-run"],
    # With the models and sizes of my.yaml: app_paper_test and the demo run the others.
    "samner run experiments/demo.yaml --out runs/demo -n 2":
        ["samner run experiments/demo.yaml --config my.yaml --out runs/demo -n 2"],
    "samner train --model M --data crossner-politics:train --out adapter r=16 max_steps=20":
        ["samner train --model M --data conll:train --out adapter r=16 max_steps=2"],
    "samner card ADAPTER --encoder E --data DATASET[:SPLIT] --model M":
        [f"samner card ADAPTER --encoder E --data tiny-zoo --model M {DATA}"],
    "samner adapt --model M --experts LIBRARY --in texts.jsonl --types types.yaml --out OUT "
    "[-m 3] [-k 10] [--eco] [--gold gold.jsonl] [-n RANKS] [--dry-run] [key=value...]":
        ["samner adapt --model M --experts LIBRARY --in texts.jsonl --types types.yaml --out adapted "
         "-m 2 -k 4 --eco --gold gold.jsonl -n 2 infer.max_new_tokens=8" + dry for dry in (" --dry-run", "")],
    "samner train --model M --data DATASET[:SPLIT]|EXAMPLES.jsonl... --out ADAPTER [-n RANKS] "
    "[--encoder E] [--init ADAPTER] [key=value...]":
        ["samner train --model M --data conll:train[:8] --out trained -n 2 --encoder E --init A r=8 lora_alpha=16 "
         "max_steps=1",
         "samner train --model M --data EXAMPLES.jsonl --out trained-on-examples r=2 max_steps=1"],
    "samner generate --model M [--adapter A] --in PROMPTS.jsonl --out COMPLETIONS.jsonl "
    "[--max-new-tokens N] [--temperature T] [--top-p P] [--samples N] [--seed S]":
        ["samner generate --model M --adapter A --in PROMPTS.jsonl --out COMPLETIONS.jsonl "
         "--max-new-tokens 4 --temperature 0.7 --top-p 0.9 --samples 2 --seed 1"],
    "samner predict --model M [--adapter A] --data DATASET[:SPLIT] | --in TEXTS.jsonl --types a,b,c "
    "--out PREDICTIONS.jsonl":
        ["samner predict --model M --data conll:train[:8] --max-new-tokens 8 --out predicted.jsonl",
         "samner predict --model M --adapter A --in TEXTS.jsonl --types a,b,c --max-new-tokens 8 "
         "--out PREDICTIONS.jsonl"],
    "samner select --model M --experts DIR... --data … | --in … --types … "
    "[--strategy sampling|similarity|fused|types|similarity_types] [-m 3] [-k 10] [--answers N] "
    "[--temperature T] [--encoder E] [--domains EXPERT=EMBEDDINGS.safetensors...] [--json]":
        ["samner encode --encoder E --in TEXTS.jsonl --out domain.safetensors",
         "samner select --model M --experts A B --data conll --strategy sampling -m 1 -k 2 --answers 2 "
         "--temperature 0.7 --max-new-tokens 8 --json",
         "samner select --model M --experts LIBRARY --in TEXTS.jsonl --types a,b,c --strategy similarity_types -m 1",
         "samner select --model M --experts A B --in TEXTS.jsonl --types a,b,c --strategy fused -m 1 -k 2 --encoder E "
         "--domains travel=domain.safetensors zoo=domain.safetensors --max-new-tokens 8"],
    "samner encode --encoder E --in TEXTS.jsonl --out EMBEDDINGS.safetensors":
        ["samner encode --encoder E --in TEXTS.jsonl --out EMBEDDINGS.safetensors"],
    "samner merge ADAPTER... --method ties [--density 0.5] [--weights 1,1,1] "
    "[--report R.json | --space delta --base M] [-n RANKS] --out DIR":
        ["samner merge A B C --method ties --density 0.5 --weights 1,1,1 --report R.json -n 2 --out DIR",
         "samner merge A B C --method ties --space delta --base M --out DIR.model"],
    "samner combine PREDICTIONS.jsonl... --how union|intersection|vote [--types a,b,c] --out PREDICTIONS.jsonl":
        [f"samner combine PREDICTIONS.jsonl PREDICTIONS.jsonl --how {how} --types a,b,c --out {how}.jsonl"
         for how in ("union", "intersection", "vote")],
    "samner score --gold GOLD.jsonl | --data DATASET[:SPLIT] --pred PREDICTIONS.jsonl... "
    "[--metric M] [--against OTHER.jsonl] [--combine union|intersection|vote] [--json]":
        ["samner predict --model M --data conll:test --max-new-tokens 8 --out answers.jsonl",
         "samner data export conll --as gold --out answers-gold.jsonl",
         "samner score --data conll:test --pred answers.jsonl answers.jsonl --combine vote --metric entity --json",
         "samner score --gold answers-gold.jsonl --pred answers.jsonl --against answers.jsonl"],
    "samner data export DATASET[:SPLIT]... --as texts|gold|prompts [--count N] --out FILE.jsonl":
        [f"samner data export conll:train+test --as {what} --count 3 --out exported-{what}.jsonl"
         for what in ("texts", "gold", "prompts")],
    "samner model info M | tokenize M … | logits M [--adapter A] …":
        ["samner model info M",
         "samner model tokenize M --in TEXTS.jsonl --out ids.jsonl",
         "samner model logits M --adapter A --in ids.jsonl --out logits.safetensors"],
}

# Experts, targets and sizes for experiments/demo.yaml, which others than the demo's own run file runs.
MY_RUN = """\
base: {tiny}
encoder: {sources}/tests/data/encoders/mean-normalised
data: {sources}/tests/data/paper-tiny
datasets: [{sources}/tests/data/paper-tiny/datasets]
experts:
  biomedical: {{datasets: [paper-tiny-biomedical], samples: 16}}
  tweets: {{datasets: [paper-tiny-social-media], samples: 16}}
  web: {{datasets: [paper-tiny-news], samples: 16}}
  stem: {{datasets: [paper-tiny-stem], samples: 16}}
targets:
  science: {{dataset: paper-tiny-science, sentences: 4}}
  politics: {{dataset: paper-tiny-politics, sentences: 4}}
prompt: {{layout: short}}
train: {{r: 2, max_steps: 1, batch_size: 4, micro_batch_size: 4}}
infer: {{max_new_tokens: 8}}
"""
MY_EXPERIMENT = """\
experiment: {name}
targets: [science]
rows: {{one: "expert(pool(stem, web), {expert})"}}
"""
CONLL = """\
id: conll
domain: news
description: Sentences of a corpus.
reader: {format: conll, separator: tab}
splits: {train: [{file: conll/test.tsv}], test: [{file: conll/test.tsv}]}
types: [{label: river, name: river}, {label: city, name: city}, {label: animal, name: animal}]
"""


class Fault(Exception):
    """What is wrong with a page: where, what, what to do."""


class Command:
    def __init__(self, line, text):
        self.line = line
        self.text = text
        self.printed = None  # lines; None: nothing is said of it
        self.runs = 0


def first_word(text):
    """The program that a line calls, without the variables set before it."""
    words = text.replace("\\\n", " ").split()
    while words and re.fullmatch(r"[A-Za-z_]\w*=\S*", words[0]):
        words.pop(0)
    return words[0] if words else ""


def is_command(text):
    word = first_word(text)
    return word in PROGRAMS or word.startswith(SCRIPTS) and len(word) > 2


def blocks(text):
    """(number of its first line, info or None where it is indented, lines) of each code block; and the text outside."""
    lines = text.split("\n")
    found, outside = [], []
    generated, i = False, 0
    while i < len(lines):
        line = lines[i]
        generated = line.startswith("<!-- generated") or generated and not line.startswith("<!-- end")
        begin = i
        fence = re.match(r"( *)```(.*)", line)
        if fence:
            i += 1
            while i < len(lines) and not lines[i].strip().startswith("```"):
                i += 1
            found.append((begin + 2, fence[2].strip(), lines[begin + 1:i]))
            i += 1
        elif line.startswith("    ") and (begin == 0 or not lines[begin - 1].strip()):
            while i < len(lines) and (lines[i].startswith("    ") or not lines[i].strip()):
                i += 1
            if not generated:
                found.append((begin + 1, None, lines[begin:i]))
        else:
            outside.append(line)
            i += 1
    return found, "\n".join(outside)


def is_whole(text):
    """Whether a command ends with this line: no backslash, no open quote."""
    bare = re.sub(r"\s#\s.*", "", text)
    return not text.endswith("\\") and all(bare.count(quote) % 2 == 0 for quote in "'\"")


def commands(line, info, lines):
    """The commands of a block; none where it holds something else."""
    console = info == "console"
    shell = console or info in ("", "sh", "bash", "shell")
    if info is not None and not shell:
        if info != "text" and any(is_command(text) for text in lines):
            raise Fault(f"{line}: commands in a block of {info} — call it console or sh")
        return []
    margin = min((len(text) - len(text.lstrip()) for text in lines if text.strip()), default=0)
    found = []
    for number, text in enumerate((text[margin:].rstrip() for text in lines), line):
        if found and not is_whole(found[-1].text):
            found[-1].text += "\n" + text
        elif console and text.startswith("$ "):
            found.append(Command(number, text[2:]))
            found[-1].printed = []
        elif console:
            if not found:
                raise Fault(f"{number}: a console block begins with '$ COMMAND'")
            found[-1].printed.append(text)
        elif text.startswith(" ") and found:  # the form of a command goes on in lines that are indented further
            found[-1].text += " " + text.strip()
        elif text and not text.startswith("#"):
            found.append(Command(number, text))
    unknown = [command for command in found if not is_command(command.text)]
    if unknown and (shell or len(unknown) < len(found)):
        raise Fault(f"{unknown[0].line}: '{unknown[0].text}' is no command that tests/docs knows — add its program "
                    "to PROGRAMS, or put what is no command into a fenced block with another language")
    return [] if unknown else found


def with_values(text):
    """A command with values for placeholders, without srun and with two ranks at most."""
    text = re.sub(r"(?m)^srun( -\S+)* ", "", text)
    text = re.sub(r"(?<= -n )\d+(?=\s|$)", lambda ranks: str(min(2, int(ranks[0]))), text)
    for name, value in PLACEHOLDERS.items():
        text = re.sub(rf"(?<![\w./,$=-]){name}(?![\w.,=-])", value, text)
    return text


def options(text):
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


class Checker:
    """Runs the commands of pages."""

    def __init__(self, sources, binary, folder, not_run=NOT_RUN, instead=INSTEAD):
        self.sources, self.binary, self.folder = (pathlib.Path(path).resolve() for path in (sources, binary, folder))
        self.not_run, self.instead = not_run, instead
        self.used = set()
        self.helps = {}
        self.environment = os.environ | {
            "PATH": f"{self.binary.parent}:{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "SAMNER_CACHE": str(self.folder / "cache"),
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
        self.environment.pop("SAMNER_DATA", None)

    def run(self, command, where, stop=False):
        """(exit code, stdout and stderr) of a command in a folder."""
        environment = self.environment | {"SAMNER_DATA": str(where / "data"), "SCRATCH": str(where / "scratch")}
        if (where / "configs/data").exists():
            environment["SAMNER_HOME"] = str(where)  # the page's folder stands for the checkout
        process = subprocess.Popen(["bash", "-c", f"exec {command}" if stop else command], cwd=where, env=environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            if stop:
                partial = where / (re.search(r"--out (\S+)", command)[1] + ".partial")
                while process.poll() is None and not (partial.exists() and partial.stat().st_size):
                    time.sleep(0.002)
                process.terminate()
            output = process.communicate(timeout=120)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, process.communicate()[0].decode(errors="replace")
        return process.returncode, output.decode(errors="replace")

    def expect(self, command, text, where):
        """Runs a command of a page and looks at its exit code and at what it prints."""
        comment = re.search(r"\s#\s.*exit code (\d+)", text)
        expected = int(comment[1]) if comment else 0
        code, output = self.run(text, where, stop=expected == 75)
        command.runs += 1
        said = f"{command.line}: `{text}`"
        if code != expected:
            raise Fault(f"{said} ended with {'a time limit' if code is None else f'exit code {code}'}, "
                        f"not {expected}:\n{output}")
        there = iter([line.rstrip() for line in output.split("\n")])
        for line in command.printed or []:
            wanted = with_values(line).rstrip()
            if not any(wanted in (some, some[:len(wanted) - 1] + "…") for some in there):
                raise Fault(f"{said} did not print, or not in this order, '{line}':\n{output}")

    def check_command(self, command, where):
        bare = re.sub(r"\s+", " ", re.sub(r"\\\n|\s#\s.*", " ", command.text)).strip()
        if bare in self.instead:
            self.used.add(bare)
            missing = options(bare) - options(" ".join(self.instead[bare]))
            if missing:
                raise Fault(f"{command.line}: {', '.join(sorted(missing))} of '{bare}' is in none of the commands "
                            "that INSTEAD has for it")
            for text in self.instead[bare]:
                self.expect(command, with_values(text), where)
            return
        parts = []
        for part in re.split(r" && ", command.text):
            name = re.sub(r"\s+", " ", re.sub(r"\\\n|\s#\s.*", " ", part)).strip()
            while re.match(r"[A-Za-z_]\w*=\S* ", name):
                name = name.split(" ", 1)[1]
            name = re.sub(r"^srun( -\S+)* ", "", name)
            listed = [pattern for pattern in self.not_run if re.fullmatch(pattern, name)]
            self.used.update(listed)
            if not listed:
                parts.append(part)
        if parts:
            self.expect(command, with_values(" && ".join(parts)), where)

    def check_spans(self, outside, where):
        """Verbs and options of commands in the text."""
        for span in re.findall(r"`samner ([^`]+)`", outside):
            words = span.split()
            verb = [words[0]]
            if words[0] in ("data", "model") and len(words) > 1 and words[1].isalpha():
                verb.append(words[1])
            if not words[0][0].islower():
                continue
            name = " ".join(verb)
            if name not in self.helps:
                self.helps[name] = self.run(f"samner {name} --help", where)
            code, text = self.helps[name]
            if code != 0:
                raise Fault(f" `samner {span}`: there is no verb '{name}'")
            unknown = {option for option in options(span) if not re.search(rf"(?<![\w-]){option}(?![\w-])", text)}
            if unknown:
                raise Fault(f" `samner {span}`: samner {name} has no option {', '.join(sorted(unknown))}")

    def check_paths(self, outside):
        """Files of the repository that the text names, but for those with a placeholder such as NAME."""
        for path in re.findall(r"(?<![\w./-])(?:src|tests|docs|configs|experiments|analysis|cmake)/[\w./*-]*[\w*]",
                               outside):
            if not re.search(r"[A-Z]{2,}(?!\w*\.(?:txt|md|tsv))", path) and not any(self.sources.glob(path)):
                raise Fault(f" there is no {path}")

    def check_page(self, page, set_up):
        """(faults of a page, each as text; how many commands were run)."""
        where = self.folder / str(page).replace("/", "-")
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir(parents=True)
        set_up(self, where)
        faults = []
        try:
            found, outside = blocks((self.sources / page).read_text())
            all_commands = []
            for line, info, lines in found:
                words = (info or "").split()
                if len(words) == 2:
                    file = where / words[1]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text("\n".join(lines) + "\n")
                    continue
                all_commands += commands(line, info, lines)
            self.check_spans(outside, where)
            self.check_paths(outside)
        except Fault as fault:
            return [f"{page}:{fault}"], 0
        for command in all_commands:
            try:
                self.check_command(command, where)
            except Fault as fault:
                faults.append(f"{page}:{fault}")
        return faults, sum(command.runs for command in all_commands)

    def unused(self):
        """Entries of the lists that no page has any more."""
        return [f"tests/docs/check_commands.py: no page has '{name}' — remove it"
                for name in [*self.not_run, *self.instead] if name not in self.used]


def link_all(source, target):
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        (target / entry.name).symlink_to(entry)


def check_out(checker, where):
    """What a reader has who has built samner."""
    sources = checker.sources
    for name in ("tests", ".deps", "analysis"):
        (where / name).symlink_to(sources / name)
    (where / "build").symlink_to(checker.binary.parent)
    link_all(sources / "experiments", where / "experiments")
    for name in ("data", "runs"):
        link_all(sources / "configs" / name, where / "configs" / name)


def set_up(checker, where):
    """The files that commands name besides: a library, models, texts, corpora, experiments."""
    check_out(checker, where)
    sources = checker.sources
    tiny = sources / "tests/data/tiny"
    (where / "models").mkdir()
    (where / "models/Qwen2.5-7B").symlink_to(tiny)
    (where / "my.yaml").write_text(MY_RUN.format(sources=sources, tiny=tiny))
    (where / "my-experiment.yaml").write_text(MY_EXPERIMENT.format(name="mine", expert="stem"))
    for name, expert in (("a", "stem"), ("b", "web")):
        (where / f"experiments/{name}.yaml").write_text(MY_EXPERIMENT.format(name=name, expert=expert))
        (where / f"configs/runs/{name}.yaml").write_text(MY_RUN.format(sources=sources, tiny=tiny))

    (where / "configs/data/conll.yaml").write_text(CONLL)
    (where / "data/conll").mkdir(parents=True)
    (where / "data/conll/test.tsv").write_text(
        (tiny / "corpora/tiny-expedition/test.tsv").read_text() * 25)  # a second's work, to be stopped in
    (where / "corpora").symlink_to(sources / "tests/data/corpora")

    library = made_library(checker)
    shutil.copytree(library, where / "library")
    shutil.copytree(library / "zoo", where / "elsewhere")
    (where / "elsewhere/samner.json").unlink()

    texts = [{"id": number, "text": text} for number, text in enumerate(
        ["an Reox walked through Puburg", "near the Fomaava we saw an Teox", "they sold a Zoox in Riburg"])]
    write_lines(where / "PROMPTS.jsonl", [{"id": text["id"], "prompt": text["text"]} for text in texts])
    write_lines(where / "EXAMPLES.jsonl", [{"prompt": text["text"], "answer": "[]"} for text in texts])
    write_lines(where / "gold.jsonl",
                [{**text, "entities": [{"text": "Zoox", "type": "metal"}] * (text["id"] == 2)} for text in texts])
    for name in ("texts", "TEXTS", "trained-on", "texts-of-X"):
        write_lines(where / f"{name}.jsonl", texts)
    (where / "CONFIG.yml").write_text(
        "models:\n  - {model: library/travel, parameters: {weight: 1}}\n"
        "  - {model: library/workshop, parameters: {weight: 1}}\n"
        f"merge_method: ties\nbase_model: {tiny}\nparameters: {{density: 0.5}}\ndtype: float32\n")


def set_up_readme(checker, where):
    set_up(checker, where)
    # One adapter from elsewhere in a library of experts whose prompts have the usual layout.
    for path in (where / "library").glob("*/samner.json"):
        card = json.loads(path.read_text())
        card["prompt"]["layout"] = "full"
        path.write_text(json.dumps(card))
    (where / "elsewhere").rename(where / "library/X")


def set_up_commands(checker, where):
    set_up(checker, where)
    for name, expert in (("news", "zoo"), ("web", "travel")):
        (where / "library" / expert).rename(where / "library" / name)
    write_lines(where / "prompts.jsonl", [{"id": 1, "prompt": "an Reox walked"}])
    answers = [{"id": 0, "text": "a", "entities": []}]
    for name in ("one", "two"):
        write_lines(where / f"{name}.jsonl", answers)
    for name in ("bc5cdr", "crossner-politics", "crossner-science", "ncbi"):
        (where / "data" / name).symlink_to(checker.sources / "tests/data/corpora" / name)


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


# Of pages whose commands name other files; set_up for the others.
SET_UPS = {"README.md": set_up_readme, "docs/getting-started.md": check_out,
           "docs/commands.md": set_up_commands}


def made_library(checker):
    """The experts of experiments/tiny.yaml: of the page that runs it, where it has been looked at before."""
    run = checker.folder / "docs-getting-started.md/runs/tiny"
    if not (run / "experts").exists():
        run = checker.folder / "tiny"
    if not run.exists():
        code, output = checker.run(f"cd '{checker.sources}' && samner run experiments/tiny.yaml -n 2 --out '{run}'",
                                   checker.folder)
        if code != 0:
            raise SystemExit(f"no library could be made:\n{output}")
    return run / "experts"


def main():
    sources, binary, folder, *names = sys.argv[1:]
    sources = pathlib.Path(sources)
    # The page whose run has the library for the others comes first.
    pages = names or ["docs/getting-started.md", "README.md", "CONTRIBUTING.md", "analysis/README.md"]
    pages += sorted({f"docs/{page.name}" for page in (sources / "docs").glob("*.md") if not names} - {pages[0]})
    shutil.rmtree(folder, ignore_errors=True)
    pathlib.Path(folder, "home").mkdir(parents=True)
    checker = Checker(sources, binary, folder)

    def check(page):
        begin = time.monotonic()
        faults, count = checker.check_page(page, SET_UPS.get(page, set_up))
        print(f"{page}: {count} commands in {time.monotonic() - begin:.1f} s", flush=True)
        return faults

    faults = check(pages[0])
    made_library(checker)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for some in pool.map(check, pages[1:]):
            faults += some
    if not names:
        faults += checker.unused()
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
