# SPDX-License-Identifier: MIT
"""What check_python.py holds a function against: the oracle, cases with what may be off, the function, the findings."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator


class Oracle:
    """verify/c_interface.cpp. RuntimeError with its message where it refuses."""

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
        self._raise(self._library.ssim_verify_images(name.encode(), ctypes.c_uint64(seed), sizes, valid, *where))
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

    @contextlib.contextmanager
    def of(self, where: str) -> Iterator[None]:
        """Around calls of the function: whatever it raises is a failure, sys.exit() too."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.require(False, f"{where}: {type(error).__name__}: {error}")


@dataclass
class Subject:
    """The function, with what its signature takes."""

    function: Callable
    takes: set[str]
    device: str

    def __call__(self, x, y, padding: str, train: bool):
        """A scalar tensor; TypeError where it is anything else."""
        import torch

        offered: dict[str, Any] = {"padding": padding, "train": train, "data_range": 1}
        result = self.function(x, y, **{name: offered[name] for name in offered if name in self.takes})
        if not isinstance(result, torch.Tensor) or result.dim() != 0:
            found = f"shape {tuple(result.shape)}" if isinstance(result, torch.Tensor) else type(result).__name__
            raise TypeError(f"returns {found} with train={train}, not a scalar tensor")
        return result

    def value(self, x, y, padding: str) -> float:
        import torch

        with torch.no_grad():
            return float(self(self.here(x), self.here(y), padding, False))

    def gradient(self, x, y, padding: str, weight: float = 1.0):
        """(value, gradient to x on the host or None)."""
        leaf = self.leaf(x)
        value = self(leaf, self.here(y), padding, True)
        (value * weight).backward()
        return float(value.detach()), None if leaf.grad is None else leaf.grad.cpu()

    def here(self, x):
        """A copy on the device: a function that writes into its input spoils no other check."""
        return x.to(self.device, copy=True)

    def leaf(self, x):
        return self.here(x).requires_grad_()


class Case:
    """Images, the oracle's answer and what a right function may be off (verify/tolerance.hpp)."""

    def __init__(self, oracle: Oracle, padding: str, shape, name: str, seed: int = 1, images=None):
        """images: (x, y) of that shape to which the class's tolerance applies; default those of the class."""
        self.padding, self.where = padding, f"{padding}:{'x'.join(map(str, shape))}/{name}/{seed}"
        self.x, self.y = images or oracle.images(name, shape, padding, seed)
        self.mean, self.gradient = oracle(self.x, self.y, padding)
        of_mean, position, of_gradient, of_unit, by_peak = oracle.tolerance(name)
        margin = 10 if padding == "valid" else 0
        count = shape[0] * shape[1] * (shape[2] - margin) * (shape[3] - margin)
        size = self.gradient.abs().max() if by_peak else (self.gradient.square().sum() / count).sqrt()  # check.hpp
        self.limit = of_mean + position / count**0.5
        self.gradient_limit = float(of_gradient * size + of_unit / count)  # of weight 1

    def require_value(self, report: Report, got: float, how: str) -> None:
        report.require(
            abs(got - self.mean) <= self.limit,
            f"{self.where}: mean {how} {got:.9g}, oracle {self.mean:.9g}: off by {abs(got - self.mean):.3g}, "
            f"allowed {self.limit:.3g}",
        )

    def require_gradient(self, report: Report, got, weight: float, how: str, image=slice(None)) -> None:
        """got: gradient to x times weight; None counts as wrong. image: which images of the batch are looked at."""
        if got is None or got.shape != self.x.shape:
            found = "no gradient" if got is None else f"gradient of shape {tuple(got.shape)}"
            report.require(False, f"{self.where}: {found} {how}")
            return
        want, got = weight * self.gradient[image], got.cpu()[image].double()
        allowed = abs(weight) * self.gradient_limit
        error = (got - want).abs()
        worst = int(error.nan_to_num(float("inf")).argmax())
        report.require(
            bool((error <= allowed).all()),
            f"{self.where}: gradient {how}, weight {weight:g}: element {worst} is {float(got.flatten()[worst]):.6g}, "
            f"oracle {float(want.flatten()[worst]):.6g}: allowed {allowed:.3g}",
        )
