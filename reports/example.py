# SPDX-License-Identifier: MIT
"""Result files with known times, for tests: what the benchmark would write where rows take just so long."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

ENVIRONMENT = {
    "device": "cpu", "device_name": "Example processor", "driver": None, "cuda": None, "libtorch": "2.11.0",
    "compiler": "gcc 12.2.0", "flags": "-O3", "threads": 2, "cpu": "Example processor", "power_limit_w": None,
    "ecc": None, "sm_clock_mhz": None, "commit": "0123456789abcdef", "dirty": False, "date": "2026-01-02T03:04:05Z",
}  # fmt: skip
CEILINGS = {"cpu": {"copy_gb_s": 20.0, "fma_gflop_s": 400.0}, "cuda": {"copy_gb_s": 4300.0, "fma_gflop_s": 60000.0}}
BASELINES = ("naive_conv", "pytorch_mssim")


def key(name: str, shape: str, mode: str, padding: str, device: str = "cpu", clock: str = "wall") -> dict:
    batch, channels, height, width = (int(n) for n in shape.split("x"))
    return {"name": name, "device": device, "mode": mode, "padding": padding, "batch": batch, "channels": channels,
            "height": height, "width": width, "clock": clock}  # fmt: skip


class Stream:
    """Lines of a result file. `spread`: standard deviation of a round's log time; 0 makes every sample the median."""

    def __init__(self, seed: int = 1, spread: float = 0.01):
        self.lines: list[dict] = []
        self.process = 0
        self.settings = "best"
        self.spread = spread
        self.random = np.random.default_rng(seed)

    def begin(self, settings: str = "best", device: str = "cpu", set_name: str = "claim", **environment) -> "Stream":
        self.process += 1
        self.settings = settings
        self.lines.append({"type": "run", "schema": 1, "process": self.process, "command": ["ssim_bench"],
                           "settings": settings, "set": set_name, "filter": "",
                           "environment": {**ENVIRONMENT, "device": device, **environment}})  # fmt: skip
        self.lines.append({"type": "ceilings", "process": self.process, "device": device, **CEILINGS[device]})
        return self

    def samples(self, of: dict, seconds: float, rounds=range(8), each: int = 4) -> "Stream":
        for r in rounds:
            noise = np.exp(self.random.normal(0, self.spread, each))
            self.lines.append({"type": "samples", **of, "process": self.process, "round": r,
                               "seconds": [float(seconds * n) for n in noise], "discarded": 0})  # fmt: skip
        return self

    def row(self, of: dict, seconds: float | None, rounds=range(8), converged=True, error=None, **more) -> "Stream":
        """A finished row with its samples; with an error neither samples nor a time."""
        if error is None:
            self.samples(of, seconds, rounds)
        elements = of["batch"] * of["channels"] * of["height"] * of["width"]
        self.lines.append({
            "type": "row", **of, "process": self.process, "settings": self.settings,
            "seconds": None if error else seconds, "samples": 0 if error else 4 * len(rounds),
            "rel_iqr": None if error else 0.01, "ci_low": None if error else seconds * 0.995,
            "ci_high": None if error else seconds * 1.005, "converged": converged and error is None,
            "verified": error is None, "error": error, "idea": "an example", "baseline": of["name"] in BASELINES,
            "cost": {"dram_bytes": 8.0 * elements, "fma": 110.0 * elements, "launches": 1},
            "verdict": {"mean_error": 1e-8, "loss_error": 1e-7, "gradient_error": 2e-6}, "host_bound": False,
            "memory": {"peak_bytes": 4096 + (40 * elements if of["name"] in BASELINES else 0),
                       "kept_bytes": 24 * elements if of["name"] in BASELINES else None},
            **more,
        })  # fmt: skip
        return self

    def skip(self, of: dict, reason: str) -> "Stream":
        self.lines.append(
            {"type": "skipped", **of, "process": self.process, "settings": self.settings, "reason": reason}
        )
        return self

    def end(self, interrupted: bool = False) -> "Stream":
        self.lines.append({"type": "end", "process": self.process, "interrupted": interrupted})
        return self

    def text(self) -> str:
        return "".join(json.dumps(line) + "\n" for line in self.lines)

    def write(self, path: Path) -> Path:
        path.write_text(self.text())
        return path


def whole(device: str = "cpu") -> Stream:
    """A claim run with all that a report shows: two passes, skipped, wrong and unconverged rows. Speed-ups are ours to
    choose: pytorch_mssim takes 24x the time of production in inference and 18x in training."""
    stream = Stream()
    clocks = ("wall",) if device == "cpu" else ("cold", "wall")
    sizes = (["1x1x256x256", "1x3x256x256", "4x3x256x256", "1x3x512x512", "1x3x1080x1920"] if device == "cpu"
             else ["1x3x512x512", "1x3x1080x1920", "5x1x1500x1500", "16x3x1080x1920"])  # fmt: skip
    per_element = {"cpu": {"infer": 700e-12, "train": 1500e-12}, "cuda": {"infer": 5e-12, "train": 12e-12}}[device]
    factors = {"reference": 30.0, "stream": 1.02, "production": 1.0, "operator": 1.08, "naive_conv": 40.0}
    of_baseline = {"cpu": {"infer": 36, "train": 27}, "cuda": {"infer": 24, "train": 18}}[device]
    if device == "cuda":
        factors |= {"naive": 9.0, "tiled": 3.6}
        del factors["reference"]
    for settings in ("best", "stock"):
        more = {"device_name": "Example accelerator", "cuda": "13.0", "driver": "580.1"} if device == "cuda" else {}
        stream.begin(settings, device, **more)
        for shape in sizes:
            for padding in ("same", "valid"):
                for mode in ("infer", "train"):
                    for clock in clocks:
                        elements = np.prod([int(n) for n in shape.split("x")])
                        base = per_element[mode] * elements * (1 + 6e4 / elements)
                        for name, factor in factors.items():
                            of = key(name, shape, mode, padding, device, clock)
                            if settings == "stock" and name not in (*BASELINES, "production", "tiled"):
                                continue
                            slower = 1.5 if settings == "stock" and name in BASELINES else 1.0
                            if name == "reference" and mode == "train" and shape == "1x3x1080x1920":
                                stream.row(of, None, error="gradient off by 3.1 RMS at 0,0,5,7")
                            else:
                                stream.row(of, base * factor * slower, converged=name != "naive_conv")
                        of = key("pytorch_mssim", shape, mode, padding, device, clock)
                        if padding == "same":
                            stream.skip(of, "pytorch-mssim has no padding 'same'")
                        else:
                            slower = 1.5 if settings == "stock" else 1.0
                            stream.row(of, base * of_baseline[mode] * slower)
        stream.end()
    return stream
