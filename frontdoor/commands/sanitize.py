# SPDX-License-Identifier: MIT
"""run what this machine has of sanitizers, and say what it lacks

* compute-sanitizer's memcheck, racecheck, initcheck and synccheck over every instantiation of every CUDA kernel;
* all host code under AddressSanitizer and UndefinedBehaviorSanitizer, without LibTorch;
* CPU rows under ThreadSanitizer, without LibTorch, by Clang with its own OpenMP runtime.
The last two build into build/sanitize/ (some minutes the first time). Exit status: 0 all that ran is clean, 1 not,
77 nothing could run.
"""

import argparse
import os
import shutil
import subprocess
import time
from pathlib import Path

from frontdoor import machine
from frontdoor.commands import test
from frontdoor.place import BUILD, CANNOT, GOOD, ROOT, WRONG, Stop, say

TARGETS = ["verify/test_kernels"]
EXAMPLE = """./suite sanitize
./suite sanitize --only thread"""

TOOLS = ["memcheck", "racecheck", "initcheck", "synccheck"]
HOST = ["address", "thread"]

# Executables of a sanitizer's build, and what of them is run.
TESTS = {
    "address": ["test_accuracy", "test_compare", "test_cpu_dispatch", "test_entry", "test_kernels", "test_oracle"]
    + ["test_photographs", "test_properties", "test_random"],
    "thread": ["test_accuracy", "test_compare", "test_cpu_dispatch", "test_entry", "test_kernels", "test_properties"],
}
OPTIONS = {
    "address": ["-Db_sanitize=address,undefined", "-Db_lundef=false"],
    "thread": ["-Db_sanitize=thread", "-Db_lundef=false", "-Demulation=disabled"],
}


def arguments(parser):
    parser.add_argument("--only", choices=TOOLS + HOST, action="append", help="this one (may be repeated)")


class Lacking(Exception):
    """This machine does not have it, and why."""


def card_tool(tool: str, context) -> bool:
    if not machine.have_driver():
        raise Lacking("no CUDA device")
    compiler, why = machine.nvcc()
    beside = Path(compiler).parent / "compute-sanitizer" if compiler else None
    program = shutil.which("compute-sanitizer") or (str(beside) if beside and beside.exists() else None)
    if not program:
        raise Lacking("compute-sanitizer is not installed" + (f" ({why})" if why else ""))
    executable = BUILD / "verify" / "test_kernels"
    if not executable.exists():
        raise Lacking("the tests were not built (GoogleTest or nlohmann_json is missing)")
    command = [program, "--tool", tool, "--error-exitcode", "99"]
    command += ["--leak-check", "full"] if tool == "memcheck" else []
    command += [str(executable), "--match", "^kernels.cuda:", "--gtest_brief=1"]
    return _run(command, {**context.environment(), "SUITE_REQUIRE_GPU": "1"}, BUILD / "suite" / f"sanitize-{tool}.log")


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


def _configure(kind: str, folder: Path, context) -> None:
    environment = {**context.environment()}
    if kind == "thread":
        environment["CXX"] = _clang()
    if (folder / "build.ninja").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    options = ["-Dtorch=disabled", "-Dcuda=disabled", "-Dbench=disabled", "-Dbuildtype=debugoptimized"]
    command = [context.python, "-m", "mesonbuild.mesonmain", "setup", str(folder), str(ROOT), *options, *OPTIONS[kind]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Stop(WRONG, f"sanitize: configuring {folder} failed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")


def host_tool(kind: str, context) -> bool:
    folder = BUILD / "sanitize" / kind
    _configure(kind, folder, context)
    targets = [f"verify/{name}" for name in TESTS[kind]]
    build = [context.interpreter.ninja, "-C", str(folder), *targets]
    done = subprocess.run(build, env=context.environment(), capture_output=True, text=True)
    if done.returncode:
        raise Stop(WRONG, f"sanitize: the {kind} build failed:\n{done.stdout[-4000:]}")
    environment = {
        **context.environment(),
        "ASAN_OPTIONS": "detect_stack_use_after_return=0:abort_on_error=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        # libomp is not instrumented; archer tells ThreadSanitizer what it synchronises.
        "TSAN_OPTIONS": f"ignore_noninstrumented_modules=1:halt_on_error=1:suppressions={ROOT}/verify/tsan.supp",
        "OMP_TOOL_LIBRARIES": "libarcher.so",
        "OMP_NUM_THREADS": "2",
        "SUITE_DEVICE": "cpu" if kind == "thread" else "auto",
    }
    args = argparse.Namespace(filter=None, jobs=min(2, len(os.sched_getaffinity(0))))
    tests = [t for t in test.registered(context, folder) if t.name in TESTS[kind]]
    return test.run_tests(args, tests, environment, remember=False) == GOOD


def _run(command: list[str], environment: dict[str, str], log: Path) -> bool:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        status = subprocess.run(command, env=environment, stdout=out, stderr=subprocess.STDOUT).returncode
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
