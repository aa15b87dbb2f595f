# SPDX-License-Identifier: MIT
"""The roofline's roofs, points and ticks, from made reports."""

import json

import pytest

from reports import claims, plots
from reports.assemble import assemble
from reports.drawing import Data
from reports.example import Stream, key
from reports.extras import PROFILES, Extras, load
from reports.plots_roofline import _apart, points, roofs, shown_rows
from reports.stream import read

CARD = {"multiprocessors": 100, "sm_clock_mhz": 2000, "capability": "9.0"}
PROFILE = {"name": "stream", "mode": "infer", "padding": "same", "shape": "1x3x1080x1920", "dram_bytes": 10.0,
           "instructions": 120.0, "issue": 80.0, "fma": 50.0, "tensor": 0.0}  # fmt: skip


def data_of(tmp_path, profiles=(), device="cuda", **environment):
    """`stream` and a baseline at two sizes; by the example's model 8 bytes and 110 multiply-adds an element."""
    stream = Stream(spread=0).begin(device=device, **environment)
    clock = "wall" if device == "cpu" else "cold"
    for shape, elements in (("1x3x1080x1920", 6220800), ("4x3x1080x1920", 24883200)):
        for padding in ("same", "valid"):
            stream.row(key("stream", shape, "infer", padding, device, clock), 4e-12 * elements)
        stream.row(key("pytorch_mssim", shape, "infer", "valid", device, clock), 200e-12 * elements)
    report = assemble(read(stream.end().write(tmp_path / "s.jsonl")), extras=Extras(profiles=list(profiles)))
    return Data(report, claims.load())


def test_roofs(tmp_path):
    assert roofs(data_of(tmp_path, **CARD)) == {"dram": 4300.0, "FMA": 30000.0, "issue": 4 * 32 * 100 * 2.0}
    data = data_of(tmp_path, **CARD)
    data.ceilings["tensor_gflop_s"] = 700000.0
    assert roofs(data)["tensor"] == 350000.0
    assert roofs(data_of(tmp_path, device="cpu")) == {"dram": 20.0, "FMA": 200.0}


def test_points_by_the_cost_model_of_the_padding_with_most_rows(tmp_path):
    data = data_of(tmp_path, **CARD)
    shown = shown_rows(data)
    found = {(r["name"], r["batch"], r["padding"]) for r in shown}
    assert found == {("stream", 4, "valid"), ("pytorch_mssim", 4, "valid")}
    point = next(p for p in points(data, shown) if p["name"] == "stream")
    assert point["intensity"] == pytest.approx(110 / 8) and point["rate"] == pytest.approx(110e3 / 4)
    assert not point["profiled"] and point["ticks"] == {}


def test_what_was_profiled_is_shown_with_its_bytes_and_ticks(tmp_path):
    data = data_of(tmp_path, [PROFILE], **CARD)
    shown = shown_rows(data)
    assert {(r["name"], r["batch"], r["padding"]) for r in shown} == {("stream", 1, "same")}
    (point,) = points(data, shown)
    assert point["intensity"] == pytest.approx(11) and point["profiled"]
    assert point["ticks"] == {"issue": pytest.approx(27500 / 0.8), "fma": pytest.approx(27500 / 0.5)}


def test_labels_stand_apart():
    found = _apart([1.0, 1.0, 1.01, 3.0], 0.1)
    assert all(b - a > 0.0999 for a, b in zip(found, found[1:])) and found[3] == 3.0


@pytest.mark.parametrize("profiles", [[], [PROFILE]])
def test_it_is_drawn_the_same_every_time(tmp_path, profiles):
    drawn = []
    for folder in ("a", "b"):
        with plots.plt.rc_context(plots.STYLE):
            figure = plots.roofline(data_of(tmp_path, profiles, **CARD))
            figure.savefig(tmp_path / f"{folder}.png", metadata={"Software": None})
            plots.plt.close(figure)
        drawn.append((tmp_path / f"{folder}.png").read_bytes())
    assert drawn[0] == drawn[1] and len(drawn[0]) > 10_000


def test_without_ceilings_there_is_none(tmp_path):
    data = data_of(tmp_path, **CARD)
    data.ceilings = {"copy_gb_s": None, "fma_gflop_s": None}
    assert plots.roofline(data) is None


def test_profiles_beside_a_run(tmp_path):
    (tmp_path / PROFILES).write_text(json.dumps({"schema": 1, "profiles": [PROFILE]}))
    assert load(tmp_path).profiles == [PROFILE]
    (tmp_path / PROFILES).write_text("[")
    with pytest.raises(ValueError, match="profiles.json is damaged"):
        load(tmp_path)
