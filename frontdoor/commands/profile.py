# SPDX-License-Identifier: MIT
"""profile one CUDA row with Nsight Compute: bytes, instructions, issue, pipes, registers

One launch of the row on one problem, clocks left alone, no time printed. The .ncu-rep file is kept for the GUI. Exit
status 77 where the profiler or a GPU is missing, or the driver refuses performance counters.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from frontdoor import machine
from frontdoor.place import BUILD, CANNOT, GOOD, MISUSE, ROOT, WRONG, Stop, relative

TARGETS = ["bench/ssim_bench"]
EXAMPLE = """./suite profile stream
./suite profile tiled --mode infer --padding valid --shape 16x3x1080x1920"""


def shape(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){3}", text):
        import argparse

        raise argparse.ArgumentTypeError(f"'{text}' is not of the form BxCxHxW")
    return text


def arguments(parser):
    parser.add_argument("row", metavar="ROW", help="name of a CUDA row, for example tiled")
    parser.add_argument("--shape", metavar="BxCxHxW", type=shape, default="1x3x1080x1920", help="default: %(default)s")
    parser.add_argument("--mode", choices=["infer", "train"], default="train", help="default: %(default)s")
    parser.add_argument("--padding", choices=["same", "valid"], default="same", help="default: %(default)s")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=ROOT / "reports" / "out" / "profiles", help="for the .ncu-rep file"
    )


def profiler() -> str | None:
    found = shutil.which("ncu")
    for folder in (
        "/usr/local/cuda/bin",
        *sorted(map(str, Path("/opt/nvidia/nsight-compute").glob("*")), reverse=True),
    ):
        found = found or shutil.which("ncu", path=folder)
    return found


def check(args):
    if not machine.have_driver():
        raise Stop(CANNOT, "profile: there is no CUDA device here")
    if profiler() is None:
        raise Stop(CANNOT, "profile: Nsight Compute (ncu) is not installed: neither on PATH nor in the CUDA toolkit")


def run(args, context):
    from frontdoor.ncu import METRICS, read_csv, table

    program = BUILD / "bench" / "ssim_bench"
    if not program.exists():
        raise Stop(MISUSE, "profile: the benchmark was not built (Google Benchmark or nlohmann_json is missing)")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(MISUSE, f"profile: --out {args.out} cannot be written: {error.strerror}") from None
    name = f"{args.row}-{args.shape}-{args.mode}-{args.padding}"
    result = args.out / f"{name}.ncu-rep"
    bench = [str(program), "--device", "cuda", "--profile", args.row, "--shape", args.shape, "--mode", args.mode]
    bench += ["--padding", args.padding]
    # The range is a push/pop one: ncu wants the trailing slash.
    include = f"ssim@{args.row}:{args.shape}-{args.mode}-{args.padding}:profile/"
    command = [profiler(), "--nvtx", "--nvtx-include", include, "--clock-control", "none", "--set", "full"]
    command += ["--metrics", ",".join(METRICS), "--import-source", "yes", "--force-overwrite", "--export", str(result)]
    print(f"command: {shlex.join([*command, *bench])}", flush=True)
    done = subprocess.run([*command, *bench], env=context.environment(), capture_output=True, text=True)
    output = done.stdout + done.stderr
    if "ERR_NVGPUCTRPERM" in output:
        raise Stop(CANNOT, "profile: the driver refuses performance counters to this user (ERR_NVGPUCTRPERM)")
    if done.returncode == MISUSE:
        raise Stop(MISUSE, f"profile: {output.strip().splitlines()[-1]}")
    if done.returncode or not result.exists():
        status = WRONG if "is wrong" in output else CANNOT
        raise Stop(status, "profile: ncu did not get through:\n" + "\n".join(output.strip().splitlines()[-12:]))
    page = subprocess.run(
        [profiler(), "--import", str(result), "--csv", "--page", "raw"], capture_output=True, text=True
    )
    batch, channels, height, width = (int(n) for n in args.shape.split("x"))
    kernels = read_csv(page.stdout)
    if not kernels:
        raise Stop(WRONG, f"profile: {relative(result)} holds no kernel in range {include}")
    print(table(kernels, batch * channels * height * width))
    print(f"for the GUI: {relative(result)}")
    return GOOD
