# SPDX-License-Identifier: MIT
"""The packages themselves: which module is whose, and what is timed and refused, with stand-ins for the packages."""

import argparse
import importlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not here")

from bench import packages, peer_oracle, peer_timing as timing, peers  # noqa: E402
from bench.peer_record import Record, Refused, equivalence, ratios  # noqa: E402

EXTENSION = """
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "fused_ssim_cuda", 0, -1, 0, 0, 0, 0, 0};
PyMODINIT_FUNC PyInit_fused_ssim_cuda(void) { return PyModule_Create(&module); }
"""
PACKAGE = """
import fused_ssim_cuda
allowed_padding = ["same", "valid"]
def fused_ssim(img1, img2, padding="same", train=True):
    return "the published one"
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with a package fused_ssim as the published one lays itself out, without its compiled half."""
    (tmp_path / "fused_ssim").mkdir()
    (tmp_path / "fused_ssim" / "__init__.py").write_text(PACKAGE)
    for name in (packages.ALIAS, "fused_ssim_cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    for name in (packages.ALIAS, "fused_ssim_cuda"):
        sys.modules.pop(name, None)


def compile_extension(folder: Path) -> None:
    compiler, include = shutil.which("cc") or shutil.which("gcc"), sysconfig.get_paths()["include"]
    if compiler is None or not (Path(include) / "Python.h").exists():
        pytest.skip("no C compiler, or no Python.h")
    source = folder / "fused_ssim_cuda.c"
    source.write_text(EXTENSION)
    target = folder / f"fused_ssim_cuda{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(target)], check=True)


def test_the_published_package_is_another_object_than_ours(site):
    compile_extension(site)
    published = packages.published_fused_ssim([str(site)])
    assert published.__name__ == packages.ALIAS and published.fused_ssim(None, None) == "the published one"
    assert Path(published.__file__).parent == site / "fused_ssim"
    ours = packages.our_operator()
    assert ours is torch.ops.ssim.fused_ssim and ours is not published.fused_ssim
    module = importlib.import_module("fused_ssim")  # what a user of this build imports
    assert module is not published and Path(module.__file__).parent != site / "fused_ssim"
    x = torch.rand(1, 1, 16, 16)
    assert float(ours(x, x, "same", False)) == pytest.approx(1)


def test_without_its_compiled_half_it_does_not_count(site):
    with pytest.raises(packages.Absent, match="no compiled fused_ssim_cuda"):
        packages.published_fused_ssim([str(site)])
    (site / "fused_ssim_cuda.py").write_text("pass\n")
    with pytest.raises(packages.Absent, match="no compiled fused_ssim_cuda"):
        packages.published_fused_ssim([str(site)])


def test_ours_is_never_taken_for_it():
    with pytest.raises(packages.Absent, match="not installed"):
        packages.published_fused_ssim([str(folder) for folder in packages.OURS])


def test_a_package_that_does_not_load_says_why(site):
    compile_extension(site)
    (site / "fused_ssim" / "__init__.py").write_text("raise RuntimeError('built for another torch')\n")
    with pytest.raises(packages.Absent, match="built for another torch"):
        packages.published_fused_ssim([str(site)])
    assert packages.ALIAS not in sys.modules


def test_what_is_absent_has_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)  # importing it fails
    there = packages.systems("cpu")
    assert there["fused_ssim (package)"].reason == "it does not run on cpu"
    assert "cannot be imported" in there["pytorch_msssim (package)"].reason
    assert there["operator"].make is not None


def fake_systems(**functions):
    """Systems of plain functions (x, y, padding, train) -> mean."""
    return {name: packages.System("a stand-in", packages._with_autograd(f)) for name, f in functions.items()}


def ours(x, y, padding, train):
    return packages.our_operator()(x, y, padding, train)


def measure(path, systems, shapes=("1x1x16x16",), resume=False, about=None):
    """The record of a short run on the CPU."""
    record = Record(path / "peers.json", about or {"schema": 1, "environment": {"device": "cpu"}}, systems)
    record.resume() if resume else record.begin()
    peers.measure_all(argparse.Namespace(device="cpu", shape=list(shapes), seconds=0.05), torch, record)
    return record


def written(path):
    lines = (path / "peers_samples.jsonl").read_text().splitlines()
    return json.loads((path / "peers.json").read_text()), [json.loads(line) for line in lines]


def test_systems_are_timed_side_by_side(tmp_path):
    names = ("operator", "pytorch_mssim", "pytorch_msssim (package)")
    record = measure(tmp_path, fake_systems(**{name: ours for name in names}))
    found, samples = written(tmp_path)
    assert record.wrong == 0 and found["complete"] and {r["name"] for r in found["rows"]} == set(names)
    assert all(r["clock"] == "wall" and r["ci_low"] <= r["seconds"] <= r["ci_high"] for r in found["rows"])
    assert all((r["unmet"] is None) == r["converged"] for r in found["rows"])
    pairs = {(r["baseline"], r["subject"]) for r in found["ratios"]}
    assert ("pytorch_msssim (package)", "operator") in pairs and ("operator", "pytorch_mssim") not in pairs
    assert all(r["low"] is None or r["low"] <= r["ratio"] <= r["high"] for r in found["ratios"])
    assert len(found["equivalence"]) == 4  # two paddings, two modes
    for row in found["rows"]:  # the side file has what the medians are of
        turns = [s for s in samples if all(s[f] == row[f] for f in ("name", "mode", "padding", "clock"))]
        seconds = [t for s in turns for t in s["seconds"]]
        assert len(turns) == row["rounds"] and statistics.median(seconds) == row["seconds"]


class Scaled(torch.autograd.Function):
    """The value as it is, and `factor` times its gradient."""

    @staticmethod
    def forward(context, value, factor):
        context.factor = factor
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        return context.factor * gradient, None


WRONG = {
    "its mean is": lambda x, y, p, t: ours(x, y, p, t) + 1e-3,
    "it leaves no gradient": lambda x, y, p, t: ours(x, y, p, t).detach() + torch.zeros((), requires_grad=True),
    "its gradient is off by 0.05": lambda x, y, p, t: Scaled.apply(ours(x, y, p, t), 1 + 0.05 / 3.0),
    "its gradient is off by nan": lambda x, y, p, t: Scaled.apply(ours(x, y, p, t), float("nan")),
    "its mean is nan": lambda x, y, p, t: ours(x, y, p, t) * float("nan"),
}


@pytest.mark.parametrize("reason", WRONG)
@pytest.mark.parametrize("others", [{}, {"operator": ours}, {"operator": ours, "naive_conv": ours}])
def test_a_wrong_result_gets_no_time_whoever_is_there_beside_it(tmp_path, reason, others):
    name = "pytorch_msssim (package)"
    record = measure(tmp_path, fake_systems(**others, **{name: WRONG[reason]}))
    found, _ = written(tmp_path)
    modes = 2 if "mean" in reason else 1  # without a gradient nobody asks for one
    assert record.wrong == 2 * modes
    timed = {r["mode"] for r in found["rows"] if r["name"] == name}
    assert timed == (set() if modes == 2 else {"infer"})
    assert reason.split(" 0.05")[0] in found["systems"][name]["reason"]
    assert all(f["wrong"] for f in found["failures"])


def test_a_gradient_that_is_wrong_at_one_pixel_is_found():
    torch.manual_seed(1)
    x, y = torch.rand(2, 1, 1, 64, 64)
    mean, gradient = peer_oracle.ssim(x, y, "same")
    assert not peer_oracle.wrong("train", (torch.tensor(mean), gradient), (mean, gradient))
    spoilt = gradient.clone()
    spoilt[0, 0, 63, 63] = 0
    assert "worst element" in peer_oracle.wrong("train", (torch.tensor(mean), spoilt), (mean, gradient))
    assert "has the shape" in peer_oracle.wrong("train", (torch.tensor(mean), gradient[0]), (mean, gradient))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_oracle_is_the_formula(padding):
    """Against our operator, which the suite's own oracle has verified."""
    torch.manual_seed(2)
    x, y = torch.rand(2, 2, 3, 21, 35)
    leaf = x.clone().requires_grad_()
    value = ours(leaf, y, padding, True)
    value.backward()
    mean, gradient = peer_oracle.ssim(x, y, padding)
    assert mean == pytest.approx(float(value.detach()), abs=5e-7)
    assert float((leaf.grad - gradient).abs().max() / gradient.square().mean().sqrt()) < 2e-5


def test_one_that_fails_does_not_take_the_others_with_it(tmp_path):
    calls = []

    def broken(x, y, padding, train):
        raise RuntimeError("no kernel image")

    def later(x, y, padding, train):
        calls.append(1)
        if len(calls) > 4:
            raise RuntimeError
        return ours(x, y, padding, train)

    named = {"operator": ours, "fused_ssim (package)": broken, "pytorch_msssim (package)": ours, "naive_conv": later}
    assert measure(tmp_path, fake_systems(**named)).wrong == 0
    found, _ = written(tmp_path)
    assert {r["name"] for r in found["rows"]} == {"operator", "pytorch_msssim (package)"}
    assert "no kernel image (and 3 more, see failures)" in found["systems"]["fused_ssim (package)"]["reason"]
    assert "wall: RuntimeError" in found["systems"]["naive_conv"]["reason"]


def interrupted(path, systems, after: int):
    """A run that Ctrl-C ends after so many turns of the third problem."""
    keep, turns = Record.sample, []

    def sample(self, about, *turn):
        keep(self, about, *turn)
        turns.append(about["padding"] == "same")
        if sum(turns) == after:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Record, "sample", sample)
        measure(path, systems)


def test_an_interruption_loses_one_problem_and_resume_goes_on(tmp_path):
    systems = fake_systems(**{"operator": ours, "pytorch_msssim (package)": ours})
    interrupted(tmp_path, systems, 3)
    held, samples = written(tmp_path)
    assert not held["complete"] and len(held["problems"]) == 2 and len(held["rows"]) == 4
    assert {s["padding"] for s in samples} == {"valid", "same"}  # the side file has the lost problem's turns too
    with (tmp_path / "peers_samples.jsonl").open("a") as out:
        out.write('{"name": "oper')  # what a kill leaves
    measure(tmp_path, systems, resume=True)
    found, samples = written(tmp_path)
    assert found["complete"] and len(found["problems"]) == 4 and found["rows"][:4] == held["rows"]
    for row in found["rows"]:
        turns = [s for s in samples if all(s[f] == row[f] for f in ("name", "mode", "padding", "clock"))]
        assert [t["round"] for t in turns] == list(range(row["rounds"]))
    again = measure(tmp_path, systems, resume=True)  # nothing is left to do
    assert again.data() == found


def test_a_signal_ends_the_run_at_the_next_turn_and_a_second_one_at_once():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        check = peers.on_signals()
        check()
        os.kill(os.getpid(), signal.SIGTERM)  # raises nothing here, where Python might ignore it
        with pytest.raises(KeyboardInterrupt):
            check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_resume_refuses_what_does_not_fit(tmp_path):
    systems = fake_systems(**{"operator": ours, "pytorch_msssim (package)": ours})
    about = {"schema": 1, "commit": "a", "environment": {"device": "cpu"}}
    measure(tmp_path, systems, about=about)
    with pytest.raises(Refused, match="with commit a, here it is b"):
        measure(tmp_path, systems, resume=True, about={**about, "commit": "b"})
    systems["operator"].what = "of another build"
    with pytest.raises(Refused, match="with systems"):
        measure(tmp_path, systems, resume=True, about=about)
    (tmp_path / "peers.json").write_text("{")
    with pytest.raises(Refused, match="is damaged"):
        measure(tmp_path, systems, resume=True, about=about)


@pytest.mark.parametrize("n", [1, 5, 6, 9, 32, 33, 100, 1000])
def test_the_interval_of_the_median_is_the_narrowest_that_covers(n):
    low, high, coverage = timing.median_interval([float(i) for i in range(n)])
    k = int(low)
    assert high == n - 1 - k and coverage == pytest.approx(1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)
    assert (coverage >= 0.95) == (n >= 6)
    assert n < 6 or sum(math.comb(n, i) for i in range(k + 2)) / 2**n > 0.025


RULE = timing.Rule(half_width=0.01, cap=10)


@pytest.mark.parametrize(
    "seconds, rounds, lacking",
    [
        ([1e-3] * 32, 12, ""),
        ([1e-3] * 31, 12, "31 of 32 samples"),
        ([1e-3] * 64, 11, "11 of 12 rounds"),
        ([2.0] * 6, 12, ""),
        ([2.0] * 5, 12, "5 samples give no 95 % interval"),
        ([1e-3, 1.1e-3] * 200, 50, "interval +-4.8 %, wanted +-1 %"),  # bimodal: the median jumps between the two
        ([1e-3] * 90 + [1.0] * 10, 25, ""),  # outliers do not move a median
        ([], 0, "no samples"),
    ],
)
def test_what_a_figure_lacks(seconds, rounds, lacking):
    assert timing.unmet(RULE, seconds, rounds) == lacking


class Fake:
    """A sampler whose calls take what `seconds` says, on a clock of its own that all share."""

    time = 0.0
    host_bound = False

    def __init__(self, *seconds):
        self.seconds, self.taken = seconds, 0

    def sample(self):
        found = self.seconds[self.taken % len(self.seconds)]
        self.taken += 1
        Fake.time += found
        return found


def test_each_figure_goes_on_until_it_converges_or_its_time_is_up():
    steady, restless, slow = Fake(1e-3), Fake(1e-3, 1.2e-3), Fake(3.0)
    samplers, turns = {"steady": steady, "restless": restless, "slow": slow}, []
    found = timing.measure(samplers, RULE, lambda *turn: turns.append(turn), now=lambda: Fake.time)
    assert found["steady"].unmet == "" and len(found["steady"].rounds) == RULE.rounds
    assert "interval" in found["restless"].unmet and 10 <= found["restless"].spent < 10.1
    assert "of 5 samples" in found["slow"].unmet and 10 <= found["slow"].spent <= 12
    assert [s for name, _, turn in turns if name == "restless" for s in turn] == found["restless"].seconds
    orders = {tuple(name for name, number, _ in turns if number == n) for n in range(2)}
    assert all(sorted(order) == sorted(samplers) for order in orders)
    ratio = ratio_of(found, "steady", "slow")
    assert ratio["rounds"] == len(found["slow"].rounds) and not ratio["converged"]


def ratio_of(found, baseline, subject):
    package = "pytorch_msssim (package)"
    two = {"base": found[baseline], package: found[subject]}
    return next(r for r in ratios(two, {"mode": "infer"}) if r["subject"] == package)


class Cuda:
    """torch.cuda where enqueueing takes the host `enqueue` seconds, of which it spends none."""

    def __init__(self, enqueue: float):
        self.enqueue, self.slept = enqueue, []
        self.synchronize = lambda: None

    def _sleep(self, cycles):
        self.slept.append(cycles / 2e9)

    def Event(self, enable_timing):
        event = argparse.Namespace(record=lambda: None, elapsed_time=lambda end: 2.0)
        event.query = lambda: self.enqueue > self.slept[-1]
        return event


def cold(enqueue):
    cuda = Cuda(enqueue)
    return cuda, timing.ColdSampler(argparse.Namespace(cuda=cuda), lambda: None, lambda: None)


def test_a_cold_sample_that_was_not_hidden_is_taken_again_behind_a_longer_delay():
    cuda, sampler = cold(2e-3)
    sampler.sample()
    assert len(cuda.slept) == 1 + timing.RETRIES and cuda.slept == sorted(cuda.slept)
    for _ in range(20):
        assert sampler.sample() == 2e-3
    assert cuda.slept[-1] >= 2e-3 and not sampler.host_bound and sampler.exposed == 1


def test_a_call_that_no_delay_hides_is_host_bound():
    cuda, sampler = cold(1.0)
    for _ in range(5):
        sampler.sample()
    assert sampler.host_bound and sampler.delay == timing.LEAST_DELAY and max(cuda.slept) <= timing.MOST_DELAY


def test_a_host_bound_call_has_a_row_but_no_cold_ratio(tmp_path, monkeypatch):
    names = ("operator", "pytorch_msssim (package)")
    both = {"cold": lambda call: Fake(1e-3), "wall": lambda call: Fake(1e-3)}
    monkeypatch.setattr(Fake, "host_bound", True)
    monkeypatch.setattr(timing, "clocks", lambda torch, device: both)
    measure(tmp_path, fake_systems(**{name: ours for name in names}))
    found, _ = written(tmp_path)
    assert found["ratios"] == [] and all(r["host_bound"] for r in found["rows"]) and len(found["rows"]) == 16


def ratio(low, high, baseline="pytorch_msssim (package)"):
    return {"baseline": baseline, "subject": "pytorch_mssim", "ratio": (low + high) / 2, "low": low,
            "high": high}  # fmt: skip


@pytest.mark.parametrize("low, high, within", [(0.96, 1.04, True), (0.94, 1.04, False), (0.99, 1.06, False)])
def test_equivalence_is_judged_by_the_interval(low, high, within):
    assert [e["within"] for e in equivalence([ratio(low, high)])] == [within]


def test_equivalence_is_that_of_the_package_as_it_is_written():
    names = ["pytorch_msssim with window (package)", "pytorch_msssim compiled (package)", "fused_ssim (package)"]
    assert [e["baseline"] for e in equivalence([ratio(0.99, 1.01, name) for name in names])] == names[:1]


def test_a_window_on_the_device_changes_nothing_but_the_copy():
    pytest.importorskip("pytorch_msssim", reason="pytorch-msssim is not here")
    there = packages.systems("cpu")
    x, y = torch.rand(2, 3, 16, 20), torch.rand(2, 3, 16, 20)
    plain, windowed = (
        there[name].make("train", "valid", x, y)()
        for name in ("pytorch_msssim (package)", "pytorch_msssim with window (package)")
    )
    assert torch.equal(plain[0], windowed[0]) and torch.equal(plain[1], windowed[1])


def test_neither_package_is_77(tmp_path):
    """An interpreter that hides the packages: the command says so and writes nothing."""
    (tmp_path / "pytorch_msssim.py").write_text("raise ImportError('hidden')\n")
    root = packages.ROOT
    arguments = ["peers", "--device", "cpu", "--out", str(tmp_path / "peers.json")]
    program = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]
sys.argv = {arguments!r}
from bench import peers
sys.exit(peers.main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.returncode == 77, done.stderr
    assert "neither package can be timed here" in done.stderr and "hidden" in done.stderr
    assert not (tmp_path / "peers.json").exists()
