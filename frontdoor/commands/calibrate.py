# SPDX-License-Identifier: MIT
"""measure how far this machine's clocks can be trusted: what difference means nothing here

Two runs of one binary in pairs of processes (A/A), the timer's own resolution, what the delay and the cache flush do to
a figure, drift over two minutes. Later reports and gates on this machine use it; calibration.json goes beside a report.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from frontdoor import machine
from frontdoor.place import CANNOT, GOOD, MISUSE, STATE, WRONG, Stop, own_folder, relative, say, warn

TARGETS = ["bench/ssim_bench_kernels", "bench/ssim_bench"]
EXAMPLE = """./suite calibrate
./suite calibrate --device cpu --seconds 30"""


def arguments(parser):
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto")
    parser.add_argument("--seconds", type=float, default=120, metavar="S", help="of watching for drift; default: 120")
    parser.add_argument("--pairs", type=int, metavar="K", help="of the A/A run; default: those of ./suite gate")
    parser.add_argument("--threads", type=int, metavar="N", default=0, help="as in ./suite gate")
    parser.add_argument("--seed", type=int, default=1, help="of the order within the pairs; default: %(default)s")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write it there too, for committing")


def check(args):
    if not 0 < args.seconds <= 3600:
        raise Stop(MISUSE, f"calibrate: --seconds {args.seconds:g}: above 0 and at most 3600")
    if args.pairs is not None and args.pairs < 2:
        raise Stop(MISUSE, f"calibrate: --pairs {args.pairs}: at least 2, an interval needs two numbers")
    if args.threads < 0:
        raise Stop(MISUSE, f"calibrate: --threads {args.threads}: at least 1, or 0 for the default")
    if args.device == "cuda" and not machine.have_driver():
        raise Stop(CANNOT, "calibrate: --device cuda: there is no CUDA device here")


def run(args, context):
    with own_folder("calibrate") as folder:
        return _calibrate(args, context, folder)


def _calibrate(args, context, folder: Path) -> int:
    from frontdoor import commit, trees
    from frontdoor.child import run_child
    from frontdoor.commands.gate import comparison
    from frontdoor.paired import run_pairs
    from reports import calibration
    from reports.gate import PAIRS
    from reports.pairs import read_side

    tree = trees.checkout()
    choice = {"set": "gate", "filter": "", "rows": "kernels", "threads": args.threads, "seed": args.seed}
    choice |= {"seconds": None, "pairs": args.pairs, "turns": "auto"}
    options = argparse.Namespace(device=args.device, **choice)
    pairs_run, device = comparison(options, context, {"base": tree, "head": tree}, folder)
    record_file = folder / "calibration.jsonl"
    record_file.unlink(missing_ok=True)
    program, env = pairs_run.programs["base"], pairs_run.environments["base"]
    say(f"calibrate: settling, delay, flush, and drift over {args.seconds:g} s on {device}")
    threads = [n for flag, n in zip(pairs_run.common, pairs_run.common[1:]) if flag == "--threads"]
    command = [str(program), "--device", device, "--calibrate", f"{args.seconds:g}", "--out", str(record_file)]
    command += ["--threads", threads[0]] if threads else []
    status = run_child(command, env, folder / "calibrate.log")
    if status:
        warn(f"calibrate: {' '.join(command)} ended with status {status}")
        return status if status in (MISUSE, CANNOT, 130) else WRONG
    records = {r["type"]: r for r in map(json.loads, record_file.read_text().splitlines())}
    found = records["calibration"]

    pairs = args.pairs or PAIRS[device]
    say(f"calibrate: one binary against itself in {pairs} pairs of processes")
    files = {side: folder / f"{side}.jsonl" for side in ("base", "head")}
    for path in files.values():
        path.unlink(missing_ok=True)
    if not run_pairs(pairs_run, files, pairs, folder):
        warn("calibrate: interrupted; a calibration is made anew as a whole")
        return 130
    base, head = (read_side(files[side]) for side in ("base", "head"))
    known, dirty = commit.identify()
    result = {
        "schema": calibration.SCHEMA,
        "commit": known,
        "dirty": dirty,
        "environment": base.environment,
        "seconds": args.seconds,
        "pairs": pairs,
        **{name: found.get(name) for name in ("key", "resolution", "settling", "delay", "flush", "drift")},
        **calibration.of_pairs(base, head),
    }
    text = json.dumps(result, indent=1) + "\n"
    paths = [STATE / f"calibration-{device}.json", *([args.out] if args.out else [])]
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            raise Stop(MISUSE, f"calibrate: {path} cannot be written: {error.strerror or error}") from None
    print(f"\n{calibration.text(result)}\n\ncalibration: {relative(paths[-1])}")
    return GOOD
