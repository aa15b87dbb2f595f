# SPDX-License-Identifier: MIT
"""The page of worst errors: what it says of a made file, and that committed pages are what their files say."""

import json

import pytest

from reports import accuracy
from reports.check import check, text
from reports.example import ENVIRONMENT, Stream
from reports.readme import RESULTS
from reports.render import write
from reports.test_check import git, history  # noqa: F401

PAGES = sorted(RESULTS.glob(f"*/{accuracy.FILE}"))


def row(name="stream", of="uniform", **more):
    return {"device": "cpu", "name": name, "class": of, "cases": 52, "failures": 0, "mean": 2.1e-7,
            "mean_at": "1x1x1x1 same", "mean_of_many": 3.2e-8, "mean_rooted": 1e-6, "loss": 4e-7, "mean_share": 0.2,
            "gradient": 4.3e-6, "gradient_at": "1x1x12x13 same, image 0, channel 0, row 3, column 4 (corner)",
            "gradient_unit": 1e-5, "corner": 4.3e-6, "edge": 2e-6, "interior": 1e-6, "gradient_share": 0.7,
            **more}  # fmt: skip


def value_alone(**more):
    return {k: v for k, v in row(**more).items() if k not in ("corner", "edge", "interior") and "gradient" not in k}


def put(folder, *rows, **environment):
    found = {"schema": 1, "command": "build/verify/ssim_accuracy --filter '^cpu:' --out accuracy.json",
             "environment": {**ENVIRONMENT, **environment}, "rows": list(rows)}  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / accuracy.FILE).write_text(json.dumps(found))
    return accuracy.load(folder)


def test_page(tmp_path):
    page = accuracy.page(put(tmp_path, row(), row(of="flat", mean=5e-7, gradient_share=0.9), value_alone(name="value")))
    assert "Made by `build/verify/ssim_accuracy --filter '^cpu:' --out accuracy.json`, commit 0123456789abcdef" in page
    assert "| cpu:stream | 104 | 0 | 5.0e-07 (flat) | 4.3e-06 (uniform) | 9.0e-01 |" in page
    assert "| cpu:value | 52 | 0 | 2.1e-07 (uniform) | – | 2.0e-01 |" in page
    assert "row 3, column 4 (corner)" in page and "| flags | -O3 |" in page
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## cpu:stream", "## cpu:value", "## Environment"]
    for table in page.split("\n\n"):
        if table.startswith("|"):
            assert len({line.count("|") for line in table.strip().splitlines()}) == 1


def test_what_is_wrong_or_infinite_is_seen(tmp_path):
    page = accuracy.page(put(tmp_path, row(mean=None, mean_share=None, failures=3)))
    assert "| uniform **3 outside tolerance** | infinite |" in page and "3 outside tolerance." in page
    assert "| cpu:stream | 52 | 3 | infinite (uniform) | 4.3e-06 (uniform) | infinite |" in page


DAMAGED = ["{", "[]", '{"schema": 2, "rows": [1]}', '{"schema": 1, "rows": []}']
DAMAGED += ['{"schema": 1, "command": "", "environment": {"commit": ""}, "rows": [{}]}']


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage(tmp_path, damage):
    assert accuracy.load(tmp_path) is None
    (tmp_path / accuracy.FILE).write_text(damage)
    with pytest.raises(ValueError, match="accuracy.json is damaged"):
        accuracy.load(tmp_path)


def test_a_report_has_the_page_beside_it(tmp_path):
    stream = Stream().begin().end().write(tmp_path / "samples.jsonl")
    write(stream, tmp_path / "without")
    assert not (tmp_path / "without" / accuracy.PAGE).exists()
    assert "Worst error" not in (tmp_path / "without" / "report.md").read_text()
    found = put(tmp_path, row(), row(name="other"))
    write(stream, tmp_path / "with")
    assert (tmp_path / "with" / accuracy.PAGE).read_text() == accuracy.page(found)
    line = "[Worst error of each row on each input class](accuracy.md): 2 rows, 104 cases, 0 outside tolerance"
    assert line in (tmp_path / "with" / "report.md").read_text()


def test_age(history, tmp_path):  # noqa: F811
    """Errors are not made old by the benchmark's clocks, but by what they are measured with."""
    root, change, commit = history
    found = put(tmp_path / "results", row(), commit=commit)
    (tmp_path / "results" / accuracy.PAGE).write_text(accuracy.page(found))
    change("bench/clock.cpp", "another clock")
    assert not any(f.stale for f in check(tmp_path / "results", root))
    change("verify/inputs.cpp", "another class")
    files = check(tmp_path / "results", root)
    assert [f.name for f in files if f.stale] == [accuracy.FILE, accuracy.PAGE]
    assert "what changed that errors depend on" in text(files) and text(files).count("another class") == 1


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.parent.name)
def test_committed(path):
    """A clean commit is named, nothing is outside tolerance, and the page is what the file says."""
    found = accuracy.load(path.parent)
    environment = found["environment"]
    assert environment["commit"] and not environment["dirty"]
    assert not sum(r["failures"] for r in found["rows"])
    mend = f"to mend: ./suite python -m reports.accuracy {path.parent.relative_to(RESULTS.parent.parent)}"
    assert path.with_name(accuracy.PAGE).read_text() == accuracy.page(found), mend
