# SPDX-License-Identifier: MIT
"""./suite tune and cliffs around a stand-in for the benchmark: what is run, kept, written, and the exit status."""

import argparse
from pathlib import Path

import pytest

from frontdoor import child
from frontdoor.commands import cliffs, tune
from frontdoor.place import Stop
from reports import selection
from reports.example import Stream, key

CARD = {"device": "cuda", "capability": "9.0", "multiprocessors": 132}


class Context:
    def environment(self):
        return {}


@pytest.fixture
def checkout(monkeypatch, tmp_path) -> Path:
    """A checkout of its own, with a benchmark and the table of one row everywhere."""
    for command in (tune, cliffs):
        monkeypatch.setattr(command, "ROOT", tmp_path)
        program = tmp_path / "build" / command.TARGET
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch()
    monkeypatch.setattr(tune, "TUNING", tmp_path / "reports" / "results" / "tuning")
    monkeypatch.setattr(selection, "ROOT", tmp_path)
    monkeypatch.setattr(selection, "TABLE", tmp_path / "kernels" / "selection_table.hpp")
    selection.TABLE.parent.mkdir()
    return tmp_path


def benchmark(monkeypatch, stream_for, status=0) -> list[list[str]]:
    """Commands as they were run; each writes what stream_for(command) has."""
    commands = []

    def run_child(command, environment, log, **_):
        commands.append(command)
        stream_for(command).write(Path(command[command.index("--out") + 1]))
        return status

    monkeypatch.setattr(child, "run_child", run_child)
    return commands


def times(swift: float, wrong: bool = False) -> Stream:
    stream = Stream(spread=0).begin(set_name="tune", **CARD)
    for mode in selection.MODES:
        for padding in selection.PADDINGS:
            stream.row(key("plain", "1x3x512x512", mode, padding, "cuda", "graph"), 3e-6, candidate=True)
            of = key("swift", "1x3x512x512", mode, padding, "cuda", "graph")
            stream.row(of, None if wrong else swift, error="mean off" if wrong else None, candidate=True)
    return stream.end()


def tuned(folder: Path, **more) -> int:
    values = {"device": "cuda", "seconds": None, "out": folder / "out", "resume": False, "sources": None, "rows": "",
              "check": False}  # fmt: skip
    return tune.run(argparse.Namespace(**{**values, **more}), Context())


def test_tune_writes_figures_and_table_and_tells_changes(monkeypatch, checkout, capsys):
    commands = benchmark(monkeypatch, lambda _: times(2e-6))
    assert tuned(checkout, seconds=30) == 0
    assert commands[0][1:5] == ["--set", "tune", "--device", "cuda"] and "--seconds" in commands[0]
    assert (checkout / "reports/results/tuning/cuda-9.0.json").exists() and (checkout / "out/cuda-9.0.json").exists()
    assert {x.rows for x in selection.lines_in(selection.TABLE.read_text())} == {("swift", "plain")}
    assert (checkout / "out/selection_table.hpp").read_text() == selection.TABLE.read_text()
    assert "production takes another row on 4 of 4 measured problems" in capsys.readouterr().out
    assert tuned(checkout, check=True) == 0
    benchmark(monkeypatch, lambda _: times(4e-6))
    assert tuned(checkout) == 0
    out = capsys.readouterr().out
    assert out.count("swift -> plain  1.333 times as fast") == 4 and "4 of 4" in out
    assert {x.rows for x in selection.lines_in(selection.TABLE.read_text())} == {("plain", "swift")}
    assert tuned(checkout) == 0 and "another row on 0 of 4" in capsys.readouterr().out
    figures = checkout / "reports/results/tuning/cuda-9.0.json"
    figures.write_text(figures.read_text().replace('"name": "swift"', '"name": "nimble"'))
    assert tuned(checkout, check=True) == 1


def test_tune_from_a_fetched_file(monkeypatch, checkout, tmp_path_factory):
    benchmark(monkeypatch, lambda _: times(2e-6))
    tuned(checkout)
    text = selection.TABLE.read_text()
    fetched = tmp_path_factory.mktemp("fetched") / "cuda-9.0.json"
    (checkout / "reports/results/tuning/cuda-9.0.json").rename(fetched)
    selection.TABLE.unlink()
    assert tuned(checkout, sources=[fetched]) == 0
    assert selection.TABLE.read_text() == text


@pytest.mark.parametrize(
    "status, expected, told", [(1, 1, "a row was wrong"), (130, 130, "--resume"), (77, 77, "status 77")]
)
def test_tune_writes_no_table_from_a_bad_run(monkeypatch, checkout, status, expected, told):
    benchmark(monkeypatch, lambda _: times(2e-6, wrong=status == 1), status)
    with pytest.raises(Stop, match=told) as stopped:
        tuned(checkout)
    assert stopped.value.status == expected and not selection.TABLE.exists()


def test_tune_resumes(monkeypatch, checkout):
    commands = benchmark(monkeypatch, lambda _: times(2e-6))
    tuned(checkout)
    tuned(checkout, resume=True)
    tuned(checkout)
    assert ["--resume" in c for c in commands] == [False, True, False]
    assert (checkout / "out" / "samples.previous.jsonl").exists()


@pytest.mark.parametrize("odd, off, expected", [(1.05, 1.05, 0), (1.3, 1.05, 1), (1.05, 1.3, 1)])
def test_cliffs_measures_offsets_and_judges(monkeypatch, checkout, capsys, odd, off, expected):
    def stream_for(command):
        offset = int(command[command.index("--offset") + 1])
        stream = Stream(spread=0).begin(set_name="cliffs", **CARD, **({"offset_bytes": offset} if offset else {}))
        stream.row(key("production", "1x3x1080x1920", "infer", "same", "cuda", "cold"), 3e-5 * (off if offset else 1))
        if not offset:
            stream.row(key("production", "1x3x1080x1921", "infer", "same", "cuda", "cold"), 3e-5 * odd)
        return stream.end()

    commands = benchmark(monkeypatch, stream_for)
    args = argparse.Namespace(device="cuda", out=checkout / "out", resume=False, sources=None)
    assert cliffs.run(args, Context()) == expected
    assert [(c[2], c[c.index("--offset") + 1]) for c in commands] == [
        ("cliffs", "0"), ("unaligned", "4"), ("unaligned", "8"), ("unaligned", "12")]  # fmt: skip
    out = capsys.readouterr().out
    assert "2 width, 4 alignment pairs" in out and "cliffs: none in 2 pairs" in out
    assert ("FOUND alignment: production infer same" in out) == bool(expected)
    page = (checkout / "out" / cliffs.PAGE).read_text()
    assert "# Cliffs and misalignment on Example processor\n" in page and "2 width, 4 alignment pairs." in page
    assert ("\n## Found\n\n* alignment: production infer same" in page) == bool(expected)
    args.sources = [checkout / "out"]
    assert cliffs.run(args, Context()) == expected
    again = capsys.readouterr().out
    found = [sorted(line for line in text.splitlines() if line.startswith("FOUND")) for text in (again, out)]
    assert found[0] == found[1] and "2 width, 4 alignment pairs" in again
