# SPDX-License-Identifier: MIT
"""The operator where programs put it: worker processes, threads, streams, a second GPU, after errors, out of memory."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import pytest
import torch

from fused_ssim import fused_ssim, fused_ssim_with_grad

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
needs_two = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices")


def images(*shape: int, device: str = "cpu", seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(*shape, generator=generator)
    return x.to(device), (0.7 * x + 0.3 * torch.rand(*shape, generator=generator)).to(device)


def step(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = x.detach().clone().requires_grad_()
    value = fused_ssim(leaf, y)
    value.backward()
    return value.detach(), leaf.grad


def same(a: tuple, b: tuple) -> bool:
    return all(torch.equal(p.cpu(), q.cpu()) for p, q in zip(a, b, strict=True))


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- CPU ------------------------------------------------------------------------------------------------------------


LOADER = """
import sys, torch
from fused_ssim import fused_ssim

class Scores(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        x = torch.linspace(0, 1 + index, 3 * 64 * 64).reshape(1, 3, 64, 64).sin().requires_grad_()
        value = fused_ssim(x, x.detach().flip(3))
        value.backward()
        return value.detach(), x.grad

if __name__ == "__main__":
    expected = [Scores()[i] for i in range(8)]
    loader = torch.utils.data.DataLoader(
        Scores(), num_workers=2, batch_size=None, multiprocessing_context=sys.argv[1], timeout=60
    )
    for (value, gradient), (wanted, wanted_gradient) in zip(loader, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=0, atol=1e-7)  # it has another number of threads
        torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-5, atol=1e-9)
    print("same")
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_data_loader_workers(start, tmp_path):
    """Each sample is computed in the worker that loads it, value and gradient. fork: the parent has used the operator,
    and its threads, before. In a process of its own without a GPU: once autograd has threads for other devices than the
    CPU, LibTorch refuses backward in forked children."""
    script = tmp_path / "loader.py"
    script.write_text(LOADER)
    done = subprocess.run(
        [sys.executable, str(script), start], env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True,
        text=True, timeout=200,
    )
    assert done.returncode == 0 and done.stdout == "same\n", done.stderr


@pytest.mark.parametrize("threads", ["1", "2", "3", "7"])
def test_omp_num_threads(threads):
    code = """
import torch
from fused_ssim import fused_ssim_with_grad
x = torch.linspace(0, 1, 3 * 96 * 96).reshape(1, 3, 96, 96).sin()
value, gradient = fused_ssim_with_grad(x, x.flip(3))
print(torch.get_num_threads(), repr(value.item()), repr(gradient.abs().sum().item()))
"""
    count, value, total = run_python(code, OMP_NUM_THREADS=threads, CUDA_VISIBLE_DEVICES="").split()
    assert 1 <= int(count) <= int(threads)  # PyTorch takes no more than there are cores
    x = torch.linspace(0, 1, 3 * 96 * 96).reshape(1, 3, 96, 96).sin()
    expected, gradient = fused_ssim_with_grad(x, x.flip(3))
    assert float(value) == pytest.approx(expected.item(), abs=1e-7)
    assert float(total) == pytest.approx(gradient.abs().sum().item(), rel=1e-5)


def test_out_of_memory():
    """The images are there, but no memory for the gradient: an error that says so, and the next call works."""
    code = """
import resource, torch
from fused_ssim import fused_ssim
small = torch.rand(1, 1, 32, 32, requires_grad=True)
expected = fused_ssim(small, small.detach() * 0.5).item()
big, target = torch.zeros(1, 16, 2048, 2048, requires_grad=True), torch.zeros(1, 16, 2048, 2048)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), limits[1]))
try:
    fused_ssim(big, target)
except RuntimeError as error:
    print(error)
assert fused_ssim(small, small.detach() * 0.5).item() == expected
resource.setrlimit(resource.RLIMIT_AS, limits)
print(fused_ssim(big, target).item())
"""
    message, value = run_python(code, CUDA_VISIBLE_DEVICES="").strip().rsplit("\n", 1)
    assert "memory" in message and float(value) == 1


# --- CUDA -----------------------------------------------------------------------------------------------------------


@needs_cuda
def test_two_threads_on_one_stream():
    """Their calls interleave; the workspaces must not."""
    pairs = [images(2, 3, 60 + 40 * i, 90, device="cuda", seed=i) for i in range(4)]
    expected = [step(*pair) for pair in pairs]
    wrong, begin = [], threading.Barrier(4)

    def work(index: int) -> None:
        begin.wait()
        for _ in range(200):
            value, gradient = fused_ssim_with_grad(*pairs[index], "same", 1.0)
            if not same((value, gradient), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_cuda
def test_several_streams_at_once():
    streams = [torch.cuda.Stream() for _ in range(4)]
    pairs = [images(2, 3, 256 + 32 * i, 256, device="cuda", seed=i) for i in range(4)]
    expected = [step(*pair) for pair in pairs]
    torch.cuda.synchronize()
    results = []
    for _ in range(20):
        for stream, pair in zip(streams, pairs):
            with torch.cuda.stream(stream):
                results.append(step(*pair))
    torch.cuda.synchronize()
    for i, result in enumerate(results):
        assert same(result, expected[i % 4])


@needs_cuda
def test_side_stream_with_poisoned_memory():
    """The allocator hands out memory full of NaN, and work of another stream is still to come in the images."""
    x, y = images(3, 3, 200, 300, device="cuda")
    expected = step(x, y)
    stream = torch.cuda.Stream()
    late = torch.full_like(x, float("nan"))
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        poison = [torch.full((n,), float("nan"), device="cuda") for n in (1, 64, 4096, x.numel(), x.numel())]
        del poison
        torch.cuda._sleep(20_000_000)
        late.copy_(x)
        result = step(late, y)
    stream.synchronize()
    assert same(result, expected)


@needs_cuda
def test_workspace_grows_and_stays():
    """Small, large, small again; warm calls take no memory but their results'."""
    shapes = [(1, 1, 16, 16), (8, 3, 700, 900), (1, 1, 16, 16), (2, 3, 64, 64)]
    expected = [step(*images(*shape)) for shape in shapes]
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(3):
            for shape, wanted in zip(shapes, expected):
                value, gradient = step(*images(*shape, device="cuda"))
                assert value.item() == pytest.approx(wanted[0].item(), abs=1e-6)
                atol = 1e-4 * wanted[1].abs().max().item()
                torch.testing.assert_close(gradient.cpu(), wanted[1], rtol=1e-3, atol=atol)
        x, y = images(2, 3, 64, 64, device="cuda")
        fused_ssim(x, y)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        fused_ssim(x, y)
        assert torch.cuda.max_memory_allocated() - before <= 512  # the scalar


@needs_cuda
def test_memory_kept_for_the_backward():
    x, y = images(4, 3, 256, 256, device="cuda")
    x.requires_grad_()
    fused_ssim(x, y).backward()
    x.grad = None
    before = torch.cuda.memory_allocated()
    loss = 1 - fused_ssim(x, y)
    assert torch.cuda.memory_allocated() - before <= 4 * x.numel() + 2048
    torch.cuda.reset_peak_memory_stats()
    loss.backward()
    assert torch.cuda.max_memory_allocated() - before <= 4 * x.numel() + 4096  # scaled where it lies
    assert x.grad is not None


@needs_cuda
def test_out_of_memory_on_the_device():
    x, y = images(8, 3, 1024, 1024, device="cuda")
    expected = step(x[:1], y[:1])
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    x.requires_grad_()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (4 << 20)) / total)
    try:
        with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
            fused_ssim(x, y)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert same(step(x[:1], y[:1]), expected)


@needs_cuda
def test_after_an_error_of_the_runtime():
    """An error that another library left behind is neither reported as ours nor changes the result."""
    x, y = images(1, 3, 64, 64, device="cuda")
    expected = fused_ssim_with_grad(x, y)
    runtime = None
    for line in open("/proc/self/maps"):
        if "libcudart" in line:
            runtime = ctypes.CDLL(line.split()[-1])
            break
    if runtime is None:
        pytest.skip("no libcudart.so in this process")
    assert runtime.cudaMemcpy(ctypes.c_void_p(1), ctypes.c_void_p(2), ctypes.c_size_t(4), ctypes.c_int(77)) != 0
    result = fused_ssim_with_grad(x, y)
    runtime.cudaGetLastError()  # PyTorch's own kernels would report it
    assert same(result, expected)


@needs_cuda
def test_external_stream():
    """A stream that LibTorch has not made."""
    x, y = images(1, 3, 64, 64, device="cuda")
    expected = step(x, y)
    made = torch.cuda.Stream()
    with torch.cuda.stream(torch.cuda.ExternalStream(made.cuda_stream)):
        result = step(x, y)
    torch.cuda.synchronize()
    assert same(result, expected)


@needs_two
def test_second_gpu():
    """The images say where it runs, whichever device is current; the same bits on both."""
    x, y = images(2, 3, 100, 140, device="cuda:0")
    expected = step(x, y)
    for current in (0, 1):
        with torch.cuda.device(current):
            assert same(step(x.to("cuda:1"), y.to("cuda:1")), expected)
            assert same(step(x, y), expected)
            assert torch.cuda.current_device() == current
    with pytest.raises(ValueError, match="img1 is on device cuda:1 and img2 on device cuda:0"):
        fused_ssim(x.to("cuda:1"), y)
    with pytest.raises(ValueError, match="weight is on device cuda:0 and img1 on device cuda:1"):
        fused_ssim_with_grad(x.to("cuda:1"), y.to("cuda:1"), "same", torch.ones((), device="cuda:0"))
