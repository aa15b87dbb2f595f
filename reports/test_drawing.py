# SPDX-License-Identifier: MIT
"""What pictures show of a run with many problems: which cut, by which clocks, over what; no two lines look alike."""

from reports import claims, drawing, plots_sweep
from reports.assemble import assemble
from reports.example import Stream, key
from reports.stream import read

SIZES, BATCHES = ("64x64", "128x128", "256x256"), (1, 2, 4)


def sweep(tmp_path):
    """production, tiled and pytorch_mssim over the cross; stream and naive_conv along the sizes at batch 1 alone."""
    stream = Stream(spread=1e-3).begin(device="cuda", set_name="sweep", device_name="Example accelerator")
    for batch in BATCHES:
        for size in SIZES:
            for padding in ("same", "valid"):
                seconds = {"production": 1e-4, "tiled": 5e-4}
                seconds |= {"pytorch_mssim": 40e-4} if padding == "valid" else {}
                seconds |= {"stream": 2e-4, "naive_conv": 60e-4} if batch == 1 else {}
                for name, time in seconds.items():
                    of = key(name, f"{batch}x3x{size}", "infer", padding, "cuda", "cold")
                    stream.row(of, time, rounds=range(5))
    spec = claims.load()
    return drawing.Data(assemble(read(stream.end().write(tmp_path / "s.jsonl")), spec), spec)


def test_the_cut_with_most_rows_is_shown(tmp_path):
    lines = sweep(tmp_path).over("size")
    assert {subject for _, _, subject in lines} == {"production", "tiled", "stream"}
    assert {r["batch"] for line in lines.values() for r in line} == {1}
    assert all(len(line) == 3 for line in lines.values())


def test_the_map_is_over_what_has_the_cells(tmp_path):
    data = sweep(tmp_path)
    valid, same = (plots_sweep._map_panel(data, (padding, "infer")) for padding in ("valid", "same"))
    assert len(valid) == len(same) == len(SIZES) * len(BATCHES)
    assert {r["baseline"] for r in valid} == {"pytorch_mssim"} and {r["baseline"] for r in same} == {"tiled"}


def test_best_cut():
    def entry(a, b):
        return {"a": a, "b": b}

    entries = [entry(2, 1), entry(2, 2), entry(1, 1), entry(1, 2), entry(2, 2), entry(3, 1)]
    assert drawing.best_cut(entries, lambda r: r["a"], lambda r: r["b"]) == 2  # two places as 1 has, but more figures
    assert drawing.best_cut(entries[:4], lambda r: r["a"], lambda r: r["b"]) == 1
    assert drawing.best_cut([entry(3, 1), entry(3, 1)], lambda r: r["a"], lambda r: r["b"]) is None
    assert drawing.best_cut([], len, len) is None


def test_clocks_are_named():
    def entry(clock, shape):
        return key("production", shape, "infer", "same", "cuda", clock)

    large, small = entry("cold", "1x3x1080x1920"), entry("graph", "1x3x64x64")
    assert drawing.clocks([large, large]) == "cold clock"
    assert drawing.clocks([large, entry("cold", "2x3x1080x1920"), small]) == "graph: 1×3×64×64; else cold"


def test_no_two_rows_look_alike():
    names = [f"row{n}" for n in range(24)]
    looks = {(s["color"], s["marker"], s["linestyle"]) for s in drawing.styles(names, "row0").values()}
    assert len(looks) == len(names)
