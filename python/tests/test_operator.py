# SPDX-License-Identifier: MIT
"""The operator from Python: what it refuses and how it says so, autograd, layouts, devices, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch
import torch.nn.functional as F

from fused_ssim import allowed_padding, fused_ssim

with_grad = torch.ops.ssim.fused_ssim_with_grad
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


def images(*shape: int, device: str = "cpu", seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(*shape, generator=generator)
    return x.to(device), (0.7 * x + 0.3 * torch.rand(*shape, generator=generator)).to(device)


def oracle(x: torch.Tensor, y: torch.Tensor, padding: str) -> torch.Tensor:
    """The published formula in fp64 with the window as one 11x11 matrix."""
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2)).to(x.device)
    window = torch.outer(taps, taps) / taps.sum() ** 2
    margin = 5 if padding == "same" else 0

    def blur(image: torch.Tensor) -> torch.Tensor:
        planes = image.reshape(-1, 1, *image.shape[2:])
        return F.conv2d(planes, window[None, None], padding=margin)

    x, y = x.double(), y.double()
    m1, m2 = blur(x), blur(y)
    s11, s22, s12 = blur(x * x) - m1 * m1, blur(y * y) - m2 * m2, blur(x * y) - m1 * m2
    ssim = (2 * m1 * m2 + 1e-4) * (2 * s12 + 9e-4) / ((m1 * m1 + m2 * m2 + 1e-4) * (s11 + s22 + 9e-4))
    return ssim.mean()


def oracle_gradient(x: torch.Tensor, y: torch.Tensor, padding: str) -> torch.Tensor:
    leaf = x.detach().double().requires_grad_()
    return torch.autograd.grad(oracle(leaf, y, padding), leaf)[0]


def assert_gradient(gradient: torch.Tensor, expected: torch.Tensor) -> None:
    """Largest error in units of the gradient's RMS; the inputs here are textured (2e-5 in the accuracy table)."""
    error = (gradient.double() - expected).abs().max() / expected.square().mean().sqrt()
    assert error < 2e-5, f"gradient off by {error:.2e} of its RMS"


# --- value and gradient ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("padding", allowed_padding)
@pytest.mark.parametrize("shape", [(1, 1, 11, 11), (2, 3, 37, 53), (1, 4, 64, 128)])
def test_value_and_gradient(shape, padding, device):
    x, y = images(*shape, device=device)
    x.requires_grad_()
    value = fused_ssim(x, y, padding=padding)
    assert value.shape == () and value.dtype == torch.float32 and value.device == x.device
    assert value.item() == pytest.approx(oracle(x, y, padding).item(), abs=5e-7)
    value.backward()
    assert y.grad is None
    assert_gradient(x.grad, oracle_gradient(x, y, padding))


@pytest.mark.parametrize("device", DEVICES)
def test_published_snippets(device):
    gt_image, _ = images(1, 3, 40, 48, device=device)
    predicted_image = torch.nn.Parameter(torch.rand(1, 3, 40, 48).to(device))
    ssim_value = fused_ssim(predicted_image, gt_image)
    ssim_value.backward()
    assert_gradient(predicted_image.grad, oracle_gradient(predicted_image, gt_image, "same"))
    with torch.no_grad():
        ssim_value = fused_ssim(predicted_image, gt_image, train=False)
    assert ssim_value.item() == pytest.approx(oracle(predicted_image, gt_image, "same").item(), abs=5e-7)
    ssim_value = fused_ssim(predicted_image, gt_image, padding="valid")
    assert ssim_value.item() == pytest.approx(oracle(predicted_image, gt_image, "valid").item(), abs=5e-7)


@pytest.mark.parametrize("device", DEVICES)
def test_with_grad_is_value_and_gradient(device):
    x, y = images(2, 3, 20, 24, device=device)
    value, gradient = with_grad(x, y, "valid")
    leaf = x.clone().requires_grad_()
    expected = fused_ssim(leaf, y, "valid")
    expected.backward()
    assert torch.equal(value, expected.detach()) and torch.equal(gradient, leaf.grad)


def test_with_grad_is_not_differentiable():
    x, y = images(1, 1, 16, 16)
    value, _ = with_grad(x.requires_grad_(), y)
    with pytest.raises(RuntimeError, match="fused_ssim_with_grad"):
        value.backward()


# --- upstream gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("factor", [1.0, 0.0, -4.0, 0.3])
@pytest.mark.parametrize("retain_graph", [False, True])
def test_upstream_gradient_scales(factor, retain_graph, device):
    x, y = images(1, 2, 24, 24, device=device)
    x.requires_grad_()
    (one,) = torch.autograd.grad(fused_ssim(x, y), x)
    (factor * fused_ssim(x, y)).backward(retain_graph=retain_graph)
    assert torch.equal(x.grad, one * factor)


def test_backward_twice_on_a_retained_graph():
    x, y = images(1, 1, 20, 20)
    x.requires_grad_()
    loss = 3 * fused_ssim(x, y)
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    kept = first.clone()
    first.mul_(100)  # the caller owns what it got
    (second,) = torch.autograd.grad(loss, x)
    assert torch.equal(second, kept)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, x)


def test_gradients_accumulate():
    x, y = images(1, 1, 20, 20)
    x.requires_grad_()
    fused_ssim(x, y).backward()
    once = x.grad.clone()
    fused_ssim(x, y).backward()
    assert torch.equal(x.grad, once * 2)


def test_saved_tensor_hooks_see_an_unchanged_tensor():
    x, y = images(1, 1, 20, 20)
    x.requires_grad_()
    kept = []

    def pack(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = 5 * fused_ssim(x, y)
    gradients = [t for t in kept if t.shape == x.shape]
    assert len(gradients) == 1
    before = gradients[0].clone()
    loss.backward()
    assert torch.equal(gradients[0], before) and torch.equal(x.grad, before * 5)


def test_through_a_network():
    x, y = images(1, 3, 24, 24)
    layer = torch.nn.Conv2d(3, 3, 3, padding=1)
    out = layer(x)
    out.retain_grad()
    (1 - fused_ssim(out, y)).backward()
    assert_gradient(out.grad, -oracle_gradient(out, y, "same"))
    assert layer.weight.grad.abs().sum() > 0


def test_descent_reaches_the_target():
    _, target = images(1, 1, 32, 32)
    x = torch.full_like(target, 0.5).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss = 1 - fused_ssim(x, target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3


# --- what is kept ---------------------------------------------------------------------------------------------------


def saved_elements(call) -> int:
    sizes = []

    def pack(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(sizes)


def test_what_is_saved_for_the_backward():
    x, y = images(1, 3, 20, 20)
    leaf = x.clone().requires_grad_()
    assert saved_elements(lambda: fused_ssim(leaf, y)) == x.numel()
    assert saved_elements(lambda: fused_ssim(leaf, y, train=False)) == 0
    assert saved_elements(lambda: fused_ssim(x, y)) == 0
    with torch.no_grad():
        assert saved_elements(lambda: fused_ssim(leaf, y)) == 0
        assert not fused_ssim(leaf, y).requires_grad
    assert not fused_ssim(leaf, y, train=False).requires_grad
    assert not fused_ssim(x, y).requires_grad
    with torch.inference_mode():
        assert fused_ssim(leaf, y).item() == fused_ssim(x, y).item()


# --- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "layout",
    [
        lambda t: t.to(memory_format=torch.channels_last),
        lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
        lambda t: torch.cat([t, t], 3)[..., : t.shape[3]],
        lambda t: t.flip(3).flip(3),
    ],
    ids=["channels_last", "transposed", "sliced", "flipped"],
)
def test_layouts(layout, device):
    x, y = images(2, 3, 20, 28, device=device)
    plain = x.clone().requires_grad_()
    expected = fused_ssim(plain, y)
    expected.backward()
    leaf = x.clone().requires_grad_()
    value = fused_ssim(layout(leaf), layout(y))
    assert torch.equal(value, expected)
    value.backward()
    assert torch.equal(leaf.grad, plain.grad)


def test_expanded_image_sums_its_gradient():
    x, y = images(1, 1, 16, 16)
    leaf = x.clone().requires_grad_()
    y = y.repeat(3, 1, 1, 1)
    fused_ssim(leaf.expand(3, 1, 16, 16), y).backward()
    assert_gradient(leaf.grad, oracle_gradient(x.repeat(3, 1, 1, 1), y, "same").sum(0, keepdim=True))


def test_inputs_are_left_alone():
    x, y = images(1, 2, 20, 20)
    before = x.clone(), y.clone()
    fused_ssim(x.requires_grad_(), y).backward()
    assert torch.equal(x.detach(), before[0]) and torch.equal(y, before[1])


# --- bad input ------------------------------------------------------------------------------------------------------

GOOD = torch.rand(1, 3, 16, 16)
SHORT = torch.rand(1, 3, 10, 16)
BAD = {
    "rank 3": (
        lambda f: f(GOOD[0], GOOD[0]),
        ValueError,
        "img1 has shape [3, 16, 16], that is 3 dimensions; it must have 4, [batch, channels, height, width]",
    ),
    "rank 5": (lambda f: f(GOOD[None], GOOD), ValueError, "that is 5 dimensions; it must have 4"),
    "rank of img2": (lambda f: f(GOOD, GOOD[0]), ValueError, "img2 has shape [3, 16, 16]"),
    "double": (lambda f: f(GOOD.double(), GOOD), TypeError, "img1 has dtype Double; it must be Float"),
    "half img2": (lambda f: f(GOOD, GOOD.half()), TypeError, "img2 has dtype Half; it must be Float"),
    "bytes": (lambda f: f(GOOD.byte(), GOOD.byte()), TypeError, "img1 has dtype Byte"),
    "shapes": (
        lambda f: f(GOOD, GOOD[..., 1:]),
        ValueError,
        "img1 has shape [1, 3, 16, 16] and img2 has shape [1, 3, 16, 15]; they must be the same",
    ),
    "broadcast": (lambda f: f(GOOD, GOOD[:, :1]), ValueError, "they must be the same"),
    "meta beside cpu": (
        lambda f: f(GOOD.to("meta"), GOOD),
        ValueError,
        "img1 is on device meta and img2 on device cpu; they must be on the same device",
    ),
    "cpu beside meta": (
        lambda f: f(GOOD, GOOD.to("meta")),
        ValueError,
        "img1 is on device cpu and img2 on device meta; they must be on the same device",
    ),
    "empty batch": (lambda f: f(GOOD[:0], GOOD[:0]), ValueError, "img1 has shape [0, 3, 16, 16]; it is empty"),
    "empty height": (lambda f: f(GOOD[:, :, :0], GOOD[:, :, :0]), ValueError, "it is empty"),
    "padding": (lambda f: f(GOOD, GOOD, "reflect"), ValueError, 'padding is "reflect"; it must be "same" or "valid"'),
    "padding empty": (lambda f: f(GOOD, GOOD, ""), ValueError, 'padding is ""; it must be'),
    "valid height": (
        lambda f: f(SHORT, SHORT, "valid"),
        ValueError,
        'img1 has shape [1, 3, 10, 16]; with padding "valid" height and width must be at least 11',
    ),
    "valid width": (lambda f: f(SHORT.mT, SHORT.mT, "valid"), ValueError, "must be at least 11"),
    "sparse": (lambda f: f(GOOD.to_sparse(), GOOD.to_sparse()), ValueError, "img1 has layout Sparse; it must be"),
    "not a tensor": (lambda f: f([1.0], GOOD), RuntimeError, "img1"),
    "no padding": (lambda f: f(GOOD, GOOD, None), RuntimeError, "padding"),
}
# In these the images are put on the meta device, where the fake implementation must say the same.
SAME_ON_META = [n for n in BAD if "meta" not in n and n not in ("sparse", "not a tensor", "no padding")]


@pytest.mark.parametrize("function", [fused_ssim, with_grad], ids=["fused_ssim", "fused_ssim_with_grad"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, function):
    call, error, message = BAD[case]
    with pytest.raises(error) as raised:
        call(function)
    assert message in str(raised.value)


@pytest.mark.parametrize("device", ["meta", *DEVICES[1:]])
@pytest.mark.parametrize("case", SAME_ON_META)
def test_bad_input_elsewhere(case, device):
    call, error, message = BAD[case]
    with pytest.raises(error) as raised:
        call(lambda x, y, *rest: fused_ssim(x.to(device), y.to(device), *rest))
    assert message in str(raised.value)


@pytest.mark.parametrize("device", DEVICES[1:])
def test_cuda_beside_others(device):
    for other in ("cpu", "meta"):
        with pytest.raises(ValueError, match=f"img1 is on device cuda:0 and img2 on device {other}"):
            fused_ssim(GOOD.to(device), GOOD.to(other))
        with pytest.raises(ValueError, match=f"img1 is on device {other} and img2 on device cuda:0"):
            fused_ssim(GOOD.to(other), GOOD.to(device))


def test_fake_tensors_on_two_devices():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        x, y = torch.empty(1, 1, 16, 16), torch.empty(1, 1, 16, 16, device="meta")
        with pytest.raises(Exception, match="(?s)cpu.*meta|meta.*cpu"):
            fused_ssim(x, y)


def test_fake_tensors_of_a_card_that_is_not_here():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        x, y = (torch.empty(1, 1, 16, 16, device="cuda") for _ in "xy")
        assert fused_ssim(x, y).device.type == "cuda"
        x.requires_grad_()
        value = fused_ssim(x, y)  # its backward asks for the card, as that of any operator does
        assert value.shape == () and value.requires_grad


def test_smallest_images():
    for shape in [(1, 1, 1, 1), (1, 1, 1, 40), (1, 1, 40, 1)]:
        x, y = images(*shape)
        x.requires_grad_()
        value = fused_ssim(x, y)
        assert value.item() == pytest.approx(oracle(x, y, "same").item(), abs=5e-7)
        value.backward()
        assert_gradient(x.grad, oracle_gradient(x, y, "same"))


def test_img2_that_requires_a_gradient():
    x, y = images(1, 1, 16, 16)
    y.requires_grad_()
    for img1 in (x, x.clone().requires_grad_()):
        with pytest.raises(RuntimeError, match="img2 requires a gradient, which goes to img1 alone"):
            fused_ssim(img1, y)
    with torch.no_grad():
        assert fused_ssim(x, y).item() == fused_ssim(x, y.detach()).item()
    assert fused_ssim(x, y.detach()).item() > 0


def test_second_derivative():
    x, y = images(1, 1, 16, 16)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(fused_ssim(x, y) ** 2, x, create_graph=True)  # harmless by itself
    assert gradient.requires_grad
    with pytest.raises(NotImplementedError, match="only first derivatives are implemented"):
        gradient.square().sum().backward()
    (gradient,) = torch.autograd.grad(fused_ssim(x, y), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="only first derivatives are implemented"):
        torch.autograd.grad(gradient.sum(), x)


def test_forward_mode():
    import torch.autograd.forward_ad as forward_ad

    x, y = images(1, 1, 16, 16)
    with forward_ad.dual_level():
        with pytest.raises(NotImplementedError, match="forward-mode"):
            fused_ssim(forward_ad.make_dual(x, torch.ones_like(x)), y)


# --- values that are no numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_is_not_an_error(bad):
    x, y = images(2, 1, 40, 40)
    clean = x.clone().requires_grad_()
    fused_ssim(clean, y).backward()
    x[0, 0, 20, 20] = bad
    x.requires_grad_()
    value = fused_ssim(x, y)
    assert value.isnan()
    value.backward()
    assert x.grad[0].isnan().any()
    assert torch.equal(x.grad[1], clean.grad[1])


# --- meta, threads, streams -----------------------------------------------------------------------------------------


def test_meta():
    x = torch.empty(2, 3, 50, 60, device="meta", requires_grad=True)
    value = fused_ssim(x, torch.empty(2, 3, 50, 60, device="meta"), padding="valid")
    assert value.is_meta and value.shape == () and value.dtype == torch.float32
    value.backward()
    assert x.grad.is_meta and x.grad.shape == x.shape


def test_threads_of_torch_are_used():
    x, y = images(2, 3, 96, 96)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            leaf = x.clone().requires_grad_()
            value = fused_ssim(leaf, y)
            value.backward()
            results.append((value.detach(), leaf.grad))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert results[0][0].item() == pytest.approx(results[1][0].item(), abs=1e-7)
    assert torch.allclose(results[0][1], results[1][1], rtol=0, atol=1e-6 * results[0][1].square().mean().sqrt().item())


FORKED = """
import os, signal, sys, time, torch
from fused_ssim import fused_ssim
torch.manual_seed(1)
x, y = torch.rand(1, 3, 128, 128, requires_grad=True), torch.rand(1, 3, 128, 128)
expected = fused_ssim(x, y)
(gradient,) = torch.autograd.grad(expected, x)
expected, gradient = expected.item(), gradient.clone()
child = os.fork()
if child == 0:  # no operators of LibTorch's own on large tensors here: those do hang
    value = fused_ssim(x, y)
    (again,) = torch.autograd.grad(value, x)
    torch.set_num_threads(1)
    same = abs(value.item() - expected) < 1e-7 and (again - gradient).abs().max() <= 1e-5 * gradient.abs().max()
    os._exit(0 if same else 1)
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.02)
os.kill(child, signal.SIGKILL)
sys.exit("the child of a fork hangs")
"""


def test_forked_child():
    """A DataLoader's worker. libgomp's threads do not survive a fork: a child that waits for them waits forever.

    In a process of its own without a GPU: once autograd has run on one, LibTorch refuses backward in forked children.
    """
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [sys.executable, "-c", FORKED], env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("device", DEVICES)
def test_calls_from_several_threads(device):
    pairs = [images(1, 2, 40 + 8 * i, 48, device=device, seed=i) for i in range(4)]
    expected = []
    for x, y in pairs:
        leaf = x.clone().requires_grad_()
        value = fused_ssim(leaf, y)
        value.backward()
        expected.append((value.item(), leaf.grad))
    wrong = []

    def work(index: int) -> None:
        x, y = pairs[index]
        for _ in range(20):
            leaf = x.clone().requires_grad_()
            value = fused_ssim(leaf, y)
            value.backward()
            if value.item() != expected[index][0] or not torch.equal(leaf.grad, expected[index][1]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("device", DEVICES[1:])
def test_side_stream(device):
    x, y = images(4, 3, 256, 256, device=device)
    expected = fused_ssim(x, y)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    late = torch.empty_like(x).fill_(float("nan"))
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)  # a call on another stream would read NaN
        late.copy_(x)
        value = fused_ssim(late, y)
    stream.synchronize()
    assert torch.equal(value, expected)


@pytest.mark.parametrize("device", DEVICES[1:])
def test_no_host_synchronisation(device):
    x, y = images(1, 3, 64, 64, device=device)
    x.requires_grad_()
    scale = torch.full((), 2.0, device=device)
    fused_ssim(x, y).backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        (fused_ssim(x, y) * scale).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
