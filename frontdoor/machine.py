# SPDX-License-Identifier: MIT
"""What the machine has: NVIDIA driver and cards, and the CUDA compiler."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from frontdoor.place import VENV

LEAST_NVCC = (12, 8)


@lru_cache(maxsize=None)
def capabilities() -> tuple[str, ...]:
    """Compute capability of each card, e.g. ("9.0",); empty where there is no working driver or no card."""
    tool = shutil.which("nvidia-smi")
    if tool:
        try:
            done = subprocess.run(
                [tool, "--query-gpu=compute_cap", "--format=csv,noheader"], capture_output=True, text=True, timeout=60
            )
            found = tuple(line.strip() for line in done.stdout.splitlines() if re.fullmatch(r"\d+\.\d+", line.strip()))
            if found:
                return found
        except (OSError, subprocess.TimeoutExpired):
            pass
    return _asked_of_driver()


def _asked_of_driver() -> tuple[str, ...]:
    """The same from libcuda, for containers that have the library without nvidia-smi."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int()
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return ()
        found = []
        for index in range(count.value):
            device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
            # 75, 76: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR (cuda.h)
            if (
                cuda.cuDeviceGet(ctypes.byref(device), index)
                or cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
                or cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
            ):
                return ()
            found.append(f"{major.value}.{minor.value}")
        return tuple(found)
    except OSError:
        return ()


def have_driver() -> bool:
    return bool(capabilities())


def native_architectures() -> list[str]:
    """What to compile for the cards that are there: 9.0 needs its 'a' features (TMA, wgmma); others as they are."""
    found = sorted(
        {"90a" if c == "9.0" else c.replace(".", "") for c in capabilities()}, key=lambda a: int(a.rstrip("a"))
    )
    return found


def _release(nvcc: str) -> tuple[int, int] | None:
    try:
        text = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"release (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _of_packages(program: str) -> list[str]:
    """Where NVIDIA's Python packages put a program: in a virtual environment, or by pip install --target."""
    found = []
    for site in (VENV, VENV.with_name(".venv-cuda")):
        found += sorted(map(str, Path(site).glob(f"lib/python3*/site-packages/nvidia/cu*/bin/{program}")), reverse=True)
        found += sorted(map(str, Path(site).glob(f"nvidia/cu*/bin/{program}")), reverse=True)
    return found


def compute_sanitizer() -> str | None:
    """On PATH, beside nvcc, or of the package nvidia-cuda-sanitizer-api."""
    compiler, _ = nvcc()
    beside = [str(Path(compiler).with_name("compute-sanitizer"))] if compiler else []
    found = [shutil.which("compute-sanitizer") or "", *beside, *_of_packages("compute-sanitizer")]
    return next((path for path in found if path and os.access(path, os.X_OK)), None)


def nvcc_candidates() -> list[str]:
    found = [os.environ.get("NVCC", ""), shutil.which("nvcc") or ""]
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            found.append(os.path.join(os.environ[variable], "bin", "nvcc"))
    found.append("/usr/local/cuda/bin/nvcc")
    found += _of_packages("nvcc")
    return [path for path in dict.fromkeys(found) if path and os.access(path, os.X_OK)]


@lru_cache(maxsize=None)
def nvcc() -> tuple[str | None, str]:
    """The CUDA compiler to use, and, where there is none, why."""
    reason = "no nvcc"
    for path in nvcc_candidates():
        release = _release(path)
        if release and release >= LEAST_NVCC:
            return path, ""
        reason = f"{path} is release {'.'.join(map(str, release)) if release else 'unknown'}, 12.8 or newer is needed"
    return None, reason
