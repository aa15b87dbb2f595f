# SPDX-License-Identifier: MIT
"""Runs the tests that Meson knows and counts their cases (GoogleTest and pytest by their XML, others as one case)."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree
import zlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

SKIPPED_ALL = 77


@dataclass
class Test:
    """One entry of `meson introspect --tests`."""

    name: str
    suites: list[str]
    command: list[str]
    environment: dict[str, str]
    folder: str | None
    timeout: float | None
    parallel: bool
    outcome: Outcome | None = field(default=None, compare=False, repr=False)  # of its last run

    @staticmethod
    def of(entry: dict) -> Test:
        timeout = entry.get("timeout") or 0
        return Test(
            entry["name"],
            [s.split(":")[-1] for s in entry["suite"]],
            list(entry["cmd"]),
            dict(entry["env"]),
            entry.get("workdir"),
            timeout if timeout > 0 else None,
            bool(entry.get("is_parallel", True)),
        )

    @property
    def kind(self) -> str:
        """ "pytest", "gtest" or "plain" (one case, judged by its exit status)."""
        if "pytest" in self.command[:4]:
            return "pytest"
        program = os.path.basename(self.command[0])
        compiled = not program.startswith("python") and not program.endswith((".py", ".sh"))
        return "gtest" if compiled and set(self.suites) & {"host", "rows", "torch"} else "plain"


@dataclass
class Failure:
    case: str
    message: str
    repeat: str  # the command that repeats it


@dataclass
class Outcome:
    test: Test
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)  # reason -> cases
    verdicts: list[tuple[str, str, str]] = field(default_factory=list)  # case, as read_xml() has it, message

    @property
    def cases(self) -> int:
        return self.passed + self.failed + self.skipped

    def skip(self, reason: str, count: int = 1) -> None:
        self.skipped += count
        self.skips[reason] = self.skips.get(reason, 0) + count

    def fail(self, case: str, message: str, repeat: str) -> None:
        self.failed += 1
        self.failures.append(Failure(case, message, repeat))


def reason_of(text: str | None) -> str:
    """A skip's reason in one line, without the source position that GoogleTest and pytest put before it."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    lines = [line for line in lines if not re.fullmatch(r"(\S+:\d+:?|Skipped)", line)]
    return lines[0].removeprefix("Skipped: ") if lines else "no reason given"


def read_xml(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """(class, case, "passed" | "failed" | "skipped" | "missing", message) of a GoogleTest or pytest result file."""
    for element in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        group, case = element.get("classname", ""), element.get("name", "")
        bad = [child for child in element if child.tag in ("failure", "error")]
        skipped = element.find("skipped")
        if element.get("status") == "notrun":
            yield group, case, "missing", ""
        elif bad:
            text = "\n".join((child.text or child.get("message") or "").strip() for child in bad)
            yield group, case, "failed", text
        elif skipped is not None or element.get("result") == "skipped":
            yield group, case, "skipped", reason_of(
                (skipped.get("message") or skipped.text) if skipped is not None else ""
            )
        else:
            yield group, case, "passed", ""


def _command(test: Test, results: Path, match: str | None) -> list[str]:
    if test.kind == "gtest":
        return [
            *test.command,
            f"--gtest_output=xml:{results}",
            "--gtest_brief=1",
            *(["--match", match] if match else []),
        ]
    if test.kind == "pytest":
        return [*test.command, f"--junitxml={results}", *([f"--match={match}"] if match else [])]
    return test.command


def _repeat(test: Test, case: str, root: Path, name: str = "") -> str:
    def short(path: str) -> str:
        return os.path.relpath(path, root) if os.path.isabs(path) and path.startswith(str(root) + os.sep) else path

    command = shlex.join([short(part) for part in test.command])
    if test.kind == "gtest":
        # Not --gtest_filter: names of row tests have ':' in them.
        pattern = "^" + re.sub(r"([][()*+?{}|^$\\])", r"\\\1", case) + "$"
        return f"{command} --match {shlex.quote(pattern)}"
    if test.kind == "pytest":
        files = [short(part) for part in test.command if part.endswith(".py")]
        one = f"{files[0]}::{name}" if len(files) == 1 and name else " ".join(files)
        return f"./suite python -m pytest {shlex.quote(one)}"
    return f"./suite test --filter {shlex.quote('^' + test.name + '$')}"


def _says_nothing_matches(test: Test, status: int, output: str, readable: bool, match: str | None) -> bool:
    """The program itself has to say that it has no such case: a library under test that ends the process with the same
    status has said nothing."""
    if match is None:
        return False
    if test.kind == "pytest":
        return status == 5 and readable  # all deselected, and a results file without a case
    return status == 2 and f"--match '{match}' finds no test" in output  # verify/test_main.cpp


def _settle(
    outcome: Outcome, status: int, output: str, results: Path, match: str | None, root: Path, timed_out: bool
) -> None:
    test = outcome.test
    tail = "\n".join(output.strip().splitlines()[-25:])
    if test.kind == "plain":
        if status == 0:
            outcome.passed += 1
        elif status == SKIPPED_ALL:
            outcome.skip(reason_of(output.strip().splitlines()[-1] if output.strip() else ""))
        else:
            outcome.fail(test.name, f"exit status {status}\n{tail}", _repeat(test, test.name, root))
        return
    try:
        for group, name, verdict, message in read_xml(results):
            case = f"{group}.{name}"
            outcome.verdicts.append((case, verdict, message))
            if verdict == "passed":
                outcome.passed += 1
            elif verdict == "skipped":
                outcome.skip(message)
            elif verdict == "failed":
                outcome.fail(f"{test.name}: {case}", message, _repeat(test, case, root, name))
        readable = True
    except (OSError, xml.etree.ElementTree.ParseError):
        readable = False
    nothing = outcome.cases == 0 and _says_nothing_matches(test, status, output, readable, match)
    ended_well = status in (0, SKIPPED_ALL) or nothing or (outcome.failed > 0 and status > 0)
    if timed_out or (not readable and not nothing) or not ended_well:
        # A crash or a timeout in the middle: the cases that were never reached must not look fine.
        how = (
            f"stopped after {test.timeout:.0f} s"
            if timed_out and test.timeout
            else (f"killed by signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}")
        ) + ("" if readable else ", without results")
        outcome.fail(
            f"{test.name}: the whole executable",
            f"{how}\n{tail}",
            shlex.join(test.command) if test.kind != "pytest" else _repeat(test, "", root),
        )


class Runner:
    def __init__(self, root: Path, scratch: Path, environment: dict[str, str], match: str | None):
        self.root, self.scratch, self.environment, self.match = root, scratch, environment, match
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def run(self, test: Test) -> Outcome:
        outcome = test.outcome = Outcome(test)
        if self.stopped or (test.kind == "plain" and self.match and not re.search(self.match, test.name)):
            return outcome
        # Two folders may have a test of the same name: their results must not meet.
        which = zlib.crc32("\0".join(test.command).encode())
        results = self.scratch / f"{re.sub(r'[^A-Za-z0-9]+', '_', test.name)}-{which:08x}.xml"
        results.unlink(missing_ok=True)
        begin, timed_out = time.monotonic(), False
        log = results.with_suffix(".log")
        with log.open("wb") as out:
            process = subprocess.Popen(
                _command(test, results, self.match),
                cwd=test.folder or self.root,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**self.environment, **test.environment, **self._paths(test)},
            )
            with self._lock:
                self._running.add(process)
            try:
                process.wait(timeout=test.timeout)
            except subprocess.TimeoutExpired:
                timed_out = True
                self._kill(process)
                process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
        outcome.seconds = time.monotonic() - begin
        if not self.stopped:
            _settle(
                outcome, process.returncode, log.read_text(errors="replace"), results, self.match, self.root, timed_out
            )
        return outcome

    def _paths(self, test: Test) -> dict[str, str]:
        """Both what the test asks for on PYTHONPATH and what the front door puts there."""
        parts = [test.environment.get("PYTHONPATH", ""), self.environment.get("PYTHONPATH", "")]
        return {"PYTHONPATH": os.pathsep.join(p for p in parts if p)} if any(parts) else {}

    @staticmethod
    def _kill(process: subprocess.Popen) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self) -> None:
        self.stopped = True
        with self._lock:
            for process in self._running:
                self._kill(process)


def run_all(
    runner: Runner, tests: list[Test], jobs: int, finished: Callable[[Outcome, list[Test]], None]
) -> list[Outcome]:
    """Parallel tests on `jobs` workers, then the others one by one; finished(outcome, still to come) after each."""
    outcomes: list[Outcome] = []
    left = list(tests)

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        left.remove(outcome.test)
        finished(outcome, left)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                pending = {pool.submit(runner.run, test) for test in tests if test.parallel}
                while pending:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED, timeout=0.5)
                    for future in done:
                        note(future.result())
            except BaseException:
                runner.stop()
                raise
        for test in tests:
            if not test.parallel:
                note(runner.run(test))
    except KeyboardInterrupt:
        runner.stop()
    return outcomes
