# SPDX-License-Identifier: MIT
"""The table of preferences from figures: order beyond the noise, shape classes, what is written and read again, and
that the committed table is what the committed figures give."""

import json
import re

import pytest

from reports import selection, tuning
from reports.example import Stream, key
from reports.stream import read

H100 = {"device": "cuda", "device_name": "Example accelerator", "capability": "9.0", "multiprocessors": 100,
        "driver": "580.1", "commit": "0123456789abcdef", "dirty": False, "date": "2026-01-02T03:04:05Z"}  # fmt: skip
SHAPES = ["1x1x128x128", "1x3x512x512", "1x3x1080x1920", "16x3x1080x1920", "1x3x1080x1921", "1x3x1080x1922"]


def figure(name, shape, mode, padding, ps, spread=0.002, candidate=True):
    clock = "cold" if shape.startswith(("16x", "1x3x1080")) else "graph"
    figures = {"ps_per_element": ps, "ci_low": ps * (1 - spread), "ci_high": ps * (1 + spread)}
    return key(name, shape, mode, padding, "cuda", clock) | {"candidate": candidate} | figures


def write(tmp_path, time_of, shapes=SHAPES, rows=("swift", "plain"), environment=H100, **more):
    figures = [
        figure(name, shape, mode, padding, time, **more)
        for shape in shapes for mode in selection.MODES for padding in selection.PADDINGS for name in rows
        if (time := time_of(name, shape, mode, padding)) is not None
    ]  # fmt: skip
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"schema": 1, "environment": environment, "rows": figures}))
    return selection.load(path)


def winners(source):
    """(mode, padding, shape) -> the row that the table prefers, by the text of the table itself."""
    lines = selection.lines_in(selection.table([source]))
    return {
        (mode, padding, f"{p[3]}x{p[4]}x{p[5]}x{p[6]}"): selection.preferred(lines, source, rows)
        for mode in selection.MODES for padding in selection.PADDINGS
        for p, rows in selection._problems(source, mode, padding).items()
    }  # fmt: skip


def test_one_row_everywhere_is_one_line_a_mode_and_padding(tmp_path):
    source = write(tmp_path, lambda name, *_: 4.0 if name == "swift" else 6.0)
    lines = selection.lines_of(source)
    assert [(x.mode, x.padding, x.rows, x.alignments, x.widest, x.largest) for x in lines] == [
        (mode, padding, ("swift", "plain"), 28, None, None)
        for mode in selection.MODES for padding in selection.PADDINGS
    ]  # fmt: skip


def test_each_class_takes_its_own_fastest(tmp_path):
    """By alignment, size, mode and padding, as figures say."""

    def time_of(name, shape, mode, padding):
        swift = 4.0
        if shape.endswith(("1921", "1922")):
            swift = 8.0
        if shape == "1x1x128x128" and mode == "train" and padding == "valid":
            swift = 7.0
        return swift if name == "swift" else 6.0

    source = write(tmp_path, time_of)
    for (mode, padding, shape), row in winners(source).items():
        slow = shape.endswith(("1921", "1922")) or (shape, mode, padding) == ("1x1x128x128", "train", "valid")
        assert row == ("plain" if slow else "swift"), (mode, padding, shape)
    assert {x.alignments for x in selection.lines_of(source)} == {16, 12}  # 4 and 8 bytes alike


@pytest.mark.parametrize("ratio, spread, changed", [(0.995, 1e-4, False), (0.98, 0.02, False), (0.98, 0.002, True)])
def test_only_what_is_faster_beyond_the_noise_changes_the_order(tmp_path, ratio, spread, changed):
    """One class where the second row is a little faster: under the floor, within the intervals, and neither."""

    def time_of(name, shape, *_):
        if shape == "1x3x1080x1921":
            return 6.0 if name == "swift" else 6.0 * ratio
        return 4.0 if name == "swift" else 6.0

    source = write(tmp_path, time_of, spread=spread)
    row = winners(source)["infer", "same", "1x3x1080x1921"]
    assert row == ("plain" if changed else "swift")


def test_a_row_that_refuses_a_problem_stands_behind(tmp_path):
    """No figures at odd widths: there the row comes last, never first."""
    source = write(tmp_path, lambda name, shape, *_: None if name == "swift" and shape[-1] == "1" else
                   4.0 if name == "swift" else 6.0)  # fmt: skip
    assert winners(source)["train", "same", "1x3x1080x1921"] == "plain"
    odd = [x for x in selection.lines_of(source) if x.alignments == 4]
    assert odd and all(x.rows == ("plain", "swift") for x in odd)


def test_an_alignment_without_figures_takes_the_next_one_and_says_so(tmp_path):
    source = write(tmp_path, lambda name, *_: 4.0 if name == "swift" else 6.0, shapes=["1x3x512x512", "1x3x512x510"])
    assert {x.alignments for x in selection.lines_of(source)} == {28}

    def odd_even(name, shape, *_):
        return (8.0 if shape.endswith("510") else 4.0) if name == "swift" else 6.0

    lines = selection.lines_of(write(tmp_path, odd_even, shapes=["1x3x512x512", "1x3x512x510"]))
    assert {(x.alignments, x.rows[0]) for x in lines} == {(16, "swift"), (12, "plain")}
    only = selection.lines_of(write(tmp_path, lambda *_: 4.0, shapes=["1x3x512x510"], rows=("swift",)))
    assert all(x.alignments == 28 and "1x3x512x510" in x.figures() for x in only)


def test_what_is_written_is_read_again(tmp_path):
    source = write(tmp_path, lambda name, shape, *_: (8.0 if shape[-1] in "12" else 4.0) if name == "swift" else 6.0)
    made = selection.lines_of(source)
    text = selection.table([source])
    found = selection.lines_in(text)
    fields = ("of", "mode", "padding", "alignments", "widest", "largest", "rows")
    assert [[getattr(x, f) for f in fields] for x in found] == [[getattr(x, f) for f in fields] for x in made]
    assert selection.sources_of(text) == [("cuda 9.0", tmp_path / "figures.json", "")]
    assert text == selection.table([source])


def test_changes_are_told_with_their_gain(tmp_path):
    before = selection.table([write(tmp_path, lambda name, *_: 4.0 if name == "swift" else 6.0)])
    source = write(tmp_path, lambda name, shape, *_: 4.0 if (name == "swift") == shape.endswith("1920") else 8.0)
    found, count = selection.changes(before, selection.table([source]), [source])
    assert count == 24 and len(found) == 16  # all but 1x3x1080x1920 and 16x3x1080x1920
    assert {(c.before, c.after, c.gain) for c in found} == {("swift", "plain", 2.0)}
    assert "swift -> plain" in found[0].text() and "2.000 times as fast" in found[0].text()
    assert selection.changes(before, before, [source])[0] == []


def test_candidates_alone(tmp_path):
    figures = [figure("rough", "1x3x512x512", m, p, 1.0, candidate=False) | {} for m in ("infer", "train")
               for p in ("same", "valid")]  # fmt: skip
    figures += [figure("right", "1x3x512x512", m, p, 9.0) for m in ("infer", "train") for p in ("same", "valid")]
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"environment": H100, "rows": figures}))
    assert {x.rows for x in selection.lines_of(selection.load(path))} == {("right",)}
    for entry in figures:
        del entry["candidate"]
    path.write_text(json.dumps({"environment": H100, "rows": figures}))
    with pytest.raises(selection.Unusable, match="name them with --rows"):
        selection.load(path)
    assert {x.rows for x in selection.lines_of(selection.load(path, "right"))} == {("right",)}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"environment": {"device": "cuda"}, "rows": []}',
                                  '{"environment": {"device": "cpu"}, "rows": []}'])  # fmt: skip
def test_what_is_no_file_of_figures(tmp_path, text):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(selection.Unusable, match=re.escape(str(path))):
        selection.load(path)


def test_a_mode_without_figures_is_refused(tmp_path):
    source = write(tmp_path, lambda name, shape, mode, padding: 4.0 if mode == "infer" else None)
    with pytest.raises(selection.Unusable, match="train, padding same"):
        selection.table([source])


def test_figures_of_a_result_stream(tmp_path):
    stream = Stream(spread=0).begin(device="cuda", set_name="tune", capability="9.0", multiprocessors=132)
    for name, seconds in (("swift", 2e-6), ("plain", 3e-6)):
        for mode in selection.MODES:
            for padding in selection.PADDINGS:
                stream.row(key(name, "1x3x512x512", mode, padding, "cuda", "graph"), seconds, candidate=True)
    bad = key("swift", "1x3x1080x1920", "infer", "same", "cuda", "cold")
    stream.skip(key("swift", "1x3x512x511", "infer", "same", "cuda", "graph"), "only even widths")
    run = read(stream.row(bad, None, error="off").end().write(tmp_path / "s.jsonl"))
    assert tuning.not_measured(run) == ["1 not measured: only even widths"]
    assert tuning.wrong(run) == ["cuda:swift:infer:same:1x3x1080x1920:cold: off"]
    (tmp_path / "f.json").write_text(tuning.figures(run))
    source = selection.load(tmp_path / "f.json")
    assert source.of.text() == "cuda 9.0" and source.multiprocessors == 132 and len(source.figures) == 8
    assert source.figures[0]["ps_per_element"] == pytest.approx(2e6 / (3 * 512 * 512), rel=1e-4)
    assert {x.rows for x in selection.lines_of(source)} == {("swift", "plain")}


def test_the_committed_table_is_what_the_committed_figures_give():
    text = selection.TABLE.read_text()
    named = selection.sources_of(text)
    assert {of for of, *_ in named} >= {"cpu"} and any(of.startswith("cuda") for of, *_ in named)
    results = selection.ROOT / "reports" / "results"
    for _, path, _ in named:
        assert results in path.parents, f"{path} is not among the committed results"
    files = " ".join(str(path.relative_to(selection.ROOT)) for _, path, _ in named)
    mend = f"to mend: ./suite tune --from {files}"
    assert text == selection.table([selection.load(path, rows) for _, path, rows in named]), mend
