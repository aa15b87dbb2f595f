# SPDX-License-Identifier: MIT
"""profile one row, or all: Nsight Compute on CUDA, perf on the CPU; what limits it, in a table and a sentence

On CUDA one launch of the row on one problem, clocks left alone, no time of ours printed; the .ncu-rep file is kept for
the GUI, and the exact command line is printed. --all profiles every CUDA row and writes profiles.md, and
profiles.json for a report's roofline; --resume keeps what these already hold of the same card and problem, with the
commit that it is of, and a row that the page lacks is listed there with the reason. --timeline records a training loop:
Nsight Systems, or where it does not work torch.profiler. Exit status 1 where a row that the profiler could not get
through is missing, 77 where the profiler or the device is missing, or the driver refuses performance counters.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from frontdoor import machine
from frontdoor.place import BUILD, CANNOT, GOOD, MISUSE, ROOT, WRONG, Stop, check_writable, relative, say, warn

KERNELS, ALL = "bench/ssim_bench_kernels", "bench/ssim_bench"
EXAMPLE = """./suite profile stream
./suite profile tiled --mode infer --padding valid --shape 16x3x1080x1920
./suite profile --all --timeline --out reports/results/h200
./suite profile stream --device cpu --shape 1x3x256x256"""


class Unsupported(Exception):
    """The row does not do this problem; the reason."""


class Failed(Stop):
    """This row could not be profiled; another might."""


def shape(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){3}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form BxCxHxW")
    return text


def arguments(parser):
    parser.add_argument("row", metavar="ROW", nargs="?", help="name of a row, for example tiled")
    parser.add_argument("--all", action="store_true", help="every CUDA row, in both modes, into profiles.md")
    parser.add_argument("--resume", action="store_true", help="with --all: go on from what DIR holds")
    parser.add_argument("--timeline", action="store_true", help="a training loop over time")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="default: %(default)s")
    parser.add_argument("--shape", metavar="BxCxHxW", type=shape, default="1x3x1080x1920", help="default: %(default)s")
    parser.add_argument("--mode", choices=["infer", "train"], default="train", help="default: %(default)s")
    parser.add_argument("--padding", choices=["same", "valid"], default="same", help="default: %(default)s")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=ROOT / "reports" / "out" / "profiles", help="for what is kept"
    )


def needs(args) -> tuple[str, list[str]]:
    return "build", [] if args.timeline else [KERNELS, ALL]


def profiler(name: str = "ncu") -> str | None:
    found = shutil.which(name)
    folder = {"ncu": "nsight-compute", "nsys": "nsight-systems"}[name]
    for place in ("/usr/local/cuda/bin", *sorted(map(str, Path(f"/opt/nvidia/{folder}").glob("*")), reverse=True)):
        found = found or shutil.which(name, path=place) or shutil.which(name, path=f"{place}/bin")
    return found


def check(args):
    if sum((bool(args.row), args.all)) != 1 and not (args.timeline and not args.row and not args.all):
        raise Stop(MISUSE, "profile: one of ROW, --all and --timeline is required: ROW is the name of a row")
    if args.resume and not args.all:
        raise Stop(MISUSE, "profile: --resume is of --all")
    if args.all and args.device == "cpu":
        raise Stop(MISUSE, "profile: --all is of the CUDA rows; on the CPU name a ROW")
    if args.device == "cpu":
        if shutil.which("perf") is None and not args.timeline:
            raise Stop(CANNOT, "profile: --device cpu: perf is not installed, so nothing can be counted")
        return
    if not machine.have_driver():
        raise Stop(CANNOT, "profile: there is no CUDA device here")
    if profiler() is None and not (args.timeline and not args.all and not args.row):
        raise Stop(CANNOT, "profile: Nsight Compute (ncu) is not installed: neither on PATH nor in the CUDA toolkit")


def _elements(text: str) -> int:
    batch, channels, height, width = (int(n) for n in text.split("x"))
    return batch * channels * height * width


def _rows(context, program: Path, settings: str = "best") -> list[str]:
    """CUDA rows that a program has and times with these settings, in its order."""
    done = subprocess.run(
        [str(program), "--device", "cuda", "--set", "claim", "--settings", settings, "--list"],
        capture_output=True,
        text=True,
        env=context.environment(),
    )
    return list(dict.fromkeys(line.split(":")[1] for line in done.stdout.splitlines() if line.count(":") >= 5))


def _shapes(context, rows: list[str], text: str) -> dict[str, str]:
    """The shape at which --all profiles each row. A baseline makes dozens of launches, each of which the profiler
    replays a dozen times with all of its memory put back between, minutes for a batch of 16: one image of it will do.
    Baselines are the rows that have stock settings and need LibTorch."""
    small = BUILD / KERNELS
    stock = set(_rows(context, BUILD / ALL, "stock")) - set(_rows(context, small)) if small.exists() else set()
    image = re.sub(r"^\d+", "1", text)
    return {row: image if row in stock else text for row in rows}


def _program(context, row: str, device: str) -> Path:
    """The one without LibTorch where it has the row: it starts in a moment."""
    small, whole = BUILD / KERNELS, BUILD / ALL
    if not whole.exists():
        raise Stop(MISUSE, "profile: the benchmark was not built (Google Benchmark or nlohmann_json is missing)")
    return small if device == "cuda" and small.exists() and row in _rows(context, small) else whole


def _bench(program: Path, args, row: str, mode: str, shape: str) -> list[str]:
    command = [str(program), "--device", args.device, "--profile", row, "--shape", shape, "--mode", mode]
    return [*command, "--padding", args.padding]


def _model(output: str) -> dict | None:
    """The row's cost model, which the benchmark prints beside what it profiled."""
    found = re.search(r"^model (\{.*\})$", output, re.M)
    return json.loads(found[1]) if found else None


def _profile(context, args, row: str, mode: str, shape: str) -> dict:
    """One row under Nsight Compute: command, kernels, cost, source lines or why there are none."""
    from frontdoor import profile_lines
    from frontdoor.ncu import METRICS, read_csv

    result = args.out / f"{row}-{shape}-{mode}-{args.padding}.ncu-rep"
    program = _program(context, row, "cuda")
    bench = _bench(program, args, row, mode, shape)
    # The range is a push/pop one: ncu wants the trailing slash.
    include = f"ssim@{row}:{shape}-{mode}-{args.padding}:profile/"
    what = ["--nvtx-include", include, "--set", "full"]
    if program == BUILD / ALL:
        # LibTorch launches a backward from a thread of autograd's own, where no range of ours is pushed; what lies
        # between the benchmark's cudaProfilerStart and Stop counts whichever thread launches it. Dozens of launches
        # that each read whole images are not replayed for every section there is, nor for sources that it lacks.
        what = ["--profile-from-start", "off", "--section", "WarpStateStats"]
    command = [profiler(), "--nvtx", *what, "--clock-control", "none"]
    command += ["--metrics", ",".join(METRICS), "--import-source", "yes", "--force-overwrite", "--export", str(result)]
    print(f"command: {shlex.join([*command, *bench])}", flush=True)
    done = subprocess.run([*command, *bench], env=context.environment(), capture_output=True, text=True)
    output = done.stdout + done.stderr
    if "ERR_NVGPUCTRPERM" in output:
        raise Stop(CANNOT, "profile: the driver refuses performance counters to this user (ERR_NVGPUCTRPERM)")
    if done.returncode == MISUSE:
        raise Unsupported(output.strip().splitlines()[-1].removeprefix("ssim_bench: "))
    if done.returncode or not result.exists():
        status = WRONG if "is wrong" in output else CANNOT
        raise Failed(status, "profile: ncu did not get through:\n" + "\n".join(output.strip().splitlines()[-12:]))

    def page(*more: str) -> str:
        imported = [profiler(), "--import", str(result), "--csv", *more]
        env = {**context.environment(), "LC_ALL": "C"}  # numbers with a point
        read = subprocess.run(imported, capture_output=True, text=True, env=env)
        return read.stdout or read.stderr

    kernels = read_csv(page("--page", "raw"))
    if not kernels:
        raise Failed(WRONG, f"profile: {relative(result)} holds no kernel of {include}")
    if program == BUILD / ALL:
        lines, no_lines = [], "for a row of LibTorch, with its dozens of launches, they are not recorded"
    else:
        lines, no_lines = profile_lines.best(lambda view: page("--page", "source", "--print-source", view))
    shown = [Path(command[0]).name, *command[1:-1], result.name, relative(bench[0]), *bench[1:]]
    return {"result": result, "command": shlex.join(shown), "kernels": kernels, "cost": _model(output), "lines": lines,
            "no_lines": no_lines}  # fmt: skip


def _timeline(context, args) -> str:
    """Where the timeline is and what made it."""
    import os

    env = context.environment()
    env["PYTHONPATH"] = os.pathsep.join(p for p in (str(ROOT), env.get("PYTHONPATH", "")) if p)
    script = [context.python, "-m", "bench.timeline", "--device", args.device, "--shape", args.shape]
    reason = "Nsight Systems (nsys) is not installed"
    if args.device == "cuda" and profiler("nsys"):
        target = args.out / "timeline.nsys-rep"
        command = [profiler("nsys"), "profile", "--trace", "cuda,nvtx", "--sample", "none", "--cpuctxsw", "none"]
        command += ["--capture-range", "cudaProfilerApi", "--force-overwrite", "true"]
        command += ["--output", str(target.with_suffix("")), *script]
        print(f"command: {shlex.join(command)}", flush=True)
        done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
        if done.returncode == 0 and target.exists():
            return f"Timeline of a training loop: `{target.name}`, by Nsight Systems."
        told = (done.stdout + done.stderr).strip().splitlines()
        reason = f"Nsight Systems did not get through ({told[-1] if told else 'no message'})"
    elif args.device == "cpu":
        reason = "Nsight Systems is for CUDA"
    target = args.out / "timeline.json.gz"
    command = [*script, "--trace", str(target)]
    print(f"command: {shlex.join(command)}", flush=True)
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    if done.returncode or not target.exists():
        told = (done.stdout + done.stderr).strip().splitlines()
        raise Stop(done.returncode if done.returncode == CANNOT else WRONG,
                   "profile: no timeline: " + "\n".join(told[-6:]))  # fmt: skip
    return f"Timeline of a training loop: `{target.name}`, a Chrome trace by torch.profiler, because {reason}."


def _card() -> str:
    try:
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return "card unknown to nvidia-smi"


def _page(context, args, timeline: str) -> int:
    """Every CUDA row in both modes. What was profiled before an interruption is in the page, and what is missing in it
    with the reason."""
    from frontdoor import commit, ncu, profile_page

    known = commit.label(*commit.identify())
    card = _card()
    head = ["# Profiles of every CUDA row", ""]
    head += [
        f"{card}; {args.shape}, of which baselines take one image, padding {args.padding}. Nsight Compute, clocks left "
        "alone (`--clock-control none`): its times drift with the card's boost and are no figure of a report.",
        "",
    ]
    head += [timeline or profile_page.timeline(args.out, profiler("nsys") is not None), ""]
    rows = _rows(context, BUILD / ALL)
    shapes = _shapes(context, rows, args.shape)
    jobs = [(row, mode) for row in rows for mode in ("infer", "train")]
    done = profile_page.held(args.out, card, shapes, args.padding) if args.resume else {}
    todo = [job for job in jobs if job not in done]
    reasons: dict[tuple[str, str], str] = {}
    failed: list[int] = []
    if done:
        profile_page.write(args.out, head, card, jobs, done, reasons)
    begin = time.monotonic()
    for number, (row, mode) in enumerate(todo):
        try:
            found = _profile(context, args, row, mode, shapes[row])
            told = ncu.section(f"{row}, {mode}", f"Commit {known}.", found["command"], found["kernels"],
                               _elements(shapes[row]), found["cost"], found["lines"], found["no_lines"])  # fmt: skip
            about = {"name": row, "mode": mode, "padding": args.padding, "shape": shapes[row], "commit": known}
            done[row, mode] = about | ncu.figures(found["kernels"], _elements(shapes[row])), told
        except Unsupported as reason:
            reasons[row, mode] = str(reason)
        except Failed as error:  # of one row; the others may do
            told = str(error).splitlines()
            reasons[row, mode] = next((t for t in reversed(told) if "error" in t.lower()), told[-1]).strip()
            failed.append(error.status)
            warn(f"profile: {row}, {mode}: {error}")
        profile_page.write(args.out, head, card, jobs, done, reasons)
        left = (time.monotonic() - begin) / (number + 1) * (len(todo) - number - 1)
        print(f"profile: {row}, {mode}; about {left:.0f} s left", file=sys.stderr, flush=True)
    print(f"profiles: {relative(args.out / 'profiles.md')}")
    if not failed:
        return GOOD
    return WRONG if done or WRONG in failed else CANNOT


def run(args, context):
    from frontdoor import ncu, perf

    check_writable("profile: --out", args.out)
    timeline = _timeline(context, args) if args.timeline else ""
    if timeline:
        say(timeline)
    if args.all:
        return _page(context, args, timeline)
    if not args.row:
        return GOOD
    if args.device == "cpu":
        command = _bench(_program(context, args.row, "cpu"), args, args.row, args.mode, args.shape)
        probe = subprocess.run(command, env=context.environment(), capture_output=True, text=True)
        if probe.returncode:
            raise Stop(probe.returncode, f"profile: {probe.stderr.strip().splitlines()[-1]}")
        try:
            for counting in perf.commands(command):
                print(f"command: {shlex.join(counting)}", flush=True)
            print(perf.measure(command, context.environment(), _elements(args.shape)))
        except perf.Refused as refused:
            warn(f"profile: {refused}")
            return CANNOT
        return GOOD
    try:
        found = _profile(context, args, args.row, args.mode, args.shape)
    except Unsupported as reason:
        raise Stop(MISUSE, f"profile: {reason}") from None
    print(ncu.table(found["kernels"], _elements(args.shape), found["cost"], found["lines"],
                    found["no_lines"]))  # fmt: skip
    print(f"for the GUI: {relative(found['result'])}")
    return GOOD
