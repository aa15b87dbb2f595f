# SPDX-License-Identifier: MIT
"""./suite gate --error-rates N: gates of this checkout against itself, with and without a planted slow-down.

A run is an A/A gate and one with a planted slow-down. They share their BASE processes, which saves a quarter of the
time; runs are independent of one another, so the runs of each kind may be counted. All sides enqueue a spin behind the
planted row's calls, of no length in BASE and HEAD: what enqueueing one costs is then everywhere.
Each run is appended to the record as it ends, so runs accumulate over calls and an interruption loses one at most.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from frontdoor import commit, trees
from frontdoor.place import GOOD, MISUSE, WRONG, Stop, relative, warn

FRACTION = {"cuda": 0.03, "cpu": 0.1}


def _keys(run) -> list[str]:
    done = subprocess.run([str(run.programs["head"]), *run.common, "--list"], capture_output=True, text=True,
                          env=run.environments["head"])  # fmt: skip
    if done.returncode:
        raise Stop(MISUSE, f"gate: {done.stderr.strip()}")
    return done.stdout.split()


def _append(path: Path, record: dict) -> None:
    """A run's record, or on a full disk none of it: half a line would spoil the next one."""
    from reports import error_rates

    before = path.stat().st_size if path.exists() else 0
    try:
        error_rates.append(path, record)
    except OSError as error:
        if path.exists():
            os.truncate(path, before)
        why = error.strerror or error
        raise Stop(WRONG, f"gate: {path} cannot be written: {why}; the runs in it are kept") from None


def measure(args, context, folder: Path) -> int:
    """Runs gates and records their verdicts; what they write lies in the folder, which no other run uses."""
    from frontdoor.commands.gate import _judge, comparison
    from frontdoor.paired import run_pairs
    from reports import error_rates
    from reports.gate import PAIRS

    try:
        earlier = error_rates.read(args.record) if args.record.exists() else []
        args.record.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise Stop(MISUSE, f"gate: --record: {error}") from None
    tree = trees.checkout()
    run, device = comparison(args, context, {"base": tree, "head": tree}, folder)
    fraction = FRACTION[device] if args.planted is None else args.planted
    pairs = args.pairs or PAIRS[device]
    keys = _keys(run)
    known, dirty = commit.identify()
    files = {side: folder / f"error-rates-{side}.jsonl" for side in ("base", "head", "planted")}
    for table in (run.programs, run.environments):
        table["planted"] = table["head"]
    good = True
    begin = time.monotonic()
    first = 1 + max((record.get("run", 0) for record in earlier), default=0)
    for number in range(first, first + args.error_rates):
        for path in files.values():
            path.unlink(missing_ok=True)
        run.seed = args.seed + number
        planted = random.Random(f"row {run.seed}").choice(keys)
        spins = {"base": 0.0, "head": 0.0, "planted": fraction}
        run.further = {side: ["--spin-key", planted, "--spin", str(spin)] for side, spin in spins.items()}
        started = time.monotonic()
        what = f"run {number - first + 1} of {args.error_rates}, "
        if not run_pairs(run, files, pairs, folder, what):
            warn(f"interrupted: {relative(args.record)} has the runs that had ended")
            return 130
        told = []
        for kind, side in (("aa", "head"), ("planted", "planted")):
            gate, base, _ = _judge(args, files["base"], files[side])
            slow = [r.key.text() for r in gate.rows if r.verdict == "SLOW"]
            there = planted if kind == "planted" else None
            environment = base.environment
            record = {
                "kind": kind, "run": number, "commit": known, "dirty": dirty,
                "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "device": device,
                "device_name": environment.get("device_name"), "driver": environment.get("driver"),
                "binary": environment.get("binary"), "threads": environment.get("threads"), "set": args.set,
                "filter": args.filter, "pairs": pairs, "seed": run.seed, "floor": gate.floor,
                "fraction": fraction if there else None, "spinning": planted,
                "found": there in slow if there else None, "false_slow": [key for key in slow if key != there],
                "seconds": round(time.monotonic() - started, 1),
                "rows": {r.key.text(): [r.verdict, r.ratio, r.low, r.high] for r in gate.rows},
            }  # fmt: skip
            _append(Path(args.record), record)
            good &= not record["false_slow"] and record["found"] is not False
            told += [f"planted in {there}: {'found' if record['found'] else 'NOT FOUND'}"] if there else []
            told += [f"{kind}: SLOW without cause: {', '.join(record['false_slow'])}"] if record["false_slow"] else []
        left = (time.monotonic() - begin) / (number - first + 1) * (first + args.error_rates - number - 1)
        told += [f"{time.monotonic() - started:.0f} s", f"about {left / 60:.0f} min left"]
        print(f"run {number - first + 1}: {'; '.join(told)}", file=sys.stderr, flush=True)
    print("\n".join(error_rates.sentences(error_rates.read(args.record))))
    print(f"record: {relative(args.record)}")
    return GOOD if good else WRONG
