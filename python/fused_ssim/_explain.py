# SPDX-License-Identifier: MIT
"""Which row would run, and why: asked of the library that would run it."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Sequence
from typing import NamedTuple

from ._built_for import LACKS_CUDA
from ._load import LIBRARY


class Explanation(NamedTuple):
    """row: the row that runs, None where the call would raise; why: its idea, or why nothing runs; others: the
    device's other rows and why they do not."""

    row: str | None
    why: str
    others: dict[str, str]

    def __str__(self) -> str:
        first = f"{self.row} runs: {self.why}" if self.row else f"nothing runs: {self.why}"
        return "\n".join([first, *(f"  not {row}: {why}" for row, why in self.others.items())])


def explain(shape: Sequence[int], padding: str = "same", train: bool = True, device: object = "cpu") -> Explanation:
    """Which row fused_ssim would run for images of this shape, and why. Runs nothing and needs no images.

    Args:
        shape: [batch, channels, height, width], for example img1.shape.
        padding: "same" or "valid".
        train: True where img1 requires a gradient: value and gradient; False: the value alone.
        device: "cpu" or "cuda", or a torch.device of these; the current CUDA device is asked.

    Raises:
        ValueError: shape without four sizes that are integers of 64 bits, or an unknown padding or device.
    """
    try:
        sizes = tuple(map(operator.index, shape))
    except TypeError:
        wanted = "it must be 4 integers, (batch, channels, height, width)"
        raise ValueError(f"explain: shape is {shape!r}; {wanted}") from None
    if len(sizes) != 4:
        raise ValueError(f"explain: shape is {sizes}; it must have 4 sizes, (batch, channels, height, width)")
    if max(map(abs, sizes)) >= 2**63:
        raise ValueError(f"explain: shape is {sizes}; its sizes must be below 2^63")
    if padding not in ("same", "valid"):
        raise ValueError(f'explain: padding is "{padding}"; it must be "same" or "valid"')
    kind = str(device).split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f'explain: device is "{device}"; it must be "cpu" or "cuda"')
    if kind == "cuda" and LACKS_CUDA:
        return Explanation(None, f"this build of fused_ssim has no code for CUDA: {LACKS_CUDA}", {})
    ask = ctypes.CDLL(LIBRARY).fused_ssim_explain
    ask.restype = ctypes.c_char_p
    text = ask(kind == "cuda", padding == "valid", bool(train), (ctypes.c_longlong * 4)(*sizes)).decode()
    rows = [line.split("\t", 1) for line in text.splitlines()]
    return Explanation(rows[0][0] or None, rows[0][1], {row: why for row, why in rows[1:]})
