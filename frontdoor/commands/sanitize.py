# SPDX-License-Identifier: MIT
"""run what this machine has of sanitizers, and say what it lacks

* compute-sanitizer's memcheck, racecheck, initcheck and synccheck over every instantiation of every CUDA kernel;
* all C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer, those of the operator too where LibTorch is;
* CPU rows under ThreadSanitizer, without LibTorch, by Clang with its own OpenMP runtime.
The last two build into build/sanitize/ (some minutes the first time). Exit status: 0 all that ran is clean, 1 not,
77 nothing could run.
"""

import dataclasses
import os
import shutil
import subprocess
import time
from pathlib import Path

from frontdoor import machine, variant
from frontdoor.place import BUILD, CANNOT, GOOD, ROOT, WRONG, say
from frontdoor.testrun import Test

# Every instantiation of every kernel: those of the rows, and those of the operator.
KERNEL_TESTS = {"test_kernels": "^kernels.cuda:", "test_operator_kernels": "^OperatorKernels"}
TARGETS = [f"verify/{name}" for name in KERNEL_TESTS]
CARD_SECONDS = 300  # what one program may take under one tool
EXAMPLE = """./suite sanitize
./suite sanitize --only thread"""

TOOLS = ["memcheck", "racecheck", "initcheck", "synccheck"]
HOST = ["address", "thread"]

# Tests in which several threads of ours run -> which of their cases, None for all. Processes that fork are not for
# ThreadSanitizer.
THREADED: dict[str, str | None] = dict.fromkeys(
    ["test_accuracy", "test_compare", "test_cpu_dispatch", "test_entry", "test_kernels", "test_oracle"]
    + ["test_properties", "test_random"]
)
THREADED["test_environment"] = "^environment_two_host_threads[.]cpu:"
OPTIONS = {
    "address": ["-Db_sanitize=address,undefined", "-Db_lundef=false"],
    # libgomp's synchronisation is invisible to ThreadSanitizer, and LibTorch brings libgomp.
    "thread": ["-Db_sanitize=thread", "-Db_lundef=false", "-Demulation=disabled", "-Dtorch=disabled"],
}


def arguments(parser):
    parser.add_argument("--only", choices=TOOLS + HOST, action="append", help="this one (may be repeated)")


class Lacking(Exception):
    """This machine does not have it, and why."""


def card_tool(tool: str, context) -> bool:
    if not machine.have_driver():
        raise Lacking("no CUDA device")
    program = machine.compute_sanitizer()
    if not program:
        raise Lacking(
            "compute-sanitizer is not installed (it comes with the CUDA toolkit, or: "
            "pip install --no-deps --target .venv-cuda nvidia-cuda-sanitizer-api==13.0.*)"
        )
    environment = {**context.environment(), "SUITE_REQUIRE_GPU": "1", "SUITE_DEVICE": "cuda"}
    clean = True
    for name, match in KERNEL_TESTS.items():
        executable = BUILD / "verify" / name
        if not executable.exists():
            raise Lacking("the tests were not built (GoogleTest or nlohmann_json is missing)")
        command = [program, "--tool", tool, "--error-exitcode", "99"]
        command += ["--leak-check", "full"] if tool == "memcheck" else []
        command += [str(executable), "--match", match, "--gtest_brief=1"]
        clean &= _run(command, environment, BUILD / "suite" / f"sanitize-{tool}-{name}.log")
    return clean


def _clang() -> str:
    names = ["clang++", *(f"clang++-{version}" for version in range(20, 12, -1))]
    for name in names:
        if path := shutil.which(name):
            probe = subprocess.run(
                [path, "-fopenmp", "-fsanitize=thread", "-x", "c++", "-", "-o", os.devnull],
                input="#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }",
                capture_output=True,
                text=True,
            )
            if probe.returncode == 0:
                return path
    raise Lacking("no clang++ with libomp and ThreadSanitizer (Debian: clang libomp-dev)")


def host_tool(kind: str, context) -> bool:
    folder = BUILD / "sanitize" / kind
    environment = dict(context.environment())
    if kind == "thread":
        environment["CXX"] = _clang()
    variant.configure("sanitize", folder, ["-Dbuildtype=debugoptimized", *OPTIONS[kind]], environment, context)
    # LibTorch's own globals are never freed, and its allocations are not ours to judge.
    environment |= {
        "ASAN_OPTIONS": "detect_stack_use_after_return=0:abort_on_error=0:detect_odr_violation=0",
        "LSAN_OPTIONS": f"suppressions={ROOT}/verify/lsan.supp",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        # libomp is not instrumented; archer tells ThreadSanitizer what it synchronises.
        "TSAN_OPTIONS": f"ignore_noninstrumented_modules=1:halt_on_error=1:suppressions={ROOT}/verify/tsan.supp",
        "OMP_TOOL_LIBRARIES": "libarcher.so",
        "OMP_NUM_THREADS": "2",
        "SUITE_DEVICE": "cpu" if kind == "thread" else "auto",
    }
    chosen = variant.tests(context, folder)
    if kind == "thread":
        chosen = threaded(chosen)
    return variant.run("sanitize", context, folder, chosen, environment, slower=5)


def threaded(tests: list[Test]) -> list[Test]:
    """Those of THREADED, with the cases that are meant."""
    return [
        dataclasses.replace(t, command=[*t.command, *(["--match", match] if (match := THREADED[t.name]) else [])])
        for t in tests
        if t.name in THREADED
    ]


def _run(command: list[str], environment: dict[str, str], log: Path) -> bool:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        try:
            status = subprocess.run(
                command, env=environment, stdout=out, stderr=subprocess.STDOUT, timeout=CARD_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"{' '.join(command)}: not through after {CARD_SECONDS} s", file=out, flush=True)
            status = 1
    if status:
        print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
    return status == 0


def run(args, context):
    wanted = args.only or TOOLS + HOST
    clean, lacking = [], []
    for i, tool in enumerate(wanted):
        say(f"{tool} ({i + 1} of {len(wanted)})")
        begin = time.monotonic()
        try:
            good = card_tool(tool, context) if tool in TOOLS else host_tool(tool, context)
        except Lacking as why:
            lacking.append(f"{tool}: {why}")
            say(f"{tool}: cannot run here: {why}")
            continue
        clean.append(good)
        say(f"{tool}: {'clean' if good else 'NOT CLEAN'}, {time.monotonic() - begin:.0f} s")
    for line in lacking:
        print(f"lacks {line}")
    print(f"{sum(clean)} of {len(clean)} clean ({len(lacking)} not runnable here)", flush=True)
    return CANNOT if not clean else GOOD if all(clean) else WRONG
