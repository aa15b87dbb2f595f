# SPDX-License-Identifier: MIT
"""Makes skimage.json: SSIM of the photographs against four degradations of them, by scikit-image.

`structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)` crops its mean by
the window's reach, which is `valid`; for `same` both images are padded with 5 zeros first.

Run: python verify/golden/make_skimage.py > verify/golden/skimage.json
"""

import json
import sys
from pathlib import Path

import numpy as np
import skimage
from skimage.metrics import structural_similarity

PHOTOS = Path(__file__).parent.parent / "photos"


def read_ppm(name: str) -> np.ndarray:
    """[3, height, width] fp32, 0 to 1."""
    magic, size, most, pixels = (PHOTOS / f"{name}.ppm").read_bytes().split(b"\n", 3)
    assert magic == b"P6" and most == b"255"
    width, height = map(int, size.split())
    bytes_ = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    return bytes_.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def half_away(v: np.ndarray) -> np.ndarray:
    return np.floor(v + np.float32(0.5))


DEGRADATIONS = {
    "darker": lambda v: np.float32(0.8) * v,
    "inverted": lambda v: np.float32(1) - v,
    "steps": lambda v: half_away(v * np.float32(8)) / np.float32(8),
    "shift": lambda v: np.concatenate([v[..., :1], v[..., :-1]], axis=-1),
}


def values() -> list[dict]:
    out = []
    for photograph in ("astronaut", "chelsea", "coffee"):
        x = read_ppm(photograph)
        for degradation, function in DEGRADATIONS.items():
            y = function(x)
            for padding in ("same", "valid"):
                pad = ((0, 0), (5, 5), (5, 5)) if padding == "same" else ((0, 0), (0, 0), (0, 0))
                a, b = (np.pad(v.astype(np.float64), pad) for v in (x, y))
                ssim = structural_similarity(
                    a, b, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
                )
                out.append(
                    {"photograph": photograph, "degradation": degradation, "padding": padding, "ssim": float(ssim)}
                )
    return out


def document() -> dict:
    return {"command": "python verify/golden/make_skimage.py", "scikit-image": skimage.__version__, "values": values()}


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
    print()
