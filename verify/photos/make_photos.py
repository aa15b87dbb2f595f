# SPDX-License-Identifier: MIT
"""Makes the three photographs from those that ship with scikit-image: crop, shrink by area averaging, store as PPM.

Run: python verify/photos/make_photos.py   (needs scikit-image >= 0.25; writes next to this file)
"""

from pathlib import Path

import numpy as np
from skimage import data, transform

# Name, loader, rows and columns of the crop; each becomes 160 rows of 200 pixels.
PHOTOS = [
    ("astronaut", data.astronaut, slice(0, 400), slice(0, 500)),
    ("chelsea", data.chelsea, slice(0, 300), slice(30, 405)),
    ("coffee", data.coffee, slice(0, 400), slice(60, 560)),
]
HEIGHT, WIDTH = 160, 200


def main() -> None:
    for name, load, rows, columns in PHOTOS:
        small = transform.resize(load()[rows, columns], (HEIGHT, WIDTH), anti_aliasing=True, order=1)
        pixels = np.clip(np.round(small * 255), 0, 255).astype(np.uint8)
        path = Path(__file__).with_name(f"{name}.ppm")
        path.write_bytes(f"P6\n{WIDTH} {HEIGHT}\n255\n".encode() + pixels.tobytes())
        print(path.name, pixels.shape, pixels.mean())


if __name__ == "__main__":
    main()
