# SPDX-License-Identifier: MIT
"""A short training loop with our operator as its loss, for a timeline: under Nsight Systems, or as a Chrome trace.

    nsys profile ... python -m bench.timeline                  # what ./suite profile --timeline does where nsys works
    ./suite python -m bench.timeline --trace timeline.json.gz  # torch.profiler; open it in chrome://tracing or Perfetto

An image is fitted to a target by Adam. No time is printed: under a profiler it would mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--shape", default="1x3x1080x1920", metavar="BxCxHxW")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--trace", type=Path, metavar="FILE.json[.gz]", help="a Chrome trace by torch.profiler")
    args = parser.parse_args()
    import torch

    from bench.packages import our_operator
    from frontdoor.commit import identify, label

    if args.device == "cuda" and not torch.cuda.is_available():
        print("timeline: --device cuda: torch sees no CUDA device", file=sys.stderr)
        return 77
    operator = our_operator()
    shape = [int(n) for n in args.shape.split("x")]
    torch.manual_seed(1)
    target = torch.rand(shape, device=args.device)
    image = torch.rand(shape, device=args.device, requires_grad=True)
    optimizer = torch.optim.Adam([image], lr=0.01)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.profiler.record_function("ssim:loss"):
            loss = 1 - operator(image, target, "same", True)
        with torch.profiler.record_function("ssim:backward"):
            loss.backward()
        optimizer.step()

    for _ in range(3):  # what only first steps do
        step()
    if args.device == "cuda":
        torch.cuda.synchronize()
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if args.device == "cuda" else []
    profiler = torch.profiler.profile(activities=activities) if args.trace else contextlib.nullcontext()
    with profiler:
        if args.trace:
            profiler.add_metadata("commit", label(*identify()))
        if args.device == "cuda" and not args.trace:
            torch.cuda.profiler.start()
        for number in range(args.steps):
            if args.device == "cuda" and not args.trace:
                torch.cuda.nvtx.range_push(f"step {number}")
            step()
            if args.device == "cuda" and not args.trace:
                torch.cuda.nvtx.range_pop()
        if args.device == "cuda":
            torch.cuda.synchronize()
            if not args.trace:
                torch.cuda.profiler.stop()
    if args.trace:
        args.trace.parent.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(args.trace))
    return 0


if __name__ == "__main__":
    sys.exit(main())
