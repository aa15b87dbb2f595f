# SPDX-License-Identifier: MIT
"""The README quotes the committed results and nothing else; the stand-in's ratios come from committed files."""

import json

from reports import readme, stand_in

PEERS = readme.RESULTS / "peers" / "h200-2026-11-22.csv"


def test_readme_says_what_the_results_say():
    assert readme.text() == (readme.ROOT / "README.md").read_text(), "to mend: ./suite python -m reports.readme"


def test_stand_in_says_what_the_results_say():
    report = json.loads((readme.RESULTS / "h200" / "report.json").read_text())
    committed = json.loads((stand_in.HERE / "stand_in.json").read_text())["entries"]
    assert stand_in.entries(PEERS, report) == committed
