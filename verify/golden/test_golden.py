# SPDX-License-Identifier: MIT
"""The stored values are what scikit-image gives, where it is importable."""

import json
from pathlib import Path

import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed")


def test_skimage_values_are_reproduced():
    import make_skimage

    stored = json.loads(Path(__file__).with_name("skimage.json").read_text())["values"]
    made = make_skimage.values()
    assert len(made) == len(stored) == 24
    for old, new in zip(stored, made):
        assert {k: old[k] for k in old if k != "ssim"} == {k: new[k] for k in new if k != "ssim"}
        assert new["ssim"] == pytest.approx(old["ssim"], abs=1e-12)
