# SPDX-License-Identifier: MIT
"""Verdicts at their edges, missing figures, the stand-in, and the data files themselves."""

import copy

import pytest

from reports import claims
from reports.assemble import assemble
from reports.example import Stream, key
from reports.stream import Key, read

RANGE = [5, 8]


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (5.5, 7.5, "CONFIRMED"),
        (5, 8, "CONFIRMED"),  # the ends belong to the range
        (8, 8, "CONFIRMED"),
        (5, 5, "CONFIRMED"),
        (8.001, 9, "EXCEEDED"),
        (8, 9, "AMBIGUOUS"),
        (7.9, 8.001, "AMBIGUOUS"),
        (4.999, 6, "AMBIGUOUS"),
        (4, 5, "AMBIGUOUS"),
        (4, 9, "AMBIGUOUS"),
        (4, 4.999, "NOT CONFIRMED"),
        (0.1, 0.2, "NOT CONFIRMED"),
        (None, None, "AMBIGUOUS"),
    ],
)
def test_edges(low, high, expected):
    assert claims.verdict(low, high, RANGE) == expected


@pytest.mark.parametrize(
    "low, high, expected",
    [(12, 13, "CONFIRMED"), (30, 99, "CONFIRMED"), (11.9, 12.1, "AMBIGUOUS"), (11, 12, "AMBIGUOUS"),
     (11, 11.9, "NOT CONFIRMED")],
)  # fmt: skip
def test_goal_without_an_upper_end(low, high, expected):
    assert claims.verdict(low, high, [12, None]) == expected


SPEC = {
    "headline": "production",
    "reference": {"valid": "pytorch_mssim"},
    "pairs": [],
    "claims": [{"name": "c", "device": "cuda", "subject": "tiled", "stand_in": True, "baseline": "pytorch_mssim",
                "mode": "train", "padding": "valid", "range": RANGE, "problems": [["1x3x64x64", "cold"]]}],
}  # fmt: skip
SAME_CLOCK = {"stand_in": "tiled", "mode": "train", "padding": "valid", "shape": "1x3x64x64", "clock": "cold"}
SAME_TIME = {**SAME_CLOCK, "ratio": 1, "low": 1, "high": 1, "source": "elsewhere"}
STAND_IN = {"package": "the package", "entries": [SAME_TIME], "rejected": []}
TILED = key("tiled", "1x3x64x64", "train", "valid", "cuda", "cold")
BASE = key("pytorch_mssim", "1x3x64x64", "train", "valid", "cuda", "cold")


def judge(tmp_path, stream, spec=SPEC, stand_in=STAND_IN):
    found = assemble(read(stream.end().write(tmp_path / "s.jsonl")), spec, stand_in)["claims"]
    assert len(found) == 1
    return found[0]


def test_measured_claim(tmp_path):
    claim = judge(tmp_path, Stream(spread=1e-4).begin(device="cuda").row(TILED, 1e-3).row(BASE, 6e-3))
    assert claim["verdict"] == "CONFIRMED" and claim["ratio"] == pytest.approx(6, rel=1e-3)
    assert claim["low"] < 6 < claim["high"] or claim["low"] == pytest.approx(6, rel=1e-3)
    assert {k: claim[k] for k in Key._fields[1:]} == {k: TILED[k] for k in Key._fields[1:]}
    assert "tiled stands in for the package; interval widened by their measured ratio 1.000" in claim["note"]
    assert claim["setting"] == "tuned" and "not_comparable" not in claim


@pytest.mark.parametrize(
    "ratio, low, high, expected",
    # 6x measured: the interval must cover both 6 and 6 x (time of the stand-in / time of the package).
    [(1.1, 1.08, 1.12, "CONFIRMED"), (0.7, 0.69, 0.71, "AMBIGUOUS"), (1.5, 1.45, 1.55, "AMBIGUOUS")],
)
def test_stand_in_widens(tmp_path, ratio, low, high, expected):
    stand_in = STAND_IN | {"entries": [SAME_TIME | {"ratio": ratio, "low": low, "high": high}]}
    stream = Stream(spread=1e-4).begin(device="cuda").row(TILED, 1e-3).row(BASE, 6e-3)
    claim = judge(tmp_path, stream, stand_in=stand_in)
    assert claim["verdict"] == expected
    assert claim["low"] == pytest.approx(6 * min(1, low), rel=5e-3)
    assert claim["high"] == pytest.approx(6 * max(1, high), rel=5e-3)
    assert "widened" in claim["note"]


@pytest.mark.parametrize("other", [{"mode": "infer"}, {"padding": "same"}, {"shape": "1x3x64x65"}, {"clock": "wall"}])
def test_without_the_very_ratio_a_claim_on_the_stand_in_stays_open(tmp_path, other):
    """6x lies in the middle of the range; of the package nothing is known."""
    stand_in = STAND_IN | {"entries": [SAME_TIME | other]}
    stream = Stream(spread=1e-4).begin(device="cuda").row(TILED, 1e-3).row(BASE, 6e-3)
    claim = judge(tmp_path, stream, stand_in=stand_in)
    assert claim["verdict"] == "AMBIGUOUS" and "their ratio has not been measured on this problem" in claim["note"]
    assert claim["not_comparable"] and claim["low"] == pytest.approx(6, rel=1e-2)


def test_a_rejected_ratio_gives_its_reason(tmp_path):
    rejected = {**SAME_CLOCK, "reason": "bound by the host", "source": "elsewhere"}
    stand_in = {"package": "the package", "entries": [], "rejected": [rejected]}
    stream = Stream(spread=1e-4).begin(device="cuda").row(TILED, 1e-3).row(BASE, 30e-3)
    claim = judge(tmp_path, stream, stand_in=stand_in)
    assert claim["verdict"] == "AMBIGUOUS" and claim["not_comparable"] == "bound by the host"
    assert "bound by the host, so the interval is that of tiled alone" in claim["note"]


@pytest.mark.parametrize(
    "stream, reason",
    [
        (Stream().begin(device="cuda").row(TILED, 1e-3).skip(BASE, "too large"), "pytorch_mssim: too large"),
        (Stream().begin(device="cuda").row(TILED, None, error="mean off").row(BASE, 1e-3), "tiled: mean off"),
        (Stream().begin(device="cuda").row(TILED, 1e-3), "pytorch_mssim was not measured"),
        (Stream().begin(device="cpu"), "not in this run"),
        (Stream().begin(device="cuda").row(TILED, 1e-3, range(2)).end().begin(device="cuda").row(BASE, 6e-3, range(2)),
         "no round that both rows share"),
    ],
)  # fmt: skip
def test_not_measured_says_why(tmp_path, stream, reason):
    claim = judge(tmp_path, stream)
    assert claim["verdict"] == "NOT MEASURED" and reason in claim["note"]
    assert claim["ratio"] is None and claim["low"] is None


def test_one_round_is_ambiguous(tmp_path):
    claim = judge(tmp_path, Stream().begin(device="cuda").row(TILED, 1e-3, range(1)).row(BASE, 6e-3, range(1)))
    assert claim["verdict"] == "AMBIGUOUS" and "one round" in claim["note"]


def test_unconverged_is_said(tmp_path):
    stream = Stream().begin(device="cuda").row(TILED, 1e-3, converged=False).row(BASE, 6e-3)
    assert "did not converge" in judge(tmp_path, stream)["note"]


def test_stock_pass_judges_nothing(tmp_path):
    """A claim is judged against the baseline at its best."""
    stream = Stream().begin("stock", device="cuda").row(TILED, 1e-3).row(BASE, 6e-3)
    assert judge(tmp_path, stream)["verdict"] == "NOT MEASURED"


def test_headline():
    entry = {"name": "c", "note": "why", "ratio": 6.0, "verdict": "CONFIRMED"}
    assert claims.headline([entry]) == ["c: CONFIRMED (6×)"]
    other = entry | {"ratio": 9.0, "verdict": "EXCEEDED"}
    missing = entry | {"ratio": None, "verdict": "NOT MEASURED"}
    assert claims.headline([entry, other, missing]) == ["c: CONFIRMED on 1 of 2, EXCEEDED on 1 of 2 (6× to 9×)"]
    assert claims.headline([missing]) == ["NOT MEASURED in this run: c"]
    assert claims.headline([missing, missing | {"name": "d"}, entry | {"name": "e"}]) == [
        "e: CONFIRMED (6×)",
        "NOT MEASURED in this run: c; d",
    ]


def test_data_files_are_sound():
    spec = claims.load()
    assert spec["schema"] == 1 and spec["claims"]
    names = [c["name"] for c in spec["claims"]]
    assert len(set(names)) == len(names)
    for claim in spec["claims"]:
        least, most = claim["range"]
        assert most is None or least < most
        assert claim["mode"] in ("infer", "train") and claim["padding"] in ("same", "valid")
        assert claim["problems"]
        for shape, clock in claim["problems"]:
            assert len(claims._shape(shape)) == 4 and clock in ("wall", "cold", "hot", "graph")
    stand_in = claims.load_stand_in()
    assert all(entry["reason"] for entry in stand_in["rejected"])
    for entry in stand_in["entries"]:
        assert entry["low"] <= entry["ratio"] <= entry["high"] and entry["source"]
    assert copy.deepcopy(stand_in)["package"]
