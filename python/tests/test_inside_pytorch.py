# SPDX-License-Identifier: MIT
"""The operator inside PyTorch's machinery: compile, export, autocast, function transforms, checkpoints, CUDA graphs."""

from __future__ import annotations

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from fused_ssim import fused_ssim, fused_ssim_with_grad

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
devices = pytest.mark.parametrize("device", DEVICES)


def images(*shape: int, device: str = "cpu", seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(*shape, generator=generator)
    return x.to(device), (0.7 * x + 0.3 * torch.rand(*shape, generator=generator)).to(device)


def step(loss, x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and gradient to x of one training step."""
    leaf = x.detach().clone().requires_grad_()
    value = loss(leaf, *rest)
    value.backward()
    return value.detach(), leaf.grad


def assert_same(found: tuple, expected: tuple) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6 * float(b.abs().max()))


# --- opcheck --------------------------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("requires_grad", [False, True])
def test_opcheck(requires_grad, device):
    x, y = images(1, 2, 16, 18, device=device)
    x.requires_grad_(requires_grad)
    weight = torch.tensor(-0.3, device=device)
    for arguments in [(), ("valid",), ("same", False)]:
        torch.library.opcheck(torch.ops.ssim.fused_ssim.default, (x, y, *arguments))
    if not requires_grad:
        for arguments in [(), ("valid",), ("same", weight)]:
            torch.library.opcheck(torch.ops.ssim.fused_ssim_with_grad.default, (x, y, *arguments))
        torch.library.opcheck(torch.ops.ssim.fused_ssim_with_grad.number, (x, y, "valid", -0.3))


# --- compile, export ------------------------------------------------------------------------------------------------


def composed(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return 0.8 * (x - y).abs().mean() + 0.2 * (1 - fused_ssim(x * 1.1, y, padding="valid"))


@pytest.fixture
def compiles():
    """Compiles a function with each graph break an error and tells how many graphs were made."""
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()

    def compile_with(function, backend: str, dynamic: bool | None):
        counter = CompileCounterWithBackend(backend)
        return torch.compile(function, fullgraph=True, backend=counter, dynamic=dynamic), counter

    yield compile_with
    torch._dynamo.reset()


# Whatever the function, PyTorch compiles anew for a size of 1 and for sizes that were equal in the first shape.
SHAPES = [(2, 3, 20, 32), (2, 3, 24, 32), (3, 2, 24, 45), (2, 4, 64, 40), (5, 3, 17, 11)]


@devices
@pytest.mark.parametrize("dynamic, graphs", [(True, 1), (None, 2)])
def test_compile_without_recompiling_for_a_shape(dynamic, graphs, device, compiles):
    """aot_eager traces forward and backward as inductor does and needs no compiler at run time. dynamic=None is the
    default: a size is taken as fixed until it changes, as all four do in the second shape."""
    compiled, counter = compiles(composed, "aot_eager", dynamic)
    for shape in [SHAPES[0], (4, 5, 30, 50), *SHAPES[1:]]:
        x, y = images(*shape, device=device)
        assert_same(step(compiled, x, y), step(composed, x, y))
    assert counter.frame_count == graphs


@devices
def test_compile_without_gradient(device, compiles):
    compiled, counter = compiles(lambda x, y: 1 - fused_ssim(x, y, train=False), "aot_eager", True)
    for shape in SHAPES:
        x, y = images(*shape, device=device)
        assert compiled(x, y).item() == pytest.approx(1 - fused_ssim(x, y).item(), abs=1e-6)
    assert counter.frame_count == 1


@devices
def test_compile_with_grad(device, compiles):
    compiled, counter = compiles(lambda x, y, w: fused_ssim_with_grad(x, y, "same", w), "aot_eager", True)
    weight = torch.tensor(-2.0, device=device)
    for shape in SHAPES:
        x, y = images(*shape, device=device)
        assert_same(compiled(x, y, weight), fused_ssim_with_grad(x, y, "same", weight))
    assert counter.frame_count == 1


@devices
def test_inductor(device, compiles, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    compiled, counter = compiles(lambda x, y: -fused_ssim(x * 1.1, y), "inductor", True)
    for shape in SHAPES[1:4]:
        x, y = images(*shape, device=device)
        try:
            found = step(compiled, x, y)
        except Exception as error:  # noqa: BLE001: its class differs between versions
            if any(words in str(error) for words in ("No working C++ compiler", "Triton", "triton")):
                pytest.skip(f"inductor has no compiler here: {str(error).splitlines()[0]}")
            raise
        assert_same(found, step(lambda t, u: -fused_ssim(t * 1.1, u), x, y))
    assert counter.frame_count == 1


def test_compile_refuses_what_eager_refuses(compiles):
    compiled, _ = compiles(lambda x, y: fused_ssim(x, y), "aot_eager", None)
    with pytest.raises(Exception, match="they must be the same"):
        compiled(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 15))


class Loss(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 1 - fused_ssim(x, y, padding="valid")


@pytest.mark.parametrize("requires_grad", [False, True])
def test_export(requires_grad):
    height, width = torch.export.Dim("height", min=11, max=4096), torch.export.Dim("width", min=11, max=4096)
    x, y = images(2, 3, 24, 32)
    sizes = {2: height, 3: width}
    program = torch.export.export(Loss(), (x.requires_grad_(requires_grad), y), dynamic_shapes=(sizes, sizes))
    assert any("ssim.fused_ssim" in str(node.target) for node in program.graph.nodes)
    for shape in [(2, 3, 24, 32), (2, 3, 11, 50)]:
        x, y = images(*shape)
        assert_same(step(program.module(), x, y), step(Loss(), x, y))
    lowered = program.run_decompositions({}).module()
    x, y = images(2, 3, 20, 20)
    assert lowered(x, y).item() == pytest.approx(Loss()(x, y).item(), abs=1e-6)


# --- autocast -------------------------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_fp32(dtype, device):
    x, y = (image.to(dtype) for image in images(1, 3, 32, 40, device=device))
    with pytest.raises(TypeError, match="img1 has dtype"):
        fused_ssim(x, y)
    leaf = x.clone().requires_grad_()
    with torch.autocast(device, dtype=dtype):
        value = fused_ssim(leaf, y)
        pair = fused_ssim_with_grad(x, y, weight=2.0)
    value.backward()
    expected = step(fused_ssim, x.float(), y.float())
    assert value.dtype == torch.float32 and torch.equal(value, expected[0])
    assert leaf.grad.dtype == dtype and torch.equal(leaf.grad, expected[1].to(dtype))
    assert torch.equal(pair[0], expected[0]) and torch.equal(pair[1], expected[1] * 2)


@devices
def test_autocast_behind_a_layer(device):
    """What a convolution under autocast hands on is not fp32."""
    x, y = images(1, 3, 24, 24, device=device)
    layer = torch.nn.Conv2d(3, 3, 3, padding=1, device=device)
    with torch.autocast(device, dtype=torch.bfloat16):
        out = layer(x)
        assert out.dtype == torch.bfloat16
        value = fused_ssim(out, y)
    value.backward()
    assert torch.equal(value.detach(), step(fused_ssim, out.float(), y)[0])
    assert layer.weight.grad.dtype == torch.float32 and layer.weight.grad.abs().sum() > 0


# --- function transforms --------------------------------------------------------------------------------------------


@devices
def test_func_grad(device):
    x, y = images(2, 2, 20, 24, device=device)
    value, gradient = torch.func.grad_and_value(lambda t: 3 * fused_ssim(t, y, padding="valid"))(x)[::-1]
    assert_same((value, gradient), step(lambda t: 3 * fused_ssim(t, y, padding="valid"), x))


@devices
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap(device):
    """Each sample has a mean of its own; samples are computed one after the other."""
    x, y = images(4, 1, 3, 20, 24, device=device)
    assert torch.equal(torch.vmap(fused_ssim)(x, y), torch.stack([fused_ssim(a, b) for a, b in zip(x, y)]))
    one_target = torch.vmap(lambda a: fused_ssim(a, y[0]))(x)
    assert torch.equal(one_target, torch.stack([fused_ssim(a, y[0]) for a in x]))
    gradients = torch.vmap(torch.func.grad(fused_ssim))(x, y)
    assert_same([gradients], [torch.stack([step(fused_ssim, a, b)[1] for a, b in zip(x, y)])])
    leaf = x.clone().requires_grad_()
    torch.vmap(fused_ssim)(leaf, y).sum().backward()
    assert_same([leaf.grad], [gradients])
    values, pairs = torch.vmap(fused_ssim_with_grad)(x, y)
    assert_same([values, pairs], [torch.vmap(fused_ssim)(x, y), gradients])


@devices
def test_batched_upstream_gradients(device):
    x, y = images(1, 1, 20, 20, device=device)
    x.requires_grad_()
    factors = torch.tensor([1.0, -2.0, 0.0], device=device)
    (batched,) = torch.autograd.grad(fused_ssim(x, y), x, factors, is_grads_batched=True)
    (one,) = torch.autograd.grad(fused_ssim(x, y), x)
    assert torch.equal(batched, torch.stack([one * f for f in factors]))


# --- checkpoints ----------------------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant, device):
    x, y = images(1, 2, 24, 24, device=device)

    def block(t: torch.Tensor) -> torch.Tensor:
        return 1 - fused_ssim(torch.sigmoid(4 * t - 2), y)

    assert_same(step(lambda t: checkpoint(block, t, use_reentrant=reentrant), x), step(block, x))


# --- CUDA graphs ----------------------------------------------------------------------------------------------------


def warm_up(call) -> None:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)


@needs_cuda
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_cuda_graph_of_a_training_step(padding):
    x, y = images(1, 3, 64, 80, device="cuda")
    leaf = x.clone().requires_grad_()

    def training_step() -> torch.Tensor:
        leaf.grad = None
        value = fused_ssim(leaf, y, padding)
        (-0.5 * value).backward()
        return value

    warm_up(training_step)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = training_step()
    for seed in range(4):  # other images in the same memory; calls between the replays use workspaces of their own
        a, b = images(1, 3, 64, 80, device="cuda", seed=seed)
        with torch.no_grad():
            leaf.copy_(a)
            y.copy_(b)
        graph.replay()
        between = fused_ssim(b, a, padding)
        graph.replay()
        expected = step(lambda t: fused_ssim(t, b, padding), a)
        assert torch.equal(value, expected[0]) and torch.equal(leaf.grad, expected[1] * -0.5)
        assert torch.equal(between, fused_ssim(b, a, padding))


@needs_cuda
def test_cuda_graph_of_a_training_step_scales_in_place():
    """One word an element is kept and none is added, as without a graph."""
    x, y = images(1, 3, 512, 512, device="cuda")
    leaf = x.clone().requires_grad_()

    def training_step() -> None:
        leaf.grad = None
        (-0.5 * fused_ssim(leaf, y)).backward()

    warm_up(training_step)
    leaf.grad = None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        training_step()
    assert torch.cuda.max_memory_allocated() - before < 1.5 * x.numel() * x.element_size()


@needs_cuda
def test_cuda_graph_of_a_backward_alone():
    """Its replays find the gradient that forward left, not what an earlier replay made of it."""
    x, y = images(1, 3, 64, 80, device="cuda")
    leaf, factor = x.clone().requires_grad_(), torch.ones((), device="cuda")
    warm_up(lambda: torch.autograd.grad(fused_ssim(leaf, y), leaf, factor))
    forward, backward, stream = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.cuda.graph(forward, stream=stream):
        value = fused_ssim(leaf, y)
    with torch.cuda.graph(backward, pool=forward.pool(), stream=stream):
        (gradient,) = torch.autograd.grad(value, leaf, factor)
    expected = step(lambda t: fused_ssim(t, y), x)[1]
    forward.replay()
    for number in (2.0, -0.5, 1.0):
        factor.fill_(number)
        backward.replay()
        assert torch.equal(gradient, expected * number)


@needs_cuda
def test_cuda_graph_with_grad():
    x, y = images(1, 3, 64, 80, device="cuda")
    weight = torch.tensor(2.0, device="cuda")
    calls = [lambda: fused_ssim_with_grad(x, y, "valid", weight), lambda: fused_ssim_with_grad(x, y, "valid", -0.2)]
    for call in calls:
        warm_up(call)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            value, gradient = call()
        value.zero_(), gradient.zero_()
        graph.replay()
        expected = call()
        assert torch.equal(value, expected[0]) and torch.equal(gradient, expected[1])


@needs_cuda
def test_two_graphs_at_once():
    """Each graph has a workspace of its own, so that replays may overlap."""
    pairs = [images(2, 3, 128, 160, device="cuda", seed=seed) for seed in (1, 2)]
    expected = [fused_ssim_with_grad(*pair) for pair in pairs]
    graphs, results = [], []
    for pair in pairs:
        warm_up(lambda pair=pair: fused_ssim_with_grad(*pair))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results.append(fused_ssim_with_grad(*pair))
        graphs.append(graph)
    streams = [torch.cuda.Stream() for _ in graphs]
    torch.cuda.synchronize()
    for _ in range(50):
        for graph, stream in zip(graphs, streams):
            with torch.cuda.stream(stream):
                graph.replay()
    torch.cuda.synchronize()
    for result, wanted in zip(results, expected):
        assert torch.equal(result[0], wanted[0]) and torch.equal(result[1], wanted[1])


@needs_cuda
def test_make_graphed_callables():
    x, y = images(1, 3, 48, 64, device="cuda")
    graphed = torch.cuda.make_graphed_callables(Loss(), (x.clone().requires_grad_(), y))
    for seed in range(3):
        a, b = images(1, 3, 48, 64, device="cuda", seed=seed)
        assert_same(step(graphed, a, b), step(Loss(), a, b))
