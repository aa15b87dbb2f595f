# SPDX-License-Identifier: MIT
"""SSIM of two picture files, or of two folders of them: per channel and mean, both paddings

Computed in fp64 on the CPU by SciPy (pictures/ssim64.py), for exactness; no row runs. 8-bit grey and RGB as they are,
16-bit grey over 65535, palettes as RGB, transparency left out, pictures turned as their EXIF entry says. Two folders:
files of the same name go together (the suffix may differ). Exit status 1 if a pair of these could not be scored, or
its map not be written; the others are all the same.
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
    try:
        for path in (args.first, args.second):
            path.stat()
        for path in (args.first, args.second):
            if args.map and args.map.exists() and args.map.samefile(path):
                raise Stop(MISUSE, f"score: --map {args.map} is what is scored; the map would take its place")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "there is no such file or folder" if missing else f"cannot be read: {error.strerror}"
        raise Stop(MISUSE, f"score: {error.filename}: {why}") from None
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
        print(f"{args.first} against {args.second}: {picture.size}, {', '.join(picture.channels)}")
        print(score.table_of_pair(picture, result))
        if args.map:
            score.write_map(result.map, args.map)
            print(f"map: {relative(args.map)}")
    except score.BadPicture as error:
        raise Stop(MISUSE, f"score: {error}") from None
    return GOOD


def _folders(args) -> int:
    from tqdm import tqdm

    from pictures import score

    try:
        found, lonely = score.pairs(args.first, args.second)
        if args.map:
            args.map.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = "written" if args.map and error.filename == str(args.map) else "read"
        raise Stop(MISUSE, f"score: {error.filename} cannot be {what}: {error.strerror}") from None
    if not found and not lonely:
        raise Stop(MISUSE, f"score: neither {args.first} nor {args.second} has a PNG or JPEG file")
    for line in lonely:
        warn(f"score: {line}")

    def bad(line: str) -> None:
        tqdm.write(f"suite: score: {line}", file=sys.stderr)

    failed = score.score_folders(found, args.map, tqdm.write, bad, _progress("pair")) if found else 0
    left_out = failed + len(lonely)
    if left_out:
        warn(f"score: {left_out} of {len(found) + len(lonely)} could not be done in full; they are named above")
    return WRONG if left_out else GOOD


def run(args, context):
    return _folders(args) if args.first.is_dir() else _pair(args)
