# SPDX-License-Identifier: MIT
"""The whole report from stored and made result files: content, schema, files, pictures, the same bytes every time."""

import csv
import json
from pathlib import Path

import pytest

from reports import plots
from reports.assemble import assemble
from reports.claims import load
from reports.example import Stream, key, whole
from reports.render import markdown, number, terminal, write
from reports.stream import read

HERE = Path(__file__).resolve().parent
PRODUCTION = key("production", "1x3x64x64", "infer", "valid")
BASELINE = key("pytorch_mssim", "1x3x64x64", "infer", "valid")


def report_of(tmp_path, stream):
    return assemble(read(stream.write(tmp_path / "s.jsonl")))


def valid(report):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not here")
    jsonschema.validate(report, json.loads((HERE / "report.schema.json").read_text()))


def test_ps_per_element_counts_all_elements(tmp_path):
    row = report_of(tmp_path, Stream().begin().row(PRODUCTION, 12288e-9).end())["rows"][0]
    assert row["ps_per_element"] == pytest.approx(1000)  # 12288 ns for 1*3*64*64 elements
    assert row["ci_low"] == pytest.approx(995) and row["ci_high"] == pytest.approx(1005)


def test_limits(tmp_path):
    """8 bytes and 110 FMA an element by the example's cost model; 20 GB/s and 400 GFLOP/s are its ceilings."""
    row = report_of(tmp_path, Stream().begin().row(PRODUCTION, 12288 * 1e-9).end())["rows"][0]
    assert row["gb_s"] == pytest.approx(8) and row["percent_copy"] == pytest.approx(40)
    assert row["gflop_s"] == pytest.approx(220) and row["percent_fma"] == pytest.approx(55)
    assert row["limit"] == "arithmetic"
    slow = report_of(tmp_path, Stream().begin().row(PRODUCTION, 12288 * 5e-9).end())["rows"][0]
    assert slow["limit"] == "neither"
    host = report_of(tmp_path, Stream().begin().row(PRODUCTION, 1.0, host_bound=True).end())["rows"][0]
    assert host["limit"] == "host"


def test_wrong_row_has_no_time(tmp_path):
    report = report_of(tmp_path, Stream().begin().row(PRODUCTION, None, error="off").row(BASELINE, 1e-3).end())
    row = next(r for r in report["rows"] if r["name"] == "production")
    assert row["ps_per_element"] is None and row["error"] == "off" and not row["verified"] and row["samples"] == 0
    assert report["ratios"] == []
    assert "WRONG cpu:production:infer:valid:1x3x64x64:wall: off" in terminal(report, load())
    assert "gave a wrong result" in markdown(report, load(), {})
    valid(report)


def test_stock_baselines_are_rows_of_their_own(tmp_path):
    stream = Stream(spread=1e-4).begin().row(PRODUCTION, 1e-3).row(BASELINE, 20e-3).end()
    stream.begin("stock").row(PRODUCTION, 1.1e-3).row(BASELINE, 33e-3).end()
    report = report_of(tmp_path, stream)
    assert [r["name"] for r in report["rows"]] == ["production", "pytorch_mssim", "pytorch_mssim_stock"]
    found = {(r["baseline"], r["subject"]): r["ratio"] for r in report["ratios"]}
    assert found == {
        ("pytorch_mssim", "production"): pytest.approx(20, rel=1e-3),
        ("pytorch_mssim_stock", "production"): pytest.approx(30, rel=1e-3),
    }


def test_skipped_and_unfinished_are_listed_with_their_reasons(tmp_path):
    stream = Stream().begin().skip(BASELINE, "too slow").samples(PRODUCTION, 1e-3).end(interrupted=True)
    report = report_of(tmp_path, stream)
    assert report["rows"] == [] and report["interrupted"]
    reasons = {s["name"]: s["reason"] for s in report["skipped"]}
    assert reasons["pytorch_mssim"] == "too slow" and "interrupted" in reasons["production"]
    assert "This run was interrupted" in markdown(report, load(), {})
    valid(report)


def test_resumed_run_measures_nothing_twice(tmp_path):
    stream = Stream().begin().row(PRODUCTION, 1e-3).samples(BASELINE, 20e-3, range(3)).end(interrupted=True)
    stream.begin().row(BASELINE, 20e-3).row(key("stream", "1x3x64x64", "infer", "valid"), 1e-3).end()
    report = report_of(tmp_path, stream)
    assert sorted(r["name"] for r in report["rows"]) == ["production", "pytorch_mssim", "stream"]
    assert not report["interrupted"] and not report["skipped"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_whole_run(tmp_path, device):
    stream = whole(device).write(tmp_path / "samples.jsonl")
    report, text = write(stream, tmp_path / "out")
    valid(json.loads((tmp_path / "out" / "report.json").read_text()))
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    lines = list(csv.DictReader((tmp_path / "out" / "report.csv").open()))
    assert len(lines) == len(report["rows"])
    assert {"naive_conv_stock", "production"} <= {line["name"] for line in lines}
    assert "production_stock" not in {line["name"] for line in lines}
    page = (tmp_path / "out" / "report.md").read_text()
    for heading in ("## Claims", "## Environment", "## How to read this", "## What was skipped, and why"):
        assert heading in page
    for name in plots.PICTURES:
        assert f"({name}.png)" in page
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 10_000
        assert (tmp_path / "out" / f"{name}.svg").stat().st_size > 10_000
    if device == "cpu":
        assert "goal on the CPU: at least 28×, infer, valid: CONFIRMED" in text
        assert "pytorch-mssim has no padding 'same'" in page
        measured = {c["name"] for c in report["claims"] if c["verdict"] != "NOT MEASURED"}
        assert measured and not any(name.startswith("published") for name in measured)
    else:
        assert "published 5–8×, infer, valid: CONFIRMED" in text
        assert ("tiled", "production") in {(r["baseline"], r["subject"]) for r in report["ratios"]}


def test_same_file_same_bytes(tmp_path):
    stream = whole("cuda").write(tmp_path / "samples.jsonl")
    for folder in ("a", "b"):
        write(stream, tmp_path / folder)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(names) == 3 + 2 * len(plots.PICTURES)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_stored_result_file(tmp_path):
    """A run of the benchmark as it was written, on two cores: what it writes is what is read here."""
    report, _ = write(HERE / "testdata" / "smoke.jsonl", tmp_path)
    valid(report)
    assert report["rows"] and all(r["verified"] for r in report["rows"])
    assert {r["name"] for r in report["rows"]} == {"production", "reference"}
    for row in report["rows"]:
        assert row["ps_per_element"] == pytest.approx(row["seconds"] * 1e12 / (64 * 64)) and row["samples"] >= 5
    assert report["ceilings"]["copy_gb_s"] > 1


def test_one_shape_leaves_out_pictures_and_says_so(tmp_path):
    stream = Stream().begin().row(PRODUCTION, 1e-3).row(BASELINE, 2e-2).end().write(tmp_path / "s.jsonl")
    write(stream, tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text()
    assert "Speedup by resolution: none, this run has too little for it." in page
    assert not (tmp_path / "out" / "speedup_by_resolution.png").exists()


def test_stale_pictures_go(tmp_path):
    (tmp_path / "speedup_by_batch.png").write_text("of another run")
    write(Stream().begin().row(PRODUCTION, 1e-3).end().write(tmp_path / "s.jsonl"), tmp_path)
    assert not (tmp_path / "speedup_by_batch.png").exists()


def test_run_without_any_row(tmp_path):
    report, text = write(Stream().begin().end().write(tmp_path / "s.jsonl"), tmp_path)
    valid(report)
    assert report["rows"] == [] and "NOT MEASURED" in text


@pytest.mark.parametrize(
    "value, text",
    [(None, "–"), (0.0, "0"), (12345.6, "12300"), (2.66e15, "2.7e+15"), (5.0, "5.00"), (40.02, "40.0"),
     (3.14159, "3.14"),
     (4e-7, "4.0e-07"), (0.0123456, "0.0123"),
     (999.9, "1000")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


RUN = {"kind": "aa", "device_name": "A", "pairs": 2, "set": "gate", "filter": "", "threads": 1, "false_slow": [],
       "rows": {}}  # fmt: skip
CALIBRATION = {"schema": 2, "environment": {"device": "cpu"}, "seconds": 1, "pairs": 2, "key": "", "rows": {}}
PROFILE = {"name": "naive", "mode": "infer", "padding": "same", "shape": "1x1x8x8"}
PEERS = {"environment": {"device_name": "A"}, "systems": {}, "ratios": [], "equivalence": []}
RATIO = {"subject": "a", "baseline": "b", **{k: v for k, v in PRODUCTION.items() if k != "name"}, "ratio": 2}


@pytest.mark.parametrize(
    "file, content, field",
    [
        ("gate.jsonl", {}, "kind"),
        ("gate.jsonl", [1], r"it is \[1\]"),
        ("gate.jsonl", RUN | {"pairs": "12"}, "pairs"),
        ("gate.jsonl", RUN | {"kind": "planted", "fraction": None, "found": True}, "fraction"),
        ("gate.jsonl", RUN | {"kind": "other"}, "kind"),
        ("gate.jsonl", {k: v for k, v in RUN.items() if k != "rows"}, "rows"),
        ("calibration.json", {"reach": 0.1}, "schema"),
        ("calibration.json", [], "it is"),
        ("calibration.json", CALIBRATION | {"reach": "1 %"}, "reach"),
        ("calibration.json", CALIBRATION | {"pairs": 1}, "pairs"),
        ("calibration.json", CALIBRATION | {"schema": 3}, "schema 3"),
        ("calibration.json", CALIBRATION | {"environment": {}}, "environment.device"),
        ("calibration.json", CALIBRATION | {"rows": {"a": {"low": 1}}}, r"rows\[a\].high"),
        ("calibration.json", CALIBRATION | {"drift": {"largest": 1}}, "drift.window_s"),
        ("calibration.json", CALIBRATION | {"delay": {"none": {"seconds": 1}}}, r"delay\[none\].ci_low"),
        ("profiles.json", {}, "profiles"),
        ("profiles.json", {"profiles": [{k: v for k, v in PROFILE.items() if k != "shape"}]}, r"profiles\[0\].shape"),
        ("profiles.json", {"profiles": [PROFILE | {"issue": "85 %"}]}, r"profiles\[0\].issue"),
        ("profiles.json", {"profiles": [PROFILE | {"dram_bytes": float("nan")}]}, r"profiles\[0\].dram_bytes"),
        ("peers.json", {}, "environment"),
        ("peers.json", {"environment": {}, "systems": {}, "ratios": [], "equivalence": []}, "environment.device_name"),
        ("peers.json", PEERS | {"systems": {"a": {}}}, r"systems\[a\].what"),
        ("peers.json", PEERS | {"ratios": [RATIO | {"clock": None}]}, r"ratios\[0\].clock"),
        ("peers.json", PEERS | {"ratios": [RATIO | {"ratio": None}]}, r"ratios\[0\].ratio"),
        ("peers.json", PEERS | {"equivalence": [RATIO]}, r"equivalence\[0\].within"),
        ("accuracy.json", {"schema": 1}, "command"),
    ],
)
def test_a_damaged_file_beside_the_samples_is_named_with_its_field(tmp_path, file, content, field):
    stream = Stream().begin(device_name="A").row(PRODUCTION, 1e-3).end().write(tmp_path / "samples.jsonl")
    (tmp_path / file).write_text(json.dumps(content) + "\n")
    with pytest.raises(ValueError, match=rf"{file} is damaged.*{field}"):
        write(stream, tmp_path / "out")


@pytest.mark.parametrize("file", ["gate.jsonl", "calibration.json", "profiles.json", "peers.json", "accuracy.json"])
def test_a_truncated_file_beside_the_samples_is_named(tmp_path, file):
    stream = Stream().begin().row(PRODUCTION, 1e-3).end().write(tmp_path / "samples.jsonl")
    for text in ('{"schema": 1,\n', "\xff\n"):
        (tmp_path / file).write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=f"{file} is damaged"):
            write(stream, tmp_path / "out")


def test_whole_files_beside_the_samples_are_shown(tmp_path):
    stream = Stream().begin(device_name="A").row(PRODUCTION, 1e-3).end().write(tmp_path / "samples.jsonl")
    environment = read(stream).environment
    for file, content in {"calibration.json": CALIBRATION | {"environment": environment, "spread": 0.01},
                          "profiles.json": {"profiles": [PROFILE | {"issue": 85}]}, "gate.jsonl": RUN,
                          "peers.json": PEERS | {"ratios": [RATIO | {"low": None, "high": None,
                                                                     "converged": False}]}}.items():  # fmt: skip
        (tmp_path / file).write_text(json.dumps(content) + "\n")
    report, _ = write(stream, tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text()
    assert "means nothing here" in page and "A/A on A, set gate" in page and "## The packages themselves" in page
    assert "× \\* |" in page.partition("## The packages themselves")[2].partition("\n## ")[0]
    assert report["profiles"][0]["issue"] == 85
    (tmp_path / "calibration.json").write_text(json.dumps(CALIBRATION | {"spread": 0.01}))
    assert write(stream, tmp_path / "out")[0]["calibration"] is None  # of no device like this
