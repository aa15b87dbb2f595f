# SPDX-License-Identifier: MIT
"""verify an implementation of your own: a shared object, or a Python function

--library PATH: a shared object that exports the C contract of kernels/ssim_row.h, run through every test of rows. The
last lines say what ran for each mode and padding, and what the row refuses.
--python MODULE:FUNCTION: a callable f(img1, img2) -> scalar tensor, MODULE from PYTHONPATH or the current folder. If
its signature has `padding`, `train` and `data_range` they are passed, else --padding says which padding it computes.
Accuracy, gradient, shapes, strides, NaN, infinity, autograd and unchanged inputs are asserted; bitwise properties and
error messages are notes.
Exit status: 0 right, 1 wrong or hardly checked, 2 misuse, 77 it needs a device that is not here.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from frontdoor import machine
from frontdoor.place import BUILD, CANNOT, GOOD, MISUSE, ROOT, WRONG, Stop, warn

TARGETS = [
    "verify/test_accuracy",
    "verify/test_descent",
    "verify/test_environment",
    "verify/test_large",
    "verify/test_photographs",
    "verify/test_properties",
    "verify/test_random",
    "verify/test_range",
    "verify/test_repeat",
    "verify/libssim_verify_c.so",
]
EXAMPLE = """./suite check --library ./libmine.so --name mine
./suite check --python mymodule:ssim --padding valid"""

LOADS = """import ctypes, sys
try:
    library = ctypes.CDLL(sys.argv[1])
except OSError as error:
    sys.exit(f"cannot be loaded: {error}")
names = ("supports", "workspace_bytes", "value", "value_and_grad")
lacking = [f"ssim_row_{name}" for name in names if not hasattr(library, f"ssim_row_{name}")]
if lacking:
    sys.exit(f"does not export {', '.join(lacking)} (kernels/ssim_row.h)")
"""


def arguments(parser):
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--library", metavar="PATH", help="a shared object with the functions of kernels/ssim_row.h")
    which.add_argument("--python", metavar="MODULE:FUNCTION", help="a function of two tensors")
    parser.add_argument(
        "--name", metavar="NAME", help="what the row of a library is called (default: from the file's name)"
    )
    parser.add_argument(
        "--padding", choices=["same", "valid"], help="what a Python function without such a parameter computes"
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="where (default: wherever it runs)"
    )


def library_row(path: str, name: str | None) -> tuple[str, str]:
    """(absolute path, name of the row), or Stop with what is wrong with them. Loads it in a process of its own."""
    file = Path(path).resolve()
    if not file.is_file():
        raise Stop(MISUSE, f"--library {path}: there is no such file")
    stem = re.sub(r"^lib|\.so.*$", "", file.name)
    name = name or re.sub(r"\W", "_", stem)
    if not re.fullmatch(r"\w+", name):
        raise Stop(MISUSE, f"--name {name}: letters, digits and _ only")
    taken = {path.stem for folder in ("cpu", "cuda") for path in (ROOT / "kernels" / folder).glob("*.c*")}
    if name in taken | {"production", "operator", "naive_conv", "pytorch_mssim"}:
        raise Stop(MISUSE, f"--name {name}: there is a row of this name already; choose another one with --name")
    done = subprocess.run([sys.executable, "-c", LOADS, str(file)], capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().splitlines()
        raise Stop(MISUSE, f"--library {path}: " + (why[-1] if why else f"loading it ends with {done.returncode}"))
    return str(file), name


def check(args):
    if args.library:
        if args.padding:
            raise Stop(MISUSE, "check: --padding goes with --python; a library is asked what it supports")
        args.library, args.name = library_row(args.library, args.name)
    elif not re.fullmatch(r"[\w.]+:\w+", args.python):
        raise Stop(MISUSE, f"check: --python {args.python}: not of the form MODULE:FUNCTION")
    elif args.name:
        raise Stop(MISUSE, f"check: --name {args.name} goes with --library; a function has its name")
    if args.device == "cuda" and not machine.have_driver():
        raise Stop(CANNOT, "check: --device cuda: there is no CUDA device here")


def run(args, context):
    check = check_python if args.python else check_library
    return check(args, context, context.environment())


def check_python(args, context, environment) -> int:
    """Status of verify/check_python.py, if it came to its end: a function can end the process with any status."""
    with tempfile.TemporaryDirectory() as folder:
        verdict = Path(folder) / "verdict"
        command = [context.python, str(ROOT / "verify" / "check_python.py"), args.python, "--verdict", str(verdict)]
        command += ["--library", str(BUILD / "verify" / "libssim_verify_c.so"), "--device", args.device]
        if args.padding:
            command += ["--padding", args.padding]
        environment["PYTHONPATH"] = os.pathsep.join([os.getcwd(), environment["PYTHONPATH"]])
        status = subprocess.run(command, env=environment).returncode
        if verdict.exists() and verdict.read_text() == str(status):
            return status
    warn(f"check: {args.python} ended the process with status {status} before the checks were through: it is wrong")
    return WRONG


def check_library(args, context, environment) -> int:
    from frontdoor.commands import test

    environment.update(SUITE_LIBRARY=args.library, SUITE_LIBRARY_NAME=args.name, SUITE_DEVICE=args.device)
    # Not the mutants, whose executable is no test of this row.
    tests = [t for t in test.registered(context) if "rows" in t.suites and t.name in ROW_TESTS]
    where = "(cpu|cuda)" if args.device == "auto" else args.device
    args.filter, args.jobs = f"{where}:{args.name}(:|/|$)", min(2, len(os.sched_getaffinity(0)))
    status = test.run_tests(args, tests, environment, remember=False)
    if status not in (GOOD, WRONG):
        return status
    verdicts = [(t.name, verdict) for t in tests if t.outcome for verdict in t.outcome.verdicts]
    lines, enough = what_ran(args.name, verdicts)
    print("\n".join(lines), flush=True)
    return status if enough else WRONG


# Of which some case must have run for each mode and padding that the row computes at all.
MANDATORY = ["accuracy", "properties", "repeat", "NaN", "environment"]


def what_ran(name: str, verdicts) -> tuple[list[str], bool]:
    """What ran on each device for each mode and padding, in lines, and whether that is enough.

    verdicts: (test program, (case, verdict, message)).
    """
    place = re.compile(rf"\w+\.(cpu|cuda):{name}:(infer|train):(same|valid)(?!\w)")
    ran: dict[tuple[str, ...], Counter] = defaultdict(Counter)  # place -> cases of each kind
    why: dict[tuple[str, ...], Counter] = defaultdict(Counter)  # place -> skipped cases by message
    for program, (case, verdict, message) in verdicts:
        if found := place.match(case):
            if verdict in ("passed", "failed"):
                kind = "NaN" if case.startswith("range_nan") else program.removeprefix("test_")
                ran[found.groups()][kind] += 1
            elif verdict == "skipped":
                why[found.groups()][message] += 1
    counts, nothing, short = [], [], []
    for where in sorted({*ran, *why}):
        if where in ran:
            counts.append(f"{' '.join(where)}: " + ", ".join(f"{n} {kind}" for kind, n in sorted(ran[where].items())))
            if lacking := [kind for kind in MANDATORY if not ran[where][kind]]:
                short.append(f"not checked enough: {' '.join(where)} without a case of {', '.join(lacking)}")
            continue
        device, mode, padding = where
        reason, refuses = why[where].most_common(1)[0][0], f"{device}:{name} does not support it: "
        all_of_it = (device, mode, "valid" if padding == "same" else "same") not in ran
        if reason.startswith(refuses):
            what = mode if all_of_it else f"{mode} {padding}"
            reason = f"the row refuses {what} ({reason.removeprefix(refuses)})"
        what = "gradient" if mode == "train" else "value without gradient"
        nothing.append(f"no {what} was checked{'' if all_of_it else f' for {padding}'} on {device}: {reason}")
    if why and not ran:
        short.append("not checked enough: no case ran of any mode and padding")
    return counts + list(dict.fromkeys(nothing)) + short, not short


ROW_TESTS = {Path(target).name for target in TARGETS}
