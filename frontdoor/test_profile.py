# SPDX-License-Identifier: MIT
"""./suite profile around stand-ins for Nsight Compute and perf: what is run, what is read, what is said."""

import argparse
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from frontdoor import commit, perf
from frontdoor.commands import profile
from frontdoor.place import BUILD, Stop

STALL = "smsp__average_warps_issue_stalled_{}_per_issue_active.ratio"
RAW = "\n".join(
    [
        '"ID","Kernel Name","gpu__time_duration.sum","dram__bytes_read.sum","dram__bytes_write.sum",'
        '"smsp__issue_active.avg.pct_of_peak_sustained_active",'
        f'"{STALL.format("long_scoreboard")}","{STALL.format("barrier")}","{STALL.format("selected")}"',
        '"","","usecond","Mbyte","Mbyte","%","","",""',
        '"0","forward(float)","10","50","25","85","1","3","9"',
    ]
)
SOURCE = '"#","Source","Warp Stall Sampling (All Samples)"\n"7","sum  += a * b;","30"\n"9","load(x);","10"\n"","",""\n'
NCU = """#!{python}
import sys
arguments = sys.argv[1:]
if "--import" in arguments:
    print({raw!r} if "raw" in arguments else {source!r})
    sys.exit(0)
if {message!r}:
    print({message!r})
    sys.exit({status})
open(arguments[arguments.index("--export") + 1], "w").write("report")
print('profiled cuda:stream\\nmodel {{"dram_bytes": 74649600.0, "fma": 1.0, "launches": 1}}')
"""


class Context:
    python = sys.executable

    def environment(self):
        return dict(os.environ)


def install(monkeypatch, folder: Path, message: str = "", status: int = 1, program: str = profile.KERNELS) -> None:
    tool = folder / "ncu"
    tool.write_text(NCU.format(python=sys.executable, raw=RAW, source=SOURCE, message=message, status=status))
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(profile, "profiler", lambda name="ncu": str(tool) if name == "ncu" else None)
    monkeypatch.setattr(profile, "_program", lambda context, row, device: BUILD / program)
    monkeypatch.setattr(profile, "_rows", lambda context, program, settings="best": ["stream"])


def arguments(folder: Path, **more):
    values = {"row": "stream", "all": False, "resume": False, "timeline": False, "device": "cuda",
              "shape": "1x3x1080x1920", "mode": "train", "padding": "same", "out": folder}  # fmt: skip
    return argparse.Namespace(**{**values, **more})


def test_one_row(monkeypatch, tmp_path, capsys):
    install(monkeypatch, tmp_path)
    assert profile.run(arguments(tmp_path), Context()) == 0
    out = capsys.readouterr().out
    assert "--nvtx-include ssim@stream:1x3x1080x1920-train-same:profile/" in out and "--clock-control none" in out
    assert "duration                           10 us" in out
    assert "all 1 launches: 12.1; the row's cost model says 12" in out
    assert "75 % of stall samples at: line 7: sum += a * b;" in out
    assert "forward is limited by issue slots, 85 % of which it uses." in out
    assert "stalled: barrier                   75 % of all waiting" in out and "selected" not in out


def test_rows_of_libtorch_count_the_launches_of_autograds_own_thread(monkeypatch, tmp_path, capsys):
    install(monkeypatch, tmp_path, program=profile.ALL)
    assert profile.run(arguments(tmp_path), Context()) == 0
    out = capsys.readouterr().out
    assert "--profile-from-start off" in out and "--nvtx-include" not in out
    assert "no lines with stall samples: for a row of LibTorch" in out


def test_a_source_page_that_says_nothing_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", "==WARNING== No source file found")
    install(monkeypatch, tmp_path)
    assert profile.run(arguments(tmp_path), Context()) == 0
    assert "no lines with stall samples: view cuda,sass: it says: ==WARNING== No source" in capsys.readouterr().out


def page_of(monkeypatch, folder: Path, dirty: bool = False) -> str:
    """profiles.md of every row, at commit 0123456789abcdef."""
    install(monkeypatch, folder)
    monkeypatch.setattr(commit, "identify", lambda: ("0123456789abcdef", dirty))
    monkeypatch.setattr(profile, "_card", lambda: "Example card, 580.1")
    assert profile.run(arguments(folder, row=None, all=True), Context()) == 0
    return (folder / "profiles.md").read_text()


def test_all_rows_make_a_page_that_names_its_commit(monkeypatch, tmp_path):
    page = page_of(monkeypatch, tmp_path)
    assert page.count("Commit 0123456789abcdef.") == 2 and "## stream, infer" in page and "## stream, train" in page
    assert "| duration, us | 10 |" in page and "top stalls, part of all waiting | barrier 75 %" in page
    assert str(tmp_path) not in page
    record = json.loads((tmp_path / "profiles.json").read_text())
    assert record["card"] == "Example card, 580.1"
    assert record["profiles"][0] == {"name": "stream", "mode": "infer", "padding": "same", "shape": "1x3x1080x1920",
                                     "commit": "0123456789abcdef", "dram_bytes": pytest.approx(75e6 / 6220800),
                                     "issue": 85.0}  # fmt: skip


def test_resume_keeps_what_the_page_holds_with_its_commit(monkeypatch, tmp_path):
    whole = page_of(monkeypatch, tmp_path, dirty=True)
    monkeypatch.setattr(profile, "_rows", lambda context, program, settings="best": ["naive", "stream"])
    monkeypatch.setattr(commit, "identify", lambda: ("fedcba9876543210", False))
    ran, once = [], profile._profile
    monkeypatch.setattr(profile, "_profile", lambda c, a, row, mode, shape: (
        ran.append((row, mode)) or once(c, a, row, mode, shape)))  # fmt: skip

    again = arguments(tmp_path, row=None, all=True, resume=True)
    assert profile.run(again, Context()) == 0 and ran == [("naive", "infer"), ("naive", "train")]
    page = (tmp_path / "profiles.md").read_text()
    kept = whole[whole.index("## stream, infer") :]
    assert page.endswith(kept) and page.index("## naive, train") < page.index("## stream, infer")
    record = json.loads((tmp_path / "profiles.json").read_text())
    assert [(p["name"], p["commit"]) for p in record["profiles"]] == [
        *[("naive", "fedcba9876543210")] * 2, *[("stream", "0123456789abcdef-dirty")] * 2]  # fmt: skip

    ran.clear()  # of another card nothing is kept
    monkeypatch.setattr(profile, "_card", lambda: "Other card, 580.1")
    assert profile.run(again, Context()) == 0 and len(ran) == 4
    assert "0123456789abcdef" not in (tmp_path / "profiles.md").read_text()


def test_a_baseline_is_profiled_on_one_image_of_the_batch(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path)
    monkeypatch.setattr(profile, "BUILD", tmp_path)
    (tmp_path / profile.KERNELS).parent.mkdir()
    (tmp_path / profile.KERNELS).touch()
    has = {("best", profile.ALL): ["tiled", "operator", "naive_conv"], ("best", profile.KERNELS): ["tiled"],
           ("stock", profile.ALL): ["tiled", "naive_conv"]}  # fmt: skip
    monkeypatch.setattr(profile, "_rows", lambda context, program, settings="best": has[
        settings, str(program.relative_to(tmp_path))])  # fmt: skip
    every = arguments(tmp_path, row=None, all=True, shape="16x3x8x9")
    assert profile.run(every, Context()) == 0
    record = json.loads((tmp_path / "profiles.json").read_text())
    shapes = {entry["name"]: entry["shape"] for entry in record["profiles"]}
    assert shapes == {"tiled": "16x3x8x9", "operator": "16x3x8x9", "naive_conv": "1x3x8x9"}
    page = (tmp_path / "profiles.md").read_text()
    assert "16x3x8x9, of which baselines take one image" in page and "--shape 1x3x8x9" in page

    every.resume, ran = True, []
    monkeypatch.setattr(profile, "_profile", lambda *job: ran.append(job))
    assert profile.run(every, Context()) == 0 and not ran  # each is held at the shape that it is profiled at


def test_every_row_that_is_missing_in_the_page_has_its_reason(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path)
    monkeypatch.setattr(profile, "_card", lambda: "Example card, 580.1")
    monkeypatch.setattr(profile, "_rows", lambda context, program, settings="best": ["naive", "tensor", "stream"])
    once = profile._profile

    def some(context, args, row, mode, shape):
        if row == "naive":
            raise profile.Failed(77, "profile: ncu did not get through:\n==ERROR== out of memory\nmore")
        if row == "tensor" and mode == "train":
            raise profile.Unsupported("value only")
        if row == "stream" and mode == "train":
            raise KeyboardInterrupt
        return once(context, args, row, mode, shape)

    monkeypatch.setattr(profile, "_profile", some)
    every = arguments(tmp_path, row=None, all=True)
    with pytest.raises(KeyboardInterrupt):
        profile.run(every, Context())
    page = (tmp_path / "profiles.md").read_text()
    assert "## tensor, infer" in page and "## stream, infer" in page
    assert page.split("## Not profiled\n\n")[1].splitlines() == [
        "* naive, infer: ==ERROR== out of memory", "* naive, train: ==ERROR== out of memory",
        "* tensor, train: value only", "* stream, train: not reached yet, --resume goes on from here"]  # fmt: skip
    monkeypatch.setattr(profile, "_rows", lambda context, program, settings="best": ["naive", "tensor"])
    assert profile.run(every, Context()) == 1  # something was profiled, but not all that could be
    monkeypatch.setattr(profile, "_rows", lambda context, program, settings="best": ["naive"])
    assert profile.run(every, Context()) == 77


def test_the_page_says_what_became_of_the_timeline(monkeypatch, tmp_path):
    page = page_of(monkeypatch, tmp_path)
    assert "\nTimeline of a training loop: none, neither Nsight Systems nor torch.profiler" in page
    (tmp_path / "timeline.json.gz").write_bytes(b"")
    again = arguments(tmp_path, row=None, all=True, resume=True)
    assert profile.run(again, Context()) == 0  # nothing is left to profile, and yet
    assert "`timeline.json.gz`, a Chrome trace by torch.profiler, because Nsight Systems (nsys) is not installed." in (
        tmp_path / "profiles.md").read_text()  # fmt: skip
    told = "Timeline of a training loop: `timeline.json.gz`, a Chrome trace by torch.profiler, because nsys crashed."
    monkeypatch.setattr(profile, "_timeline", lambda context, args: told)
    for timeline in (True, False):  # --resume without --timeline keeps the sentence
        again.timeline = timeline
        assert profile.run(again, Context()) == 0 and told in (tmp_path / "profiles.md").read_text()


def test_resume_refuses_a_page_that_cannot_be_read(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path)
    (tmp_path / "profiles.json").write_text("{")
    (tmp_path / "profiles.md").write_text("")
    with pytest.raises(Stop, match="--resume: .* cannot be read") as stopped:
        profile.run(arguments(tmp_path, row=None, all=True, resume=True), Context())
    assert stopped.value.status == 2


@pytest.mark.parametrize(
    "message, status, expected, told",
    [
        ("==ERROR== ERR_NVGPUCTRPERM - no permission", 1, 77, "refuses performance counters"),
        ("==ERROR== something else", 1, 77, "did not get through"),
        ("error: cuda:stream is wrong: mean off", 1, 1, "is wrong"),
        ("ssim_bench: --profile: no row 'x' on device cuda", 2, 2, "no row 'x'"),
    ],
)
def test_refusals(monkeypatch, tmp_path, message, status, expected, told):
    install(monkeypatch, tmp_path, message, status)
    with pytest.raises(Stop) as stopped:
        profile.run(arguments(tmp_path), Context())
    assert stopped.value.status == expected and told in str(stopped.value)


PERF = """1000,,instructions:u,1,100.00,,
<not supported>,,cycles:u,0,100.00,,
30,,cache-misses:u,1,100.00,,
"""


def test_perf_is_the_difference_of_two_processes():
    once = perf.parse(PERF)
    assert once == {"instructions:u": 1000.0, "cache-misses:u": 30.0}
    text = perf.table(once, {"instructions:u": 41000.0, "cache-misses:u": 30.0}, 20, 100)
    assert "instructions                       20 per element" in text
    assert "cycles                    not counted" in text


def test_the_commands_that_perf_runs_are_printed(monkeypatch, tmp_path, capsys):
    tool, log = tmp_path / "perf", tmp_path / "log"
    tool.write_text(f'#!/bin/sh\necho "$0 $*" >> {log}\necho "1000,,instructions:u,1,100.00,," >&2\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(profile, "_program", lambda context, row, device: "true")
    assert profile.run(arguments(tmp_path, device="cpu", shape="1x3x64x64"), Context()) == 0
    told = [line.removeprefix("command: ") for line in capsys.readouterr().out.splitlines() if line.startswith("comm")]
    assert told == log.read_text().splitlines() and [line.split()[-1] for line in told] == ["1", "21"]


def test_perf_that_counts_nothing_is_refused(monkeypatch, tmp_path):
    tool = tmp_path / "perf"
    tool.write_text("#!/bin/sh\necho '<not supported>,,instructions:u,0,100.00,,' >&2\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(perf.Refused, match="counts nothing here: <not supported>"):
        perf.measure(["true"], dict(os.environ), 100)
    monkeypatch.setattr(perf.shutil, "which", lambda name: None)
    with pytest.raises(perf.Refused, match="not installed"):
        perf.measure(["true"], {}, 100)
