"""Tests of check_commands.py on made pages with a made program. Run: python3 check_commands_test.py"""

import pathlib
import tempfile
import unittest

import check_commands

SAMNER = """#!/bin/bash
case "$*" in
  "status --help") echo "  --json" ;;
  *--help) exit 2 ;;
  status*) echo first; echo second; echo "$*" ;;
  slow*) trap 'exit 75' TERM; echo x > slow.jsonl.partial; while :; do sleep 0.01; done ;;
  *) echo "error: $1" >&2; exit 2 ;;
esac
"""


class CheckCommands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").mkdir()
        program = self.folder / "bin/samner"
        program.write_text(SAMNER)
        program.chmod(0o755)

    def check(self, page, not_run=None, instead=None):
        (self.folder / "page.md").write_text(page)
        self.checker = check_commands.Checker(self.folder, self.folder / "bin/samner", self.folder / "work",
                                              not_run or {}, instead or {})
        return self.checker.check_page("page.md", lambda checker, where: None)

    def assert_fault(self, result, *parts):
        faults, _ = result
        self.assertEqual(len(faults), 1, faults)
        for part in parts:
            self.assertIn(part, faults[0])

    def test_commands_of_both_kinds_of_blocks_are_run(self):
        page = "text\n\n    samner status RUN   # a comment\n    samner status \\\n        more\n\n```sh\nsamner status\n```\n"
        self.assertEqual(self.check(page), ([], 3))

    def test_other_blocks_are_none(self):
        page = "    merge(a, b)\n\n    name: value\n\n```yaml\na: b\n```\n\n```text\nsamner fails\n```\n"
        page += "\n<!-- generated: x -->\n\n    samner fails\n\n<!-- end -->\n"
        self.assertEqual(self.check(page), ([], 0))

    def test_a_command_that_fails_is_a_fault(self):
        self.assert_fault(self.check("x\n\n    samner stats RUN\n"), "page.md:3", "samner stats runs/tiny",
                          "exit code 2, not 0", "error: stats")

    def test_exit_codes_that_the_page_names_are_expected(self):
        self.assertEqual(self.check("    samner stats   # exit code 2\n"), ([], 1))
        self.assert_fault(self.check("    samner status   # exit code 2\n"), "exit code 0, not 2")

    def test_a_command_that_is_to_end_with_75_is_stopped(self):
        self.assertEqual(self.check("    samner slow --out slow.jsonl   # exit code 75\n"), ([], 1))

    def test_printed_lines_have_to_come_in_their_order(self):
        page = "```console\n$ samner status RUN\n{}\n```\n"
        self.assertEqual(self.check(page.format("first\nstatus RUN")), ([], 1))
        self.assert_fault(self.check(page.format("second\nfirst")), "page.md:2", "'first'")
        self.assert_fault(self.check(page.format("fir")), "'fir'")
        self.assertEqual(self.check(page.format("fi…\nstatus …")), ([], 1))
        self.assert_fault(self.check(page.format("st…\nfi…")), "'fi…'")

    def test_files_of_the_page_are_written(self):
        self.assertEqual(self.check("```yaml a/b.yaml\nx: 1\n```\n\n    grep -q 'x: 1' a/b.yaml\n"), ([], 1))

    def test_unknown_programs_are_faults(self):
        self.assert_fault(self.check("    samner status\n    unheard-of status\n"), "page.md:2", "unheard-of")
        self.assert_fault(self.check("```sh\nunheard-of status\n```\n"), "unheard-of")
        self.assert_fault(self.check("```yaml\nsamner status\n```\n"), "call it console or sh")

    def test_listed_commands_are_not_run_and_the_others_of_their_line_are(self):
        page = "    A=b module load x && samner status && module load y\n"
        self.assertEqual(self.check(page, not_run={"module load [xy]": "why"}), ([], 1))
        self.assertEqual(self.checker.unused(), [])
        self.assert_fault(self.check(page, not_run={"module load x": "why"}), "module load y")
        self.check("    samner status\n", not_run={"module load x": "why"})
        self.assertEqual(len(self.checker.unused()), 1)

    def test_srun_is_left_out(self):
        self.assertEqual(self.check("    srun --mpi=pmix samner status RUN\n"), ([], 1))

    def test_what_is_run_instead_has_all_options(self):
        page = "    samner status RUN [--json]\n        [--watch]\n"
        name = "samner status RUN [--json] [--watch]"
        self.assertEqual(self.check(page, instead={name: ["samner status --json", "samner status --watch"]}), ([], 2))
        self.assert_fault(self.check(page, instead={name: ["samner status --json"]}), "--watch")
        self.assert_fault(self.check(page, instead={name: ["samner stats --json --watch"]}), "samner stats")

    def test_verbs_and_options_in_the_text_have_to_exist(self):
        self.assertEqual(self.check("Call `samner status RUN\n--json` or `samner VERB --help`.\n"), ([], 0))
        self.assert_fault(self.check("Call `samner status --watch`.\n"), "no option --watch")
        self.assert_fault(self.check("Call `samner stats`.\n"), "no verb 'stats'")

    def test_paths_in_the_text_have_to_exist(self):
        (self.folder / "src/plan").mkdir(parents=True)
        (self.folder / "src/plan/graph.h").touch()
        self.assertEqual(self.check("See src/plan/graph.h, src/*/graph.h, `src/plan/KIND.h`.\n"), ([], 0))
        self.assert_fault(self.check("See src/plan/graf.h.\n"), "src/plan/graf.h")


if __name__ == "__main__":
    unittest.main()
