# SPDX-License-Identifier: MIT
"""The README quotes the committed results and nothing else; the stand-in's ratios come from committed files."""

import json

import pytest

from reports import readme, stand_in
from reports.example import key

PEERS = readme.RESULTS / "peers" / "h200-2026-11-22.csv"


def test_readme_says_what_the_results_say():
    assert readme.text() == (readme.ROOT / "README.md").read_text(), "to mend: ./suite python -m reports.readme"


def test_stand_in_says_what_the_results_say():
    report = json.loads((readme.RESULTS / "h200" / "report.json").read_text())
    committed = json.loads((stand_in.HERE / "stand_in.json").read_text())
    assert stand_in.compare(PEERS, report) == {kind: committed[kind] for kind in ("entries", "rejected")}


@pytest.mark.parametrize(
    "gpu_ms, wall_ms, bound",
    [(0.4961, 0.4713, True), (0.1236, 0.1230, False), (0.3469, 0.3902, False), (0.0348, 0.0698, True)],
)
def test_a_time_that_is_the_hosts_is_no_time_of_the_package(gpu_ms, wall_ms, bound):
    assert bool(stand_in.host_bound(gpu_ms, wall_ms)) == bound


def test_each_clock_is_compared_with_its_own(tmp_path):
    lines = ["batch,channels,height,width,mode,system,gpu_ms_median,wall_ms,ps_per_element"]
    lines += [f"1,3,64,64,{mode},\"rahul-goel/fused-ssim 0, valid\",{gpu},{wall},0"
              for mode, gpu, wall in (("infer", 1.0, 1.25), ("train", 1.0, 0.9))]  # fmt: skip
    (tmp_path / "peers.csv").write_text("\n".join(lines) + "\n")
    rows = [{**key("tiled", "1x3x64x64", mode, "valid", "cuda", clock), "seconds": 2e-3, "error": None}
            for mode in ("infer", "train") for clock in ("cold", "wall", "hot")]  # fmt: skip
    found = stand_in.compare(tmp_path / "peers.csv", {"rows": rows, "environment": {"device_name": "A card"}})
    assert {e["clock"]: e["ratio"] for e in found["entries"]} == {"cold": 2.0, "wall": 1.6}
    assert [(e["mode"], e["clock"]) for e in found["rejected"]] == [("train", "cold"), ("train", "wall")]
    assert all("0.9 ms by the wall clock, 1 ms between GPU events" in e["reason"] for e in found["rejected"])
