# SPDX-License-Identifier: MIT
"""Cliffs and the cost of misalignment: what is found in made figures, what small problems may take, what noise leaves
open, and that committed results have none."""

import json

import pytest

from reports import cliffs
from reports.example import Stream, key
from reports.readme import RESULTS
from reports.render import write

FIXED, RATE = 9e6, 3.5  # ps a call, ps an element: what a large card does


def figure(shape, ps=None, mode="infer", padding="same", clock="cold", name="production", offset=0, spread=3e-3, **kw):
    entry = key(name, shape, mode, padding, "cuda", clock)
    elements = entry["batch"] * entry["channels"] * entry["height"] * entry["width"]
    ps = RATE + FIXED / elements if ps is None else ps
    return entry | {"ps_per_element": ps, "ci_low": ps * (1 - spread), "ci_high": ps * (1 + spread),
                    "offset_bytes": offset, **kw}  # fmt: skip


SMOOTH = ["1x1x64x64", "1x3x128x128", "1x3x256x256", "1x3x512x512", "1x3x720x1280", "1x3x1080x1920", "1x3x2160x3840",
          "1x1x1080x1920", "1x4x1080x1920", "2x3x1080x1920", "4x3x1080x1920", "16x3x1080x1920"]  # fmt: skip


def found(entries):
    return [(p.kind, f"{p.a['batch']}x{p.a['channels']}x{p.a['height']}x{p.a['width']}") for p in judge(entries).found]


def judge(entries):
    return cliffs.judge(entries, "production")


def test_a_fixed_cost_and_a_rate_make_no_cliff():
    judged = judge([figure(shape) for shape in SMOOTH])
    assert not judged.found and not judged.unclear
    assert {p.kind for p in judged.pairs} == {"resolution", "batch", "channels"}
    assert judged.verdict()[0].startswith("cliffs: none in ")
    # By time per element alone the small ones would be: 64x64 takes 2200 ps, 512x512 15, 1080x1920 5.
    assert any(p.a["ps_per_element"] > 1.5 * p.b["ps_per_element"] for p in judged.pairs)


@pytest.mark.parametrize(
    "shape, factor", [("1x3x512x512", 1.8), ("1x3x720x1280", 1.8), ("1x3x2160x3840", 1.6), ("4x3x1080x1920", 1.7)]
)
def test_a_cliff_is_found_at_every_size(shape, factor):
    entries = [figure(s) for s in SMOOTH]
    for entry in entries:
        if f"{entry['batch']}x{entry['channels']}x{entry['height']}x{entry['width']}" == shape:
            for field in ("ps_per_element", "ci_low", "ci_high"):
                entry[field] *= factor
    assert shape in {s for _, s in found(entries)}


def test_a_small_problem_that_takes_as_long_as_a_large_one_is_a_cliff():
    """The fixed cost is known from 64x64, so a call that costs ten times as much at 256x256 is found."""
    entries = [figure(s) for s in SMOOTH if s != "1x3x256x256"] + [figure("1x3x256x256", ps=10 * FIXED / (3 * 65536))]
    assert ("resolution", "1x3x256x256") in found(entries)


def test_width_and_padding():
    widths = [figure(f"1x3x1080x{w}", ps=5.0 if w % 4 == 0 else 5.5) for w in range(1917, 1925)]
    assert found(widths) == []
    kinds = [p.kind for p in judge(widths).pairs]
    assert kinds.count("width") == 2 * (7 + 6 + 5 + 4) and kinds.count("alignment") == 6 and "resolution" not in kinds
    slow = [figure(f"1x3x1080x{w}", ps=5.0 if w % 4 == 0 else 8.0) for w in range(1917, 1925)]
    assert {("width", "1x3x1080x1921"), ("alignment", "1x3x1080x1917")} <= set(found(slow))
    paddings = [figure("1x3x720x1280", 9.0), figure("1x3x720x1280", 5.0, padding="valid")]
    assert ("padding", "1x3x720x1280") in found(paddings)


def test_misalignment_may_cost_15_per_cent():
    for cost, expected in ((1.13, 0), (1.17, 2)):
        entries = [figure("1x3x1080x1920", 5.0), figure("1x3x1080x1919", 5.0 * cost), figure("1x3x1080x1916", 4.8)]
        entries += [figure("1x3x1080x1920", 5.0 * cost, offset=4)]
        judged = judge(entries)
        assert [p.kind for p in judged.found] == ["alignment"] * expected
        assert judged.verdict()[-1].startswith("misalignment: " + (f"{expected} FOUND" if expected else "none"))


def test_misalignment_is_judged_by_the_next_larger_width():
    """257 columns may need a strip more than 256; 260 need it as well. Where only 256 was measured, that one counts."""
    entries = [figure("64x3x256x256", 5.0), figure("64x3x256x257", 7.0), figure("64x3x256x260", 6.7)]
    assert found(entries) == []
    assert found(entries[:2]) == [("alignment", "64x3x256x257")]
    assert found([entries[0], figure("64x3x256x257", 7.8), entries[2]]) == [("width", "64x3x256x257"),
                                                                           ("alignment", "64x3x256x257")]  # fmt: skip


def test_what_intervals_leave_open_is_unclear():
    entries = [figure("1x3x1080x1920", 5.0, spread=0.05), figure("1x3x1080x1921", 5.9, spread=0.05)]
    judged = judge(entries)
    assert not judged.found and [p.kind for p in judged.unclear] == ["alignment"]
    assert "1 unclear" in judged.verdict()[-1]


def test_only_what_can_be_compared():
    entries = [figure("1x3x512x512"), figure("1x3x2160x3840", 50.0)]  # 32 times as large
    entries += [figure("1x3x720x1280", 50.0, clock="graph"), figure("1x3x1080x1920", mode="train", ps=50.0)]
    entries += [figure("1x3x1080x1920", 50.0, name="tiled"), figure("1x3x1080x1921", None, error="off")]
    assert judge(entries).pairs == []
    assert cliffs.summary(entries, "production") is None


def test_a_report_tells(tmp_path):
    stream = Stream(spread=0).begin(device="cuda")
    for width, seconds in ((1920, 3e-5), (1921, 6e-5)):
        stream.row(key("production", f"1x3x1080x{width}", "infer", "same", "cuda", "cold"), seconds)
    report, text = write(stream.end().write(tmp_path / "samples.jsonl"), tmp_path)
    assert "cliffs: 1 FOUND in 2 pairs of neighbours; worst 2.00 times of 1.5 allowed" in text
    page = (tmp_path / "report.md").read_text()
    assert "## Cliffs" in page and "* FOUND width: production infer same 1×3×1080×1921 cold takes 9.64" in page
    assert json.loads((tmp_path / "report.json").read_text())["cliffs"]["found"] == report["cliffs"]["found"]


COMMITTED = sorted(p.parent for p in RESULTS.glob("*/report.json"))


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda f: f.name)
def test_committed_results_have_no_cliff(folder):
    judged = judge(json.loads((folder / "report.json").read_text())["rows"])
    assert judged.pairs and not judged.found, "\n".join(p.text() for p in judged.found)
