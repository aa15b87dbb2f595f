# SPDX-License-Identifier: MIT
"""What is held to 3 % between starts, and what only states its spread."""

import pytest

from reports.example import Stream, key
from reports.repeats import page
from reports.stream import read


def run(path, seconds, clock="cold", **more):
    of = key("production", "1x3x1080x1920", "train", "same", "cuda", clock)
    return read(Stream(spread=0).begin(device="cuda", device_name="H200", **more).row(of, seconds).end().write(path))


@pytest.mark.parametrize(
    "clock, times, good",
    [
        ("cold", (1e-3, 1.02e-3, 1.01e-3), True),
        ("cold", (1e-3, 1.04e-3, 1.01e-3), False),
        ("graph", (1e-3, 1.04e-3, 1.01e-3), False),
        ("wall", (1e-3, 1.5e-3, 1.01e-3), True),  # states its spread, is not held to it
        ("hot", (1e-5, 2e-5, 1e-5), True),  # under 20 us
    ],
)
def test_what_is_held(tmp_path, clock, times, good):
    runs = [run(tmp_path / f"{n}.jsonl", t, clock) for n, t in enumerate(times)]
    text, all_good = page(runs)
    assert all_good == good
    assert ("beyond 3 %" in text) == (not good)
    assert "3 starts on H200" in text and "Commit 0123456789ab" in text
    if clock == "wall":
        assert "| wall | 1 | – | 50 % | 50 % | 1 |" in text


def test_nothing_shared_is_not_good(tmp_path):
    a = run(tmp_path / "a.jsonl", 1e-3)
    assert page([a, run(tmp_path / "b.jsonl", 1e-3, "hot")])[1] is False
