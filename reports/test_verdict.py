# SPDX-License-Identifier: MIT
"""The words on the published claim say what the data say, and where the host decides."""

from reports.assemble import assemble
from reports.example import Stream, key, whole
from reports.extras import Extras
from reports.stream import read
from reports.verdict import text as verdict


def published(tmp_path, factor, **more):
    """tiled takes 1 ms, pytorch_mssim `factor` times as long, on one problem of the claim."""
    stream = Stream(spread=1e-3).begin(device="cuda", device_name="Example accelerator")
    for name, seconds in (("tiled", 1e-3), ("pytorch_mssim", factor * 1e-3)):
        for clock in ("cold", "wall"):
            stream.row(key(name, "5x1x1500x1500", "train", "valid", "cuda", clock), seconds * more.get(clock, 1))
    return read(stream.end().write(tmp_path / "s.jsonl"))


def test_confirmed_and_exceeded(tmp_path):
    text = verdict(assemble(published(tmp_path, 6.5)))
    assert "The published claim is 5–8×." in text and "stands in for the package" in text and "exceeded" not in text
    assert "\n* In training, `valid`, against `pytorch_mssim` it is confirmed at 5×1×1500×1500 6.5× [" in text
    assert "In short: training, `valid`, over `pytorch_mssim`: confirmed at 2 of 2 (6.5×, intervals within [" in text
    assert "it is exceeded at" in verdict(assemble(published(tmp_path, 20)))
    assert "it is not reached at" in verdict(assemble(published(tmp_path, 2)))


def test_where_the_host_decides(tmp_path):
    assert "host dominate" not in verdict(assemble(published(tmp_path, 6)))
    text = verdict(assemble(published(tmp_path, 6, wall=3)))
    assert "Where calls are short, launch and host dominate, not the kernel.\n" in text
    assert "\n* Launch and host dominate: " in text and "`tiled` training" in text
    assert "3000 µs by the wall clock, 1000 µs of work on the GPU" in text


def test_against_stock(tmp_path):
    """In the example the baselines take half as much again as they come: 6.67 times 1.5."""
    text = verdict(assemble(read(whole("cuda").write(tmp_path / "s.jsonl"))))
    assert "(as a plain import leaves the baseline: 9.9" in text or "(as a plain import leaves the baseline: 10" in text


def test_claims_that_all_come_to_the_same_are_told_together(tmp_path):
    stream = Stream(spread=1e-3).begin(device="cuda", device_name="Example accelerator")
    for shape, clocks in (("1x3x1080x1920", ["cold"]), ("5x1x1500x1500", ["cold", "wall"])):
        for clock in clocks:
            for name, seconds in (("tiled", 1e-3), ("pytorch_mssim", 20e-3)):
                stream.row(key(name, shape, "infer", "valid", "cuda", clock), seconds)
    text = verdict(assemble(read(stream.end().write(tmp_path / "s.jsonl"))))
    assert "against `pytorch_mssim` it is exceeded throughout, 20×, all intervals within [" in text
    assert "1×3×1080×1920, 5×1×1500×1500 by the cold clock; 5×1×1500×1500 by the wall clock" in text


def test_a_run_without_it_says_nothing_of_it(tmp_path):
    assert verdict(assemble(read(whole("cpu").write(tmp_path / "s.jsonl")))) == ""


def test_it_says_which_setting_the_baseline_was_taken_at(tmp_path):
    run = published(tmp_path, 7)
    text = verdict(assemble(run))
    assert "(cudnn.benchmark on, TF32 off as in the reference)" in text and "CUDA graph" not in text
    stream = Stream(spread=1e-3).begin(device="cuda", device_name="Example accelerator")
    for clock, seconds in (("cold", 7e-3), ("wall", 7e-3), ("graph", 6e-3)):
        stream.row(key("pytorch_mssim", "5x1x1500x1500", "train", "valid", "cuda", clock), seconds)
        stream.row(key("tiled", "5x1x1500x1500", "train", "valid", "cuda", clock), 1e-3)
    text = verdict(assemble(read(stream.end().write(tmp_path / "s.jsonl"))))
    assert "(cudnn.benchmark on, captured in a CUDA graph where that is faster, TF32 off as in the reference)" in text
    assert "it is confirmed at 5×1×1500×1500 6" in text
    assert "; the baseline is at its best captured in a CUDA graph." in text


def test_it_does_not_say_that_intervals_hold_what_is_not_known(tmp_path):
    """The package's time at 1080p with gradient is the host's."""
    assert " Intervals hold how the two compare." in verdict(assemble(published(tmp_path, 6)))
    stream = Stream(spread=1e-3).begin(device="cuda", device_name="Example accelerator")
    for shape in ("1x3x1080x1920", "5x1x1500x1500"):
        for name, seconds in (("tiled", 1e-3), ("pytorch_mssim", 6e-3)):
            stream.row(key(name, shape, "train", "valid", "cuda", "cold"), seconds)
    text = verdict(assemble(read(stream.end().write(tmp_path / "s.jsonl"))))
    assert "Intervals hold how the two compare where that is known. It is not, so that the verdict stays open" in text
    assert ", in training, `valid`, 1×3×1080×1920 by the cold clock: the package's call is bound by the host" in text
    assert "it is confirmed at 5×1×1500×1500" in text and "it stays open at 1×3×1080×1920" in text


def package_report(run, **ratios):
    """The report with peers.json: fused_ssim over pytorch_msssim, and over its compiled form."""
    names = {"plain": "pytorch_msssim (package)", "compiled": "pytorch_msssim compiled (package)"}
    problem = {"device": "cuda", "mode": "train", "padding": "valid", "batch": 5, "channels": 1, "height": 1500,
               "width": 1500, "clock": "cold"}  # fmt: skip
    entries = [{"subject": "fused_ssim (package)", "baseline": names[what], **problem, "ratio": ratio,
                "low": ratio - 0.1, "high": ratio + 0.1} for what, ratio in ratios.items()]  # fmt: skip
    peers = {"environment": {"device_name": "Example accelerator"}, "ratios": entries, "systems": {}}
    return assemble(run, extras=Extras(peers=peers))


def judged_cold(report):
    of_claim = [c for c in report["claims"] if c["name"] == "published 5–8×, train, valid" and c["height"] == 1500]
    return next(c for c in of_claim if c["clock"] == "cold")


def test_the_compiled_package_is_a_setting_of_the_package(tmp_path):
    run = published(tmp_path, 20)
    report = package_report(run, plain=9.0, compiled=7.0)
    judged = judged_cold(report)
    assert (judged["verdict"], judged["ratio"], judged["setting"]) == ("CONFIRMED", 7.0, "through torch.compile")
    assert "the baseline is fastest through torch.compile" in judged["note"]
    text = verdict(report)
    assert "through torch.compile where that is faster" in text and "at its best through torch.compile" in text
    assert "judged here on the package itself (fused_ssim (package)), elsewhere on `tiled`, which stands in" in text
    slower = judged_cold(package_report(run, plain=9.0, compiled=9.5))
    assert (slower["verdict"], slower["setting"]) == ("EXCEEDED", "tuned")
    assert judged_cold(package_report(run, compiled=7.0))["ratio"] == 7.0  # pytorch_msssim itself failed


def test_the_package_is_judged_where_it_was_measured(tmp_path):
    run = published(tmp_path, 20)
    ratio = {
        "subject": "fused_ssim (package)", "baseline": "pytorch_msssim (package)", "device": "cuda", "mode": "train",
        "padding": "valid", "batch": 5, "channels": 1, "height": 1500, "width": 1500, "clock": "cold",
        "ratio": 7.0, "low": 6.9, "high": 7.1,
    }  # fmt: skip
    peers = {"environment": {"device_name": "Example accelerator"}, "ratios": [ratio], "systems": {}}
    report = assemble(run, extras=Extras(peers=peers))
    of_claim = [c for c in report["claims"] if c["name"] == "published 5–8×, train, valid" and c["height"] == 1500]
    judged = next(c for c in of_claim if c["clock"] == "cold")
    assert judged["verdict"] == "CONFIRMED" and judged["ratio"] == 7.0
    assert judged["measured_on"] == "fused_ssim (package)"
    peers["environment"]["device_name"] = "Another"
    report = assemble(run, extras=Extras(peers=peers))
    assert all("measured_on" not in c for c in report["claims"])


def test_our_operator_is_held_against_the_package_at_its_fastest(tmp_path):
    run = published(tmp_path, 20)
    assert "both through Python" not in verdict(assemble(run))
    about = {"subject": "operator", "device": "cuda", "mode": "train", "padding": "valid", "batch": 5, "channels": 1,
             "height": 1500, "width": 1500, "clock": "wall"}  # fmt: skip
    plain = {"baseline": "pytorch_msssim (package)", "ratio": 50.0, "low": 49.0, "high": 51.0}
    compiled = {"baseline": "pytorch_msssim compiled (package)", "ratio": 40.0, "low": 39.0, "high": 41.0}
    other = {"baseline": "naive_conv", "ratio": 9.0, "low": 8.0, "high": 10.0}
    peers = {"environment": {"device_name": "Example accelerator"},
             "systems": {"pytorch_msssim (package)": {"what": "pytorch-msssim 1.0.0"}}}  # fmt: skip

    def text(*ratios):
        return verdict(assemble(run, extras=Extras(peers=peers | {"ratios": [about | r for r in ratios]})))

    start = "* `operator` over pytorch-msssim 1.0.0 itself at its fastest, both through Python, by the wall clock: "
    start += "training "
    assert f"{start}5×1×1500×1500 40× [39, 41] (through torch.compile)." in text(plain, compiled, other)
    assert f"{start}5×1×1500×1500 50× [49, 51]." in text(plain, other, compiled | {"clock": "cold"})
