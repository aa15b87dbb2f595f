# SPDX-License-Identifier: MIT
"""Configures build/ with Meson when something that matters has changed, and compiles."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time

from frontdoor import machine
from frontdoor.place import BUILD, ROOT, STATE, WRONG, Stop, relative, say

ALWAYS = ["-Dpkgconfig.relocatable=true"]  # a default that Meson takes at the first configuration alone
DEFAULT_ARCHITECTURES = ["90a"]  # no card, not CI: one, so that CUDA code is compiled and a build stays short


def architectures() -> list[str] | None:
    """For -Darchs; None leaves meson.options' list of all of them."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return None
    return machine.native_architectures() or DEFAULT_ARCHITECTURES


def _wanted(context) -> dict:
    compiler, _ = machine.nvcc()
    return {
        "python": context.python,
        "versions": {k: context.interpreter.versions[k] for k in ("torch", "mesonbuild")},
        "archs": architectures(),
        "nvcc": compiler,
        "cxx": os.environ.get("CXX"),
        "abi": context.interpreter.torch_abi,
        "always": ALWAYS,
    }


def _tail(path, lines: int = 30) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _empty_build() -> None:
    for entry in BUILD.iterdir() if BUILD.exists() else ():
        if entry != STATE:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _configure(context, wanted: dict) -> None:
    _empty_build()
    STATE.mkdir(parents=True, exist_ok=True)
    compiler, why = machine.nvcc()
    env = context.environment()
    options = [f"-Dpython={context.python}", *ALWAYS]
    if wanted["archs"] is not None:
        options.append(f"-Darchs={','.join(wanted['archs'])}")
    if not compiler:
        options.append("-Dcuda=disabled")
    if not context.interpreter.torch_abi:
        # GoogleTest and Google Benchmark of the distribution have the C++11 ABI; one binary cannot have both.
        say(f"torch {wanted['versions']['torch']} has the pre-C++11 ABI: LibTorch rows and the operator are left out")
        options.append("-Dtorch=disabled")
    say(
        "configuring build/ ("
        + (
            f"CUDA by {compiler} for {', '.join(wanted['archs'] or ['all architectures'])}"
            if compiler
            else f"no CUDA rows: {why}"
        )
        + ")"
    )
    log = STATE / "configure.log"
    with log.open("w") as out:
        status = subprocess.run(
            [context.python, "-m", "mesonbuild.mesonmain", "setup", str(BUILD), str(ROOT), *options],
            cwd=ROOT,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        ).returncode
    if status:
        raise Stop(WRONG, f"configuring failed; the end of {relative(log)}:\n{_tail(log)}")
    (STATE / "configure.json").write_text(json.dumps(wanted))


def jobs() -> int:
    """One per core, as far as memory goes: a file with LibTorch's headers takes about 2 GB."""
    cores = len(os.sched_getaffinity(0))
    try:
        with open("/proc/meminfo") as info:
            free = next(int(line.split()[1]) for line in info if line.startswith("MemAvailable")) / 2**20
    except (OSError, StopIteration):
        free = 4.0
    return max(1, min(cores, int(free / 2)))


def _known(targets: list[str]) -> list[str]:
    """Those that this configuration has: without Google Benchmark, say, there is no ssim_bench."""
    text = (BUILD / "build.ninja").read_text()
    return [target for target in targets if f"\nbuild {target}:" in text]


@contextlib.contextmanager
def alone():
    """One process at a time: two that compile into one folder spoil each other's logs of what is up to date."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building here: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(context, targets: list[str]) -> None:
    """Compiles these targets; all if there are none."""
    with alone():
        _build(context, targets)


def _build(context, targets: list[str]) -> None:
    stamp = STATE / "configure.json"
    wanted = _wanted(context)
    configured = (BUILD / "build.ninja").exists() and (BUILD / "meson-private" / "coredata.dat").exists()
    try:
        known = json.loads(stamp.read_text())
    except (OSError, ValueError):
        known = None
    if configured and known is None:
        say("build/ was configured by hand: used as it is")
    elif not configured or known != wanted:
        stamp.unlink(missing_ok=True)
        _configure(context, wanted)
    log = STATE / "build.log"
    command = [context.interpreter.ninja, "-C", str(BUILD), f"-j{jobs()}", *_known(targets)]
    env = context.environment()
    begin = time.monotonic()
    if sys.stdout.isatty():
        status = subprocess.run([*command, "--quiet"] if _idle(command, env) else command, env=env).returncode
        if status:
            raise Stop(WRONG, f"the build failed (see above); to repeat it: {' '.join(command)}")
        return
    if not _idle(command, env):
        say("building")
    with log.open("w") as out:
        status = subprocess.run(command, env=env, stdout=out, stderr=subprocess.STDOUT).returncode
    if status:
        raise Stop(WRONG, f"the build failed; the end of {relative(log)}:\n{_tail(log, 60)}")
    if time.monotonic() - begin > 5:
        say(f"built in {time.monotonic() - begin:.0f} s")


def _idle(command: list[str], env: dict[str, str]) -> bool:
    return "no work to do" in subprocess.run([*command, "-n"], env=env, capture_output=True, text=True).stdout
