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


def test_the_harder_setting_counts_where_it_clearly_is():
    tuned = ratio(20, 19.9, 20.1)
    clearly, hardly, easier = ratio(19, 18.9, 19.1), ratio(19.9, 19.8, 20.0), ratio(30, 29, 31)
    assert quote.harder(tuned, clearly) is clearly
    assert quote.harder(tuned, hardly) is quote.harder(tuned, easier) is quote.harder(tuned, None) is tuned
    assert quote.harder(tuned, ratio(10, None, None)) is tuned


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
    assert line["baseline"] == "pytorch_mssim_stock" and line["speedup"].startswith("20.0×")
    claim = next(c for c in report["claims"] if c["name"] == "published 5–8×, infer, valid" and c["ratio"])
    assert claim["ratio"] == pytest.approx(10, rel=1e-2) and "faster as it comes" in claim["note"]
