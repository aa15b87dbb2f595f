# SPDX-License-Identifier: MIT
"""What ./suite gate writes: a place that cannot be written is told before anything is built, a full disk by the file
that it hit."""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from frontdoor import error_rates, main, paired
from frontdoor.commands import gate
from frontdoor.place import MISUSE, ROOT, WRONG, Stop, check_writable
from reports import error_rates as records

FULL = Path("/dev/full")  # every write to it fails with ENOSPC
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")


def checked(*arguments: str) -> None:
    gate.check(main.parser_for("gate", gate).parse_args(arguments))


@pytest.mark.parametrize(
    "arguments, flag",
    [
        ([str(ROOT), "--out", "{}/file/out"], "--out"),
        ([str(ROOT), "--out", "{}/file"], "--out"),
        (["--error-rates", "1", "--record", "{}/file/gate.jsonl"], "--record"),
    ],
)
def test_a_place_that_cannot_be_written_is_misuse_before_anything_is_built(tmp_path, arguments, flag):
    (tmp_path / "file").write_text("")
    with pytest.raises(Stop, match=f"gate: {flag} .*file.* cannot be written") as stopped:
        checked(*(a.format(tmp_path) for a in arguments))
    assert stopped.value.status == MISUSE


def test_two_processes_may_try_the_same_folder_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: check_writable("report: --out", tmp_path / "out"), range(400)))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path):
    record = tmp_path / "rates" / "gate.jsonl"
    checked("--error-rates", "1", "--record", str(record))
    assert list(record.parent.iterdir()) == []
    record.write_text("{}\n")
    checked("--error-rates", "1", "--record", str(record))
    assert record.read_text() == "{}\n"


@needs_full
def test_a_full_disk_names_the_file_of_the_verdicts(monkeypatch, tmp_path):
    stored = ROOT / "reports" / "testdata" / "smoke.jsonl"

    def pairs(run, files, *_):
        for path in files.values():
            path.write_bytes(stored.read_bytes())
        return True

    monkeypatch.setattr(paired, "run_pairs", pairs)
    (tmp_path / "gate.part").symlink_to(FULL)
    args = argparse.Namespace(out=tmp_path, resume=False, pairs=2, set="smoke", filter="", strict=False)
    with pytest.raises(Stop, match="gate.json cannot be written: No space left on device") as stopped:
        gate._gate(args, paired.Run({}, {}, []), "cpu", tmp_path)
    assert stopped.value.status == WRONG and not (tmp_path / "gate.json").exists()
    assert not (tmp_path / "gate.part").is_symlink() and FULL.exists()
    gate._gate(args, paired.Run({}, {}, []), "cpu", tmp_path)
    assert json.loads((tmp_path / "gate.json").read_text())["rows"]


def test_a_full_disk_leaves_no_half_record(monkeypatch, tmp_path):
    path = tmp_path / "gate.jsonl"
    error_rates._append(path, {"run": 1})

    def half(path, record):
        with path.open("a") as out:
            out.write('{"run": ')
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(records, "append", half)
    with pytest.raises(Stop, match="gate.jsonl cannot be written: No space left on device; the runs in it are kept"):
        error_rates._append(path, {"run": 2})
    monkeypatch.undo()
    error_rates._append(path, {"run": 3})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"run": 1}, {"run": 3}]
