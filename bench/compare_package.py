# SPDX-License-Identifier: MIT
"""Times the row pytorch_mssim beside the Python package pytorch-msssim, call by call in one process.

Both run on one LibTorch, one allocator, one pool of threads and the same images, in random order within each pair, so
that whatever else the machine does meets both. The figure is the median over pairs of row / package, with the 95 %
order-statistic interval; on the CPU also of processor time, which a busy machine disturbs less.

    ./suite python bench/compare_package.py [--device cpu|cuda] [--pairs 30] [--threads 2] [--shape 1x3x256x256 ...]

Exit status: 0 within --within of 1 everywhere, 1 not, 77 where the package (or a GPU) is missing.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent


def load() -> ctypes.CDLL:
    """The baselines of this build. torch must have been imported: it brings the libraries that they are linked with."""
    library = ctypes.CDLL(str(ROOT / "build" / "baselines" / "libssim_baselines_c.so"))
    library.ssim_baseline_call.restype = ctypes.c_char_p
    library.ssim_gradients_copied.restype = ctypes.c_longlong
    return library


def row_call(library: ctypes.CDLL, name: str, train: bool, padding: str, x, y) -> Callable[[], tuple]:
    """A function that runs the row on two torch tensors and returns (mean, gradient or None) as tensors."""
    import torch

    mean = torch.empty((), dtype=torch.float64, device=x.device)
    gradient = torch.empty_like(x) if train else None
    stream = torch.cuda.current_stream().cuda_stream if x.is_cuda else None
    arguments = (
        name.encode(),
        int(x.is_cuda),
        int(train),
        int(padding == "valid"),
        (ctypes.c_int64 * 4)(*x.shape),
        ctypes.c_void_p(x.data_ptr()),
        ctypes.c_void_p(y.data_ptr()),
        None,
        ctypes.c_void_p(mean.data_ptr()),
        ctypes.c_void_p(gradient.data_ptr()) if train else None,
        ctypes.c_void_p(stream),
    )

    def call() -> tuple:
        message = library.ssim_baseline_call(*arguments)
        if message is not None:
            raise RuntimeError(message.decode())
        return mean, gradient

    return call


def package_call(train: bool, x, y) -> Callable[[], tuple]:
    """The package as its README uses it: a leaf whose gradient is set to None between steps."""
    import torch
    from pytorch_msssim import ssim

    leaf = x.detach().clone().requires_grad_(train)

    def call() -> tuple:
        if not train:
            with torch.no_grad():
                return ssim(leaf, y, data_range=1), None
        leaf.grad = None
        value = ssim(leaf, y, data_range=1)
        value.backward()
        return value, leaf.grad

    return call


def interval(values: list[float]) -> tuple[float, float, float]:
    """Median and the order statistics that hold it with 95 % (normal approximation of the binomial)."""
    ordered, n = sorted(values), len(values)
    reach = 0.98 * n**0.5
    low, high = max(0, int(n / 2 - reach)), min(n - 1, int(n / 2 + reach))
    return statistics.median(ordered), ordered[low], ordered[high]


def measure(calls: dict[str, Callable], pairs: int, synchronize: Callable[[], None]) -> dict[str, list[tuple]]:
    """name -> (wall seconds, processor seconds) of each pair; the first two pairs warm up."""
    seconds: dict[str, list[tuple]] = {name: [] for name in calls}
    for pair in range(pairs + 2):
        for name in random.sample(list(calls), len(calls)):
            synchronize()
            wall, cpu = time.perf_counter(), time.process_time()
            calls[name]()
            synchronize()
            if pair >= 2:
                seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's default")
    parser.add_argument("--shape", nargs="+", default=["1x3x256x256", "1x3x512x512"], help="BxCxHxW")
    parser.add_argument("--within", type=float, default=0.15, help="largest |ratio - 1| that passes")
    arguments = parser.parse_args()
    try:
        import torch
        import pytorch_msssim  # noqa: F401
    except ImportError as error:
        print(f"compare_package: {error}", file=sys.stderr)
        return 77
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("compare_package: no CUDA device", file=sys.stderr)
        return 77
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    library = load()
    library.ssim_baseline_settings(1)
    synchronize = torch.cuda.synchronize if arguments.device == "cuda" else (lambda: None)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    worst = 0.0
    for text in arguments.shape:
        shape = tuple(int(n) for n in text.split("x"))
        x, y = (torch.rand(shape, device=arguments.device) for _ in range(2))
        for train in (False, True):
            calls = {
                "row": row_call(library, "pytorch_mssim", train, "valid", x, y),
                "package": package_call(train, x, y),
            }
            seconds = measure(calls, arguments.pairs, synchronize)
            milliseconds = 1e3 * statistics.median(wall for wall, _ in seconds["package"])
            line = f"{text} {'train' if train else 'infer'}: package {milliseconds:.3f} ms"
            for which, clock in enumerate(["wall", "processor"][: 1 if arguments.device == "cuda" else 2]):
                ratios = [r[which] / p[which] for r, p in zip(seconds["row"], seconds["package"])]
                median, low, high = interval(ratios)
                line += f", {clock} row / package {median:.3f} [{low:.3f}, {high:.3f}]"
                if which == 0:
                    worst = max(worst, abs(median - 1))
            print(line, flush=True)
    print(f"largest |ratio - 1| = {worst:.3f}, allowed {arguments.within}")
    return int(worst > arguments.within)


if __name__ == "__main__":
    sys.exit(main())
