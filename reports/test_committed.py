# SPDX-License-Identifier: MIT
"""Committed results are what their own samples say: every table byte for byte, pictures with the pinned Matplotlib."""

import re
from pathlib import Path

import matplotlib
import pytest

from reports import accuracy
from reports.readme import RESULTS
from reports.render import write

ROOT = RESULTS.parent.parent
FOLDERS = sorted(p.parent for p in RESULTS.rglob("samples.jsonl"))
PINNED = re.search(r"^matplotlib==(\S+)", (ROOT / "frontdoor" / "requirements.txt").read_text(), re.M)[1]


def test_there_are_some():
    assert {f.name for f in FOLDERS} >= {"h200"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: str(f.relative_to(RESULTS)))
def test_tables_and_pictures(folder: Path, tmp_path):
    made = tmp_path / "made"
    write(folder / "samples.jsonl", made)
    tables = sorted(p.name for p in made.iterdir() if p.suffix in (".md", ".json", ".csv"))
    beside = [accuracy.PAGE] if (folder / accuracy.FILE).exists() else []
    assert tables == [*beside, "report.csv", "report.json", "report.md"]
    mend = f"to mend: ./suite report --from {folder.relative_to(ROOT)} --out {folder.relative_to(ROOT)}"
    for name in tables:
        assert (made / name).read_bytes() == (folder / name).read_bytes(), mend
    pictures = sorted(p.name for p in made.iterdir() if p.suffix in (".png", ".svg"))
    assert pictures == sorted(p.name for p in folder.iterdir() if p.suffix in (".png", ".svg")), mend
    if matplotlib.__version__ == PINNED:
        for name in pictures:
            assert (made / name).read_bytes() == (folder / name).read_bytes(), mend
