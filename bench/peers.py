# SPDX-License-Identifier: MIT
"""Times the packages themselves beside our operator, all through Python, in one process and in rounds of random order.

    ./suite report --peers                        # after the rows of the set
    ./suite python -m bench.peers --device cpu --out peers.json

Each system must give the mean that the others give before it is timed. Ratios have bootstrap intervals over rounds.
Written: peers.json { "schema": 1, "commit", "dirty", "environment", "systems": {name: {"what", "reason"}},
"rows": [{KEY, "seconds", "rounds"}], "ratios": [{"baseline", "subject", KEY without name, "ratio", "low", "high"}],
"equivalence": [...] } with KEY as in report.json. Clocks as there: wall; on CUDA also cold (events, L2 flushed, the
launch hidden behind a delay). Baselines at their best setting: cudnn.benchmark on, TF32 off.

Exit status: 0; 1 a system gives another mean; 77 neither package can be imported, or there is no GPU for --device cuda.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHAPES = {"cuda": ["1x3x512x512", "1x3x1080x1920", "5x1x1500x1500", "16x3x1080x1920"], "cpu": ["1x3x256x256"]}
PACKAGES = ("fused_ssim (package)", "pytorch_msssim (package)", "pytorch_msssim compiled (package)")
SAME_MEAN = 1e-4
LEAST_ROUNDS = 12
EQUIVALENT = 0.05  # our row takes the package's time if the interval of their ratio lies within


class WallClock:
    """Host seconds of one call and its synchronisation."""

    name = "wall"

    def __init__(self, torch, device: str):
        self.synchronize = torch.cuda.synchronize if device == "cuda" else (lambda: None)

    def sample(self, call) -> float:
        self.synchronize()
        begin = time.perf_counter()
        call()
        self.synchronize()
        return time.perf_counter() - begin


class ColdClock:
    """Seconds between two events around one call, L2 flushed before, launches hidden behind a delay."""

    name = "cold"

    def __init__(self, torch, device: str):
        self.torch = torch
        bytes_ = max(5 * torch.cuda.get_device_properties(0).L2_cache_size // 2, 32 << 20)
        self.written = torch.empty(bytes_ // 4, device="cuda")
        self.read = torch.ones(bytes_ // 4, device="cuda")
        self.cycles: dict[int, int] = {}

    def _delay(self, call) -> int:
        """Cycles of twice what the host takes to enqueue the call, 20 ms at most."""
        if id(call) not in self.cycles:
            call()
            self.torch.cuda.synchronize()
            begin = time.perf_counter()
            call()
            self.cycles[id(call)] = int(2e9 * min(0.02, 2 * (time.perf_counter() - begin) + 30e-6))
        return self.cycles[id(call)]

    def sample(self, call) -> float:
        torch = self.torch
        cycles = self._delay(call)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.written.fill_(1.0)
        self.read.sum()
        torch.cuda._sleep(cycles)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        return 1e-3 * begin.elapsed_time(end)


def clocks(torch, device: str) -> list:
    return [ColdClock(torch, device), WallClock(torch, device)] if device == "cuda" else [WallClock(torch, device)]


def rounds_of(calls: dict, clock, seconds: float, each: int = 4) -> dict[str, list[float]]:
    """Median of `each` samples a round and system, in random order, for about `seconds`."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.monotonic()
    while time.monotonic() - begin < seconds or len(next(iter(found.values()))) < LEAST_ROUNDS:
        for name in random.sample(list(calls), len(calls)):
            clock.sample(calls[name])  # what another system left in allocator and caches
            found[name].append(statistics.median(clock.sample(calls[name]) for _ in range(each)))
    return found


def ratios(found: dict[str, list[float]], about: dict) -> list[dict]:
    """Of every package to every other system that it is held against, baseline's time / subject's time."""
    import numpy as np

    from reports.ratios import bootstrap

    entries = []
    pairs = [(b, s) for s in found for b in found if b != s and (b in PACKAGES or s in PACKAGES)]
    for baseline, subject in pairs:
        logs = np.log(np.array(found[baseline]) / np.array(found[subject]))
        ratio = bootstrap(logs, f"{baseline} {subject} {sorted(about.items())}")
        entries.append({"baseline": baseline, "subject": subject, **about, "ratio": ratio.ratio, "low": ratio.low,
                        "high": ratio.high, "rounds": ratio.rounds})  # fmt: skip
    return entries


def equivalence(entries: list[dict]) -> list[dict]:
    """Whether our row takes the time of the package whose work it repeats."""
    found = []
    for r in entries:
        if (r["baseline"], r["subject"]) == ("pytorch_msssim (package)", "pytorch_mssim"):
            within = r["low"] is not None and 1 - EQUIVALENT <= r["low"] and r["high"] <= 1 + EQUIVALENT
            found.append({**r, "within": within})
    return found


def measure(args, torch) -> tuple[dict, int]:
    from bench.packages import systems

    there = systems(args.device)
    usable = {name: s for name, s in there.items() if s.make}
    rows, entries, wrong = [], [], 0
    shapes = args.shape or SHAPES[args.device]
    kinds = [(padding, mode) for padding in ("valid", "same") for mode in ("infer", "train")]
    problems = [(shape, *kind) for shape in shapes for kind in kinds]
    begin = time.monotonic()
    for number, (text, padding, mode) in enumerate(problems):
        shape = [int(n) for n in text.split("x")]
        torch.manual_seed(1)
        x, y = (torch.rand(shape, device=args.device) for _ in range(2))
        calls, means = {}, {}
        for name, system in usable.items():
            if padding not in system.paddings:
                continue
            try:
                call = system.make(mode, padding, x, y)
                means[name] = float(call()[0])
                calls[name] = call
            except Exception as error:  # one system that fails must not take the others with it
                there[name].reason = f"{text} {mode} {padding}: {type(error).__name__}: {str(error).splitlines()[0]}"
        middle = statistics.median(means.values()) if means else 0.0
        for name, mean in means.items():
            if not abs(mean - middle) <= SAME_MEAN:
                there[name].reason = f"{text} {mode} {padding}: its mean is {mean:.9g}, the others give {middle:.9g}"
                print(f"peers: {name}: {there[name].reason}", file=sys.stderr)
                del calls[name]
                wrong += 1
        if not any(name in PACKAGES for name in calls):
            continue
        for clock in clocks(torch, args.device):
            about = dict(zip(("device", "mode", "padding", "batch", "channels", "height", "width", "clock"),
                             (args.device, mode, padding, *shape, clock.name)))  # fmt: skip
            found = rounds_of(calls, clock, args.seconds)
            rows += [{"name": n, **about, "seconds": statistics.median(v), "rounds": len(v)} for n, v in found.items()]
            entries += ratios(found, about)
        left = (time.monotonic() - begin) / (number + 1) * (len(problems) - number - 1)
        done = f"{text} {mode} {padding}: {len(calls)} systems"
        print(f"peers: {done}, about {left:.0f} s left", file=sys.stderr, flush=True)
    about_systems = {name: {"what": s.what, "reason": s.reason} for name, s in there.items()}
    return {"systems": about_systems, "rows": rows, "ratios": entries, "equivalence": equivalence(entries)}, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--shape", nargs="+", metavar="BxCxHxW")
    parser.add_argument("--seconds", type=float, default=1.5, help="for each problem and clock; default: 1.5")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's default")
    parser.add_argument("--out", type=Path, default=Path("peers.json"))
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
    found, wrong = measure(args, torch)
    known, dirty = identify()
    name = torch.cuda.get_device_name() if args.device == "cuda" else cpu_name()
    result = {
        "schema": 1,
        "commit": known,
        "dirty": dirty,
        "environment": {"device": args.device, "device_name": name, "torch": torch.__version__,
                        "threads": torch.get_num_threads(), "python": sys.version.split()[0]},
        **found,
    }  # fmt: skip
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    for r in found["equivalence"]:
        verdict = "within" if r["within"] else "NOT shown to be within"
        interval = f"{r['ratio']:.3f} [{r['low']:.3f}, {r['high']:.3f}]"
        print(f"package / our row, {r['batch']}x{r['channels']}x{r['height']}x{r['width']} {r['mode']} {r['clock']}: "
              f"{interval}, {verdict} {100 * EQUIVALENT:.0f} %")  # fmt: skip
    print(f"peers: {args.out}")
    return int(wrong > 0)


def identify():
    from frontdoor.commit import identify

    return identify()


def cpu_name() -> str:
    """As verify/environment.cpp has it, so that a report knows the machine again."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1]
    import platform

    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
