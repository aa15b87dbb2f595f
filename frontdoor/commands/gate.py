# SPDX-License-Identifier: MIT
"""tell whether HEAD is slower than BASE, row by row, and whether results changed

BASE and HEAD: git revisions, folders with sources, or result files; without HEAD this checkout as it is. Builds both,
times them in pairs of separately started processes, and gives each row SLOW, FAST, SAME, AMBIGUOUS or INCOMPARABLE with
its interval. Exit status 1 if a row is SLOW, else 2 if one is INCOMPARABLE, else 0; --strict makes AMBIGUOUS 1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from frontdoor import machine
from frontdoor.options import regex
from frontdoor.place import (CANNOT, MISUSE, ROOT, STATE, WRONG, Stop, check_writable, own_folder, relative, say, warn,
                             write_whole)  # fmt: skip

EXAMPLE = """./suite gate HEAD~1                    # is what I have here slower than the commit before?
./suite gate v0.1 HEAD --set smoke --filter ':train:'
./suite gate --pack HEAD~1 --to base   # a folder for a machine without the history; there: ./suite gate base
./suite gate old/samples.jsonl new/samples.jsonl
./suite gate --error-rates 20 --device cuda --record reports/results/h200/gate.jsonl"""

KERNELS, ALL = "bench/ssim_bench_kernels", "bench/ssim_bench"
TARGETS = [KERNELS, ALL]
ROUNDS = 16  # of each row in a process, where processes take turns
SECONDS = {"cuda": 130, "cpu": 300}


def arguments(parser):
    parser.add_argument("base", nargs="?", metavar="BASE", help="git revision, source folder or result file")
    parser.add_argument("head", nargs="?", metavar="HEAD", help="the same; default: this checkout")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto")
    parser.add_argument("--set", default="gate", help="problems (bench/sets.json); default: %(default)s")
    parser.add_argument("--filter", metavar="REGEX", type=regex, default="", help="as in ./suite report")
    parser.add_argument(
        "--rows",
        choices=["kernels", "all"],
        default="kernels",
        help="all: LibTorch's rows too, which take seconds to load in each process; default: %(default)s",
    )
    parser.add_argument("--pairs", type=int, metavar="K", help="default: 12 on a GPU, 15 on a CPU")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="for all processes together, start-up aside; default: 130 on a GPU, 300 on a CPU, set gate what it needs",
    )
    parser.add_argument("--threads", type=int, metavar="N", default=0, help="CPU threads; default: all cores but one")
    parser.add_argument("--seed", type=int, default=1, help="of the order within the pairs; default: %(default)s")
    parser.add_argument(
        "--turns",
        choices=["auto", "on", "off"],
        default="auto",
        help="the processes of a pair take turns of some hundredths of a second, or run one after another; "
        "default: on for a CPU, off for a GPU",
    )
    parser.add_argument("--strict", action="store_true", help="AMBIGUOUS is a failure")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=ROOT / "reports" / "out" / "gate",
        help="for base.jsonl, head.jsonl, gate.json; default: reports/out/gate",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the pairs that DIR holds")
    parser.add_argument("--pack", metavar="REV", help="only write the sources of a revision into a folder")
    parser.add_argument("--to", metavar="DIR", type=Path, help="with --pack: the folder; default: ./gate-COMMIT")
    parser.add_argument(
        "--error-rates",
        type=int,
        metavar="N",
        help="measure the gate: N runs of this checkout against itself, and N with a planted slow-down",
    )
    parser.add_argument(
        "--planted", type=float, metavar="X", help="with --error-rates; default: 0.03 on a GPU, 0.1 on a CPU"
    )
    parser.add_argument(
        "--record",
        metavar="FILE",
        type=Path,
        default=ROOT / "reports" / "out" / "gate.jsonl",
        help="with --error-rates: where runs accumulate; default: reports/out/gate.jsonl",
    )


def _files(args) -> bool:
    return bool(args.base and args.head) and Path(args.base).is_file() and Path(args.head).is_file()


def needs(args) -> tuple[str, list[str]]:
    if args.pack:
        return "nothing", []
    if _files(args):
        return "python", []
    # A side that is this checkout is built like any command's; other sides are built by trees.py.
    here = [name for name in (args.base, args.head) if name and Path(name).is_dir() and Path(name).resolve() == ROOT]
    if args.error_rates or not args.head or here:
        return "build", [KERNELS] if args.rows == "kernels" else TARGETS
    return "setup", []


def check(args):
    given = [bool(args.pack), args.error_rates is not None, bool(args.base)]
    if sum(given) != 1:
        raise Stop(MISUSE, "gate: exactly one of BASE, --pack REV and --error-rates N is needed")
    if args.to and not args.pack:
        raise Stop(MISUSE, "gate: --to goes with --pack")
    if args.planted is not None and not (args.error_rates and 0 < args.planted <= 10):
        raise Stop(MISUSE, f"gate: --planted {args.planted}: above 0 and at most 10, and with --error-rates")
    if args.error_rates is not None and args.error_rates < 1:
        raise Stop(MISUSE, f"gate: --error-rates {args.error_rates}: at least 1")
    if args.pairs is not None and args.pairs < 2:
        raise Stop(MISUSE, f"gate: --pairs {args.pairs}: at least 2, an interval needs two numbers")
    if args.seconds is not None and not args.seconds > 0:
        raise Stop(MISUSE, f"gate: --seconds {args.seconds:g}: above 0")
    if args.threads < 0:
        raise Stop(MISUSE, f"gate: --threads {args.threads}: at least 1, or 0 for the default")
    for name in (args.base, args.head):
        if name and Path(name).is_file() != Path(args.base).is_file():
            raise Stop(MISUSE, "gate: BASE and HEAD must both be result files, or neither")
    if args.base and Path(args.base).is_file() and not args.head:
        raise Stop(MISUSE, "gate: a result file as BASE needs another as HEAD")
    known = json.loads((ROOT / "bench" / "sets.json").read_text())["sets"]
    if args.set not in known:
        raise Stop(MISUSE, f"gate: --set {args.set}: there are {', '.join(known)}")
    if args.device == "cuda" and not machine.have_driver() and not _files(args) and not args.pack:
        raise Stop(CANNOT, "gate: --device cuda: there is no CUDA device here")
    if args.error_rates:
        check_writable("gate: --record", args.record, args.record.parent)
    if args.base and not _files(args):
        from frontdoor import trees

        for name in filter(None, (args.base, args.head)):
            trees.find("gate", name)
        check_writable("gate: --out", args.out)


def _judge(args, base_file: Path, head_file: Path):
    from reports import calibration
    from reports.gate import judge
    from reports.pairs import read_side

    try:
        base, head = read_side(base_file), read_side(head_file)
        device = base.environment.get("device", "cpu")
        known = calibration.read(STATE / f"calibration-{device}.json", base.environment)
    except (ValueError, OSError) as error:
        raise Stop(MISUSE, f"gate: {error}") from None
    for side in (base, head):
        side.keep(args.filter)
    if args.filter and not (base.rows or head.rows):
        raise Stop(MISUSE, f"gate: --filter '{args.filter}' matches none of the rows")
    return judge(base, head, known), base, head


def _show(args, gate) -> int:
    from reports.gate import table, verdict_line

    print(f"\n{table(gate)}\n\n{verdict_line(gate, args.strict)}", flush=True)
    return gate.status(args.strict)


def comparison(args, context, trees: dict, folder: Path):
    """What to run for two trees, built: the program that both have, copied into the folder."""
    from frontdoor.paired import Run
    from frontdoor.trees import build
    from reports.gate import PAIRS

    wanted = [KERNELS] if args.rows == "kernels" else [ALL]
    for target in dict.fromkeys([*wanted, ALL]):
        if all(target in build(context, tree, [target]) for tree in trees.values()):
            break
    else:
        raise Stop(MISUSE, "gate: a side has no benchmark (Google Benchmark or nlohmann_json is missing)")
    device = args.device if args.device != "auto" else "cuda" if machine.have_driver() else "cpu"
    threads = args.threads or max(1, len(os.sched_getaffinity(0)) - 1)
    common = ["--set", args.set, "--sets-file", str(ROOT / "bench" / "sets.json"), "--device", device]
    common += ["--threads", str(threads)] if device == "cpu" else []
    common += ["--filter", args.filter] if args.filter else []
    if args.set != "gate" or args.seconds:
        each = (args.seconds or SECONDS[device]) / (2 * (args.pairs or PAIRS[device]))
        common += ["--seconds", f"{each:.3g}"]
    if args.set != "gate" and device == "cuda":
        common += ["--clock", "cold,graph"]  # hot is as graph is, and wall too noisy for half a per cent
    # Copies: whoever goes on editing and building here must not change what is being timed.
    programs = {side: folder / "bin" / side / Path(target).name for side in trees}
    for side, tree in trees.items():
        programs[side].parent.mkdir(parents=True, exist_ok=True)
        programs[side].unlink(missing_ok=True)
        shutil.copy2(tree.program(target), programs[side])
    environments = {side: tree.environment(context) for side, tree in trees.items()}
    helps = [subprocess.run([str(program), "--help"], capture_output=True, text=True, env=environments[side]).stdout
             for side, program in programs.items()]  # fmt: skip

    def all_know(flag: str) -> bool:
        return all(flag in text for text in helps)

    common += ["--no-ceilings"] if all_know("--no-ceilings") else []
    wants = device == "cpu" if args.turns == "auto" else args.turns == "on"
    turns = wants and all_know("--turns") and all_know("--rounds")
    common += ["--rounds", str(ROUNDS)] if turns else []
    pinned = turns and device == "cpu"
    cpus = frozenset(sorted(os.sched_getaffinity(0))[-threads:]) if pinned else frozenset()
    if wants and not turns:
        say("gate: a side's benchmark is older than turns (bench/turns.hpp): processes run one after another, and "
            "intervals are as wide as the machine is restless")  # fmt: skip
    return Run(programs, environments, common, {}, args.seed, turns, cpus), device


def run(args, context):
    from frontdoor import trees

    if args.pack:
        folder = trees.pack("gate", args.pack, args.to)
        print(f"{relative(folder)}: the sources of {args.pack}; on the other machine: ./suite gate {folder.name}")
        return 0
    if _files(args):
        return _show(args, _judge(args, Path(args.base), Path(args.head))[0])
    with own_folder("gate") as folder:
        if args.error_rates:
            from frontdoor import error_rates

            return error_rates.measure(args, context, folder)
        base = trees.find("gate", args.base)
        head = trees.find("gate", args.head) if args.head else trees.checkout()
        run, device = comparison(args, context, {"base": base, "head": head}, folder)
        return _gate(args, run, device, folder)


def _keep(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise Stop(WRONG, f"gate: {file} cannot be written: {error.strerror or error}; the pairs are kept") from None


def _gate(args, run, device: str, folder: Path) -> int:
    from frontdoor.paired import finished, run_pairs
    from reports.gate import PAIRS, as_data

    try:
        args.out.mkdir(parents=True, exist_ok=True)
        files = {side: args.out / f"{side}.jsonl" for side in ("base", "head")}
        # What a resumed gate must have in common with what it goes on from.
        about = {"programs": {s: [str(p), p.stat().st_mtime_ns] for s, p in run.programs.items()}, "common": run.common,
                 "seed": run.seed}  # fmt: skip
        known = args.out / "run.json"
        if not args.resume:
            for path in files.values():
                path.unlink(missing_ok=True)
        elif not known.exists() or json.loads(known.read_text()) != about:
            raise Stop(MISUSE, f"gate: --resume: {args.out} holds pairs of other builds, options or none at all")
        known.write_text(json.dumps(about))
    except OSError as error:
        raise Stop(MISUSE, f"gate: --out {args.out} cannot be written: {error.strerror or error}") from None
    pairs = args.pairs or PAIRS[device]
    say(f"gate: {pairs} pairs of processes, set {args.set} on {device}")
    whole = run_pairs(run, files, pairs, folder)
    have = len(finished(files["base"]) & finished(files["head"]))
    if not whole and have < 2:
        warn(f"interrupted after {have} pairs; --resume goes on from there")
        return 130
    gate, *_ = _judge(args, files["base"], files["head"])
    _keep(args.out / "gate.json", json.dumps(as_data(gate), indent=1) + "\n")
    status = _show(args, gate)
    if not whole:
        warn(f"interrupted: the verdicts are those of {have} of {pairs} pairs; --resume goes on from there")
        return 130
    return status
