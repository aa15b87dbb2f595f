# SPDX-License-Identifier: MIT
"""ssim_bench from outside: exit statuses and messages, the result file, interruption and resumption.

The program is $SSIM_BENCH. Everything runs on the CPU with the smallest shapes.
"""
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

PROGRAM = os.environ.get("SSIM_BENCH", str(Path(__file__).resolve().parents[1] / "build/bench/ssim_bench"))
SETS = {
    "schema": 1,
    "sets": {
        "own": {
            "cpu": {
                "seconds": {"best": 20, "stock": 20},
                "half_width": 0.2,
                "max_cap": 2,
                "blocks": [{"shapes": ["1x1x16x16"]}],
            }
        },
        # Never converges, so that there is time to interrupt it.
        "slow": {
            "cpu": {
                "seconds": {"best": 40, "stock": 5},
                "half_width": 1e-9,
                "max_cap": 0.5,
                "blocks": [{"shapes": ["1x1x32x32"], "rows": "reference|production"}],
            }
        },
    },
}
KEY = ("name", "device", "mode", "padding", "batch", "channels", "height", "width", "clock")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "sets.json"
    path.write_text(json.dumps(SETS))
    return str(path)


def run(*arguments, timeout=120, **more):
    # One thread unless a test says otherwise: with more, a busy machine would decide what converges.
    threads = [] if "--threads" in arguments or "--help" in arguments else ["--threads", "1"]
    device = [] if "--device" in arguments else ["--device", "cpu"]
    command = [PROGRAM, *device, *threads, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **more)


def records(path, kind=None):
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return [line for line in lines if kind is None or line["type"] == kind]


def key(record):
    return tuple(record[field] for field in KEY)


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["--bogus"], 2, r"unknown argument '--bogus'"),
        (["--set", "huge"], 2, r"no set 'huge'; there are: smoke, gate, claim, sweep"),
        (["--filter", "("], 2, r"--filter: '\(' is no regular expression"),
        (["--filter", "nothing-like-it"], 2, r"'nothing-like-it' matches none of the keys"),
        (["--benchmark_filter=nothing-like-it"], 2, r"'nothing-like-it' matches none of the keys"),
        (["--benchmark_bogus=1"], 2, r"unknown argument '--benchmark_bogus=1'"),
        (["--device", "tpu"], 2, r"--device: 'tpu' is none of auto, cpu, cuda"),
        (["--settings", "worst"], 2, r"'worst' is none of best, stock"),
        (["--clock", "sun"], 2, r"'sun' is none of wall, cold, hot, graph"),
        (["--resume"], 2, r"--resume needs --out"),
        (["--seconds", "-1"], 2, r"--seconds must be above 0"),
        (["--offset", "6"], 2, r"--offset: 6 is none of 0, 4, 8, 12"),
        (["--offset", "4", "--upstream-protocol"], 2, r"--offset goes with a set or --profile"),
        (["--threads", "-1"], 2, r"--threads: -1 must be 0"),
        (["--out", "/nonexistent-folder/x.jsonl"], 2, r"cannot write /nonexistent-folder/x.jsonl"),
        (["--out", "/"], 2, r"is a folder"),
        (["--mode", "train"], 2, r"--mode goes with --profile"),
        (["--calls", "3"], 2, r"--calls goes with --profile"),
        (["--profile", "reference", "--calls", "0"], 2, r"--calls: 0 must be 1 to 1000000"),
        (["--spin", "0.1"], 2, r"--spin needs --spin-key"),
        (["--spin-key", "x"], 2, r"--spin-key needs --spin"),
        (["--spin-key", "x", "--spin", "-1"], 2, r"--spin: -1.0* must be 0 to 10"),
        (["--calibrate", "0"], 2, r"--calibrate: 0.0* must be above 0"),
        (["--calibrate", "1", "--upstream-protocol"], 2, r"exclude each other"),
        (["--profile", "nobody"], 2, r"no row 'nobody' on device cpu; there are: .*reference"),
        (["--profile", "reference", "--shape", "1x1x5x50", "--padding", "valid"], 2, r"height = 5 must be at least 11"),
        (["--profile", "reference", "--shape", "5x50"], 2, r"'5x50' is not of the form BxCxHxW"),
        (["--out", "x.jsonl", "--benchmark_repetitions=3"], 2, r"--benchmark_repetitions=3"),
    ],
)
def test_misuse_is_named(arguments, status, message, tmp_path):
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == status, result.stderr
    assert re.search(message, result.stderr), result.stderr
    assert not list(tmp_path.iterdir())


def test_help_and_list(sets):
    assert "Example:" in run("--help").stdout
    result = run("--set", "own", "--sets-file", sets, "--list")
    assert result.returncode == 0
    lines = result.stdout.split()
    assert "cpu:reference:train:valid:1x1x16x16:wall" in lines
    assert len(lines) == len(set(lines))
    assert all(re.fullmatch(r"cpu:\w+:(infer|train):(same|valid):1x1x16x16:wall", line) for line in lines)


def test_cuda_without_a_card_cannot_run():
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    result = run("--device", "cuda", "--set", "smoke", env=hidden)
    assert result.returncode == 77, result.stderr
    assert "cannot run here" in result.stderr


def test_a_run_from_begin_to_end(sets, tmp_path):
    out = tmp_path / "own.jsonl"
    result = run("--set", "own", "--sets-file", sets, "--filter", "reference|production", "--out", out)
    assert result.returncode == 0, result.stderr
    everything = records(out)
    assert everything[0]["type"] == "run" and everything[0]["schema"] == 1
    end = everything[-1]
    assert end.pop("spent_s") > 0 and end == {"type": "end", "process": 1, "interrupted": False}
    environment = everything[0]["environment"]
    for field in ("device", "device_name", "compiler", "flags", "threads", "cpu", "commit", "dirty", "binary", "date"):
        assert field in environment
    (ceilings,) = records(out, "ceilings")
    assert ceilings["copy_gb_s"] > 0 and ceilings["fma_gflop_s"] > 0
    rows = records(out, "row")
    assert len(rows) == 8 == len({key(row) for row in rows})
    for row in rows:
        assert row["verified"] and row["error"] is None
        assert row["converged"] or row["unmet"]  # a noisy machine may not converge, but then the row says what it lacks
        assert row["ci_low"] <= row["seconds"] <= row["ci_high"]
        mine = [line for line in records(out, "samples") if key(line) == key(row)]
        seconds = sorted(s for line in mine for s in line["seconds"])
        assert len(seconds) == row["samples"] >= 32
        assert seconds[0] <= row["seconds"] <= seconds[-1]
        assert len({line["round"] for line in mine}) == len(mine) == row["rounds"] >= 5
        assert ("gradient_error" in row["verdict"]) == (row["mode"] == "train")
    assert "ps/element" in result.stdout

    again = run("--set", "own", "--sets-file", sets, "--filter", "reference|production", "--out", out)
    assert again.returncode == 2 and "holds results already" in again.stderr
    resumed = run("--set", "own", "--sets-file", sets, "--filter", "reference|production", "--out", out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert len(records(out, "row")) == 8 and not [s for s in records(out, "samples") if s["process"] == 2]

    # The other pass of a report goes into the same file.
    stock = run("--set", "own", "--sets-file", sets, "--filter", "reference|production", "--out", out, "--resume",
                "--settings", "stock")
    assert stock.returncode == 0, stock.stderr
    mine = [row for row in records(out, "row") if row["settings"] == "stock"]
    assert {row["name"] for row in mine} == {"production"} and len(mine) == 4

    other = run("--set", "own", "--sets-file", sets, "--out", out, "--resume", "--threads", "2")
    assert other.returncode == 2 and "threads was 1 and is 2" in other.stderr


def start_slow(sets, out, *more):
    command = [PROGRAM, "--device", "cpu", "--threads", "1", "--set", "slow", "--sets-file", sets, "--out", str(out)]
    return subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for_rows(out, count):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if out.exists() and sum('"type":"row"' in line for line in out.read_text().splitlines()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("no row was finished")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_goes_on_and_measures_nothing_twice(sets, tmp_path, how):
    out = tmp_path / "slow.jsonl"
    process = start_slow(sets, out)
    wait_for_rows(out, 2)
    time.sleep(0.3)  # into the middle of the next problem
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    first = [line for line in out.read_text().splitlines() if line.endswith("}")]
    finished = {key(r) for r in map(json.loads, first) if r["type"] == "row"}
    assert 2 <= len(finished) < 8
    if how != signal.SIGKILL:
        assert process.returncode == 130, errors
        end = json.loads(first[-1])
        assert end.pop("spent_s") > 0 and end == {"type": "end", "process": 1, "interrupted": True}
        assert "--resume goes on" in errors

    result = run("--set", "slow", "--sets-file", sets, "--out", out, "--resume")
    assert result.returncode == 0, result.stderr
    rows = Counter(key(row) for row in records(out, "row"))
    assert len(rows) == 8 and set(rows.values()) == {1}
    second = [line for line in records(out, "samples") if line["process"] == 2]
    assert not finished & {key(line) for line in second}
    assert [run["process"] for run in records(out, "run")] == [1, 2]
    # Samples of the first process count for the rows that it had begun.
    for row in records(out, "row"):
        seconds = [s for line in records(out, "samples") if key(line) == key(row) for s in line["seconds"]]
        assert len(seconds) == row["samples"]


def test_images_off_alignment_are_verified_timed_and_named(sets, tmp_path):
    out = tmp_path / "own.jsonl"
    base = ("--set", "own", "--sets-file", sets, "--filter", "(production|reference):", "--out", out)
    assert run(*base, "--offset", "12").returncode == 0
    assert records(out, "run")[0]["environment"]["offset_bytes"] == 12
    rows = records(out, "row")
    assert len(rows) == 8 and all(row["verified"] and row["seconds"] > 0 for row in rows)
    again = run(*base, "--resume")  # of aligned images: another run
    assert again.returncode == 2 and "offset_bytes was 12 and is null" in again.stderr, again.stderr


def test_candidates_are_rows_that_production_may_run(sets, tmp_path):
    out = tmp_path / "own.jsonl"
    assert run("--set", "own", "--sets-file", sets, "--filter", ":infer:same", "--out", out).returncode == 0
    known = {row["name"]: row["candidate"] for row in records(out, "row")}
    assert known["stream"] and not known["production"] and not known["reference"]
    listed = run("--set", "tune", "--list").stdout.split()
    names = {line.split(":")[1] for line in listed}
    assert names == {name for name in known if known[name]}


def test_a_damaged_file_is_refused(sets, tmp_path):
    out = tmp_path / "own.jsonl"
    base = ("--set", "own", "--sets-file", sets, "--filter", "production:infer:same", "--out", out)
    assert run(*base).returncode == 0
    whole = out.read_text()
    out.write_text(whole + '{"type":"samples","na')  # a kill's last line: no damage
    assert run(*base, "--resume").returncode == 0
    lines = whole.splitlines(keepends=True)
    for broken in (lines[:2] + ["{broken\n"] + lines[2:], lines[1:], ["\n"]):
        out.write_text("".join(broken))
        before = out.read_text()
        result = run(*base, "--resume")
        assert result.returncode == 2 and "damaged in line" in result.stderr, result.stderr
        assert out.read_text() == before


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="no /dev/full")
def test_a_full_disk_is_an_error(sets):
    result = run("--set", "own", "--sets-file", sets, "--filter", "production:infer:same", "--out", "/dev/full")
    assert result.returncode == 1 and "No space left" in result.stderr, result.stderr


def test_a_set_keeps_its_time(sets, tmp_path):
    """What the budget counts: how long the start and the ceilings take is the machine's affair."""
    out = tmp_path / "slow.jsonl"
    begin = time.monotonic()
    result = run("--set", "slow", "--sets-file", sets, "--seconds", "3", "--no-ceilings", "--out", out)
    assert result.returncode == 0, result.stderr
    (end,) = records(out, "end")
    assert 2 < end["spent_s"] < 3.5  # caps leave time over; a turn that has begun may end behind it
    assert end["spent_s"] < time.monotonic() - begin
    rows = records(out, "row")
    assert rows and all(not row["converged"] and "wanted" in row["unmet"] for row in rows)


def test_google_benchmark_flags_pass_through(sets, tmp_path):
    out = tmp_path / "google.json"
    result = run("--set", "own", "--sets-file", sets, "--benchmark_filter=production:infer:same",
                 "--benchmark_repetitions=2", f"--benchmark_out={out}", "--benchmark_out_format=json")
    assert result.returncode == 0, result.stderr
    report = json.loads(out.read_text())
    assert report["context"]["ssim_device"] == "cpu" and report["context"]["ssim_threads"]
    runs = [b for b in report["benchmarks"] if b["run_type"] == "iteration"]
    assert [b["name"] for b in runs] == ["cpu:production:infer:same:1x1x16x16:wall/manual_time"] * 2
    assert all(b["samples"] >= 32 and b["iterations"] == 1 for b in runs)
    assert runs[0]["real_time"] != runs[1]["real_time"]  # a repetition measures anew


def test_ceilings_can_be_left_out(sets, tmp_path):
    out = tmp_path / "own.jsonl"
    one = ["--set", "own", "--sets-file", sets, "--filter", "production:infer:same"]
    result = run(*one, "--no-ceilings", "--out", out)
    assert result.returncode == 0, result.stderr
    assert not records(out, "ceilings") and len(records(out, "row")) == 1


def test_calibration(tmp_path):
    out = tmp_path / "calibration.jsonl"
    result = run("--calibrate", "1", "--out", out)
    assert result.returncode == 0, result.stderr
    assert [line["type"] for line in records(out)] == ["run", "calibration", "end"]
    (record,) = records(out, "calibration")
    assert record["key"].startswith("cpu:production:train:same")
    assert 0 < record["resolution"][0]["step_s"] < 1e-4
    medians = record["drift"]["medians_s"]
    middle = sorted(medians)[len(medians) // 2] if len(medians) % 2 else sum(sorted(medians)[:2]) / 2
    assert record["drift"]["largest"] == pytest.approx(max(abs(m - middle) for m in medians) / middle)


def test_the_published_protocol_is_labelled(tmp_path):
    out = tmp_path / "upstream.jsonl"
    result = run("--upstream-protocol", "--filter", "production:.*:same:5x1x128x128", "--out", out)
    assert result.returncode == 0, result.stderr
    assert "the published benchmark's own protocol" in result.stdout
    (record,) = records(out, "upstream")
    assert record["name"] == "production" and record["batch"] == 5 and record["loop"] == 100
    assert record["backward_s"] == pytest.approx(record["training_s"] - record["forward_s"])
    assert not records(out, "row")
    nothing = run("--upstream-protocol", "--filter", "1x3x7x7")
    assert nothing.returncode == 0 and "matches none of its keys" in nothing.stderr


def test_profile_prints_no_time(sets):
    result = run("--profile", "production", "--shape", "1x3x64x64", "--mode", "infer", "--padding", "valid")
    assert result.returncode == 0, result.stderr
    profiled, model = result.stdout.splitlines()
    assert profiled == "profiled cpu:production:infer:valid:1x3x64x64"
    assert json.loads(model.removeprefix("model "))["fma"] > 0


def test_progress_is_one_line_on_a_terminal(sets, tmp_path):
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal can be had: {error}")
    command = [PROGRAM, "--device", "cpu", "--set", "own", "--sets-file", sets, "--filter", "production:infer:same"]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
        os.close(theirs)
        text = b""
        try:
            while part := terminal.read(65536):
                text += part
        except OSError:  # Linux says so when the other side has closed the terminal
            pass
        assert process.wait(timeout=60) == 0
    assert b"\r\x1b[K[0/1] at most" in text
