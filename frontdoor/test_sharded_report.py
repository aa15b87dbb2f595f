# SPDX-License-Identifier: MIT
"""A report by several processes: who is who, who takes what, one result file from all; and two of them by torchrun."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frontdoor import machine, shard
from frontdoor.place import Stop
from frontdoor.shard import Board, Shard, filter_of, here, own_device, partition
from reports.assemble import assemble
from reports.merge import merge
from reports.stream import Damaged, read

ROOT = Path(__file__).resolve().parent.parent
SMOKE = ROOT / "reports" / "testdata" / "smoke.jsonl"


def test_who_this_is():
    assert here({}) is None
    assert here({"RANK": "2", "WORLD_SIZE": "8", "LOCAL_RANK": "2"}) == Shard(2, 8, 2)
    assert here({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"}) == Shard(5, 8, 1)
    assert here({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}) is None
    # A batch script that does not go through srun: one process, whatever was allocated.
    assert here({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"}) is None
    with pytest.raises(Stop, match="RANK=8 and WORLD_SIZE=8"):
        here({"RANK": "8", "WORLD_SIZE": "8", "LOCAL_RANK": "0"})


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(machine, "have_driver", lambda: True)
    monkeypatch.setattr(machine, "capabilities", lambda: ("9.0",) * 4)
    monkeypatch.setattr(shard, "bus_id", lambda gpu: f"0000:{gpu}0:00.0")
    for name in ("CUDA_VISIBLE_DEVICES", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_each_process_has_its_own_gpu(four_gpus):
    four_gpus.setenv("LOCAL_WORLD_SIZE", "4")
    name, device = own_device(Shard(7, 8, 3), "auto")
    assert name.startswith("GPU 3 of ") and device.endswith(" 0000:30:00.0")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    four_gpus.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    four_gpus.setenv("LOCAL_WORLD_SIZE", "2")
    own_device(Shard(1, 2, 1), "cuda")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"


def test_a_gpu_that_slurm_has_bound_stays(four_gpus):
    four_gpus.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert own_device(Shard(2, 4, 2), "auto")[0].startswith("GPU 2 of ")


def test_two_processes_never_share_a_gpu(four_gpus):
    four_gpus.setenv("LOCAL_WORLD_SIZE", "5")
    with pytest.raises(Stop, match="4 are visible; start one process a GPU"):
        own_device(Shard(0, 5, 0), "auto")


KEYS = [
    f"cuda:{row}:{mode}:{padding}:{size}:{clock}"
    for size in ("1x3x64x64", "1x3x512x512", "16x3x1080x1920", "5x1x1500x1500")
    for padding in ("same", "valid")
    for mode in ("infer", "train")
    for row in ("production", "naive", "pytorch_mssim")
    for clock in ("cold", "hot")
]


@pytest.mark.parametrize("world", [1, 2, 3, 8, 20])
def test_each_problem_is_taken_once(world):
    parts = partition(KEYS, world)
    taken = [problem for part in parts for problem in part]
    assert len(parts) == world and sorted(taken) == sorted({":".join(key.split(":")[2:5]) for key in KEYS})
    # The four largest problems are spread as far as there are processes.
    largest = [sum("16x3x1080x1920" in problem for problem in part) for part in parts]
    assert max(largest) == -(-4 // world) if world <= 4 else max(largest) == 1


@pytest.mark.parametrize("wanted", ["", ":(production|naive):train:", "^cuda:naive|:hot$", "512x512:cold"])
def test_filter_is_the_users_on_those_problems(wanted):
    found = [
        key for part in partition(KEYS, 3) for key in KEYS if re.search(filter_of(part, wanted), key)
    ]
    assert sorted(found) == sorted(key for key in KEYS if re.search(wanted, key)) and found


@pytest.fixture
def parts(tmp_path) -> dict[Path, str]:
    """The recorded run, as two processes would have made it: one padding each."""
    files = {}
    for rank, padding in enumerate(("same", "valid")):
        path = tmp_path / f"rank-{rank}-of-2.jsonl"
        lines = SMOKE.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if json.loads(line).get("padding", padding) == padding))
        files[path] = f"GPU {rank} of node, rank {rank}"
    return files


def test_merged_is_as_if_one_had_measured_all(parts, tmp_path):
    merge(parts, ":infer:", tmp_path / "all.jsonl")
    merged, whole = read(tmp_path / "all.jsonl"), read(SMOKE)
    assert merged.rows.keys() == whole.rows.keys() and merged.samples.keys() == whole.samples.keys()
    for key, rounds in whole.samples.items():
        assert sorted(merged.samples[key].values()) == sorted(rounds.values())
    processes = [run["process"] for run in merged.runs]
    assert processes == sorted(set(processes)) and len(processes) == 2 * len(whole.runs)
    assert not merged.interrupted and {run["filter"] for run in merged.runs} == {":infer:"}
    name = whole.environment["device_name"]
    for row in assemble(merged)["rows"]:
        rank = ["same", "valid"].index(row["padding"])
        assert row["unit"] == f"{name}, GPU {rank} of node, rank {rank}"
    without = [[{k: v for k, v in row.items() if k != "unit"} for row in assemble(r)["rows"]] for r in (merged, whole)]
    assert without[0] == without[1]
    assert merged.environment["devices"].count(name) == 2


def test_a_killed_part_shows(parts, tmp_path):
    first = next(iter(parts))
    lines = first.read_text().splitlines(keepends=True)
    first.write_text("".join(lines[:-1]) + lines[-1][:20])
    merge(parts, "", tmp_path / "all.jsonl")
    assert read(tmp_path / "all.jsonl").interrupted


def test_what_is_not_merged(parts, tmp_path):
    first, second = parts
    text = second.read_text()
    second.write_text(first.read_text())
    with pytest.raises(Damaged, match="each problem belongs into one file"):
        merge(parts, "", tmp_path / "all.jsonl")
    other = [json.loads(line) for line in text.splitlines()]
    for record in other:
        if record["type"] == "run":
            record["environment"]["device_name"] = "another one"
    second.write_text("".join(json.dumps(record) + "\n" for record in other))
    with pytest.raises(Damaged, match="do not belong into one report: device_name is .* and another one"):
        merge(parts, "", tmp_path / "all.jsonl")
    assert not (tmp_path / "all.jsonl").exists()


def test_board(tmp_path, monkeypatch):
    monkeypatch.setattr(shard, "BEAT", 0.1)
    told = []
    other = Board(tmp_path, Shard(1, 2, 1))
    other.end(1, "here", True)
    first = Board(tmp_path, Shard(0, 2, 0))
    assert first.wait_for(1, told.append) == {"status": 1, "where": "here", "measured": True, "device": ""}
    done = tmp_path / "rank-1-of-2.done.json"
    os.utime(done, (time.time() - 3600,) * 2)  # left from an earlier report
    assert first.wait_for(1, told.append, silence=0.5) is None
    again = Board(tmp_path, Shard(1, 2, 1))
    assert not done.exists()
    again.end(0, "there", False)
    assert first.wait_for(1, told.append, silence=0.5)["where"] == "there"


def test_two_ranks_on_one_gpu_are_no_report(tmp_path):
    from argparse import Namespace

    from frontdoor.sharded_report import _one_report

    boards = [Board(tmp_path, Shard(rank, 2, rank)) for rank in (1, 0)]
    for board in boards:
        board.end(0, "GPU 0 of node", True, "node 0000:1B:00.0")
    with pytest.raises(Stop, match="ranks 0 and 1 were on one GPU, node 0000:1B:00.0"):
        _one_report(Namespace(out=tmp_path, filter=""), boards[1], 0, lambda *_: "")


@pytest.fixture
def by_torchrun(tmp_path) -> list[str]:
    """The command of a report by two processes on the CPU, less what it is to measure."""
    pytest.importorskip("torch", reason="torch is not installed")
    if not (ROOT / "build" / "bench" / "ssim_bench").exists():
        pytest.skip("the benchmark was not built")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two cores are needed for two processes")
    # As --standalone, which asks for the host's name: a bare Debian does not know its own.
    here = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    launch = [sys.executable, "-m", "torch.distributed.run", *here, "--no-python", "--nproc-per-node", "2"]
    return [*launch, str(ROOT / "suite"), "report", "--out", str(tmp_path)]


SMOKE_CPU = ["--set", "smoke", "--device", "cpu", "--filter"]


def test_two_processes_by_torchrun(by_torchrun, tmp_path):
    command = [*by_torchrun, *SMOKE_CPU, ":(production|reference):infer:(same|valid):1x1x64x64:"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=tmp_path)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert {(row["name"], row["padding"]) for row in report["rows"]} == {
        (name, padding) for name in ("production", "reference") for padding in ("same", "valid")
    }
    units = {row["padding"]: row["unit"] for row in report["rows"]}
    assert sorted(unit[-6:] for unit in units.values()) == ["rank 0", "rank 1"]
    assert all(unit.startswith(report["environment"]["device_name"]) for unit in units.values())
    text = (tmp_path / "report.md").read_text()
    assert all(f"({unit})" in text for unit in units.values())


def process_of_rank(rank: int, folder: Path) -> int:
    """The front door's process that torchrun started as this rank of the report into `folder`."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments, environment = ((process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:
            continue
        if {b"report", bytes(folder)} <= {*arguments} and b"RANK=%d" % rank in environment:
            return int(process.name)
    raise AssertionError(f"no process of rank {rank}")


def test_a_process_killed_in_the_middle(by_torchrun, tmp_path):
    """torchrun then ends the other one, and kills it half a minute later: the report of what it has must be there by
    then. --resume measures the rest."""
    log = tmp_path / "log"
    with log.open("w") as out:
        command = [*by_torchrun, *SMOKE_CPU, ":(production|reference):"]
        launcher = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=tmp_path)
        try:
            samples = [tmp_path / "ranks" / f"rank-{rank}-of-2.jsonl" for rank in (0, 1)]
            deadline = time.monotonic() + 200
            while not all(path.exists() and '"type":"row"' in path.read_text() for path in samples):
                assert launcher.poll() is None and time.monotonic() < deadline, log.read_text()[-4000:]
                time.sleep(0.1)
            os.kill(process_of_rank(1, tmp_path), signal.SIGKILL)
            assert launcher.wait(100) != 0
        finally:
            launcher.kill()
    text = log.read_text()
    assert "rank 1 gave no sign of life" in text and "with --resume" in text, text[-4000:]
    before = json.loads((tmp_path / "report.json").read_text())
    assert {row["unit"][-6:] for row in before["rows"]} == {"rank 0"}
    done = subprocess.run([*by_torchrun, "--resume"], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    after = json.loads((tmp_path / "report.json").read_text())
    assert {row["unit"][-6:] for row in after["rows"]} == {"rank 0", "rank 1"}
    assert len(after["rows"]) == 16 and not after["interrupted"]
