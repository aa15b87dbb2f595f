# SPDX-License-Identifier: MIT
"""which lines and branches of kernels/ and verify/ the C++ tests run

Builds with gcov's counters into build/coverage/ (minutes the first time), runs the C++ tests and prints one line a file
and the totals, by gcovr. --html DIR writes the lines themselves. What is left out is named with the reason.
Exit status: 0 tests pass and at least 95 % of the lines run, 1 not, 77 gcovr is not installed.
"""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

from frontdoor import variant
from frontdoor.place import BUILD, CANNOT, GOOD, ROOT, WRONG, Stop, say

NEEDS = "setup"
EXAMPLE = """./suite coverage
./suite coverage --html /tmp/lines"""

LEAST = 95.0
# Pattern of paths -> why it is not counted.
LEFT_OUT = {
    # Not the plans, which are computed on the host.
    r"kernels/cuda/(?!\w*_plan\.)\w+\.cuh?": "device code and its launches, counted by instantiation (test_kernels)",
    r"kernels/cuda/runtime\.cpp": "calls of the CUDA runtime, without which this build is made",
    "verify/(oracle_cuda|card).*": "runs on a card alone",
    "verify/(test_|main|broken_|mutants|testdata/).*": "the tests themselves",
    r"verify/.*\.py": "Python, which gcov does not see",
}
# Of Python's tests those that start programs of verify/, and what these programs are.
PYTHON_TESTS = {"python_programs": ["ssim_accuracy", "ssim_fuzz"], "python_check": ["libssim_verify_c.so"]}
WITHOUT_TORCH = {"kernels/torch/.*": "this build has no LibTorch"}


def arguments(parser):
    parser.add_argument("--html", metavar="DIR", type=Path, help="write the lines of each file, coloured, to DIR")
    parser.add_argument("--without-torch", action="store_true", help="leave LibTorch out: a quarter of the time")


def _gcovr(context) -> list[str]:
    if program := shutil.which("gcovr"):
        return [program]
    if importlib.util.find_spec("gcovr"):
        return [context.python, "-m", "gcovr"]
    raise Stop(CANNOT, "coverage: gcovr is not installed (pip install gcovr)")


def table(summary: dict) -> list[str]:
    """One line a file, the least covered first, from gcovr's summary."""
    files = [f for f in summary["files"] if f["line_total"]]
    files.sort(key=lambda f: (f["line_percent"], f["filename"]))
    width = max((len(f["filename"]) for f in files), default=4)
    lines = [f"{'file':{width}s}  lines  of      %  branches  of      %"]
    for f in [*files, {**summary, "filename": "all"}]:
        lines.append(
            f"{f['filename']:{width}s}  {f['line_covered']:5d} {f['line_total']:5d} {f['line_percent'] or 0:5.1f}  "
            f"{f['branch_covered']:8d} {f['branch_total']:5d} {f['branch_percent'] or 0:5.1f}"
        )
    return lines


def run(args, context):
    gcovr = _gcovr(context)
    folder = BUILD / "coverage"
    environment = {**context.environment(), "OMP_NUM_THREADS": "2", "SUITE_DEVICE": "auto"}
    # -O1: gcov counts lines as the compiler left them, and the emulation is slow enough.
    options = ["-Dbuildtype=debug", "-Doptimization=1", "-Db_coverage=true", "-Dbench=auto"]
    options += ["-Dtorch=disabled"] if args.without_torch else []
    say("building with gcov's counters")
    variant.configure("coverage", folder, options, environment, context)
    for counters in folder.rglob("*.gcda"):
        counters.unlink()
    chosen = [t for t in variant.tests(context, folder, PYTHON_TESTS) if not t.name.startswith("bench_")]
    programs = [f"verify/{name}" for names in PYTHON_TESTS.values() for name in names]
    passed = variant.run("coverage", context, folder, chosen, environment, 5, programs)
    left_out = {**LEFT_OUT, **(WITHOUT_TORCH if not any("torch" in t.suites for t in chosen) else {})}
    command = [*gcovr, "--root", str(ROOT), str(folder), "--filter", "kernels/", "--filter", "verify/"]
    for pattern in left_out:
        command += ["--exclude", pattern]
    command += ["--json-summary", str(folder / "coverage.json")]
    command += ["--exclude-throw-branches", "--exclude-unreachable-branches"]
    command += ["--gcov-ignore-parse-errors=negative_hits.warn_once_per_file"]
    command += ["--gcov-suspicious-hits-threshold", "0"]  # the oracle's inner loop does run 2e10 times
    command += ["--merge-mode-functions=merge-use-line-0"]
    if args.html:
        args.html.mkdir(parents=True, exist_ok=True)
        command += ["--html-details", str(args.html / "index.html")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Stop(WRONG, f"coverage: gcovr failed:\n{done.stderr[-3000:]}")
    summary = json.loads((folder / "coverage.json").read_text())
    print("\n".join(table(summary)))
    for pattern, reason in left_out.items():
        print(f"left out: {pattern}: {reason}")
    enough = (summary["line_percent"] or 0) >= LEAST
    print(f"{summary['line_percent']:.1f} % of lines, {summary['branch_percent']:.1f} % of branches; "
          f"{LEAST:g} % of lines are wanted", flush=True)  # fmt: skip
    return GOOD if passed and enough else WRONG
