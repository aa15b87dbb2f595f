# SPDX-License-Identifier: MIT
"""Data-parallel training (DDP) with two processes is training on the whole batch with one: losses, gradients, weights.

Each process takes half of the batch. SSIM is a mean over its images, so the mean of two equal halves' losses is the
whole batch's loss, and DDP's averaged gradients are its gradients. gloo on the CPU everywhere; NCCL where there are two
GPUs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = Path(__file__).with_name("distributed_worker.py")
GPUS = torch.cuda.device_count()
BACKENDS = [
    "gloo",
    pytest.param("nccl", marks=pytest.mark.skipif(GPUS < 2, reason=f"two GPUs are needed for NCCL; there are {GPUS}")),
]


def train(backend: str, world: int, folder: Path) -> list[dict]:
    """What each process printed."""
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "NVIDIA_TF32_OVERRIDE": "0"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(folder / f"meet-{world}"), backend, str(rank), str(world)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        outputs = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, outputs):
        assert process.returncode == 0, errors[-3000:]
    return [json.loads(out.splitlines()[-1]) for out, _ in outputs]


def largest_error(found: list[list[float]], expected: list[list[float]]) -> float:
    """Over all parameters: the largest difference over the expected values' largest magnitude."""
    errors = []
    for a, b in zip(map(torch.tensor, found), map(torch.tensor, expected)):
        errors.append(((a - b).abs().max() / b.abs().max()).item())
    return max(errors)


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_are_one(backend, tmp_path):
    (whole,) = train(backend, 1, tmp_path)
    halves = train(backend, 2, tmp_path)
    for padding, alone in whole.items():
        one, other = (half[padding] for half in halves)
        assert one["gradients"] == other["gradients"] and one["weights"] == other["weights"]
        assert alone["losses"][-1] < alone["losses"][0]  # it does train
        assert one["losses"] == pytest.approx(alone["losses"], abs=5e-7)
        # Convolutions of torch over other batch sizes add in another order: a few hundred roundings of 6e-8.
        assert largest_error(one["gradients"], alone["gradients"]) < 2e-5
        assert largest_error(one["weights"], alone["weights"]) < 2e-5
