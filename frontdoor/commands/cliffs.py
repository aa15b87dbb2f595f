# SPDX-License-Identifier: MIT
"""find shapes on which production is much slower than on their neighbours, and what misalignment costs

Times set `cliffs`, and set `unaligned` with base pointers 4, 8 and 12 bytes off alignment (bench/sets.json), each row
verified first; then compares neighbours: padding, width, resolution, batch, channels (reports/cliffs.py has the rule
and its reasons), and writes cliffs.md beside the samples. --from judges what was measured before, a sweep too: result
folders, samples.jsonl, report.json.
Exit status 1 if a row is over 1.5 times its neighbour, or misalignment costs over 15 %, or a row was wrong.
"""

from __future__ import annotations

import json
from pathlib import Path

from frontdoor import machine
from frontdoor.place import CANNOT, GOOD, MISUSE, ROOT, STATE, WRONG, Stop, check_writable, say, warn, write_whole

TARGET = "bench/ssim_bench_kernels"
OFFSETS = (0, 4, 8, 12)
PAGE = "cliffs.md"
EXAMPLE = """./suite cliffs
./suite cliffs --device cuda --out reports/out/cliffs --resume
./suite cliffs --from reports/out/sweep"""


def arguments(parser):
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto")
    parser.add_argument("--out", metavar="DIR", type=Path, default=ROOT / "reports" / "out" / "cliffs",
                        help="for the result files; default: reports/out/cliffs")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on from what DIR holds")
    parser.add_argument("--from", metavar="PATH", type=Path, nargs="+", dest="sources", help="judge these results")


def needs(args) -> tuple[str, list[str]]:
    return ("python", []) if args.sources else ("build", [TARGET])


def check(args):
    if args.sources and args.resume:
        raise Stop(MISUSE, "cliffs: --from and --resume exclude each other")
    for path in args.sources or ():
        if not path.exists():
            raise Stop(MISUSE, f"cliffs: --from {path}: there is no such file or folder")
    if not args.sources and args.device == "cuda" and not machine.have_driver():
        raise Stop(CANNOT, "cliffs: --device cuda: there is no CUDA device here")


def _reports(path: Path) -> list[dict]:
    """Of a result folder, a result stream or a report; their rows say how far off alignment they are."""
    from reports.assemble import assemble
    from reports.stream import Damaged, read

    if path.is_dir():
        files = sorted(path.glob("samples*.jsonl")) or sorted(path.glob("report.json"))
        if not files:
            raise Stop(MISUSE, f"cliffs: --from {path}: neither samples.jsonl nor report.json in it")
        return [report for file in files if file.name != "samples.previous.jsonl" for report in _reports(file)]
    try:
        report = json.loads(path.read_text()) if path.suffix == ".json" else assemble(read(path))
        offset = report["environment"].get("offset_bytes") or 0
        return [{**report, "rows": [row | {"offset_bytes": offset} for row in report["rows"]]}]
    except (Damaged, ValueError, KeyError, TypeError, OSError) as error:
        raise Stop(MISUSE, f"cliffs: {path} holds no results: {error}") from None


def _measure(args, context) -> list[Path]:
    from frontdoor.child import require_measured, run_child

    program = ROOT / "build" / TARGET
    if not program.exists():
        raise Stop(MISUSE, "cliffs: the benchmark was not built (Google Benchmark or nlohmann_json is missing)")
    check_writable("cliffs: --out", args.out)
    files = []
    for offset in OFFSETS:
        samples = args.out / ("samples.jsonl" if offset == 0 else f"samples-offset-{offset}.jsonl")
        if samples.exists() and not args.resume:
            samples.unlink()
        command = [str(program), "--set", "unaligned" if offset else "cliffs", "--device", args.device]
        command += ["--no-ceilings", "--offset", str(offset), "--out", str(samples)]
        command += ["--resume"] if samples.exists() else []
        say(f"cliffs: {f'base pointers off by {offset} bytes' if offset else 'all shapes'}")
        status = run_child(command, context.environment(), STATE / f"cliffs-{offset}.log")
        require_measured(status, "cliffs", args.out)
        files.append(samples)
    return files


def run(args, context):
    from reports import claims, cliffs

    row = claims.load()["headline"]
    found = [report for path in args.sources or _measure(args, context) for report in _reports(path)]
    entries = [entry for report in found for entry in report["rows"]]
    judged = cliffs.judge(entries, row)
    wrong = [e for e in entries if e["name"] == row and e.get("error")]
    for entry in wrong:
        warn(f"cliffs: {row} {entry['mode']} {entry['padding']} {cliffs.quote.shape(entry)}: {entry['error']}")
    if not judged.pairs:
        raise Stop(MISUSE, f"cliffs: no two figures of {row} are neighbours here")
    for pair in judged.found:
        print(f"FOUND {pair.text()}")
    for pair in judged.unclear:
        print(f"unclear {pair.text()}")
    print(f"{judged.counted()} pairs\n" + "\n".join(judged.verdict()))
    if not args.sources:
        try:
            write_whole(args.out / PAGE, cliffs.page(judged, found[0]["environment"]))
        except OSError as error:
            raise Stop(WRONG, f"cliffs: {args.out / PAGE} cannot be written: {error.strerror}") from None
    return WRONG if judged.found or wrong else GOOD
