"""Tests of tests/gpu/run with made programs in place of those that need a GPU or take long. Run: python3 run_test.py"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

H100 = "NVIDIA H100, 580.10, 81559"
TESTS = """<testsuite>
<testcase name="nccl_test/ranks=1" status="run" time="1.5"><system-out>[  SKIPPED ] A.B (0 ms)</system-out></testcase>
<testcase name="model_test/gpu" status="{status}" time="2"/>
</testsuite>"""
BUILD = """mkdir -p build-cuda/tests/bench; echo "$@" >>cmake.log
cat >build-cuda/tests/bench/gpu_bench <<'END'
#!/bin/bash
echo "bench $@"; echo '{"rate": 3}' >"$4"
END
cat >build-cuda/samner <<'END'
#!/bin/bash
echo "2 ranks exchange between their devices by NCCL"
END
chmod +x build-cuda/samner build-cuda/tests/bench/gpu_bench"""


def is_running(process):
    """Whether there is such a process that has not ended; one that nobody has waited for yet has."""
    try:
        state = pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "tests/gpu").mkdir(parents=True)
        shutil.copy(pathlib.Path(__file__).with_name("run"), self.root / "tests/gpu/run")
        self.program("bootstrap", "echo set up")
        self.program("bin/nvcc", "echo 'Cuda compilation tools, release 13.0, V13.0.88'")
        self.program("bin/cmake", BUILD)
        self.gpus(H100)
        self.ctest("run")

    def program(self, name, body):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def gpus(self, *lines):
        self.program("bin/nvidia-smi", "cat <<'END'\n" + "\n".join(lines) + "\nEND")

    def ctest(self, status, code=0):
        """ctest ends with this status of its second test."""
        self.program("bin/ctest", f"cat >out/tests.xml <<'END'\n{TESTS.format(status=status)}\nEND\nexit {code}")

    def environment(self):
        return {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}

    def wait_until(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def run_script(self, *arguments, **variables):
        return subprocess.run([self.root / "tests/gpu/run", *arguments], env={**self.environment(), **variables}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def results(self):
        return json.loads((self.root / "out/results.json").read_text(encoding="utf-8"))

    def test_ends_with_77_and_builds_nothing_without_a_device(self):
        for body in ("exit 9", "echo No devices were found; exit 6", "echo No devices were found"):
            self.program("bin/nvidia-smi", body)
            result = self.run_script()
            self.assertEqual(result.returncode, 77, result.stdout)
            self.assertIn("no CUDA device", result.stdout)
        self.assertFalse((self.root / "cmake.log").exists())
        self.assertFalse((self.root / "runs").exists())

    def test_refuses_what_it_does_not_know(self):
        for arguments in (["--shap", "7b"], ["--shape", "8b"], ["--out"], ["--minutes", "0"]):
            self.assertEqual(self.run_script(*arguments).returncode, 2)

    def test_names_the_machine_beside_its_results(self):
        result = self.run_script("--out", "out")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn(f"results: {self.root}/out/results.json", result.stdout)
        self.assertIn("NCCL between ranks: skipped: it needs two devices", result.stdout)
        results = self.results()
        self.assertEqual(results["devices"], [{"name": "NVIDIA H100", "memory_mib": "81559"}])
        self.assertEqual((results["driver"], results["cuda"], results["bench"]), ("580.10", "13.0", {"rate": 3}))
        self.assertEqual(results["tests"]["nccl_test/ranks=1"]["skipped_cases"], ["A.B"])
        self.assertTrue({"commit", "date", "libtorch"} <= set(results))
        self.assertIn("--shape 7b", (self.root / "out/bench.log").read_text(encoding="utf-8"))

    def test_fails_where_a_test_fails_and_still_runs_the_bench(self):
        self.ctest("fail", 8)
        result = self.run_script("--out", "out", "--shape", "tiny")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("FAILED: tests", result.stdout)
        self.assertEqual(self.results()["failed_steps"], ["tests"])
        self.assertIn("--shape tiny", (self.root / "out/bench.log").read_text(encoding="utf-8"))

    def test_fails_where_a_test_is_skipped(self):
        self.ctest("notrun")
        result = self.run_script("--out", "out")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("tests skipped though there is a device: model_test/gpu", result.stdout)

    def test_fails_where_the_build_fails(self):
        self.program("bin/cmake", "echo no nccl.h; exit 1")
        result = self.run_script("--out", "out")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("no nccl.h", result.stdout)
        self.assertEqual(self.results()["failed_steps"], ["configure"])

    def test_installs_nothing_where_told_so(self):
        self.program("bootstrap", "exit 1")
        result = self.run_script("--out", "out", "--no-setup")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertFalse((self.root / "out/setup.log").exists())

    def test_stops_what_is_not_done_in_time_and_says_so(self):
        self.program("bootstrap", "sleep 100; echo not stopped")
        result = self.run_script("--out", "out", "--minutes", "3", SECONDS="179")  # bash counts on from there
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("setup: stopped, the 3 minutes are over", result.stdout)
        self.assertNotIn("not stopped\n", result.stdout)
        self.assertEqual(self.results()["failed_steps"], ["setup"])

    def test_ends_its_step_when_it_is_ended(self):
        self.program("bootstrap", "echo $$ >step.pid; exec sleep 100")
        script = subprocess.Popen([self.root / "tests/gpu/run", "--out", "out"], env=self.environment(),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_until(lambda: (self.root / "step.pid").exists() and (self.root / "step.pid").read_text())
        step = int((self.root / "step.pid").read_text())
        script.terminate()
        script.wait(timeout=20)
        self.wait_until(lambda: not is_running(step))

    def test_says_that_nothing_was_exchanged_where_nothing_was_built(self):
        self.gpus(H100, H100)
        self.program("bin/cmake", "exit 1")
        self.run_script("--out", "out")
        self.assertEqual(self.results()["nccl_between_ranks"], "not run")

    def test_fails_where_two_ranks_do_not_exchange(self):
        self.gpus(H100, H100)
        self.program("bin/cmake", BUILD.replace("between their devices by NCCL", "through host memory by MPI"))
        result = self.run_script("--out", "out")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertEqual(self.results()["nccl_between_ranks"], "failed")

    def test_has_two_ranks_exchange_where_there_are_two_devices(self):
        self.gpus(H100, H100)
        result = self.run_script("--out", "out")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("NCCL between ranks: passed", result.stdout)
        self.assertIn("gpu_bench samner", (self.root / "cmake.log").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
