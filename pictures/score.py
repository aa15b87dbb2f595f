# SPDX-License-Identifier: MIT
"""Two picture files, or two folders of them, to a table of SSIM: per channel and mean, both paddings."""

from __future__ import annotations

import stat
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
from PIL import Image, ImageOps

from pictures.ssim64 import WINDOW, interior, ssim_map

SUFFIXES = {".png", ".jpg", ".jpeg"}
# Pillow's modes -> the mode to read as, the channels' names, the largest value.
MODES = {
    "1": ("L", "grey", 255),
    "L": ("L", "grey", 255),
    "LA": ("L", "grey", 255),
    "I;16": ("I;16", "grey", 65535),
    "P": ("RGB", "RGB", 255),
    "RGB": ("RGB", "RGB", 255),
    "RGBA": ("RGB", "RGB", 255),
}


class BadPicture(Exception):
    """A file that cannot be scored, or a map that cannot be written; the message names it and says why."""


@dataclass
class Picture:
    path: Path
    channels: dict[str, np.ndarray]  # name -> [height, width] fp64, 0 to 1
    alpha: bool  # it has transparency, which is not compared

    @property
    def size(self) -> str:
        height, width = next(iter(self.channels.values())).shape
        return f"{width}x{height}"


@dataclass
class Score:
    """ "same" and "valid": channel -> SSIM, empty for valid where the picture is smaller than the window."""

    same: dict[str, float]
    valid: dict[str, float]
    map: np.ndarray  # [height, width], the mean of the channels' maps, padding same
    note: str = ""

    @staticmethod
    def mean(of: dict[str, float]) -> float | None:
        return float(np.mean(list(of.values()))) if of else None


def _is_16_bit_png(path: Path) -> bool:
    """Pillow would quietly keep the upper 8 bits of colour. Byte 24 of a PNG file is its bit depth."""
    with path.open("rb") as file:
        head = file.read(25)
    return head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:] == b"\x10"


def read(path: Path) -> Picture:
    """A PNG or JPEG file (or whatever Pillow reads), turned as its EXIF entry says. Raises BadPicture."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise BadPicture(f"{path}: it is not a regular file")
        with Image.open(path) as file:
            file.load()
            upright = ImageOps.exif_transpose(file)
    except FileNotFoundError:
        raise BadPicture(f"{path}: there is no such file") from None
    except BadPicture:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise BadPicture(f"{path}: cannot be read as a picture: {error}") from None
    deep, found = _is_16_bit_png(path), upright.mode
    if deep and found not in ("I;16", "I"):
        raise BadPicture(f"{path}: 16 bits a channel are read for grey alone, and its mode is {found}")
    if found not in MODES and not deep:
        raise BadPicture(f"{path}: its mode is {found}; {', '.join(MODES)} can be scored")
    mode, names, most = MODES["I;16" if deep else found]  # Pillow before 10.3 reads 16-bit grey as I
    alpha = found in ("LA", "RGBA") or "transparency" in upright.info
    pixels = np.asarray(upright if deep or found == mode else upright.convert(mode)).astype(np.float64) / most
    planes = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0))
    return Picture(path, dict(zip([names] if len(planes) == 1 else names, planes)), alpha)


def score(first: Path, second: Path, progress: Callable = iter) -> tuple[Picture, Score]:
    """SSIM of two files; progress(channels) passes the channels on. Raises BadPicture where one cannot be read or they
    do not match."""
    a, b = read(first), read(second)
    if a.size != b.size:
        raise BadPicture(f"{first} is {a.size} and {second} is {b.size}; they must be of the same size")
    if list(a.channels) != list(b.channels):
        names = [", ".join(p.channels) for p in (a, b)]
        raise BadPicture(f"{first} has channels {names[0]} and {second} has {names[1]}; they must have the same")
    maps = {name: ssim_map(a.channels[name], b.channels[name]) for name in progress(a.channels)}
    inside = {name: interior(values) for name, values in maps.items()}
    notes = ["transparency is not compared"] if a.alpha or b.alpha else []
    if next(iter(inside.values())).size == 0:
        inside = {}
        notes.append(f"no value for valid: the picture is smaller than the {WINDOW}x{WINDOW} window")
    return a, Score(
        {name: float(values.mean()) for name, values in maps.items()},
        {name: float(values.mean()) for name, values in inside.items()},
        np.mean(list(maps.values()), axis=0),
        "; ".join(notes),
    )


def write_map(values: np.ndarray, path: Path) -> None:
    """An 8-bit grey picture: white is SSIM 1, black 0 or less. Raises BadPicture, and leaves what stood there."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)).save(part)
        part.replace(path)
    except OSError as error:
        raise BadPicture(f"the map {path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()


def pairs(first: Path, second: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pictures of two folders that go together, and a line for each that has no partner.

    Together go the same name; where the other folder has it not, the same name but for the suffix.
    """
    a, b = ({p.name: p for p in sorted(f.iterdir()) if p.suffix.lower() in SUFFIXES} for f in (first, second))
    found = [(a[name], b[name]) for name in a if name in b]
    left = [path for name, path in a.items() if name not in b]
    free = [path for name, path in b.items() if name not in a]
    lonely = []
    for path in left:
        partner = next((other for other in free if other.stem == path.stem), None)
        if partner:
            free.remove(partner)
            found.append((path, partner))
        else:
            lonely.append(f"{path}: {second} has no picture of that name")
    lonely += [f"{path}: {first} has no picture of that name" for path in free]
    return sorted(found), lonely


def number(value: float | None) -> str:
    return f"{value:10.7f}" if value is not None else "         -"


def table_of_pair(picture: Picture, result: Score) -> str:
    names = list(picture.channels) if len(picture.channels) > 1 else []
    lines = ["padding" + "".join(f"{name:>11s}" for name in [*names, "mean"])]
    for padding, values in (("same", result.same), ("valid", result.valid)):
        line = [values.get(name) for name in names] + [Score.mean(values)]
        lines.append(f"{padding:7s}" + "".join(f" {number(value)}" for value in line))
    return "\n".join([*lines, *([f"({result.note})"] if result.note else [])])


def map_names(found: list[tuple[Path, Path]]) -> dict[Path, str]:
    """The map's file name for each first picture; a.png and a.jpg in one folder get one each."""
    stems = Counter(first.stem for first, _ in found)
    return {first: f"{first.stem if stems[first.stem] == 1 else first.name}.png" for first, _ in found}


def score_folders(
    found: list[tuple[Path, Path]], maps: Path | None, row: Callable[[str], None], bad: Callable[[str], None], progress
) -> int:
    """Tells row() each line of the table as soon as it is known, so that an interrupted run has given what it had.

    bad() is told each pair that cannot be scored and each map that cannot be written. Returns how many those are.
    """
    width = max([len(a.name) for a, _ in found] + [4])
    names, means, failed = map_names(found), [], 0
    row(f"{'name':{width}s} {'same':>10s} {'valid':>10s}")
    for a, b in progress(found):
        try:
            _, result = score(a, b)
            means.append((Score.mean(result.same), Score.mean(result.valid)))
            note = f"   {result.note}" if result.note else ""
            row(f"{a.name:{width}s} {number(means[-1][0])} {number(means[-1][1])}{note}")
            if maps:
                write_map(result.map, maps / names[a])
        except BadPicture as error:
            bad(str(error))
            failed += 1
    if means:
        columns = [[value for value in column if value is not None] for column in zip(*means)]
        average = [float(np.mean(column)) if column else None for column in columns]
        row(f"{'mean':{width}s} {number(average[0])} {number(average[1])}")
    return failed
