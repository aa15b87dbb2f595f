# SPDX-License-Identifier: MIT
"""verify and time every row, and write the report: tables, verdicts on the claims, pictures

Sets up what is missing and builds first. Writes report.md, report.json, report.csv, samples.jsonl and the pictures.
Ctrl-C or a kill keeps what was measured; --resume goes on from there. Exit status 1 if a row gave a wrong result.
Under torchrun or srun each process takes its part on its own GPU, and the first one makes one report of all.

--library PATH times a shared object with the functions of kernels/ssim_row.h beside ours, as a row of its own, once all
tests of `./suite check --library` have passed; a wrong one gets no time, and nothing is measured: exit status 1.

--from DIR measures nothing: it makes tables, CSV and pictures anew from what DIR holds. --check DIR says how old the
figures in DIR are; exit status 1 if kernels/ or bench/ changed since.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

from frontdoor import machine, shard
from frontdoor.commands import check as own
from frontdoor.options import regex
from frontdoor.place import CANNOT, GOOD, MISUSE, ROOT, STATE, WRONG, Stop, check_writable, relative, say, warn

TARGETS = ["bench/ssim_bench"]
EXAMPLE = """./suite report
./suite report --set smoke --filter ':(production|pytorch_mssim):'
./suite report --set sweep --out reports/out/sweep --resume
torchrun --no-python --nproc-per-node 8 ./suite report --set sweep
./suite report --peers --upstream-protocol --accuracy
./suite report --library ./libmine.so --name mine
./suite report --from reports/results/h200 --out /tmp/again
./suite report --check reports/results/h200"""

SAMPLES = "samples.jsonl"
INTERRUPTED = 130


def sets() -> list[str]:
    return list(json.loads((ROOT / "bench" / "sets.json").read_text())["sets"])


def arguments(parser):
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="default: auto, a GPU if there is one")
    parser.add_argument("--set", choices=sets(), help="problems to run (bench/sets.json); default: claim")
    parser.add_argument(
        "--filter", metavar="REGEX", type=regex, help="searched in device:row:mode:padding:BxCxHxW:clock; default: all"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=ROOT / "reports" / "out", help="default: reports/out"
    )
    parser.add_argument("--from", metavar="DIR", type=Path, dest="source", help="render what DIR holds")
    parser.add_argument("--check", metavar="DIR", type=Path, help="how old the figures in DIR are")
    parser.add_argument(
        "--peers", action="store_true", help="time the packages themselves too, where Python can import them"
    )
    parser.add_argument(
        "--library", metavar="PATH", help="a shared object with the functions of kernels/ssim_row.h, timed beside ours"
    )
    parser.add_argument("--name", metavar="NAME", help="what its row is called (default: from the file's name)")
    parser.add_argument(
        "--upstream-protocol", action="store_true", help="the published benchmark's own protocol too, labelled as that"
    )
    parser.add_argument(
        "--accuracy", action="store_true", help="the worst error of each row on each input class too: accuracy.md"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from what DIR holds, with its set, device and filter"
    )


def needs(args) -> tuple[str, list[str]]:
    if args.check or args.source:
        return "python", []
    # The packages are timed beside our operator, through Python, and the baselines, through ctypes.
    if args.peers:
        return "build", []
    own_targets = own.TARGETS if args.library else []
    return "build", TARGETS + own_targets + (["verify/ssim_accuracy"] if args.accuracy else [])


def check(args):
    if args.check and args.source:
        raise Stop(MISUSE, "report: --check and --from exclude each other")
    for flag, folder in (("--check", args.check), ("--from", args.source)):
        if folder and not folder.is_dir():
            raise Stop(MISUSE, f"report: {flag} {folder}: no such folder")
    if args.name and not args.library:
        raise Stop(MISUSE, f"report: --name {args.name} goes with --library PATH, the row that it names")
    if args.library and (args.check or args.source):
        raise Stop(MISUSE, f"report: --library {args.library}: --check and --from measure nothing")
    if args.library and shard.here():
        raise Stop(MISUSE, f"report: --library {args.library}: by one process alone, not under torchrun or srun")
    if args.check:
        return
    if args.source and not (args.source / SAMPLES).is_file():
        raise Stop(MISUSE, f"report: --from {args.source}: there is no {SAMPLES} in it")
    if args.device == "cuda" and not machine.have_driver():
        raise Stop(CANNOT, "report: --device cuda: there is no CUDA device here")
    if args.library:
        args.library, args.name = own.library_row(args.library, args.name)
    check_writable("report: --out", args.out)
    if args.resume:
        _earlier(args.out / SAMPLES)


def _earlier(samples: Path) -> dict | None:
    """The last run record of an earlier report; None where there is none yet."""
    from reports.stream import Damaged, read

    if not samples.exists() or not samples.stat().st_size:
        return None
    try:
        return read(samples).runs[-1]
    except (Damaged, OSError) as error:
        raise Stop(MISUSE, f"report: --resume: {error}") from None


def _begin(args, samples: Path) -> None:
    """Takes the choices of an earlier run on --resume."""
    earlier = _earlier(samples) if args.resume else None
    if earlier:
        args.set = args.set or earlier.get("set")
        args.device = args.device or earlier.get("environment", {}).get("device")
        args.filter = args.filter if args.filter is not None else earlier.get("filter") or None
    elif args.resume:
        say(f"--resume: {relative(samples)} holds nothing yet, so this is a first run")
    args.set, args.device, args.filter = args.set or "claim", args.device or "auto", args.filter or ""


def _verify_library(args, context) -> bool:
    """Runs `./suite check` on the device of the report; from here on the library is a row of the benchmark."""
    device = args.device if args.device != "auto" else "cuda" if machine.have_driver() else "cpu"
    say(f"{args.library} as {device}:{args.name}: verifying it")
    asked = argparse.Namespace(library=args.library, name=args.name, device=device)
    status = own.check_library(asked, context, context.environment())
    if status == MISUSE:
        raise Stop(MISUSE, f"report: --library {args.library}: no test of it on device {device}; it says itself "
                           "(ssim_row_supports) where it runs, and --device chooses")  # fmt: skip
    os.environ.update(SUITE_LIBRARY=args.library, SUITE_LIBRARY_NAME=args.name)
    return status == GOOD


def _pass(context, args, samples: Path, settings: str, state: Path = STATE) -> int:
    from frontdoor.child import run_child

    program = ROOT / "build" / "bench" / "ssim_bench"
    if not program.exists():
        raise Stop(MISUSE, "report: the benchmark was not built (Google Benchmark or nlohmann_json is missing)")
    common = [str(program), "--set", args.set, "--device", args.device, "--settings", settings]
    if args.filter:
        common += ["--filter", args.filter]
    with tempfile.TemporaryDirectory() as folder:  # not in `state`: two reports may run at once, one a GPU
        log = Path(folder) / "list"
        listed = run_child([*common, "--list"], context.environment(), log, quiet=settings == "stock")
        names = {line.split(":")[1] for line in log.read_text().splitlines() if line.count(":") >= 5}
    if settings == "stock" and (listed or len(names) < 2):
        return GOOD  # the filter leaves no baseline, or nothing to hold it against
    if listed:
        return listed
    if settings == "best" and not args.resume and samples.exists():
        samples.replace(samples.with_name("samples.previous.jsonl"))
    say(f"set {args.set}, " + ("baselines at their best settings" if settings == "best" else "baselines as they come"))
    resume = ["--resume"] if samples.exists() else []
    return run_child([*common, "--out", str(samples), *resume], context.environment(), state / f"bench-{settings}.log")


def _check(folder: Path) -> int:
    from reports import check

    try:
        files = check.check(folder, ROOT)
    except check.NoHistory as error:
        raise Stop(CANNOT, f"report: --check: {error}") from None
    except (OSError, ValueError) as error:
        raise Stop(MISUSE, f"report: --check: {error}") from None
    if not files:
        raise Stop(MISUSE, f"report: --check {folder}: nothing in it")
    print(check.text(files))
    return WRONG if any(file.stale for file in files) else GOOD


def _calibration(samples: Path) -> None:
    """Puts this machine's calibration beside the run that it holds for."""
    from reports import calibration
    from reports.stream import Damaged, read

    try:
        environment = read(samples).environment
    except (Damaged, OSError):
        return
    source = STATE / f"calibration-{environment.get('device')}.json"
    target = samples.with_name(calibration.FILE)

    def known(path: Path) -> dict | None:
        try:
            return calibration.read(path, environment)
        except ValueError as error:
            warn(f"report: {error}; ./suite calibrate makes it anew")
            return None

    if known(source):
        target.write_text(source.read_text())
    elif target.exists() and not known(target):
        target.unlink()  # of another device, or damaged


def _accuracy(context, samples: Path) -> int:
    """The table of worst errors of the rows of the device that was measured, and on the CPU of the emulated ones."""
    from frontdoor.child import run_child
    from reports.accuracy import FILE
    from reports.stream import read

    say("the worst error of each row on each input class")
    device = read(samples).environment.get("device")
    rows = "^cuda:" if device == "cuda" else "^(cpu|cuda-emulated):"
    program = ROOT / "build" / "verify" / "ssim_accuracy"
    command = [str(program), "--filter", rows, "--out", str(samples.with_name(FILE))]
    return run_child(command, context.environment(), STATE / "accuracy.log")


def _more(context, args, samples: Path) -> int:
    """What else was asked for beside the two passes."""
    from frontdoor.child import run_child

    if args.upstream_protocol:
        say("the published benchmark's own protocol")
        command = [str(ROOT / "build" / "bench" / "ssim_bench"), "--set", args.set, "--device", args.device]
        command += ["--upstream-protocol", "--out", str(samples), "--resume"]
        command += ["--filter", args.filter] if args.filter else []
        status = run_child(command, context.environment(), STATE / "upstream.log")
        if status:
            return status
    if args.accuracy and samples.exists():
        status = _accuracy(context, samples)
        if status:
            return status
    if args.peers:
        say("the packages themselves, through Python")
        command = [context.python, "-m", "bench.peers", "--device", args.device]
        command += ["--out", str(samples.with_name("peers.json"))]
        command += ["--resume"] if args.resume else []
        env = context.environment()
        env["PYTHONPATH"] = os.pathsep.join(p for p in (str(ROOT), env.get("PYTHONPATH", "")) if p)
        status = run_child(command, env, STATE / "peers.log")
        if status == CANNOT:
            warn("report: --peers: nothing to compare with here (see above); the report goes without")
            return GOOD
        return status
    return GOOD


def run(args, context):
    if args.check:
        return _check(args.check)
    if args.source:
        print(f"{_render(args, args.source / SAMPLES)}\n\nreport: {relative(args.out / 'report.md')}")
        return GOOD
    part = shard.here()
    if part:
        from frontdoor import sharded_report

        return sharded_report.run(args, context, part, _pass, _render)
    samples = args.out / SAMPLES
    _begin(args, samples)
    if args.library and not _verify_library(args, context):
        warn(f"report: {args.name} ({args.library}) is wrong, see above: it gets no time, and nothing was measured")
        return WRONG
    wrong = False
    status = GOOD
    for settings in ("best", "stock"):
        status = _pass(context, args, samples, settings)
        if status in (MISUSE, CANNOT):
            return status
        wrong |= status == WRONG
        if status not in (GOOD, WRONG):
            break
    if status in (GOOD, WRONG):
        status = _more(context, args, samples)
        wrong |= status == WRONG
    interrupted = status == INTERRUPTED
    if status not in (GOOD, WRONG, INTERRUPTED):
        warn(f"report: the benchmark ended with status {status}; what it had measured is kept")
        wrong = True
    try:
        if samples.exists():
            _calibration(samples)
        text = _render(args, samples)
    except KeyboardInterrupt:
        text = ""
    print(f"\n{text}\n", flush=True)
    if not interrupted and status in (GOOD, WRONG):
        print(f"report: {relative(args.out / 'report.md')}", flush=True)
    else:
        out = "" if args.out == ROOT / "reports" / "out" else f" --out {relative(args.out)}"
        warn(f"{'interrupted' if interrupted else 'unfinished'}; to go on from here: ./suite report --resume{out}")
    if shutil.disk_usage(args.out).free < 1 << 20:
        warn(f"report: the disk of {args.out} is full")
        return MISUSE
    return INTERRUPTED if interrupted else (WRONG if wrong else GOOD)


def _render(args, samples: Path) -> str:
    from reports.render import write
    from reports.stream import Damaged

    if not samples.exists() or not os.path.getsize(samples):
        return "nothing was measured"
    try:
        return write(samples, args.out)[1]
    except (Damaged, ValueError) as error:
        raise Stop(MISUSE, f"report: {error}") from None
    except OSError as error:
        raise Stop(
            MISUSE, f"report: cannot write to {args.out}: {error.strerror or error}; {SAMPLES} keeps what was measured"
        ) from None
