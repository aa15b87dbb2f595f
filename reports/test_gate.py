# SPDX-License-Identifier: MIT
"""The gate's verdicts from stored pairs: every edge, everything that is not to be compared, what changed bitwise."""

import argparse
import json
import math
import struct

import numpy as np
import pytest
from scipy import stats

from reports import calibration, error_rates, extras
from reports.example import Stream, key
from reports.gate import ERROR, classify, compare_results, floor_of, judge, t_interval, table, verdict_line
from reports.pairs import read_side
from reports.stream import Damaged

A = key("production", "1x3x64x64", "train", "same")
B = key("stream", "1x3x64x64", "train", "same")


def bits(value):
    return struct.pack(">d", value).hex()


def side(path, times, *, of=A, converged=True, environment=None, **more):
    """A side's file with one process a time."""
    stream = Stream(spread=0)
    for seconds in times:
        stream.begin(device=of["device"], **(environment or {})).row(of, seconds, rounds=range(1), converged=converged,
                                                                     **more).end()  # fmt: skip
    return read_side(stream.write(path))


def gate_of(tmp_path, base, head, **more):
    return judge(side(tmp_path / "base.jsonl", base), side(tmp_path / "head.jsonl", head, **more))


def test_t_interval_is_scipys():
    values = np.random.default_rng(3).normal(0.01, 0.02, 15)
    for coverage in (0.9, 0.95, 1 - ERROR / 6):
        expected = stats.ttest_1samp(values, 0).confidence_interval(coverage)
        assert t_interval(values, coverage) == pytest.approx((expected.low, expected.high))
    with pytest.raises(ValueError, match="at least 2"):
        t_interval(values[:1], 0.95)


@pytest.mark.parametrize(
    "low, high, verdict",
    [
        (0.011, 0.02, "SLOW"),
        (0.0099, 0.02, "AMBIGUOUS"),
        (-0.0098, 0.0098, "SAME"),
        (-0.0101, 0.005, "AMBIGUOUS"),
        (-0.02, -0.0101, "FAST"),
        (-0.02, -0.0099, "AMBIGUOUS"),
        (-0.5, 0.5, "AMBIGUOUS"),
        (math.log1p(0.01), 0.02, "AMBIGUOUS"),  # the floor itself is not above it
        (-math.log1p(0.01), math.log1p(0.01), "SAME"),
        (-0.02, -math.log1p(0.01), "AMBIGUOUS"),
    ],
)
def test_every_edge(low, high, verdict):
    assert classify(low, high, 0.01) == verdict


@pytest.mark.parametrize("ratio, verdict, status", [(1.1, "SLOW", 1), (1.0, "SAME", 0), (0.9, "FAST", 0)])
def test_pairs(tmp_path, ratio, verdict, status):
    noise = np.exp(np.random.default_rng(1).normal(0, 0.002, (2, 15)))
    gate = gate_of(tmp_path, 1e-3 * noise[0], 1e-3 * ratio * noise[1])
    (row,) = gate.rows
    assert row.verdict == verdict and row.ratio == pytest.approx(ratio, rel=5e-3) and row.low < ratio < row.high
    assert gate.status() == gate.status(strict=True) == status and row.pairs == 15
    assert verdict in table(gate) and verdict in verdict_line(gate)


def test_noise_is_ambiguous_and_strict_fails(tmp_path):
    noise = np.exp(np.random.default_rng(1).normal(0, 0.2, (2, 15)))
    gate = gate_of(tmp_path, 1e-3 * noise[0], 1.05e-3 * noise[1])
    assert gate.rows[0].verdict == "AMBIGUOUS" and gate.status() == 0 and gate.status(strict=True) == 1


def test_order_of_pairs_matters_not_that_of_processes(tmp_path):
    """A machine that slows down by a half within the gate meets both sides alike."""
    drift = np.linspace(1, 1.5, 12)
    assert gate_of(tmp_path, 1e-3 * drift, 1e-3 * drift).rows[0].verdict == "SAME"


def test_rounds_in_turns_are_compared_one_by_one(tmp_path):
    """The machine is 20 % slower in some rounds, in which ones differs; medians of processes do not see 5 %."""
    generator = np.random.default_rng(4)
    files = {"base": Stream(spread=0), "head": Stream(spread=0)}
    for _ in range(15):
        mood = 1 + 0.2 * (np.arange(16) >= generator.integers(0, 17))
        for name, factor in (("base", 1.0), ("head", 1.05)):
            seconds = 1e-3 * factor * mood * generator.normal(1, 0.01, 16)
            jitter = generator.choice([0.9, 1.1])  # of the whole process's median: not what is compared
            files[name].begin().row(A, float(np.median(seconds)) * jitter, rounds=range(1),
                                    round_seconds=seconds.tolist()).end()  # fmt: skip
    base, head = (read_side(stream.write(tmp_path / f"{name}.jsonl")) for name, stream in files.items())
    row = judge(base, head).rows[0]
    assert row.verdict == "SLOW" and row.ratio == pytest.approx(1.05, abs=0.005) and row.high - row.low < 0.02
    records = [record for side_ in (base, head) for record in side_.rows[next(iter(side_.rows))].values()]
    for record in records:
        record["converged"] = False
    assert judge(base, head).rows[0].verdict == "SLOW"  # enough rounds for a pair
    for record in records:
        del record["round_seconds"]
        record["converged"] = True
    assert judge(base, head).rows[0].verdict == "AMBIGUOUS"


def test_unconverged_is_ambiguous(tmp_path):
    gate = gate_of(tmp_path, [1e-3] * 12, [1.2e-3] * 12, converged=False)
    assert gate.rows[0].verdict == "AMBIGUOUS" and "not converged in 12 of 12" in gate.rows[0].note


def test_missing_row_is_incomparable_either_way(tmp_path):
    base, head = side(tmp_path / "base.jsonl", [1e-3] * 12), side(tmp_path / "head.jsonl", [1e-3] * 12, of=B)
    gate = judge(base, head)
    assert [(r.key.name, r.verdict, r.note) for r in gate.rows] == [
        ("production", "INCOMPARABLE", "missing in HEAD"),
        ("stream", "INCOMPARABLE", "missing in BASE"),
    ]
    assert gate.status() == 2 and verdict_line(gate).startswith("gate INCOMPARABLE")


def test_skipped_row_says_why(tmp_path):
    stream = Stream()
    for _ in range(3):
        stream.begin().skip(A, "too slow").end()
    gate = judge(side(tmp_path / "base.jsonl", [1e-3] * 3), read_side(stream.write(tmp_path / "head.jsonl")))
    assert gate.rows[0].verdict == "INCOMPARABLE" and gate.rows[0].note == "missing in HEAD: too slow"


def test_wrong_row_is_incomparable(tmp_path):
    gate = gate_of(tmp_path, [1e-3] * 3, [None] * 3, error="mean off by 0.1\n  repeat with ...")
    assert gate.rows[0].verdict == "INCOMPARABLE" and gate.status() == 2
    assert gate.rows[0].note == "wrong or failed in HEAD: mean off by 0.1"


def test_slow_beats_incomparable(tmp_path):
    streams = []
    for ratio in (1.0, 1.2):
        stream = Stream(spread=0)
        for _ in range(12):
            stream.begin().row(A, ratio * 1e-3, rounds=range(1))
            (stream.row(B, 1e-3, rounds=range(1)) if ratio == 1 else stream.row(B, None, error="off")).end()
        streams.append(read_side(stream.write(tmp_path / f"{ratio}.jsonl")))
    gate = judge(*streams)
    assert sorted(r.verdict for r in gate.rows) == ["INCOMPARABLE", "SLOW"] and gate.status() == 1


@pytest.mark.parametrize(
    "field, value",
    [("device_name", "Another"), ("driver", "1.2"), ("flags", "-O2"), ("compiler", "clang 19"), ("threads", 1)],
)
def test_other_environment_is_incomparable(tmp_path, field, value):
    gate = gate_of(tmp_path, [1e-3] * 3, [1e-3] * 3, environment={field: value})
    assert gate.rows[0].verdict == "INCOMPARABLE" and gate.status() == 2
    assert field.replace("_", " ") in gate.rows[0].note and repr(value) in gate.rows[0].note


def test_nothing_to_compare_is_no_pass(tmp_path):
    empty = read_side(Stream().begin().end().write(tmp_path / "empty.jsonl"))
    assert judge(empty, empty).status() == 2


def test_damaged_file(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"type": "row"}\n')
    with pytest.raises(Damaged, match="line 1"):
        read_side(tmp_path / "x.jsonl")
    (tmp_path / "x.jsonl").write_text("")
    with pytest.raises(Damaged, match="no run"):
        read_side(tmp_path / "x.jsonl")


def test_killed_file_counts_whole_lines(tmp_path):
    path = Stream(spread=0).begin().row(A, 1e-3, rounds=range(1)).end().write(tmp_path / "x.jsonl")
    path.write_text(path.read_text() + '{"type": "ru')
    assert read_side(path).processes == [1]


def test_one_process_each_uses_the_spread_between_processes(tmp_path):
    gate = gate_of(tmp_path, [1e-3], [1.3e-3])
    assert gate.rows[0].verdict == "SLOW" and "assumed spread of 2 %" in gate.notes[0]
    undecided = gate_of(tmp_path, [1e-3], [1.06e-3])
    assert undecided.rows[0].verdict == "AMBIGUOUS" and verdict_line(undecided).startswith("gate UNDECIDED")
    assert undecided.status() == 0 and undecided.status(strict=True) == 1
    assert "SAME cannot come out" in undecided.notes[0] and "./suite gate with the two revisions" in undecided.notes[0]
    base, head = side(tmp_path / "a.jsonl", [1e-3]), side(tmp_path / "b.jsonl", [1.06e-3])
    calibrated = judge(base, head, {"spread": 1e-4, "reach": 0.01})
    assert calibrated.rows[0].verdict == "SLOW" and "calibrated spread of 0.01 %" in calibrated.notes[0]


def test_two_reports_of_two_passes_compare_the_best_settings(tmp_path):
    stream = Stream(spread=0).begin().row(A, 1e-3, rounds=range(1)).end()
    stream.begin("stock").row(A, 9e-3, rounds=range(1)).end()
    found = read_side(stream.write(tmp_path / "x.jsonl"))
    assert found.processes == [1] and [r["seconds"] for r in found.rows.popitem()[1].values()] == [1e-3]


def test_a_resumed_report_is_still_compared(tmp_path):
    base = side(tmp_path / "a.jsonl", [1e-3])
    resumed = Stream(spread=0).begin().end(interrupted=True).begin().row(A, 1.3e-3, rounds=range(1)).end()
    gate = judge(base, read_side(resumed.write(tmp_path / "b.jsonl")))
    assert gate.rows[0].verdict == "SLOW" and gate.rows[0].note == "one process each"


def test_floor():
    assert floor_of("cuda", None) == 0.01 and floor_of("cpu", None) == 0.03
    assert floor_of("cuda", {"reach": 0.004}) == 0.01 and floor_of("cuda", {"reach": 0.017}) == 0.017


def result(mean, gradient="00", probes=(1.0, -1.0), error=1e-6):
    return {"result": {"mean_bits": bits(mean), "gradient_bits": gradient, "gradient_probes": list(probes)},
            "verdict": {"gradient_error": error}}  # fmt: skip


def test_changed_results_are_listed_with_their_size(tmp_path):
    same = [1e-3] * 3
    base = side(tmp_path / "a.jsonl", same, **result(0.5))
    assert judge(base, side(tmp_path / "b.jsonl", same, **result(0.5))).changes == []
    changed = judge(base, side(tmp_path / "c.jsonl", same, **result(0.5 + 2**-30)))
    assert "mean by 9.31e-10" in changed.changes[0].text and changed.status() == 0
    assert "changed: cpu:production:train:same:1x3x64x64:wall: mean by" in table(changed)
    gradient = judge(base, side(tmp_path / "d.jsonl", same, **result(0.5, "01", (1.0, -1.1))))
    assert gradient.changes[0].text == "gradient by 0.1 RMS at the 2 elements looked at, nowhere by more than 2e-06 RMS"
    unseen = judge(base, side(tmp_path / "e.jsonl", same, **result(0.5, "01")))
    assert "at none of the 2 elements" in unseen.changes[0].text


def test_results_that_are_not_there_or_not_repeatable(tmp_path):
    assert compare_results({1: {}}, {1: result(0.5)}) == ("", "a side's result file has no results in it")
    assert compare_results({1: result(0.5), 2: result(0.6)}, {1: result(0.5)})[1].startswith("its result differs")
    gate = judge(side(tmp_path / "a.jsonl", [1e-3] * 2), side(tmp_path / "b.jsonl", [1e-3] * 2))
    assert "results not compared" in table(gate) and "same bits" not in table(gate)


def simulate(generator, rows, pairs, spread, slow):
    """Verdicts of one gate by a model: log medians of processes scatter by `spread`; the first row is slower."""
    logs = generator.normal(0, spread, (rows, pairs)) - generator.normal(0, spread, (rows, pairs))
    logs[0] += math.log1p(slow)
    return [t_interval(row, 1 - ERROR / rows) for row in logs]


@pytest.mark.parametrize("device, spread, slow", [("cuda", 0.005, 0.03), ("cpu", 0.02, 0.1)])
def test_error_rates_of_the_rule_by_simulation(device, spread, slow):
    """What the rule was chosen for, with the greatest spread that it is meant for."""
    from reports.gate import LEAST_FLOOR, PAIRS

    generator = np.random.default_rng(7)
    gates = [simulate(generator, 6, PAIRS[device], spread, slow) for _ in range(1000)]
    found = sum(classify(*gate[0], LEAST_FLOOR[device]) == "SLOW" for gate in gates)
    false = sum(any(classify(*row, LEAST_FLOOR[device]) == "SLOW" for row in gate[1:]) for gate in gates)
    assert found >= 990 and false <= 2


def test_calibration_from_pairs(tmp_path):
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, (2, 15)))
    base, head = side(tmp_path / "a.jsonl", 1e-3 * noise[0]), side(tmp_path / "b.jsonl", 1e-3 * noise[1])
    found = calibration.of_pairs(base, head)
    (row,) = found["rows"].values()
    low, high = t_interval(np.log(noise[1] / noise[0]), 0.99)
    assert row["low"] == pytest.approx(math.exp(low)) and row["high"] == pytest.approx(math.exp(high))
    assert found["reach"] == pytest.approx(math.expm1(max(-low, high)))
    assert found["spread"] == pytest.approx(math.sqrt(np.var(np.log(noise), axis=1, ddof=1).mean()))
    assert calibration.of_pairs(base, read_side(tmp_path / "a.jsonl"))["reach"] is not None
    # Of single runs: Student's interval of the difference of two, and not the gate's of a mean over 15 pairs.
    found |= {"pairs": 15, "seconds": 120, "drift": {"largest": 0.01}, "commit": "abc", "environment": {}}
    reach = calibration.reach_of_single_runs(found)
    assert reach == pytest.approx(math.expm1(stats.t.ppf(0.975, 14) * math.sqrt(2) * found["spread"]))
    assert reach > 2 * found["reach"]
    text = calibration.sentence(found)
    assert f"**A difference below {100 * reach:.2g} % means nothing here:**" in text and "commit abc" in text
    assert f"the gate compares means over such pairs, which lie within {100 * found['reach']:.2g} %" in text
    assert "has not been measured" in calibration.sentence(None)


def test_moods_that_turns_share_are_part_of_the_spread(tmp_path):
    """Between processes the machine differs by 8.5 %, the two of a pair by 0.5 %; single runs meet the former."""
    generator = np.random.default_rng(5)
    moods = np.exp(generator.normal(0, 0.085, 15))
    sides = []
    for name in ("base", "head"):
        stream = Stream(spread=0)
        for mood in moods:
            rounds = (1e-3 * mood * np.exp(generator.normal(0, 0.005, 16))).tolist()
            stream.begin().row(A, float(np.median(rounds)), rounds=range(1), round_seconds=rounds).end()
        sides.append(read_side(stream.write(tmp_path / f"{name}.jsonl")))
    found = calibration.of_pairs(*sides)
    assert found["reach"] < 0.01 and found["spread"] == pytest.approx(0.085, rel=0.4)
    false = 0
    for _ in range(100):
        runs = [side(tmp_path / f"{n}.jsonl", [1e-3 * math.exp(generator.normal(0, 0.085))]) for n in "ab"]
        false += judge(*runs, found).rows[0].verdict in ("SLOW", "FAST")
    assert false <= 5  # of 100; with the spread within pairs it were 70


HERE = {"device": "cpu", "device_name": "EPYC", "driver": None, "threads": 1}


def calibrated(path, **more):
    found = {"schema": 2, "commit": "abc", "environment": HERE, "seconds": 120, "pairs": 15, "key": "a", "reach": 0.02,
             "spread": 0.05, "resolution": [{"clock": "steady", "step_s": 1e-9}], "delay": None, "flush": None,
             "drift": {"window_s": 5.0, "largest": 0.01}, "rows": {"a": {"low": 1, "high": 1, "pairs": 9}}}  # fmt: skip
    path.write_text(json.dumps(found | more))
    return path


def test_calibration_of_another_card_does_not_count(tmp_path):
    path = calibrated(tmp_path / "calibration.json")
    assert calibration.read(path, HERE)["reach"] == 0.02
    for field in ("device", "device_name", "driver"):
        assert calibration.read(path, {**HERE, field: "other"}) is None
    assert calibration.read(tmp_path / "none.json") is None
    assert extras.load(tmp_path, HERE).calibration["spread"] == 0.05
    assert extras.load(tmp_path, {**HERE, "device": "cuda"}).calibration is None


def test_calibration_with_other_threads_says_so(tmp_path):
    found = calibration.read(calibrated(tmp_path / "calibration.json"), {**HERE, "threads": 2})
    assert "; that was with 1 thread, the figures here are with 2 (" in calibration.sentence(found, {"threads": 2})
    assert "thread" not in calibration.sentence(found, HERE)
    card = calibration.read(calibrated(tmp_path / "card.json", environment={**HERE, "device": "cuda"}))
    assert "thread" not in calibration.sentence(card, {"threads": 2})


def test_spread_within_pairs_in_turns_does_not_count(tmp_path):
    """Schema 1 had it so."""
    old = calibration.read(calibrated(tmp_path / "calibration.json", schema=1))
    assert old["spread"] is None and old["reach"] == 0.02 and "has not been measured" in calibration.sentence(old)
    of_card = calibrated(tmp_path / "card.json", schema=1, environment={**HERE, "device": "cuda"})
    assert calibration.read(of_card)["spread"] == 0.05


def test_gate_does_not_go_on_with_a_damaged_calibration(tmp_path, monkeypatch):
    """It would lose its floor."""
    from frontdoor.commands import gate as command
    from frontdoor.place import Stop

    stream = Stream(spread=0)
    for _ in range(2):
        stream.begin(**HERE).row(A, 1e-3, rounds=range(1)).end()
    run = stream.write(tmp_path / "run.jsonl")
    monkeypatch.setattr(command, "STATE", tmp_path)
    path = calibrated(tmp_path / "calibration-cpu.json", reach=0.07)
    args = argparse.Namespace(filter="")
    assert command._judge(args, run, run)[0].floor == 0.07
    path.write_text(path.read_text()[:200])
    with pytest.raises(Stop, match="calibration-cpu.json is damaged") as stop:
        command._judge(args, run, run)
    assert stop.value.status == 2


def test_limits_are_clopper_and_pearsons():
    for events, runs in [(0, 20), (20, 20), (3, 17)]:
        expected = stats.binomtest(events, runs).proportion_ci(0.95, method="exact")
        assert error_rates.limits(events, runs) == pytest.approx((expected.low, expected.high))


def test_error_rates_accumulate(tmp_path):
    path = tmp_path / "gate.jsonl"
    common = {"device_name": "H200", "pairs": 12, "set": "gate", "filter": "", "threads": 16, "commit": "abcdef",
              "rows": {"a": [], "b": []}}  # fmt: skip
    for _ in range(20):
        error_rates.append(path, {**common, "kind": "aa", "fraction": None, "found": None, "false_slow": []})
    for n in range(10):
        error_rates.append(path, {**common, "kind": "planted", "fraction": 0.03, "found": n > 0, "false_slow": []})
    aa, planted = error_rates.sentences(error_rates.read(path))
    assert "no row SLOW in 20 of 20 gates (95 % limits 83.2 % to 100 %), 40 rows" in aa
    assert "planted slow-down of 3 % on H200, set gate, 16 threads, 12 pairs: found in 9 of 10 gates" in planted
    path.write_text(path.read_text() + '{"kind')
    assert len(error_rates.read(path)) == 30


@pytest.mark.parametrize(
    "other, told",
    [({"set": "smoke"}, "H200, set smoke, 16 threads,"), ({"filter": ":train:"}, "set gate with filter ':train:', 16"),
     ({"threads": 1}, "set gate, 1 thread,"), ({"device_name": "H100"}, "H100"), ({"pairs": 15}, "15 pairs")],
)  # fmt: skip
def test_only_runs_of_one_kind_are_counted_together(other, told):
    run = {"device_name": "H200", "kind": "aa", "pairs": 12, "set": "gate", "filter": "", "threads": 16, "rows": {},
           "fraction": None, "false_slow": [], "commit": "b1"}  # fmt: skip
    alone = error_rates.summarize([run, run | {"commit": "a2"}])
    assert [(e["runs"], e["commits"]) for e in alone] == [(2, ["a2", "b1"])]
    assert [e["runs"] for e in error_rates.summarize([run, run | other, run])] == [2, 1]
    assert told in error_rates.sentences([run, run | other])[1]


@pytest.mark.parametrize(
    "medians, told",
    [((61, 60.5, 60.1, 60, 60), "+1.67 % off, within 0.5 % after 40 ms"),
     ((60, 60, 60), "+0.00 % off, within 0.5 % after 0 ms"),
     ((60, 60, 60, 60, 60, 60, 60, 60, 60, 61), "+0.00 % off, within 0.5 % never")],
)  # fmt: skip
def test_calibration_tells_how_a_card_settles(tmp_path, medians, told):
    settling = [{"idle_s": 0.1, "window_s": 0.02, "medians_s": medians}]
    found = calibration.read(calibrated(tmp_path / "calibration.json", settling=settling))
    assert f"after 0.1 s of idleness: the first 20 ms are {told}" in calibration.text(found)
    with pytest.raises(ValueError, match="idle_s"):
        calibration.read(calibrated(tmp_path / "broken.json", settling=[{"idle_s": "long"}]))
