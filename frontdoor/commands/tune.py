# SPDX-License-Identifier: MIT
"""measure which row production should prefer for which shape, and write its table

Times the rows that production may run side by side over set `tune` (bench/sets.json), each verified first, and puts the
faster beyond the noise first in each shape class of this device (reports/selection.py has the rule). Writes the figures
to reports/results/tuning/ and the table to kernels/selection_table.hpp, both to be committed; the next build takes it.
Lines of other device classes are made from the figures that the table names. Says what changed.

--from FILE measures nothing: a file of figures (of another machine), or a report.json, which does not know the rows
that meet production's accuracy and needs --rows. --check compares the committed table with the figures that it names.
Ctrl-C or a kill keeps what was measured; --resume goes on from there. Exit status 1: a row was wrong, and no table is
written; or --check found another table.
"""

from __future__ import annotations

from pathlib import Path

from frontdoor import machine
from frontdoor.options import regex
from frontdoor.place import CANNOT, GOOD, MISUSE, ROOT, STATE, WRONG, Stop, check_writable, relative, say, warn

TARGET = "bench/ssim_bench_kernels"
TUNING = ROOT / "reports" / "results" / "tuning"
SAMPLES = "samples.jsonl"
EXAMPLE = """./suite tune
./suite tune --device cuda --out reports/out/tune --resume
./suite tune --from reports/out/tune/cuda-9.0.json
./suite tune --check"""


def arguments(parser):
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto")
    parser.add_argument("--seconds", type=float, metavar="S", help="for all figures; default: the set's own")
    parser.add_argument("--out", metavar="DIR", type=Path, default=ROOT / "reports" / "out" / "tune",
                        help="for samples, and a copy of figures and table; default: reports/out/tune")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on from what DIR holds")
    parser.add_argument("--from", metavar="FILE", type=Path, nargs="+", dest="sources", help="figures to make it from")
    parser.add_argument("--rows", metavar="REGEX", type=regex, default="",
                        help="with --from report.json: the rows that meet production's accuracy")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="compare the committed table with its figures")


def needs(args) -> tuple[str, list[str]]:
    return ("python", []) if args.sources or args.check else ("build", [TARGET])


def check(args):
    if args.sources and (args.resume or args.check):
        raise Stop(MISUSE, f"tune: --from and {'--resume' if args.resume else '--check'} exclude each other")
    if args.rows and not args.sources:
        raise Stop(MISUSE, "tune: --rows goes with --from")
    if args.seconds is not None and not 0 < args.seconds <= 36000:
        raise Stop(MISUSE, f"tune: --seconds {args.seconds:g}: above 0 and at most 36000")
    for path in args.sources or ():
        if not path.is_file():
            raise Stop(MISUSE, f"tune: --from {path}: there is no such file")
    if not args.sources and not args.check and args.device == "cuda" and not machine.have_driver():
        raise Stop(CANNOT, "tune: --device cuda: there is no CUDA device here")


def _measure(args, context) -> Path:
    """Figures of this machine, in --out."""
    from frontdoor.child import require_measured, run_child
    from reports import tuning
    from reports.stream import Damaged, read

    check_writable("tune: --out", args.out)
    samples = args.out / SAMPLES
    if samples.exists() and not args.resume:
        samples.replace(samples.with_name("samples.previous.jsonl"))
    program = ROOT / "build" / TARGET
    if not program.exists():
        raise Stop(MISUSE, "tune: the benchmark was not built (Google Benchmark or nlohmann_json is missing)")
    command = [str(program), "--set", "tune", "--device", args.device, "--no-ceilings", "--out", str(samples)]
    command += ["--seconds", str(args.seconds)] if args.seconds else []
    command += ["--resume"] if samples.exists() else []
    say("tune: timing the rows that production may run")
    status = run_child(command, context.environment(), STATE / "tune.log")
    require_measured(status, "tune", args.out, "interrupted, no table written")
    try:
        run = read(samples)
    except (Damaged, OSError) as error:
        raise Stop(WRONG, f"tune: {error}") from None
    wrong = tuning.wrong(run)
    if status == WRONG or wrong:
        raise Stop(WRONG, "tune: no table written, a row was wrong:\n" + "\n".join(f"  {line}" for line in wrong))
    for line in tuning.not_measured(run):
        print(line)
    path = args.out / "figures.json"
    path.write_text(tuning.figures(run))
    return path.replace(args.out / f"{_load(path, '').of.slug()}.json")


def _load(path: Path, rows: str):
    from reports import selection

    try:
        return selection.load(path, rows)
    except selection.Unusable as error:
        raise Stop(MISUSE, f"tune: {error}") from None
    except OSError as error:
        raise Stop(MISUSE, f"tune: {path} cannot be read: {error.strerror}") from None


def _committed(path: Path, of) -> Path:
    """Where figures lie when they are committed: where they are, or reports/results/tuning/CLASS.json."""
    if (ROOT / "reports" / "results") in path.resolve().parents:
        return path
    target = TUNING / f"{of.slug()}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(path.read_text())
    return target


def _table(sources) -> str:
    from reports import selection

    try:
        return selection.table(sources)
    except selection.Unusable as error:
        raise Stop(MISUSE, f"tune: {error}") from None


def _check() -> int:
    from reports import selection

    found = selection.TABLE.read_text()
    wanted = _table([_load(path, rows) for _, path, rows in selection.sources_of(found)])
    if found == wanted:
        print(f"{relative(selection.TABLE)}: what its figures give")
        return GOOD
    files = " ".join(relative(path) for _, path, _ in selection.sources_of(found))
    warn(f"tune: {relative(selection.TABLE)} is not what {files} give; ./suite tune --from writes it anew")
    return WRONG


def run(args, context):
    from reports import selection

    if args.check:
        return _check()
    given = args.sources or [_measure(args, context)]
    new = [_load(path, args.rows) for path in given]
    if len({s.of for s in new}) < len(new):
        raise Stop(MISUSE, "tune: --from: two files of one device class: " + ", ".join(s.of.text() for s in new))
    for source in new:
        source.path = _committed(source.path, source.of)
    before = selection.TABLE.read_text() if selection.TABLE.exists() else ""
    others = [(path, rows) for of, path, rows in selection.sources_of(before) if of not in {s.of.text() for s in new}]
    sources = new + [_load(path, rows) for path, rows in others]
    after = _table(sources)
    changed, count = selection.changes(before, after, new)
    for change in changed:
        print(change.text())
    selection.TABLE.write_text(after)
    if not args.sources:
        (args.out / selection.TABLE.name).write_text(after)
    for source in new:
        lines = len(selection.lines_of(source))
        loose = sum(not figure.get("converged", True) for figure in source.figures)
        note = f", {loose} of them did not converge" if loose else ""
        print(f"{source.of.text()}: {lines} lines from {len(source.figures)} figures{note}: {source.where()}")
    same = "the same file" if after == before else "written; build and commit it with its figures"
    print(f"tune: production takes another row on {len(changed)} of {count} measured problems; "
          f"{relative(selection.TABLE)}: {same}")  # fmt: skip
    return GOOD
