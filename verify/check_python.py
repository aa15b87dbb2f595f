# SPDX-License-Identifier: MIT
"""A Python function f(img1, img2) -> scalar tensor against the oracle: `./suite check --python MODULE:FUNCTION`.

Asserted: accuracy of the mean, the gradient with an upstream weight, shapes, a NaN pixel, unchanged inputs. Noted only:
bitwise properties, strided inputs, the messages for bad input. Costs some seconds. Exit status: 0 right, 1 wrong,
2 misuse, 77 its device is not here.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import inspect
import sys
import traceback
from dataclasses import dataclass, field
from typing import Callable

SHAPES = [(2, 3, 37, 53), (1, 1, 19, 37), (1, 1, 11, 11), (1, 2, 16, 64), (1, 1, 12, 131)]
SHAPES += [(3, 1, 131, 12), (1, 7, 23, 29)]
SMALL = [(1, 1, 1, 1), (1, 1, 1, 67), (1, 1, 67, 1), (1, 1, 5, 7), (2, 2, 10, 12)]  # same padding alone
WEIGHT = -1.75


class Oracle:
    """verify/c_interface.cpp."""

    def __init__(self, path: str):
        self._library = ctypes.CDLL(path)
        for name in ("class", "images", "oracle", "tolerance"):
            getattr(self._library, f"ssim_verify_{name}").restype = ctypes.c_char_p

    @staticmethod
    def _raise(message: bytes | None) -> None:
        if message:
            raise RuntimeError(message.decode())

    def classes(self) -> list[str]:
        names: list[str] = []
        while name := self._library.ssim_verify_class(len(names)):
            names.append(name.decode())
        return names

    def images(self, name: str, shape, padding: str, seed: int = 1):
        import torch

        x, y = torch.empty(shape), torch.empty(shape)
        sizes = (ctypes.c_int64 * 4)(*shape)
        where = ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr())
        valid = int(padding == "valid")
        self._raise(
            self._library.ssim_verify_images(name.encode(), ctypes.c_uint64(seed), sizes, valid, *where)
        )
        return x, y

    def __call__(self, x, y, padding: str):
        """(mean, gradient to x in fp64)."""
        import torch

        x, y = x.contiguous(), y.contiguous()
        mean, gradient = ctypes.c_double(), torch.empty(x.shape, dtype=torch.float64)
        sizes = (ctypes.c_int64 * 4)(*x.shape)
        pointers = [ctypes.c_void_p(t.data_ptr()) for t in (x, y)]
        self._raise(
            self._library.ssim_verify_oracle(
                sizes, int(padding == "valid"), *pointers, ctypes.byref(mean), ctypes.c_void_p(gradient.data_ptr())
            )
        )
        return mean.value, gradient

    def tolerance(self, name: str) -> tuple[float, ...]:
        """mean, position, gradient, gradient_unit, peak."""
        five = (ctypes.c_double * 5)()
        self._raise(self._library.ssim_verify_tolerance(name.encode(), five))
        return tuple(five)


@dataclass
class Report:
    checks: int = 0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def require(self, good: bool, message: str) -> None:
        self.checks += 1
        if not good:
            self.failures.append(message)

    def note(self, good: bool, message: str) -> None:
        if not good:
            self.notes.append(message)


@dataclass
class Subject:
    """The function with what its signature takes."""

    function: Callable
    takes: set[str]
    device: str

    def __call__(self, x, y, padding: str, train: bool):
        extra = {"padding": padding} if "padding" in self.takes else {}
        extra |= {"train": train} if "train" in self.takes else {}
        return self.function(x, y, **extra)

    def value(self, x, y, padding: str) -> float:
        import torch

        with torch.no_grad():
            return float(self(x.to(self.device), y.to(self.device), padding, False))

    def gradient(self, x, y, padding: str, weight: float = 1.0):
        """(value, gradient to x on the host)."""
        leaf = x.to(self.device, copy=True).requires_grad_()
        value = self(leaf, y.to(self.device), padding, True)
        (value * weight).backward()
        return float(value.detach()), None if leaf.grad is None else leaf.grad.cpu()


def counted(shape, padding: str) -> int:
    margin = 10 if padding == "valid" else 0
    return shape[0] * shape[1] * (shape[2] - margin) * (shape[3] - margin)


def accuracy(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    cases = [(name, SHAPES[0]) for name in oracle.classes()]
    cases += [(name, shape) for shape in SHAPES[1:] for name in ("uniform", "local")]
    cases += [("uniform", shape) for shape in SMALL] if padding == "same" else []
    for name, shape in cases:
        x, y = oracle.images(name, shape, padding)
        where = f"{padding}:{'x'.join(map(str, shape))}/{name}"
        mean, want = oracle(x, y, padding)
        of_mean, position, of_gradient, of_unit, by_peak = oracle.tolerance(name)
        count = counted(shape, padding)
        limit = of_mean + position / count**0.5
        try:
            got = subject.value(x, y, padding)
            value, gradient = subject.gradient(x, y, padding, WEIGHT)
        except Exception as error:
            report.require(False, f"{where}: {type(error).__name__}: {error}")
            continue
        for how, number in (("without gradient", got), ("with gradient", value)):
            report.require(
                abs(number - mean) <= limit,
                f"{where}: mean {how} {number:.9g}, oracle {mean:.9g}: "
                f"off by {abs(number - mean):.3g}, allowed {limit:.3g}",
            )
        if gradient is None or gradient.shape != x.shape:
            report.require(False, f"{where}: gradient of shape {None if gradient is None else tuple(gradient.shape)}")
            continue
        want = WEIGHT * want
        size = want.abs().max() if by_peak else (want.square().sum() / count).sqrt()  # check.hpp
        allowed = float(of_gradient * size + abs(WEIGHT) * of_unit / count)
        error = (gradient.double() - want).abs()
        worst = int(error.nan_to_num(float("inf")).argmax())
        report.require(
            bool((error <= allowed).all()),
            f"{where}: gradient of element {worst} is {float(gradient.flatten()[worst]):.6g}, oracle "
            f"{float(want.flatten()[worst]):.6g}: allowed {allowed:.3g}",
        )


def behaviour(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    import torch

    shape = (2, 2, 21, 35)
    x, y = oracle.images("textured", shape, padding)
    on_x, on_y = x.to(subject.device, copy=True), y.to(subject.device, copy=True)
    leaf = on_x.clone().requires_grad_()
    result = subject(leaf, on_y, padding, True)
    report.require(
        isinstance(result, torch.Tensor) and result.dim() == 0,
        f"{padding}: returns {tuple(result.shape) if isinstance(result, torch.Tensor) else type(result)}, "
        "not a scalar tensor",
    )
    result.sum().backward()
    report.require(torch.equal(leaf.detach(), on_x), f"{padding}: img1 was modified")
    report.require(torch.equal(on_y.cpu(), y), f"{padding}: img2 was modified")

    spoilt = x.clone()
    spoilt[0, 1, 10, 17] = float("nan")
    value, gradient = subject.gradient(spoilt, y, padding)
    report.require(value != value, f"{padding}: a NaN pixel, and yet the mean is {value}")
    report.require(
        gradient is not None and bool(gradient[0, 1, 10, 17].isnan()), f"{padding}: a NaN pixel's gradient is not NaN"
    )
    clean = subject.gradient(x, y, padding)[1]
    if gradient is not None and clean is not None:
        report.require(
            bool(torch.allclose(gradient[1], clean[1], rtol=1e-4, atol=float(clean.abs().max()) * 1e-5)),
            f"{padding}: a NaN pixel in one image changes the gradient of another",
        )

    # Notes.
    first, second = subject.gradient(x, y, padding), subject.gradient(x, y, padding)
    if first[1] is not None and second[1] is not None:
        report.note(first[0] == second[0] and torch.equal(first[1], second[1]), f"{padding}: two runs differ")
        doubled = subject.gradient(x, y, padding, 2.0)[1]
        report.note(torch.equal(doubled, 2 * first[1]), f"{padding}: weight 2 does not double the gradient exactly")
    equal = subject.gradient(x, x.clone(), padding)
    report.note(equal[0] == 1, f"{padding}: SSIM of equal images is {equal[0]!r}")
    if equal[1] is not None:
        largest = float(equal[1].abs().max())
        report.note(largest == 0, f"{padding}: equal images have a gradient, up to {largest:.3g}")
    wide = torch.stack([x, x], -1).flatten(-2)[..., ::2]
    try:
        report.note(
            subject.value(wide, y, padding) == subject.value(x, y, padding),
            f"{padding}: strided input has another value",
        )
    except Exception as error:
        report.notes.append(f"{padding}: strided input is refused: {error}")
    bad = {"of another height": (x[..., :20, :], y), "of fp64 beside fp32": (x.double(), y)}
    if padding == "valid":
        bad["smaller than the window"] = (x[..., :10], y[..., :10])
    for what, (a, b) in bad.items():
        try:
            value = subject.value(a, b, padding)
            report.notes.append(f"{padding}: no error for images {what}; the result is {value:.6g}")
        except Exception:
            pass


def load(name: str) -> Callable:
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        sys.exit(misuse(f"--python {name}: {error} (looked for on PYTHONPATH and in the current folder)"))
    except AttributeError:
        sys.exit(misuse(f"--python {name}: module {module} has no {function}"))
    except Exception:
        sys.exit(misuse(f"--python {name}: importing {module} fails:\n{traceback.format_exc(limit=3)}"))
    if not callable(found):
        sys.exit(misuse(f"--python {name}: {function} is {type(found).__name__}, not a function"))
    return found


def misuse(message: str) -> int:
    print(f"suite check: {message}", file=sys.stderr)
    return 2


def parameters(function: Callable) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", metavar="MODULE:FUNCTION")
    parser.add_argument("--library", required=True, help="build/verify/libssim_verify_c.so")
    parser.add_argument("--padding", choices=["same", "valid"])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    args = parser.parse_args(arguments)
    import torch

    device = args.device if args.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        print("suite check: --device cuda: PyTorch sees no CUDA device", file=sys.stderr)
        return 77
    function = load(args.name)
    takes = parameters(function)
    if "padding" not in takes and not args.padding:
        return misuse(f"--python {args.name} takes no `padding`: say with --padding same|valid which one it computes")
    report, oracle = Report(), Oracle(args.library)
    subject = Subject(function, takes, device)
    for padding in [args.padding] if args.padding else ["same", "valid"]:
        print(f"{args.name}, padding {padding}, on {device}", flush=True)
        accuracy(subject, oracle, padding, report)
        try:
            behaviour(subject, oracle, padding, report)
        except Exception as error:
            report.require(False, f"{padding}: {type(error).__name__}: {error}")
    for message in report.notes:
        print(f"note: {message}")
    for message in report.failures[:20]:
        print(f"WRONG {message}")
    if len(report.failures) > 20:
        print(f"... and {len(report.failures) - 20} more")
    print(f"{report.checks - len(report.failures)} of {report.checks} checks passed, {len(report.notes)} notes")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
