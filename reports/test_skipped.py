# SPDX-License-Identifier: MIT
import pytest

from reports import skipped

SLOW = "too slow: one call takes {}, and what is left of the set's 420.0 s gives it {}"


def report(*reasons, rows=0, name="tiled"):
    return {"skipped": [{"device": "cuda", "name": name, "reason": r} for r in reasons], "rows": [{}] * rows}


def test_reasons_that_differ_in_figures_are_one_line():
    found = skipped.lines(report(SLOW.format("0.00018 s", "0 s"), SLOW.format("2.5e-05 s", "0.03 s"), "value only"))
    reason = "too slow: one call takes 2.5e-05 to 0.00018 s, and what is left of the set's 420.0 s gives it 0 to 0.03 s"
    assert found == [{"what": "cuda:tiled", "reason": reason, "count": 2},
                     {"what": "cuda:tiled", "reason": "value only", "count": 1}]  # fmt: skip


def test_shapes_and_names_are_not_figures():
    reasons = [f"too large: cuda:tiled:train:{shape}/uniform: fp32 | 8 bytes" for shape in ("1x3x4x4", "2x3x4x4")]
    assert [(line["count"], line["reason"]) for line in skipped.lines(report(*reasons))] == [
        (1, "too large: cuda:tiled:train:1x3x4x4/uniform: fp32 \\| 8 bytes"),
        (1, "too large: cuda:tiled:train:2x3x4x4/uniform: fp32 \\| 8 bytes"),
    ]


@pytest.mark.parametrize(
    "reasons, rows, told",
    [(("value only",), 3, ""), ((), 3, ""),
     (("value only", "too slow: so", "the set's 60.0 s were used up before it"), 3,
      "2 of 5 figures are missing for want of time or memory")],
)  # fmt: skip
def test_what_is_missing_for_want_of_time(reasons, rows, told):
    assert skipped.sentence(report(*reasons, rows=rows)) == told
