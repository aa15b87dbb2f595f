# SPDX-License-Identifier: MIT
"""Bad input on the command line: exit status 2 (77 where the machine lacks something), and a message that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frontdoor import machine

ROOT = Path(__file__).resolve().parent.parent


def suite(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "frontdoor" / "main.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


COMMANDS = sorted(p.stem for p in (ROOT / "frontdoor" / "commands").glob("[!_]*.py"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nosuch"], "unknown command 'nosuch'"),
        ([], "usage: ./suite COMMAND"),
        (["test", "--filter", "("], "'(' is not a regular expression"),
        (["test", "--filter"], "expected one argument"),
        (["test", "--device", "tpu"], "invalid choice: 'tpu'"),
        (["test", "--jobs", "0"], "--jobs 0"),
        (["test", "--jobs", "two"], "invalid int value: 'two'"),
        (["test", "--fil", "x"], "unrecognized arguments: --fil"),
        (["build", "everything"], "unrecognized arguments: everything"),
        (["report", "--set", "huge"], "invalid choice: 'huge'"),
        (["report", "--device", "cuda-emulated"], "invalid choice: 'cuda-emulated'"),
        (["report", "--filter", "[a"], "'[a' is not a regular expression"),
        (["report", "--out", "/proc/nothing"], "--out /proc/nothing cannot be written"),
        (["report", "--out", "/dev/null"], "--out /dev/null cannot be written"),
        (["gate"], "exactly one of BASE, --pack REV and --error-rates N"),
        (["gate", "nosuch-revision"], "'nosuch-revision' is neither a revision"),
        (["gate", "HEAD", "--pairs", "1"], "--pairs 1: at least 2"),
        (["gate", "HEAD", "--set", "huge"], "--set huge: there are smoke, gate, claim, sweep"),
        (["gate", "HEAD", "--to", "x"], "--to goes with --pack"),
        (["gate", "HEAD", "--planted", "0.1"], "--planted 0.1"),
        (["gate", "--error-rates", "0"], "--error-rates 0: at least 1"),
        (["gate", "README.md"], "needs another as HEAD"),
        (["gate", "README.md", "HEAD"], "must both be result files"),
        (["gate", "frontdoor", "HEAD"], "holds no sources of this suite"),
        (["gate", "HEAD", "--filter", "("], "'(' is not a regular expression"),
        (["calibrate", "--seconds", "0"], "--seconds 0: above 0"),
        (["calibrate", "--pairs", "1"], "--pairs 1: at least 2"),
        (["tune", "--seconds", "0"], "--seconds 0: above 0"),
        (["tune", "--rows", "x"], "--rows goes with --from"),
        (["tune", "--from", "nosuch.json"], "--from nosuch.json: there is no such file"),
        (["tune", "--from", "README.md", "--check"], "--from and --check exclude each other"),
        (["tune", "--from", "README.md"], "README.md is neither a tuning file nor a report.json"),
        (["tune", "--from", "reports/results/h200/report.json"], "name them with --rows REGEX"),
        (["cliffs", "--from", "nosuch"], "--from nosuch: there is no such file or folder"),
        (["cliffs", "--from", "README.md", "--resume"], "--from and --resume exclude each other"),
        (["cliffs", "--from", "README.md"], "README.md holds no results"),
        (["cliffs", "--from", "frontdoor"], "neither samples.jsonl nor report.json in it"),
        (["profile"], "is required: ROW"),
        (["profile", "tiled", "--all"], "one of ROW, --all and --timeline"),
        (["profile", "--all", "--device", "cpu"], "on the CPU name a ROW"),
        (["profile", "tiled", "--shape", "1x3"], "'1x3' is not of the form BxCxHxW"),
        (["profile", "tiled", "--shape", "1x3x0x5"], "'1x3x0x5' is not of the form BxCxHxW"),
    ],
)
def test_misuse(arguments, message):
    done = suite(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize("text, message", [("{}\n", "damaged in line 1"), ("\x00\x01\n", "damaged in line 1")])
def test_damaged_file_to_resume_from(tmp_path, text, message):
    (tmp_path / "samples.jsonl").write_text(text)
    done = suite("report", "--resume", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "report: --resume: " in done.stderr and message in done.stderr
    assert (tmp_path / "samples.jsonl").read_text() == text


def test_no_room_in_the_output_folder(tmp_path):
    """A limit on the size of files stands in for a full disk."""
    command = f"ulimit -f 1; exec {sys.executable} {ROOT}/frontdoor/main.py report --out {tmp_path}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"--out {tmp_path} cannot be written: File too large" in done.stderr


def test_unknown_command_lists_the_commands():
    done = suite("nosuch")
    for name in COMMANDS:
        assert f"  {name} " in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    done = suite(command, "--help")
    assert done.returncode == 0
    assert f"usage: ./suite {command}" in done.stdout
    assert "example:\n  ./suite " in done.stdout or "example:\n  SUITE_" in done.stdout


def test_help_lists_every_command():
    done = suite("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


def test_no_cuda_device_is_77():
    if machine.have_driver():
        pytest.skip("there is a CUDA device")
    for arguments in (["test", "--device", "cuda"], ["report", "--device", "cuda"], ["profile", "tiled"],
                      ["gate", "HEAD", "--device", "cuda"], ["calibrate", "--device", "cuda"]):  # fmt: skip
        done = suite(*arguments)
        assert done.returncode == 77
        assert "no CUDA device" in done.stderr


def test_stub_is_posix_shell():
    for script in ("suite", "frontdoor/packages.sh", ".ci/run"):
        assert subprocess.run(["sh", "-n", str(ROOT / script)]).returncode == 0


def test_stub_lists_commands_without_python(tmp_path):
    """PATH with sed, basename and dirname alone: no Python, and --help still answers."""
    for tool in ("sed", "basename", "dirname", "sh"):
        (tmp_path / tool).symlink_to(
            subprocess.run(["sh", "-c", f"command -v {tool}"], capture_output=True, text=True).stdout.strip()
        )
    copy = tmp_path / "copy"
    (copy / "frontdoor").mkdir(parents=True)
    (copy / "suite").write_text((ROOT / "suite").read_text())
    (copy / "frontdoor" / "commands").symlink_to(ROOT / "frontdoor" / "commands")

    def stub(*arguments):
        return subprocess.run(
            ["/bin/sh", str(copy / "suite"), *arguments], capture_output=True, text=True, env={"PATH": str(tmp_path)}
        )

    listed = stub("--help")
    assert listed.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in listed.stdout
    unknown = stub("nosuch")
    assert unknown.returncode == 2 and "unknown command 'nosuch'" in unknown.stderr
    described = stub("test", "--help")
    assert described.returncode == 0 and "N passed, N failed, N skipped" in described.stdout
