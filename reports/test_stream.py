# SPDX-License-Identifier: MIT
"""Reading result files: whole, resumed, killed half-way, damaged."""

import json

import pytest

from reports.example import Stream, key
from reports.stream import Damaged, Key, read

A = key("production", "1x3x64x64", "infer", "valid")
B = key("pytorch_mssim", "1x3x64x64", "infer", "valid")


def as_key(of):
    return Key(**of)


def test_rows_samples_and_environment(tmp_path):
    run = read(Stream().begin().row(A, 1e-3, rounds=range(3)).skip(B, "too slow").end().write(tmp_path / "s.jsonl"))
    assert set(run.rows) == {("best", as_key(A))}
    assert run.skipped == {("best", as_key(B)): "too slow"}
    assert set(run.samples["best", as_key(A)]) == {(1, 0), (1, 1), (1, 2)}
    assert run.environment["compiler"] == "gcc 12.2.0" and run.set_name == "claim" and not run.interrupted


def test_resumed_run_is_one_run(tmp_path):
    stream = Stream().begin().samples(A, 1e-3, rounds=range(2)).end(interrupted=True)
    first = read(stream.write(tmp_path / "s.jsonl"))
    assert first.interrupted and first.unfinished() == [("best", as_key(A))] and not first.rows
    run = read(stream.begin().row(A, 1e-3, rounds=range(4)).end().write(tmp_path / "s.jsonl"))
    assert not run.interrupted and not run.unfinished() and len(run.rows) == 1
    assert set(run.samples["best", as_key(A)]) == {(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)}


def test_killed_run_without_an_end_is_interrupted(tmp_path):
    assert read(Stream().begin().row(A, 1e-3).write(tmp_path / "s.jsonl")).interrupted


def test_half_a_last_line_is_passed_over(tmp_path):
    path = tmp_path / "s.jsonl"
    text = Stream().begin().row(A, 1e-3).text()
    path.write_text(text + '{"type":"row","na')
    assert set(read(path).rows) == {("best", as_key(A))}
    path.write_text(text[:-1])  # whole, but its newline did not make it
    assert not read(path).rows


def test_passes_are_kept_apart(tmp_path):
    stream = Stream().begin("best").row(B, 1e-3).end().begin("stock").row(B, 2e-3).end()
    run = read(stream.write(tmp_path / "s.jsonl"))
    assert run.rows["best", as_key(B)]["seconds"] == 1e-3 and run.rows["stock", as_key(B)]["seconds"] == 2e-3
    assert set(run.samples["best", as_key(B)]) & set(run.samples["stock", as_key(B)]) == set()


def test_the_last_of_the_records_by_the_published_protocol_counts(tmp_path):
    """A resumed run measures them anew, with the same settings and in the same file."""

    def upstream(process, settings, forward, **changed):
        return {"type": "upstream", **A, "clock": "wall", "process": process, "settings": settings,
                "forward_s": forward, **changed}  # fmt: skip

    stream = Stream().begin()
    stream.lines += [upstream(1, "best", 1e-3), upstream(1, "best", 2e-3, width=128), upstream(1, "stock", 3e-3)]
    stream.lines += [upstream(1, "best", 4e-3, padding="same"), upstream(1, "best", 5e-3, mode="train")]
    stream.lines += [upstream(1, "best", 6e-3, name="tiled")]
    stream.end(interrupted=True).begin()
    stream.lines += [upstream(2, "best", None, reason="too slow", width=128), upstream(2, "best", 7e-3)]
    found = read(stream.end().write(tmp_path / "s.jsonl")).upstream
    assert [u["forward_s"] for u in found] == [7e-3, None, 3e-3, 4e-3, 5e-3, 6e-3]


def test_ceilings_are_those_of_the_main_pass(tmp_path):
    stream = Stream().begin("best").end().begin("stock")
    stream.lines[-1]["copy_gb_s"] = 1.0
    assert read(stream.end().write(tmp_path / "s.jsonl")).ceilings["cpu"]["copy_gb_s"] == 20.0


def damage(change):
    lines = Stream().begin().row(A, 1e-3, rounds=range(2)).end().text().splitlines()
    change(lines)
    return "\n".join(lines) + "\n"


def put(n, text):
    return lambda lines: lines.__setitem__(n, text)


def without(n, field):
    def change(lines):
        record = json.loads(lines[n])
        del record[field]
        lines[n] = json.dumps(record)

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (put(2, '{"type":"samp'), "line 3"),
        (put(2, "[1, 2]"), "line 3"),
        (put(2, ""), "line 3: it is empty"),
        (put(2, '{"type":"sample"}'), "unknown record type 'sample'"),
        (without(2, "height"), "line 3: KeyError"),
        (without(4, "settings"), "line 5: KeyError"),
        (put(0, '{"type":"end","process":1}'), "must begin with a run record"),
        (put(0, '{"type":"run","schema":2,"process":1,"settings":"best"}'), "schema 2, this program reads 1"),
        (lambda lines: lines.clear(), "line 1: it is empty"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path, change, message):
    path = tmp_path / "s.jsonl"
    path.write_text(damage(change))
    with pytest.raises(Damaged, match=message.replace("[", r"\[")):
        read(path)


def test_binary_rubbish_is_damage(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(Damaged):
        read(path)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        read(tmp_path / "none.jsonl")
