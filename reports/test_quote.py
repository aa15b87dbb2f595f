# SPDX-License-Identifier: MIT
"""By which clock a problem is quoted, and which setting of a baseline counts."""

import pytest

from reports import claims, quote
from reports.assemble import assemble
from reports.example import Stream, key
from reports.render import headline_table
from reports.stream import read

SHAPE = "1x3x512x512"


def entry(name, clock, seconds=None, shape=SHAPE, mode="infer", device="cuda"):
    return {**key(name, shape, mode, "same", device, clock), "seconds": seconds}


@pytest.mark.parametrize("fastest, expected", [(19e-6, "graph"), (21e-6, "cold"), (None, "cold")])
def test_a_short_operation_is_quoted_by_graph_replay(fastest, expected):
    """All rows of the shape, the slow ones and the other mode too: one clock a comparison."""
    rows = [entry("slow", c, 1e-3, mode=m) for c in ("cold", "hot", "graph", "wall") for m in ("infer", "train")]
    rows += [entry("fast", "graph", fastest), entry("fast", "cold", 30e-6), entry("fast", "wall", 5e-6)]
    quoted = quote.quoted(rows, quote.short_shapes(rows))
    assert {r["clock"] for r in quoted.values()} == {expected} and len(quoted) == 3


def test_what_the_rows_have_decides():
    cold_alone = [entry("fast", "cold", 10e-6)]
    assert quote.short_shapes(cold_alone) and [r["clock"] for r in quote.quoted(cold_alone, set()).values()] == ["cold"]
    hot = [entry("fast", "cold", 10e-6), entry("fast", "hot", 10e-6)]
    assert [r["clock"] for r in quote.quoted(hot, quote.short_shapes(hot)).values()] == ["hot"]
    wall = [entry("fast", "wall", 1e-6, device="cpu")]
    assert not quote.short_shapes(wall)


def ratio(value, low, high):
    return {"ratio": value, "low": low, "high": high}


def test_the_hardest_setting_counts_where_it_clearly_is():
    tuned = ratio(20, 19.9, 20.1)
    clearly, hardly, easier = ratio(19, 18.9, 19.1), ratio(19.9, 19.8, 20.0), ratio(30, 29, 31)
    assert quote.hardest([tuned, clearly]) is clearly
    assert quote.hardest([tuned, hardly, easier, ratio(10, None, None)]) is quote.hardest([tuned]) is tuned
    hardest = ratio(18, 17.9, 18.1)
    assert quote.hardest([tuned, clearly, hardest]) is quote.hardest([tuned, hardest, clearly]) is hardest


@pytest.mark.parametrize("suffix", quote.SETTINGS)
def test_a_baseline_says_its_setting(suffix):
    assert quote.row_and_setting("pytorch_mssim" + suffix) == ("pytorch_mssim", quote.SETTINGS[suffix])
    assert quote.is_captured("pytorch_mssim" + suffix) == ("graph" in quote.SETTINGS[suffix])


def test_a_baseline_that_is_faster_as_it_comes_is_what_is_quoted(tmp_path):
    stream = Stream(spread=1e-4)
    for settings, slower in (("best", 1.2), ("stock", 1.0)):
        stream.begin(settings, "cuda")
        for name, seconds in (("production", 1e-3), ("tiled", 2e-3), ("pytorch_mssim", 20e-3 * slower)):
            stream.row(key(name, "1x3x1080x1920", "infer", "valid", "cuda", "cold"), seconds)
        stream.end()
    spec = claims.load()
    report = assemble(read(stream.write(tmp_path / "s.jsonl")), spec)
    (line,) = headline_table(report, spec)
    assert line["baseline"] == "pytorch_mssim" and line["setting"] == "as it comes"
    assert line["speedup"].startswith("20.0×")
    claim = next(c for c in report["claims"] if c["name"] == "published 5–8×, infer, valid" and c["ratio"])
    assert claim["ratio"] == pytest.approx(10, rel=1e-2) and "fastest as it comes" in claim["note"]


def captured_run(tmp_path, graph, rounds=range(8)):
    """By cold and wall pytorch_mssim takes 20 times what production does, 10 what tiled does; captured `graph` ms."""
    stream = Stream(spread=1e-4).begin(device="cuda")
    for clock in ("cold", "wall"):
        for name, seconds in (("production", 1e-3), ("tiled", 2e-3), ("pytorch_mssim", 20e-3)):
            stream.row(key(name, "5x1x1500x1500", "train", "valid", "cuda", clock), seconds)
    of_graph = key("pytorch_mssim", "5x1x1500x1500", "train", "valid", "cuda", "graph")
    return read(stream.row(of_graph, 1e-3 * graph, rounds).end().write(tmp_path / "s.jsonl"))


def test_a_baseline_that_is_faster_in_a_graph_is_what_is_quoted(tmp_path):
    spec = claims.load()
    report = assemble(captured_run(tmp_path, 15), spec)
    (line,) = headline_table(report, spec)
    assert (line["baseline"], line["setting"], line["clock"]) == ("pytorch_mssim", "captured in a CUDA graph", "cold")
    assert line["speedup"].startswith("15.0×") and line["baseline_ps"] == "1330"  # 15 ms over 5 * 1500 * 1500
    judged = [c for c in report["claims"] if c["name"] == "published 5–8×, train, valid" and c["ratio"]]
    assert {c["clock"] for c in judged} == {"cold", "wall"}
    for claim in judged:
        assert claim["ratio"] == pytest.approx(7.5, rel=1e-2) and claim["setting"] == "captured in a CUDA graph"
        assert "the baseline is fastest captured in a CUDA graph" in claim["note"]


def test_a_graph_that_is_slower_is_not_quoted(tmp_path):
    spec = claims.load()
    (line,) = headline_table(assemble(captured_run(tmp_path, 21), spec), spec)
    assert line["setting"] == "tuned" and line["speedup"].startswith("20.0×")


def test_only_a_baseline_is_captured(tmp_path):
    """Production is no slower for a graph, and a subject's own graph is another clock."""
    stream = Stream(spread=1e-4).begin(device="cuda")
    for clock in ("cold", "graph"):
        for name, seconds in (("production", 1e-3), ("tiled", 2e-3), ("pytorch_mssim", 20e-3)):
            stream.row(key(name, SHAPE, "train", "valid", "cuda", clock), seconds)
    found = assemble(read(stream.end().write(tmp_path / "s.jsonl")))["ratios"]
    captured = {(r["baseline"], r["subject"], r["clock"]) for r in found if quote.is_captured(r["baseline"])}
    assert captured == {("pytorch_mssim_graph", name, "cold") for name in ("production", "tiled")}


def test_a_graph_of_other_rounds_still_counts(tmp_path):
    """Rounds that the two clocks do not share are drawn each by themselves."""
    report = assemble(captured_run(tmp_path, 15, range(20, 28)))
    found = [r for r in report["ratios"] if r["baseline"] == "pytorch_mssim_graph" and r["subject"] == "production"]
    assert len(found) == 2 and all(r["low"] < 15 < r["high"] and r["rounds"] == 8 for r in found)
