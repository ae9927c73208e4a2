"""Checks the files that come with samner, and wrong ones, against configs/schemas. Usage: check_schemas.py SOURCE SAMNER

The validator is Python's jsonschema; what it refuses SAMNER, the program, refuses too. Ends with 77 (skipped) where
jsonschema or yaml is not installed, unless CI is set: then that is a failure.
"""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import yaml
except ImportError as error:
    print(f"{error}: install python3-jsonschema and python3-yaml")
    sys.exit(1 if os.environ.get("CI") else 77)

SOURCE = pathlib.Path(sys.argv[1])
SAMNER = str(pathlib.Path(sys.argv[2]).absolute())
MODELINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")
EXPERIMENT = {"experiment": "e", "targets": ["museum"], "rows": {"base": "base"}}
RUN = {"base": "b", "encoder": "e", "experts": {"x": {"datasets": ["ncbi"]}}, "targets": {"museum": {"dataset": "ncbi"}}}
DATASET = {"id": "mine", "domain": "d", "description": "d", "splits": {"test": [{"file": "t.tsv"}]},
           "types": [{"label": "A"}]}


def changed(whole, path, value):
    """A copy in which what the path leads to is the value; None takes it away."""
    result = copy.deepcopy(whole)
    inside = result
    for key in path[:-1]:
        inside = inside[key] if isinstance(inside, list) else inside.setdefault(key, {})
    if value is None:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return result


WRONG = {
    "run": [
        (["bse"], "b"), (["base"], ["b"]), (["base"], None), (["threads"], "many"), (["threads"], -1), (["threads"], 1.5),
        (["train"], {"learning_rte": 1}), (["train"], {"r": 0}), (["train"], {"r": "8"}), (["train"], {"shuffle": "yes"}),
        (["train"], {"lr_scheduler_type": "cosin"}), (["train"], {"rank_pattern": {"q_proj": 0}}),
        (["merge"], {"density": 0}), (["merge"], {"sign": "totl"}), (["merge"], {"space": "deltas"}),
        (["prompt"], {"parts": "some"}), (["prompt"], {"parts": {"source": 2}}), (["prompt"], {"layout": 5}),
        (["infer"], {"fold": "sometimes"}), (["seeds"], []), (["seeds"], {"trian": 1}), (["seeds"], "all"),
        (["dtype"], "fp16"), (["samples_between"], [0, 4]), (["datasets"], "folder"),
        (["experts", "x"], {}), (["experts", "x"], {"adapter": "a", "samples": 5}), (["experts", "x", "samples"], "all"),
        (["targets", "museum"], {"texts": "t"}), (["targets", "museum", "sentences"], -1),
        (["targets", "museum"], {"texts": "t", "types": []}),
    ],
    "experiment": [
        (["row"], {"a": "base"}), (["rows"], None), (["rows"], ["base"]), (["rows", "base"], ["base"]),
        (["targets"], []), (["targets"], {"pool": ["museum"]}), (["targets"], {"one_sentence": {"trials": 3}}),
        (["targets"], {"one_sentence": {"of": ["museum"], "trials": 0}}), (["average"], "median"), (["for"], {"d": []}),
        (["paper"], {"table": 1}), (["paper"], {"table": 1, "figure": 2, "values": "v"}), (["shows"], {"data": "p"}),
        (["experiments"], ["a.yaml"]), (["experiment"], None), (["title"], ["t"]),
    ],
    "dataset": [
        (["domian"], "d"), (["domain"], None), (["types"], []), (["types", 0], {"name": "a"}), (["types", 0, "nme"], "a"),
        (["splits", "test"], []), (["splits", "test", 0], {"path": "x"}), (["splits", "test", 0], {"folder": "x"}),
        (["splits", "test", 0, "repair"], "all"), (["splits", "test", 0], {"folder": "x", "suffix": "y", "sha256": "0"}),
        (["reader"], {"format": "conl"}), (["reader"], {"format": "csv", "separator": "tab"}),
        (["reader"], {"separator": "comma"}), (["reader"], {"token": "first"}), (["reader"], {"header": True}),
        (["reader"], {"format": "csv", "header": "yes"}), (["reader"], {"format": "documents", "text": "t"}),
        (["user_supplied"], "perhaps"), (["not_scored"], "A"), (["reader"], {"token": -1}),
    ],
}


def validator(name):
    schema = json.loads((SOURCE / "configs/schemas" / f"{name}.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def check_shipped(validators, problems):
    """Each file that comes with samner names its schema in its first line, and keeps to it."""
    files = 0
    for pattern, name in (("configs/runs/*.yaml", "run"), ("configs/data/*.yaml", "dataset"),
                          ("experiments/*.yaml", "experiment"), ("experiments/paper/*.yaml", "experiment"),
                          ("experiments/beyond/*.yaml", "experiment"), ("tests/data/*/datasets/*.yaml", "dataset")):
        for path in sorted(SOURCE.glob(pattern)):
            files += 1
            text = path.read_text()
            for error in validators[name].iter_errors(yaml.safe_load(text)):
                problems.append(f"{path}: {error.json_path}: {error.message[:200]}")
            if "tests" in path.relative_to(SOURCE).parts:
                continue
            named = MODELINE.fullmatch(text.split("\n", 1)[0])
            wanted = SOURCE / "configs/schemas" / f"{name}.schema.json"
            if not named or not (path.parent / named[1]).exists() or not (path.parent / named[1]).samefile(wanted):
                schema = os.path.relpath(wanted, path.parent)
                problems.append(f"{path}: the first line is not `# yaml-language-server: $schema={schema}`")
    if files < 90:
        problems.append(f"only {files} files were found")


def command(name, folder):
    files = {"run": "plan good.yaml --config wrong.yaml", "experiment": "plan wrong.yaml --config good_run.yaml",
             "dataset": "data list --configs described"}
    return subprocess.run([SAMNER, *files[name].split()], cwd=folder, capture_output=True, text=True, check=False)


def check_wrong(validators, problems):
    """What is wrong is refused by validator and program, and without it neither refuses anything of the form."""
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        (folder / "described").mkdir()
        (folder / "good.yaml").write_text(json.dumps(EXPERIMENT))
        (folder / "good_run.yaml").write_text(json.dumps(RUN))
        for name, good in (("run", RUN), ("experiment", EXPERIMENT), ("dataset", DATASET)):
            file = folder / ("described/mine.yaml" if name == "dataset" else "wrong.yaml")
            for path, value in [([], None), *WRONG[name]]:
                document = changed(good, path, value) if path else good
                # JSON is YAML; texts without quotes, as people write them.
                file.write_text(yaml.safe_dump(document))
                said = command(name, folder)
                form = re.search(rf"\({re.escape(str(file.relative_to(folder)))}|{file.stem}", said.stderr) is not None
                valid = validators[name].is_valid(document)
                if path and (valid or said.returncode != 2 or not form):
                    problems.append(f"{name} with {path} = {value!r}: the validator {'accepts' if valid else 'refuses'} it, "
                                    f"the program ends with {said.returncode} and says {said.stderr.strip()[-200:]}")
                if not path and (not valid or form):
                    problems.append(f"a good {name} is refused: {said.stderr}")


def main():
    problems = []
    validators = {name: validator(name) for name in ("run", "experiment", "dataset")}
    check_shipped(validators, problems)
    check_wrong(validators, problems)
    for problem in problems:
        print(problem)
    return len(problems) > 0


if __name__ == "__main__":
    sys.exit(main())
