"""Checks that the sources include only what their modules' link lines allow. Usage: check_layers.py SRC MODULES.json

A module is a CMake target of a folder of src (samner_add_module, or the program). What it may include is read from its
link line (samner_write_modules in cmake/SamnerTargets.cmake writes it down), and from nowhere else:
  * a source of a module: itself, what it links, and what these link as PUBLIC, and so on;
  * a header of a module: itself and the modules reached by PUBLIC links alone, since who includes it needs them too;
  * no module reaches itself.
A folder may have several modules. A file belongs to the one that has it, or a file with its stem, among its sources;
otherwise to the folder's own, samner_FOLDER, or its only one.

Headers of some libraries are for some folders only (LIBRARIES), whatever the link lines say. A source begins with the
header that has its name, which is how the build shows that the header compiles by itself.
"""

import dataclasses
import json
import pathlib
import re
import sys

LIBRARIES = {  # what an include begins with, and the folders that may have it
    r"mpi\.h$": ["comm"],
    r"nccl": ["comm"],
    r"hdf5|H5": ["store"],
    r"torch/|ATen/|c10/": ["model", "train", "infer"],
    r"cuda": ["comm", "merge", "model"],
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
EXTENSIONS = {".h", ".cc", ".cu", ".inl"}


@dataclasses.dataclass
class Module:
    name: str  # of its target: samner_core
    folder: str
    program: bool
    stems: set
    links: list  # names of the modules on its link line
    public: list  # those of them that are PUBLIC


def read_modules(text):
    """The modules by their name, in the order of the build."""
    modules = {}
    for entry in json.loads(text):
        public = module_names(entry["INTERFACE_LINK_LIBRARIES"])
        modules[entry["NAME"][0]] = Module(
            name=entry["NAME"][0],
            folder=entry["FOLDER"],
            program=entry["TYPE"] == ["EXECUTABLE"],
            stems={pathlib.PurePath(source).stem for source in entry["SOURCES"]},
            links=list(dict.fromkeys(module_names(entry["LINK_LIBRARIES"]) + public)),
            public=public,
        )
    for module in modules.values():
        module.links = [name for name in module.links if name in modules]
        module.public = [name for name in module.public if name in modules]
    return modules


def module_names(libraries):
    """samner::core is the target samner_core; what is wrapped ($<LINK_ONLY:...>) is not part of an interface."""
    return [library.replace("::", "_") for library in libraries if library.startswith("samner")]


def reached(modules, names):
    """These modules and all that their PUBLIC links lead to."""
    found = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += modules[name].public
    return found


def circles(modules):
    """A line for each circle found among the link lines."""
    done, path, lines = set(), [], []

    def visit(name):
        if name in path:
            lines.append("link lines go in a circle: " + " -> ".join(path[path.index(name):] + [name]))
        elif name not in done:
            path.append(name)
            for link in modules[name].links:
                visit(link)
            done.add(path.pop())

    for name in modules:
        visit(name)
    return lines


def owner(modules, folder, file):
    """The module of a file of a folder, or None."""
    here = [module for module in modules.values() if module.folder == folder]
    named = [module for module in here if pathlib.PurePath(file).stem in module.stems]
    own = [module for module in here if module.name == f"samner_{folder}"]
    for choice in (named, own, here):
        if len(choice) == 1:
            return choice[0]
    return None


def check_file(modules, root, path):
    """A line for each include of a file that is not allowed."""
    place = path.relative_to(root)
    if len(place.parts) < 2:
        return []
    folder = place.parts[0]
    module = owner(modules, folder, place.name)
    if module is None:
        return [f"{place}: belongs to no module, or to several; name its source in one samner_add_module"]
    header = path.suffix != ".cc" and path.suffix != ".cu"
    links = module.public if header and not module.program else module.links
    allowed = reached(modules, links) | {module.name}
    text = path.read_text(encoding="utf-8")
    lines = []
    own = place.with_suffix(".h")
    first = INCLUDE.search(text)
    if path.suffix == ".cc" and (root / own).exists() and (first is None or first.group(2) != own.as_posix()):
        lines.append(f"{place}: does not begin with {own}")
    for match in INCLUDE.finditer(text):
        kind, target = match.groups()
        where = f"{place}:{text.count(chr(10), 0, match.start()) + 1}: includes {target}"
        for library, folders in LIBRARIES.items():
            if kind == "<" and re.match(library, target) and folder not in folders:
                lines.append(f"{where}, which is for {', '.join(folders)} only")
        target_folder, slash, file = target.partition("/")
        if kind == "<":
            continue
        if not slash or not any(other.folder == target_folder for other in modules.values()):
            lines.append(f"{where}, which is in no module; write it as \"module/file\"")
            continue
        other = owner(modules, target_folder, file)
        if other is None:
            lines.append(f"{where}, which belongs to no module, or to several")
        elif other.name not in allowed:
            how = "PUBLIC links do" if header and not module.program else "link line does"
            lines.append(f"{where} of {other.name}, to which {module.name}'s {how} not lead")
    return lines


def check(root, modules):
    """All that is wrong, a line each."""
    root = pathlib.Path(root)
    lines = circles(modules)
    for path in sorted(root.rglob("*")):
        if path.suffix in EXTENSIONS:
            lines += check_file(modules, root, path)
    return lines


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__)
    modules = read_modules(pathlib.Path(arguments[1]).read_text(encoding="utf-8"))
    lines = check(arguments[0], modules)
    print("\n".join(lines) if lines else f"{len(modules)} modules include what they may")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
