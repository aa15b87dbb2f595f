# SPDX-License-Identifier: MIT
"""One of several processes that share a report: which one it is, its device, its problems, what the others have done.

torchrun and Slurm's srun say by environment variables which process this is. The processes share nothing but the
report's folder: each writes a result file of its own there, touches a file while it lives, and leaves its status when
it has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from frontdoor import machine
from frontdoor.place import MISUSE, STATE, Stop

BEAT = 5.0  # seconds between two signs of life
SILENCE = 120.0  # after which a process counts as lost
SKEW = 60.0  # how far apart the processes may have been started


@dataclass
class Shard:
    rank: int
    world: int
    local_rank: int

    @property
    def name(self) -> str:
        return f"rank-{self.rank}-of-{self.world}"

    def other(self, rank: int) -> "Shard":
        return Shard(rank, self.world, 0)


def here(environment: dict[str, str] | None = None) -> Shard | None:
    """This process's part; None where it has all to itself. Raises Stop where the variables make no sense."""
    env = os.environ if environment is None else environment
    for rank, world, local in (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # srun; a batch script itself has no step
    ):
        if rank not in env or world not in env:
            continue
        values = [env[rank], env[world], env.get(local, env[rank])]
        if not all(value.isdigit() for value in values) or int(values[0]) >= int(values[1]):
            raise Stop(MISUSE, f"report: {rank}={values[0]} and {world}={values[1]} name no process of a group")
        return Shard(*map(int, values)) if int(values[1]) > 1 else None
    return None


def bus_id(gpu: str) -> str:
    """PCI address of a GPU as nvidia-smi tells it; "" where it does not. Slurm may call each process's GPU number 0."""
    command = ["nvidia-smi", "--query-gpu=pci.bus_id", "--format=csv,noheader", "-i", gpu]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def own_device(shard: Shard, device: str) -> tuple[str, str]:
    """Binds this process to its device, by the environment and affinity that what it starts inherits.

    Returns its name for people, and what no two processes may have in common ("" where that is not known).
    """
    host = socket.gethostname()
    if device != "cpu" and machine.have_driver():
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        visible = given.split(",") if given else [str(n) for n in range(len(machine.capabilities()))]
        local_world = os.environ.get("LOCAL_WORLD_SIZE", "")
        bound = len(visible) == 1 and not local_world  # srun has bound it already
        if not bound and (shard.local_rank >= len(visible) or (local_world and int(local_world) > len(visible))):
            raise Stop(MISUSE, f"report: process {shard.local_rank} of this machine has no GPU: {len(visible)} are "
                               "visible; start one process a GPU")  # fmt: skip
        mine = visible[0] if bound else visible[shard.local_rank]
        os.environ["CUDA_VISIBLE_DEVICES"] = mine
        address = bus_id(mine)
        return f"GPU {mine} of {host}", f"{host} {address}" if address else ""
    cores = sorted(os.sched_getaffinity(0))
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE") or shard.world)
    if sharing > len(cores):
        raise Stop(MISUSE, f"report: {sharing} processes on this machine and {len(cores)} cores")
    mine = cores[shard.local_rank * len(cores) // sharing : (shard.local_rank + 1) * len(cores) // sharing]
    os.sched_setaffinity(0, mine)
    return f"cores {','.join(map(str, mine))} of {host}", ""


def partition(keys: list[str], world: int) -> list[list[str]]:
    """Problems "mode:padding:BxCxHxW" for each process; a problem's keys stay together, the largest is dealt first."""
    weights: dict[str, float] = {}
    for key in keys:
        problem = ":".join(key.split(":")[2:5])
        elements = 1.0
        for size in problem.split(":")[2].split("x"):
            elements *= int(size)
        weights[problem] = weights.get(problem, 0.0) + elements + 1e6  # small problems take their time too
    parts: list[list[str]] = [[] for _ in range(world)]
    loads = [0.0] * world
    for problem in sorted(weights, key=lambda p: (-weights[p], p)):
        least = loads.index(min(loads))
        parts[least].append(problem)
        loads[least] += weights[problem]
    return parts


def filter_of(problems: list[str], user_filter: str) -> str:
    """One regular expression (ECMAScript's and Python's) for what the user's finds, of these problems alone."""
    wanted = f"(?=.*(?:{user_filter}))" if user_filter else ""
    return f"^{wanted}[^:]+:[^:]+:(?:{'|'.join(map(re.escape, problems))}):"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Set-up and build, which processes of one folder must not do at once."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "shard.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Board:
    """What the processes tell each other, in a folder that all of them see."""

    def __init__(self, folder: Path, shard: Shard):
        self.folder, self.shard = folder, shard
        folder.mkdir(parents=True, exist_ok=True)
        self._stop = threading.Event()
        self._done(shard).unlink(missing_ok=True)
        self._alive(shard).touch()
        os.utime(self._alive(shard))
        self.begin = self._alive(shard).stat().st_mtime  # by the clock of the folder
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def samples(self, shard: Shard) -> Path:
        return self.folder / f"{shard.name}.jsonl"

    def _done(self, shard: Shard) -> Path:
        return self.folder / f"{shard.name}.done.json"

    def _alive(self, shard: Shard) -> Path:
        return self.folder / f"{shard.name}.alive"

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                os.utime(self._alive(self.shard))
            except OSError:
                pass  # a full disk or a folder that went away shows elsewhere

    def end(self, status: int, where: str, measured: bool, device: str = "") -> None:
        """Leaves this process's status for the first one."""
        self._stop.set()
        self._alive(self.shard).unlink(missing_ok=True)
        part = self._done(self.shard).with_suffix(".part")
        part.write_text(json.dumps({"status": status, "where": where, "measured": measured, "device": device}))
        part.replace(self._done(self.shard))

    def wait_for(self, rank: int, told: Callable[[str], None], silence: float = SILENCE) -> dict | None:
        """What process `rank` left; None if it gives no sign of life any more."""
        other = self.shard.other(rank)
        seen, since, next_word = None, time.monotonic(), time.monotonic() + 10
        while True:
            try:
                if self._done(other).stat().st_mtime >= self.begin - SKEW:
                    return json.loads(self._done(other).read_text())
            except (OSError, ValueError):
                pass
            try:
                beat = self._alive(other).stat().st_mtime
            except OSError:
                beat = None
            now = time.monotonic()
            if beat != seen:
                seen, since = beat, now
            if now - since > silence:
                return None
            if now >= next_word:
                told(f"waiting for rank {rank} of {self.shard.world}")
                next_word = now + 30
            time.sleep(0.2)
