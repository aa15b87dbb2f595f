# SPDX-License-Identifier: MIT
"""./suite score against scikit-image: its stored values, and itself where importable; files, folders, bad ones."""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures import score
from pictures.ssim64 import interior, ssim_map, weights

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "verify" / "photos"
NAMES = ("astronaut", "chelsea", "coffee")
GOLDEN = json.loads((ROOT / "verify" / "golden" / "skimage.json").read_text())["values"]


def run(*arguments, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "frontdoor" / "main.py"), "score", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def photo(name: str) -> np.ndarray:
    return np.asarray(Image.open(PHOTOS / f"{name}.ppm"))


def save(pixels: np.ndarray, path: Path, **options) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def by_skimage(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Both paddings of one [height, width] channel; scikit-image crops its mean by the window's reach."""
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
    padded = [np.pad(v, 5) for v in (x, y)]
    return {
        "same": metrics.structural_similarity(*padded, **options),
        "valid": metrics.structural_similarity(x, y, **options),
    }


def test_window():
    assert weights().sum() == pytest.approx(1, abs=1e-15) and weights()[5] == weights().max()


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: "-".join((c["photograph"], c["degradation"], c["padding"])))
def test_map_has_the_stored_values(case):
    sys.path.insert(0, str(ROOT / "verify" / "golden"))
    pytest.importorskip("skimage", reason="scikit-image is not installed (make_skimage imports it)")
    from make_skimage import DEGRADATIONS, read_ppm

    x = read_ppm(case["photograph"])
    y = DEGRADATIONS[case["degradation"]](x)
    maps = [ssim_map(a, b) for a, b in zip(x, y)]
    found = np.mean([m if case["padding"] == "same" else interior(m) for m in maps])
    assert found == pytest.approx(case["ssim"], abs=1e-9)


# Those degradations that 8 bits hold exactly, so that a PNG file has them.
EXACT = {"inverted": lambda v: 255 - v, "shift": lambda v: np.concatenate([v[:, :1], v[:, :-1]], axis=1)}


@pytest.mark.parametrize("degradation", EXACT)
@pytest.mark.parametrize("name", NAMES)
def test_files_have_the_stored_values(tmp_path, name, degradation):
    """Needs no scikit-image: these are its values, stored."""
    x = photo(name)
    a, b = save(x, tmp_path / "a.png"), save(EXACT[degradation](x), tmp_path / "b.png")
    _, result = score.score(a, b)
    for padding, values in (("same", result.same), ("valid", result.valid)):
        stored = [c["ssim"] for c in GOLDEN if (c["photograph"], c["degradation"], c["padding"]) ==
                  (name, degradation, padding)]
        assert len(stored) == 1 and list(values) == ["R", "G", "B"]
        assert score.Score.mean(values) == pytest.approx(stored[0], abs=1e-6)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_each_channel_is_scikit_images(tmp_path, suffix):
    x, y = (photo(n) for n in NAMES[:2])
    a, b = save(x, tmp_path / f"a.{suffix}"), save(y // 4 + x // 4 * 3, tmp_path / f"b.{suffix}")
    read_back = [np.asarray(Image.open(p)) / 255 for p in (a, b)]
    _, result = score.score(a, b)
    for channel, name in enumerate("RGB"):
        expected = by_skimage(read_back[0][..., channel], read_back[1][..., channel])
        assert result.same[name] == pytest.approx(expected["same"], abs=1e-6)
        assert result.valid[name] == pytest.approx(expected["valid"], abs=1e-6)


def test_grey_of_8_and_16_bits(tmp_path):
    x, y = photo("coffee")[..., 0], photo("coffee")[..., 1]
    eight = score.score(save(x, tmp_path / "a8.png"), save(y, tmp_path / "b8.png"))[1]
    wide = [v.astype(np.uint16) * 257 for v in (x, y)]
    sixteen = score.score(save(wide[0], tmp_path / "a16.png"), save(wide[1], tmp_path / "b16.png"))[1]
    assert list(eight.same) == ["grey"] and sixteen.same["grey"] == pytest.approx(eight.same["grey"], abs=1e-12)


def test_16_bits_as_older_pillows_read_them(tmp_path, monkeypatch):
    """Before 10.3 the mode of such a file is I, 32 bits."""
    path = save(photo("coffee")[..., 0].astype(np.uint16) * 257, tmp_path / "a.png")
    now = score.read(path)
    monkeypatch.setattr(score.ImageOps, "exif_transpose", lambda image: image.convert("I"))
    before = score.read(path)
    assert np.array_equal(before.channels["grey"], now.channels["grey"]) and now.channels["grey"].max() > 0.5


def test_command_prints_channels_and_writes_the_map(tmp_path):
    x = photo("chelsea")
    y = x.copy()
    y[40:80, 50:90] = 255 - y[40:80, 50:90]
    a, b = save(x, tmp_path / "a.png"), save(y, tmp_path / "b.png")
    done = run(a, b, "--map", tmp_path / "map.png")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    _, result = score.score(a, b)
    assert lines[1] == ["padding", "R", "G", "B", "mean"]
    for line, values in zip(lines[2:4], (result.same, result.valid)):
        assert [float(v) for v in line[1:]] == pytest.approx([*values.values(), score.Score.mean(values)], abs=6e-8)
    written = np.asarray(Image.open(tmp_path / "map.png"))
    assert written.shape == x.shape[:2]
    assert written[:30].min() == 255 and written[55:65, 65:75].max() < 128
    assert written == pytest.approx(np.clip(result.map, 0, 1) * 255, abs=0.5 + 1e-9)


def test_folders(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for name in NAMES:
        save(photo(name), a / f"{name}.png")
        save(photo(name), b / f"{name}.jpg", quality=70)
    save(photo("coffee")[:100], a / "cropped.png"), save(photo("coffee"), b / "cropped.png")
    save(photo("coffee")[:9], a / "tiny.png"), save(photo("coffee")[1:10], b / "tiny.png")
    save(photo("coffee"), b / "alone.png")
    (a / "damaged.png").write_bytes((a / "coffee.png").read_bytes()[:2000])
    save(photo("coffee"), b / "damaged.png")
    (a / "notes.txt").write_text("no picture")
    done = run(a, b, "--map", tmp_path / "maps")
    assert done.returncode == 1
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:]}
    assert set(rows) == {"astronaut.png", "chelsea.png", "coffee.png", "tiny.png", "mean"}
    for name in NAMES:
        _, result = score.score(a / f"{name}.png", b / f"{name}.jpg")
        assert [float(v) for v in rows[f"{name}.png"]] == pytest.approx(
            [score.Score.mean(result.same), score.Score.mean(result.valid)], abs=6e-8
        )
    assert rows["tiny.png"][1] == "-" and "smaller than the 11x11 window" in done.stdout
    assert float(rows["mean"][1]) == pytest.approx(np.mean([float(rows[f"{n}.png"][1]) for n in NAMES]), abs=1e-7)
    for complaint in (
        f"{b / 'alone.png'}: {a} has no picture of that name",
        f"{a / 'cropped.png'} is 200x100 and {b / 'cropped.png'} is 200x160; they must be of the same size",
        f"{a / 'damaged.png'}: cannot be read as a picture",
        "3 of 7 could not be done in full",
    ):
        assert complaint in done.stderr
    assert {p.name for p in (tmp_path / "maps").iterdir()} == {f"{n}.png" for n in (*NAMES, "tiny")}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_what_is_refused(tmp_path):
    rgb, grey = save(photo("coffee"), tmp_path / "rgb.png"), save(photo("coffee")[..., 0], tmp_path / "grey.png")
    Image.fromarray(photo("coffee")).convert("CMYK").save(tmp_path / "cmyk.jpg")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(2 * (1 + 2 * 6)))) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for arguments, message in (
        ((rgb, grey), "has channels R, G, B and"),
        ((rgb, tmp_path / "cmyk.jpg"), "cmyk.jpg: its mode is CMYK"),
        ((tmp_path / "deep.png", rgb), "deep.png: 16 bits a channel are read for grey alone"),
        ((rgb, tmp_path / "none.png"), "none.png: there is no such file or folder"),
        ((rgb, tmp_path / "folder"), "is a folder and"),
        ((tmp_path / "folder", tmp_path / "folder"), "has a PNG or JPEG file"),
        ((rgb, tmp_path / "pipe.png"), "pipe.png: it is not a regular file"),
        ((rgb / "inside.png", rgb), "inside.png: cannot be read: Not a directory"),
        ((rgb, rgb, "--map", tmp_path / "map.tif"), "must end in .png, .jpg or .jpeg"),
        ((rgb, grey, "--map", tmp_path / "folder" / ".." / "grey.png"), "grey.png is what is scored"),
        ((tmp_path / "folder", tmp_path, "--map", tmp_path), "is what is scored; the map would take its place"),
        ((tmp_path / "folder", tmp_path, "--map", rgb), "rgb.png cannot be written: File exists"),
        ((rgb, rgb, "--map", tmp_path / "none" / "map.png"), "cannot be written: No such file or directory"),
    ):
        done = run(*arguments)
        assert done.returncode == 2 and message in done.stderr, (arguments, done.stdout, done.stderr)


def test_transparency_is_left_out_and_said(tmp_path):
    x = photo("coffee")
    with_alpha = np.dstack([x, np.full(x.shape[:2], 100, np.uint8)])
    done = run(save(with_alpha, tmp_path / "a.png"), save(x, tmp_path / "b.png"))
    assert done.returncode == 0 and "(transparency is not compared)" in done.stdout
    assert "1.0000000" in done.stdout


def test_maps_of_one_stem_are_two_files(tmp_path):
    for folder in ("a", "b"):
        for name in ("x.png", "x.jpg", "y.png"):
            save(photo("coffee")[:20, :20], tmp_path / folder / name)
    assert run(tmp_path / "a", tmp_path / "b", "--map", tmp_path / "maps").returncode == 0
    assert {p.name for p in (tmp_path / "maps").iterdir()} == {"x.png.png", "x.jpg.png", "y.png"}


def test_full_disk(tmp_path):
    """No half of a map is left, what stood in its place stays, and the scores are printed all the same."""
    for folder in ("a", "b"):
        for name in NAMES:
            save(photo(name)[:, ::-1] if folder == "b" else photo(name), tmp_path / folder / f"{name}.png")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "coffee.png").write_text("of yesterday")
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))}
    for arguments, rows in (
        ((tmp_path / "a", tmp_path / "b", "--map", tmp_path / "maps"), 5),
        ((tmp_path / "a" / "coffee.png", tmp_path / "b" / "coffee.png", "--map", tmp_path / "maps" / "coffee.png"), 4),
    ):
        done = run(*arguments, **limited, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        assert done.returncode in (1, 2) and len(done.stdout.splitlines()) == rows, done.stderr
        assert f"the map {tmp_path / 'maps' / 'coffee.png'} cannot be written: File too large" in done.stderr
        assert {p.name: p.read_text() for p in (tmp_path / "maps").iterdir()} == {"coffee.png": "of yesterday"}


def test_interrupted_has_given_what_it_had(tmp_path):
    pairs = [(save(photo(n), tmp_path / f"{n}.png"), tmp_path / f"{n}.png") for n in NAMES]

    def interrupted(items):
        yield items[0]
        raise KeyboardInterrupt

    told = []
    with pytest.raises(KeyboardInterrupt):
        score.score_folders(pairs, None, told.append, told.append, interrupted)
    assert [line.split()[0] for line in told] == ["name", f"{NAMES[0]}.png"]
