# SPDX-License-Identifier: MIT
"""SSIM of two picture files, or of two folders of them: per channel and mean, both paddings

Computed in fp64 on the CPU by SciPy (pictures/ssim64.py), for exactness; no row runs. 8-bit grey and RGB as they are,
16-bit grey over 65535, palettes as RGB, transparency left out, pictures turned as their EXIF entry says. Two folders:
files of the same name go together (the suffix may differ). Exit status 1 if a picture of a folder could not be scored.
"""

from __future__ import annotations

import sys
from pathlib import Path

from frontdoor.place import GOOD, MISUSE, WRONG, Stop, relative, warn

NEEDS = "python"
EXAMPLE = """./suite score render.png truth.png --map where.png
./suite score renders/ truths/ --map maps/"""


def arguments(parser):
    parser.add_argument("first", metavar="A", type=Path, help="a PNG or JPEG file, or a folder of them")
    parser.add_argument("second", metavar="B", type=Path, help="the file or folder to hold it against")
    parser.add_argument(
        "--map",
        metavar="OUT",
        type=Path,
        help="write the SSIM map (padding same, mean of the channels; white is 1, black 0 or less): a picture file, "
        "or with folders a folder of PNG files",
    )


def check(args):
    for path in (args.first, args.second):
        if not path.exists():
            raise Stop(MISUSE, f"score: {path}: there is no such file or folder")
    if args.first.is_dir() != args.second.is_dir():
        folder, file = (args.first, args.second) if args.first.is_dir() else (args.second, args.first)
        raise Stop(MISUSE, f"score: {folder} is a folder and {file} is a file; give two files or two folders")
    if args.map and not args.first.is_dir() and args.map.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise Stop(MISUSE, f"score: --map {args.map} must end in .png, .jpg or .jpeg")


def _progress(unit: str):
    from tqdm import tqdm

    return lambda items: tqdm(items, unit=unit, disable=None, leave=False, delay=2)


def _pair(args) -> int:
    from pictures import score

    try:
        picture, result = score.score(args.first, args.second, _progress("channel"))
    except score.BadPicture as error:
        raise Stop(MISUSE, f"score: {error}") from None
    print(f"{args.first} against {args.second}: {picture.size}, {', '.join(picture.channels)}")
    print(score.table_of_pair(picture, result))
    if args.map:
        _write(lambda: score.write_map(result.map, args.map), args.map)
        print(f"map: {relative(args.map)}")
    return GOOD


def _write(action, path: Path) -> None:
    try:
        action()
    except OSError as error:
        raise Stop(MISUSE, f"score: --map {path} cannot be written: {error.strerror or error}") from None


def _folders(args) -> int:
    from tqdm import tqdm

    from pictures import score

    found, lonely = score.pairs(args.first, args.second)
    if not found and not lonely:
        raise Stop(MISUSE, f"score: neither {args.first} nor {args.second} has a PNG or JPEG file")
    if args.map:
        _write(lambda: args.map.mkdir(parents=True, exist_ok=True), args.map)
    for line in lonely:
        warn(f"score: {line}")
    table, failed = score.table_of_folders(
        found,
        lambda path: args.map / f"{path.stem}.png" if args.map else None,
        lambda line: tqdm.write(f"suite: score: {line}", file=sys.stderr),
        _progress("pair"),
    )
    print(table)
    left_out = failed + len(lonely)
    if left_out:
        warn(f"score: {left_out} of {len(found) + len(lonely)} could not be scored; they are named above")
    return WRONG if left_out else GOOD


def run(args, context):
    return _folders(args) if args.first.is_dir() else _pair(args)
