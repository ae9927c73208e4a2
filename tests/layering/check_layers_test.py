"""Tests of check_layers.py on small made trees. Run: python3 check_layers_test.py"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import check_layers


def target(folder, sources, public=(), private=(), name=None, kind="STATIC_LIBRARY"):
    """A module as samner_write_modules writes it."""
    return {
        "FOLDER": folder,
        "TYPE": [kind],
        "NAME": [name or f"samner_{folder}"],
        "SOURCES": sources,
        "LINK_LIBRARIES": [*public, *private],
        "INTERFACE_LINK_LIBRARIES": [*public, *(f"$<LINK_ONLY:{library}>" for library in private)],
    }


class CheckLayers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def check(self, targets, files):
        """What is wrong with files (name: text) of these targets."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return check_layers.check(self.root, check_layers.read_modules(json.dumps(targets)))

    three = [
        target("low", ["a.cc"]),
        target("middle", ["b.cc"], public=["samner::low"]),
        target("high", ["c.cc"], private=["samner::middle", "fmt::fmt"]),
    ]

    def test_lets_through_what_link_lines_lead_to(self):
        files = {
            "low/a.h": "#include <vector>\n",
            "low/a.cc": '#include "low/a.h"\n',
            "middle/b.h": '#include "low/a.h"\n',
            "high/c.cc": '#include "middle/b.h"\n#include "low/a.h"\n',
        }
        self.assertEqual(self.check(self.three, files), [])

    def test_refuses_a_module_above(self):
        lines = self.check(self.three, {"low/a.cc": '#include "low/a.h"\n\n#  include "high/c.h"\n'})
        self.assertEqual(
            lines, ["low/a.cc:3: includes high/c.h of samner_high, to which samner_low's link line does not lead"])

    def test_refuses_a_private_link_in_a_header(self):
        lines = self.check(self.three, {"high/c.h": '#include "middle/b.h"\n'})
        self.assertEqual(len(lines), 1)
        self.assertIn("samner_high's PUBLIC links do not lead", lines[0])

    def test_lets_a_program_s_headers_include_what_it_links(self):
        program = target("app", ["main.cc"], private=["samner::middle"], name="samner", kind="EXECUTABLE")
        self.assertEqual(self.check([*self.three, program], {"app/verbs.h": '#include "middle/b.h"\n'}), [])

    def test_refuses_a_circle(self):
        targets = [target("one", ["a.cc"], private=["samner::two"]), target("two", ["b.cc"], public=["samner::one"])]
        self.assertEqual(self.check(targets, {}), ["link lines go in a circle: samner_one -> samner_two -> samner_one"])

    def test_tells_the_modules_of_one_folder_apart(self):
        targets = [
            target("big", ["rest.cc"], public=["samner::big_options"]),
            target("big", ["options.cc"], name="samner_big_options"),
            target("user", ["u.cc"], public=["samner::big_options"]),
        ]
        self.assertEqual(self.check(targets, {"user/u.cc": '#include "big/options.h"\n'}), [])
        files = {"user/u.cc": '#include "big/rest.h"\n', "big/options.cc": '#include "big/kind.h"\n'}
        of = "of samner_big, to which"
        self.assertEqual(self.check(targets, files), [
            f"big/options.cc:1: includes big/kind.h {of} samner_big_options's link line does not lead",
            f"user/u.cc:1: includes big/rest.h {of} samner_user's link line does not lead",
        ])

    def test_knows_a_module_of_headers_alone(self):
        headers = target("big", ["kind.h"], public=["samner::low"], name="samner_big_kind", kind="INTERFACE_LIBRARY")
        headers["LINK_LIBRARIES"] = []
        targets = [target("low", ["a.cc"]), headers, target("big", ["rest.cc"], public=["samner::big_kind"]),
                   target("user", ["u.cc"], public=["samner::big_kind"])]
        files = {"big/kind.h": '#include "low/a.h"\n', "user/u.h": '#include "big/kind.h"\n#include "low/a.h"\n'}
        self.assertEqual(self.check(targets, files), [])
        self.assertEqual(len(self.check(targets, {"user/u.h": '#include "big/rest.h"\n'})), 1)

    def test_keeps_libraries_in_their_folders(self):
        lines = self.check([*self.three, target("comm", ["comm.cc"])], {
            "comm/comm.cc": "#include <mpi.h>\n#include <nccl.h>\n",
            "low/b.h": "#include <mpi.h>\n",
            "low/a.cc": "#include <hdf5_hl.h>\n#include <nccl.h>\n",
            "high/c.cc": "#include <ATen/ATen.h>\n#include <torch/version.h>\n#include <c10/util/Half.h>\n",
        })
        self.assertEqual(len(lines), 6)
        self.assertIn("low/b.h:1: includes mpi.h, which is for comm only", lines)

    def test_has_sources_begin_with_their_headers(self):
        files = {"low/a.h": "", "low/a.cc": '#include <vector>\n\n#include "low/a.h"\n', "low/other.h": ""}
        self.assertEqual(self.check(self.three, files), ["low/a.cc: does not begin with low/a.h"])
        good = '// Says something.\n#include "low/a.h"\n\n#include <vector>\n'
        self.assertEqual(self.check(self.three, {"low/a.cc": good}), [])

    def test_refuses_a_file_of_no_module(self):
        lines = self.check(self.three, {"new/x.cc": "", "low/a.cc": '#include "a.h"\n'})
        self.assertEqual(len(lines), 2)
        self.assertIn("low/a.cc:1: includes a.h, which is in no module", lines[0])
        self.assertIn("new/x.cc: belongs to no module", lines[1])

    def test_ends_with_1_and_says_why(self):
        self.check(self.three, {"low/a.cc": '#include "high/c.h"\n'})
        modules = self.root / "modules.json"
        modules.write_text(json.dumps(self.three), encoding="utf-8")
        program = pathlib.Path(__file__).with_name("check_layers.py")
        result = subprocess.run([sys.executable, program, self.root, modules], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("low/a.cc:1: includes high/c.h of samner_high", result.stdout)


if __name__ == "__main__":
    unittest.main()
