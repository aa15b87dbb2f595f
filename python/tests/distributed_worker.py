# SPDX-License-Identifier: MIT
"""One process of a data-parallel training, or the whole of it: test_distributed.py starts these.

Arguments: a file for the rendezvous, backend (gloo or nccl), rank, world size. Prints one JSON object: for each padding
the loss of each step over the whole batch, the first step's gradients and the weights after the last step.
"""

import json
import os
import sys

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from fused_ssim import fused_ssim

STEPS, BATCH = 3, 4


def train(backend: str, rank: int, world: int, padding: str) -> dict:
    torch.manual_seed(7)
    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    layers = [torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Sigmoid(), torch.nn.Conv2d(8, 3, 3, padding=1)]
    model = torch.nn.Sequential(*layers).to(device)
    images, targets = torch.rand(BATCH, 3, 24, 30), torch.rand(BATCH, 3, 24, 30)
    if world > 1:
        model = DistributedDataParallel(model, device_ids=[rank] if backend == "nccl" else None)
    mine = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    images, targets = images[mine].to(device), targets[mine].to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    losses, gradients = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = 1 - fused_ssim(torch.sigmoid(model(images)), targets, padding=padding)
        loss.backward()
        optimizer.step()
        whole = loss.detach().clone()
        if world > 1:
            distributed.all_reduce(whole)
        losses.append(whole.item() / world)
        gradients = gradients or [p.grad.flatten().tolist() for p in model.parameters()]
    weights = [p.detach().flatten().tolist() for p in model.parameters()]
    return {"losses": losses, "gradients": gradients, "weights": weights}


def main(rendezvous: str, backend: str, rank: int, world: int) -> None:
    if backend == "nccl":
        torch.cuda.set_device(rank)
    if world > 1:
        distributed.init_process_group(backend, init_method=f"file://{rendezvous}", rank=rank, world_size=world)
    print(json.dumps({padding: train(backend, rank, world, padding) for padding in ("same", "valid")}), flush=True)
    if world > 1:
        distributed.barrier()  # who leaves first closes the other's connections
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    os._exit(0)  # past torch's own end, in which a thread of the backend that still runs aborts the process
