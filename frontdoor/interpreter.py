# SPDX-License-Identifier: MIT
"""Which Python runs the suite: the first of .venv/bin/python and python3 that imports all that is needed, as it is.

Importing torch takes seconds, so the answer is remembered; it is asked again when the interpreter, its site-packages or
the list of needs has changed. Where no interpreter will do, .venv is made from the pinned requirements.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from frontdoor.place import MISUSE, ROOT, STATE, VENV, Stop, say, warn

NEEDS = ROOT / "frontdoor" / "needs.py"
REQUIREMENTS = ROOT / "frontdoor" / "requirements.txt"
REQUIREMENTS_CUDA = ROOT / "frontdoor" / "requirements-cuda.txt"
CUDA_WHEELS = ROOT / ".venv-cuda"  # beside an interpreter that is not ours to change
REMEMBERED = STATE / "interpreter.json"
UNFINISHED = ".suite-unfinished"  # in .venv while it is being filled: a venv with it is never believed


@dataclass
class Interpreter:
    path: str
    ninja: str
    versions: dict[str, str]
    torch_cuda: str | None = None
    torch_abi: int = 1
    fingerprint: dict = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        return Path(self.path).parent.parent == VENV


def _stat(path: str | os.PathLike) -> list:
    try:
        status = os.stat(path)
        return [str(path), status.st_mtime_ns, status.st_size if not os.path.isdir(path) else 0]
    except OSError:
        return [str(path), None, None]


def _fingerprint(python: str, folders: list[str]) -> dict:
    """Changes when another interpreter is behind the name, a package comes or goes, or the needs change."""
    return {
        "python": _stat(os.path.realpath(python)),
        "config": _stat(os.path.join(os.path.dirname(os.path.dirname(python)), "pyvenv.cfg")),
        "folders": [_stat(folder) for folder in folders],
        "needs": hashlib.sha256(NEEDS.read_bytes()).hexdigest(),
        "user": os.environ.get("PYTHONPATH", ""),
    }


def candidates() -> list[str]:
    found = []
    own = VENV / "bin" / "python"
    if own.exists() and not (VENV / UNFINISHED).exists():
        found.append(str(own))
    system = shutil.which("python3")
    if system:
        found.append(system)
    return found


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "__PYVENV_LAUNCHER__")}


def _examine(python: str) -> tuple[Interpreter | None, list[str]]:
    """The interpreter if it has all; else what it lacks."""
    try:
        done = subprocess.run(
            [python, str(NEEDS)], capture_output=True, text=True, env=_clean_environment(), timeout=300
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        folders = subprocess.run(
            [python, "-c", "import sys; print('\\n'.join(p for p in sys.path if 'packages' in p))"],
            capture_output=True,
            text=True,
            env=_clean_environment(),
            timeout=60,
        ).stdout.split("\n")
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return None, [f"{python} does not run: {error}"]
    if answer["missing"]:
        return None, answer["missing"]
    return (
        Interpreter(
            python,
            answer["ninja"],
            answer["versions"],
            answer.get("torch_cuda"),
            answer.get("torch_abi", 1),
            _fingerprint(python, [f for f in folders if f]),
        ),
        [],
    )


def remembered(python: str) -> Interpreter | None:
    try:
        known = json.loads(REMEMBERED.read_text())[python]
        folders = [entry[0] for entry in known["fingerprint"]["folders"]]
        if known["fingerprint"] == _fingerprint(python, folders) and os.access(known["ninja"], os.X_OK):
            return Interpreter(**known)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _remember(interpreter: Interpreter) -> None:
    try:
        STATE.mkdir(parents=True, exist_ok=True)
        temporary = REMEMBERED.with_suffix(".part")
        temporary.write_text(json.dumps({interpreter.path: vars(interpreter)}, indent=1))
        temporary.replace(REMEMBERED)
    except OSError:
        pass  # only slower next time


def find() -> tuple[Interpreter | None, dict[str, list[str]]]:
    """The interpreter to use, or None and what each candidate lacks."""
    lacking = {}
    for python in candidates():
        known = remembered(python)
        if known:
            return known, {}
        interpreter, missing = _examine(python)
        if interpreter:
            _remember(interpreter)
            return interpreter, {}
        lacking[python] = missing
    return None, lacking


def _pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if not sys.stdout.isatty():
        command.append("--quiet")
    done = subprocess.run(command, env=_clean_environment())
    if done.returncode:
        raise Stop(MISUSE, f"setup: pip failed (see above); the same command goes on from here: {' '.join(command)}")


def make_venv() -> Interpreter:
    """Fills .venv from the pinned requirements. Interrupted, it starts over; pip's cache keeps the downloads."""
    base = next((p for p in (shutil.which("python3"),) if p), None) or sys.executable
    version = subprocess.run(
        [base, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
    ).stdout.strip()
    if tuple(map(int, version.split("."))) < (3, 11):
        raise Stop(MISUSE, f"setup: {base} is Python {version}; the pinned packages need 3.11 or newer")
    say(f"installing the pinned Python packages into .venv (Python {version}; torch alone is some gigabytes)")
    mark = VENV / UNFINISHED
    if VENV.is_symlink():
        raise Stop(MISUSE, "setup: .venv is a link to elsewhere and lacks what is needed; remove it first")
    if mark.exists() or not (VENV / "bin" / "python").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir(parents=True)
        mark.touch()
        if subprocess.run([base, "-m", "venv", str(VENV)], env=_clean_environment()).returncode:
            raise Stop(MISUSE, f"setup: {base} -m venv .venv failed (on Debian: apt-get install python3-venv)")
    mark.touch()
    python = str(VENV / "bin" / "python")
    _pip(python, "-r", str(REQUIREMENTS))
    mark.unlink()
    interpreter, missing = _examine(python)
    if interpreter is None:
        raise Stop(MISUSE, f"setup: .venv was filled and still lacks: {'; '.join(missing)}")
    _remember(interpreter)
    return interpreter


def install_cuda_compiler(interpreter: Interpreter) -> bool:
    """The CUDA compiler from the Python index; False (and a line that says so) where it cannot be had."""
    where = [] if interpreter.ours else ["--target", str(CUDA_WHEELS)]
    say(
        "an NVIDIA driver but no nvcc >= 12.8: installing the CUDA compiler from the Python package index into "
        + (".venv" if interpreter.ours else CUDA_WHEELS.name)
    )
    try:
        _pip(interpreter.path, *where, "-r", str(REQUIREMENTS_CUDA))
    except Stop as error:
        warn(f"{error}; CUDA rows are left out")
        return False
    return True
