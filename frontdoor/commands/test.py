# SPDX-License-Identifier: MIT
"""run every test that this machine can run

Builds first. Ends in one line, `N passed, N failed, N skipped`, that counts test cases; exit status 0 only if nothing
failed and something ran. What was skipped is listed with the reason. SUITE_REQUIRE_GPU=1 turns GPU skips into failures;
SUITE_LARGE=1 adds problems of more than 2^31 elements, for which a card needs 30 to 80 GB.
"""

import json
import os
import subprocess
import sys

from frontdoor import machine
from frontdoor.options import regex
from frontdoor.place import BUILD, CANNOT, GOOD, MISUSE, ROOT, STATE, WRONG, Stop, own_folder, relative, say, warn

EXAMPLE = """./suite test
./suite test --filter 'cpu:stream:train'
SUITE_REQUIRE_GPU=1 ./suite test --device cuda"""


def _shown(message: str, most: int = 25) -> list[str]:
    """The lines that say most: of a pytest traceback those from the failing one on, else the first."""
    lines = message.strip().splitlines()
    failing = [n for n, line in enumerate(lines) if line.startswith(">")]
    return lines[max(failing[-1] - 3, 0) if failing else 0 :][:most]


def arguments(parser):
    parser.add_argument(
        "--filter",
        metavar="REGEX",
        type=regex,
        help="cases whose name it finds; rows' cases are named device:row:mode:padding:BxCxHxW",
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "cuda-emulated"],
        default="auto",
        help="rows of this device only (default: all that can run here)",
    )
    parser.add_argument("--require-gpu", action="store_true", help="a test skipped for want of a GPU fails")
    parser.add_argument(
        "--fuzz",
        type=float,
        metavar="MINUTES",
        help="instead of the tests: random cases against every row for so long; a failing one is minimised and named",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(4, len(os.sched_getaffinity(0))),
        metavar="N",
        help="tests at a time (default: %(default)s)",
    )


def check(args):
    if args.jobs < 1:
        raise Stop(MISUSE, f"test: --jobs {args.jobs}: at least 1")
    if args.fuzz is not None and not 0 < args.fuzz < 1e5:
        raise Stop(MISUSE, f"test: --fuzz {args.fuzz:g}: minutes, above 0")
    if args.device == "cuda" and not machine.have_driver():
        raise Stop(CANNOT, "test: --device cuda: there is no CUDA device here")


def _remembered() -> dict[str, float]:
    try:
        return json.loads((STATE / "test-seconds.json").read_text())
    except (OSError, ValueError):
        return {}


def _left(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


def registered(context, folder=BUILD):
    """The tests of the build in this folder."""
    from frontdoor import testrun

    done = subprocess.run(
        [context.python, "-m", "mesonbuild.mesonmain", "introspect", "--tests", str(folder)],
        capture_output=True,
        text=True,
        env=context.environment(),
    )
    if done.returncode:
        raise Stop(WRONG, f"test: meson introspect failed:\n{done.stdout}{done.stderr}")
    return [testrun.Test.of(entry) for entry in json.loads(done.stdout)]


def run(args, context):
    environment = {**context.environment(), "SUITE_DEVICE": args.device}
    if args.require_gpu:
        environment["SUITE_REQUIRE_GPU"] = "1"
    if args.fuzz is not None:
        return fuzz(args, environment)
    return run_tests(args, registered(context), environment, remember=not args.filter)


def fuzz(args, environment: dict[str, str]) -> int:
    program = BUILD / "verify" / "ssim_fuzz"
    if not program.exists():
        raise Stop(MISUSE, "test: --fuzz: this build has no tests (GoogleTest is missing)")
    command = [str(program), "--minutes", f"{args.fuzz:g}", *(["--filter", args.filter] if args.filter else [])]
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    os.execve(command[0], command, environment)


def run_tests(args, tests, environment: dict[str, str], remember: bool) -> int:
    """Runs the cases of these tests that args.filter (if any) finds, args.jobs at a time, and sums up."""
    from tqdm import tqdm

    from frontdoor import testrun

    if args.jobs > 1:
        environment.setdefault("OMP_WAIT_POLICY", "passive")  # two tests share the cores: no thread may spin
    expected = _remembered()
    usual = sum(expected.values()) / len(expected) if expected else 0.0
    tests.sort(key=lambda t: -expected.get(t.name, usual))  # the longest first, so that no worker ends late

    width = max((len(t.name) for t in tests), default=0)
    bar = tqdm(total=len(tests), disable=None, leave=False, bar_format="{desc}|{bar:24}| {n_fmt}/{total_fmt} {postfix}")
    total = {"passed": 0, "failed": 0, "skipped": 0}
    seconds = dict(expected)

    def finished(outcome, left):
        for kind in total:
            total[kind] += getattr(outcome, kind)
        if outcome.cases:
            seconds[outcome.test.name] = outcome.seconds
        measured = [seconds[t.name] for t in tests if t.name in seconds]
        typical = sum(measured) / len(measured) if measured else 0.0
        remaining = sum(seconds.get(t.name, typical) for t in left) / args.jobs
        if not args.filter or outcome.cases:
            line = (
                f"{outcome.test.name:{width}s} {outcome.seconds:7.1f} s  {outcome.passed} passed"
                + (f", {outcome.failed} FAILED" if outcome.failed else "")
                + (f", {outcome.skipped} skipped" if outcome.skipped else "")
            )
            tqdm.write(line) if not bar.disable else print(f"{line}  ({_left(remaining)})", flush=True)
        for failure in outcome.failures[:3]:  # at once: a run may be long, and what ends it may lose the summary
            tqdm.write("\n    ".join([f"  FAILED {failure.case}", *_shown(failure.message, 8)]), file=sys.stdout)
        bar.set_postfix_str(
            f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped, " f"{_left(remaining)}",
            refresh=False,
        )
        bar.update(1)

    with own_folder("tests") as scratch:
        runner = testrun.Runner(ROOT, scratch, environment, args.filter)
        outcomes = testrun.run_all(runner, tests, args.jobs, finished)
    bar.close()
    if remember and not runner.stopped:
        (STATE / "test-seconds.json").write_text(json.dumps({o.test.name: round(o.seconds, 2) for o in outcomes}))
    return _end(args, outcomes, runner.stopped, len(tests), scratch)


def _end(args, outcomes, interrupted: bool, registered: int, scratch) -> int:
    skips: dict[str, int] = {}
    for outcome in outcomes:
        for reason, count in outcome.skips.items():
            skips[reason] = skips.get(reason, 0) + count
    if skips:
        print("\nskipped:")
        for reason, count in sorted(skips.items(), key=lambda item: -item[1]):
            print(f"  {count:5d}  {reason}")
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    for failure in failures[:30]:
        print(f"\nFAILED {failure.case}")
        print("\n".join("    " + line for line in _shown(failure.message)))
        print(f"    to repeat it: {failure.repeat}")
    if len(failures) > 30:
        print(f"\n... and {len(failures) - 30} more; all of them are in {relative(scratch)}/")
    passed, failed, skipped = (sum(getattr(o, kind) for o in outcomes) for kind in ("passed", "failed", "skipped"))
    sys.stdout.flush()
    if interrupted:
        warn("interrupted: the counts are those of the tests that had ended")
    if args.filter and passed + failed + skipped == 0 and not interrupted:
        warn(f"test: --filter '{args.filter}' matches no test case")
        return MISUSE
    if not registered:
        say("this build has no tests (GoogleTest is missing)")
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    if interrupted:
        return 130
    return GOOD if failed == 0 and passed > 0 else WRONG
