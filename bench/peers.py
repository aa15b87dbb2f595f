# SPDX-License-Identifier: MIT
"""Times the packages themselves beside our operator, all through Python, in one process and in rounds of random order.

    ./suite report --peers                        # after the rows of the set
    ./suite python -m bench.peers --device cpu --out peers.json [--resume]

A system is timed on a problem once its mean, and in training its gradient, agree there with SSIM in fp64; a wrong one
gets no time but the reason. Ratios have bootstrap intervals over rounds.
Written: peers.json { "schema": 1, "commit", "dirty", "environment", "complete", "systems": {name: {"what", "reason"}},
"rows": [{KEY, "seconds", "samples", "rounds", "ci_low", "ci_high", "ci_coverage", "rel_half_width", "converged",
"unmet", "spent_s", "host_bound"}], "ratios": [{"baseline", "subject", KEY without name, "ratio", "low", "high",
"rounds", "converged"}], "equivalence": [...], "problems": [...] (what is done), "failures": [...] } with KEY and fields
as in a result file; peers_samples.jsonl beside it: [KEY, "round", "seconds": [...]] a turn. An interruption loses one
problem at most, and --resume goes on with the next. Clocks as there: wall; on CUDA also cold (events, L2 flushed, the
launch hidden behind a delay; a host-bound call has no cold ratio). Baselines at their best setting: cudnn.benchmark on,
TF32 off.

Exit status: 0; 1 a system gives a wrong result, or a file cannot be written; 2 misuse, or nothing to resume from that
fits; 77 neither package can be imported, or there is no GPU for --device cuda; 130 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Callable

from bench.peer_record import EQUIVALENT, PACKAGES, Record, Refused, label, ratios

ROOT = Path(__file__).resolve().parent.parent
SHAPES = {"cuda": ["1x3x512x512", "1x3x1080x1920", "5x1x1500x1500", "16x3x1080x1920"], "cpu": ["1x3x256x256"]}


def problems(args) -> list[dict]:
    """What is measured, in order: mode, padding, batch, channels, height, width."""
    kinds = [(padding, mode) for padding in ("valid", "same") for mode in ("infer", "train")]
    sizes = [[int(n) for n in text.split("x")] for text in args.shape or SHAPES[args.device]]
    names = ("batch", "channels", "height", "width")
    return [{"mode": mode, "padding": padding, **dict(zip(names, size))} for size in sizes for padding, mode in kinds]


def on_signals() -> Callable[[], None]:
    """Ctrl-C and termination set a flag, and the function that is returned raises KeyboardInterrupt where it is set: an
    exception that comes while torch.compile lets go of something is ignored by Python. A second one comes at once."""
    told: list[int] = []

    def tell(number: int, _) -> None:
        told.append(number)
        if len(told) > 1:
            raise KeyboardInterrupt

    def check() -> None:
        if told:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    return check


def prepare(problem: dict, device: str, torch, record: Record, check: Callable[[], None]) -> dict:
    """The calls of this problem whose results are right: name -> call. The others go to the record with the reason."""
    from bench import peer_oracle
    from bench.peer_timing import first_line

    torch.manual_seed(1)
    size = [problem[f] for f in ("batch", "channels", "height", "width")]
    x, y = (torch.rand(size, device=device) for _ in range(2))
    wanted = peer_oracle.ssim(x, y, problem["padding"])
    calls = {}
    for name, system in record.systems.items():
        if not system.make or problem["padding"] not in system.paddings:
            continue
        check()
        try:
            call = system.make(problem["mode"], problem["padding"], x, y)
            reason = peer_oracle.wrong(problem["mode"], call(), wanted)
        except Exception as error:  # one system that fails must not take the others with it
            record.fail(problem, name, first_line(error))
            continue
        if reason:
            record.fail(problem, name, reason, wrong=True)
            print(f"peers: {name}, {label(problem)}: {reason}", file=sys.stderr)
        else:
            calls[name] = call
    return calls


def time_calls(calls: dict, problem: dict, args, rule, torch, record: Record, check: Callable[[], None]) -> None:
    """Rows and ratios of one problem, by each clock, into the record."""
    from bench.peer_timing import clocks, first_line, measure

    for clock, sampler in clocks(torch, args.device).items():
        about = {"device": args.device, **problem, "clock": clock}
        samplers = {}
        for name, call in calls.items():
            try:
                samplers[name] = sampler(call)
            except Exception as error:
                record.fail(problem, name, f"{clock}: {first_line(error)}")

        def keep(name: str, *turn) -> None:
            record.sample(about, name, *turn)
            check()

        figures = measure(samplers, rule, keep)
        for name, figure in list(figures.items()):
            host_bound = samplers[name].host_bound
            if figure.error:
                record.fail(problem, name, f"{clock}: {figure.error}")
            else:
                record.row(name, about, figure, host_bound)
            if figure.error or host_bound:  # then by its wall clock alone
                del figures[name]
        record.ratios += ratios(figures, about)


def measure_all(args, torch, record: Record, check: Callable[[], None] = lambda: None) -> None:
    """All problems that the record does not hold yet."""
    from bench.peer_timing import RULES

    rule = RULES[args.device] if args.seconds is None else replace(RULES[args.device], cap=args.seconds)
    todo = [p for p in problems(args) if not record.done(p)]
    begin = time.monotonic()
    for number, problem in enumerate(todo):
        calls = prepare(problem, args.device, torch, record, check)
        if any(name in PACKAGES for name in calls):
            time_calls(calls, problem, args, rule, torch, record, check)
        record.finish(problem)
        left = (time.monotonic() - begin) / (number + 1) * (len(todo) - number - 1)
        done = f"{label(problem)}: {len(calls)} systems"
        print(f"peers: {done}, about {left:.0f} s left", file=sys.stderr, flush=True)
    record.complete = True
    record.save()


def provenance(args, torch) -> dict:
    """What a record must share with one that it goes on from."""
    from frontdoor.commit import identify

    known, dirty = identify()
    name = torch.cuda.get_device_name() if args.device == "cuda" else cpu_name()
    environment = {"device": args.device, "device_name": name, "torch": torch.__version__,
                   "threads": torch.get_num_threads(), "python": sys.version.split()[0]}  # fmt: skip
    return {"schema": 1, "commit": known, "dirty": dirty, "environment": environment}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--shape", nargs="+", metavar="BxCxHxW")
    most = "most for a figure, of one system, problem and clock; default: 3 on a GPU, 10 on a CPU"
    parser.add_argument("--seconds", type=float, metavar="S", help=most)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's default")
    parser.add_argument("--out", type=Path, default=Path("peers.json"))
    parser.add_argument("--resume", action="store_true", help="go on from what --out holds")
    args = parser.parse_args()
    import torch

    from bench.packages import systems

    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    if args.device == "cuda" and not torch.cuda.is_available():
        print("peers: --device cuda: torch sees no CUDA device", file=sys.stderr)
        return 77
    there = systems(args.device)
    if not any(there[name].make for name in PACKAGES):
        reasons = "; ".join(f"{name}: {there[name].reason}" for name in PACKAGES[:2])
        print(f"peers: neither package can be timed here: {reasons}", file=sys.stderr)
        return 77
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if args.threads:
        torch.set_num_threads(args.threads)
    record = Record(args.out, provenance(args, torch), there)
    try:
        record.resume() if args.resume else record.begin()
        measure_all(args, torch, record, on_signals())
    except Refused as error:
        print(f"peers: --resume: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"peers: {error.filename or args.out} cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"peers: interrupted; --out {args.out} --resume goes on from there", file=sys.stderr)
        return 130
    for r in record.data()["equivalence"]:
        verdict = "within" if r["within"] else "NOT shown to be within"
        interval = f"{r['ratio']:.3f}" if r["low"] is None else f"{r['ratio']:.3f} [{r['low']:.3f}, {r['high']:.3f}]"
        what = f"{r['baseline']} / our row, {label(r)} {r['clock']}"
        print(f"{what}: {interval}, {verdict} {100 * EQUIVALENT:.0f} %")
    print(f"peers: {args.out}")
    return int(record.wrong > 0)


def cpu_name() -> str:
    """As verify/environment.cpp has it, so that a report knows the machine again."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1]
    import platform

    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
