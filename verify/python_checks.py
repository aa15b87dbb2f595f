# SPDX-License-Identifier: MIT
"""What check_python.py asks of a function, each check for one padding. They report; none of them raises what the
function raises."""

from __future__ import annotations

from itertools import cycle

from python_case import Case, Oracle, Report, Subject

# Every class on these: a multiple of nothing, and channels and width of two times an odd number.
CLASSES_ON = [(2, 3, 37, 53), (1, 2, 62, 78)]
# Batches of up to 7; 1, 2, 3, 4, 7 channels; widths of every remainder by 4; sides around powers of two, and far over.
SHAPES = [(1, 1, 19, 37), (1, 1, 11, 11), (1, 2, 16, 64), (1, 1, 12, 131), (3, 1, 131, 12), (1, 7, 23, 29)]
SHAPES += [(4, 1, 13, 34), (7, 2, 17, 19), (5, 1, 33, 17), (1, 4, 31, 50), (2, 3, 29, 40), (6, 4, 12, 23)]
SHAPES += [(1, 1, 63, 127), (1, 1, 65, 129), (1, 2, 32, 128), (2, 1, 15, 259), (1, 1, 263, 22), (1, 3, 64, 256)]
SHAPES += [(1, 1, 12, 1031), (1, 1, 2503, 11)]
LARGE = (1, 3, 515, 530)
SMALL = [(1, 1, h, w) for h in (1, 2, 5, 6, 11) for w in (1, 3, 6, 10, 12)]  # same padding alone
SMALL += [(1, 1, 1, 67), (1, 1, 67, 1), (2, 2, 10, 12), (7, 3, 5, 7)]
SEEDS = range(2, 6)
# What multiplies the gradient. Zero, and what clamps, half precision and thresholds would change.
WEIGHTS = [-1.75, 65536.0, 1e-6, 0.0, 1.0, -0.3]
NAN, INFINITY = float("nan"), float("inf")


def accuracy(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    """Value and gradient of every class, of many shapes, seeds and weights."""
    cases = [(shape, name, seed) for seed, shape in enumerate(CLASSES_ON, 1) for name in oracle.classes()]
    cases += [(CLASSES_ON[0], "uniform", seed) for seed in SEEDS] + [(LARGE, "uniform", 6)]
    cases += [(shape, name, seed) for seed, shape in enumerate(SHAPES, 1) for name in ("uniform", "local")]
    cases += [(shape, "uniform", seed) for seed, shape in enumerate(SMALL, 1)] if padding == "same" else []
    for (shape, name, seed), weight in zip(cases, cycle(WEIGHTS)):
        case = Case(oracle, padding, shape, name, seed)
        with report.of(case.where):
            case.require_value(report, subject.value(case.x, case.y, padding), "without gradient")
            value, gradient = subject.gradient(case.x, case.y, padding, weight)
            case.require_value(report, value, "with gradient")
            case.require_gradient(report, gradient, weight, "of img1")


def strides(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    """The same of images that are not contiguous. An error is noted: it is no wrong number."""
    import torch

    case = Case(oracle, padding, (2, 3, 21, 35), "uniform", 7)
    layouts = {
        "with every second column": lambda t: t.new_zeros(*t.shape[:3], 2 * t.shape[3])[..., ::2],
        "as a part of larger ones": lambda t: t.new_zeros(2, 3, 30, 50)[..., 4:25, 7:42],
        "transposed": lambda t: t.new_zeros(2, 3, 35, 21).transpose(2, 3),
        "with channels last": lambda t: t.new_zeros(t.shape).to(memory_format=torch.channels_last),
        "with the batch inside": lambda t: t.new_zeros(3, 21, 35, 2).permute(3, 0, 1, 2),
    }
    plain = {"contiguous": torch.zeros_like}
    pairs = [(of_x, of_y) for name in layouts.items() for of_x, of_y in ((name, name), (name, *plain.items()))]
    pairs += [(*plain.items(), name) for name in layouts.items()]
    for (name_x, of_x), (name_y, of_y) in pairs:
        x = of_x(subject.here(case.x)).copy_(case.x).requires_grad_()
        y = of_y(subject.here(case.y)).copy_(case.y)
        how = f"of img1 {name_x}, img2 {name_y}"
        with report.of(f"{case.where}: {how}"):
            try:
                value = subject(x, y, padding, True)
                with torch.no_grad():
                    without = subject(x, y, padding, False)
            except (RuntimeError, ValueError, AssertionError) as error:
                report.notes.append(f"{padding}: images that are not contiguous are refused ({how}): {error}")
                continue
            case.require_value(report, float(value.detach()), how)
            case.require_value(report, float(without), f"{how}, without gradient,")
            (gradient,) = torch.autograd.grad(value, x, torch.full_like(value, -0.5), allow_unused=True)
            case.require_gradient(report, gradient, -0.5, how)


def bad_pixels(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    """NaN and infinity in either image: no mean, no gradient where windows see it, other images as they were."""
    shape = (2, 2, 21, 35)
    case = Case(oracle, padding, shape, "uniform", 3)
    for at in [(0, 1, 10, 17), (1, 0, 0, 0), (0, 0, 20, 34), (1, 1, 9, 1)]:
        for bad in (NAN, INFINITY, -INFINITY):
            for spoilt in ("img1", "img2"):
                x, y = case.x.clone(), case.y.clone()
                (x if spoilt == "img1" else y)[at] = bad
                where = f"{padding}: {bad:g} in {spoilt}{list(at)}"
                with report.of(where):
                    value = subject.value(x, y, padding)
                    report.require(value != value, f"{where}, and yet the mean without gradient is {value}")
                    value, gradient = subject.gradient(x, y, padding)
                    report.require(value != value, f"{where}, and yet the mean with gradient is {value}")
                    if gradient is None or gradient.shape != x.shape:
                        report.require(False, f"{where}: no gradient of img1's shape")
                        continue
                    nowhere = oracle(x, y, padding)[1].isnan()
                    numbers = int((~gradient[nowhere].isnan()).sum())
                    report.require(
                        numbers == 0, f"{where}: {numbers} of {int(nowhere.sum())} gradients that see it are numbers"
                    )
                    other = 1 - at[0]
                    case.require_gradient(report, gradient, 1, f"of the image beside {where}", slice(other, other + 1))


def autograd(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    """Calls and backward passes in the orders that training loops have them in."""
    import torch

    def called(case: Case, img1):
        return subject(img1, subject.here(case.y), padding, True)

    first, second = (Case(oracle, padding, (2, 2, 21, 35), "textured", seed) for seed in (11, 12))
    other = Case(oracle, padding, (1, 3, 26, 38), "uniform", 13)
    for also in (second, other):
        with report.of(f"{first.where}: two calls before a backward pass"):
            x1, x2 = subject.leaf(first.x), subject.leaf(also.x)
            one, two = called(first, x1), called(also, x2)
            for case, value, x, weight in ((first, one, x1, 1.0), (also, two, x2, -2.0)):
                (value * weight).backward()
                case.require_gradient(report, x.grad, weight, "of two calls before a backward pass")
                case.require_value(report, float(value.detach()), "after another call")
    with report.of(f"{first.where}: gradients of both calls' sum"):
        x = subject.leaf(first.x)
        (called(first, x) + 3 * called(first, x)).backward()
        first.require_gradient(report, x.grad, 4.0, "of a sum of two calls")
    with report.of(f"{first.where}: backward twice"):
        x = subject.leaf(first.x)
        value = called(first, x)
        for weight in (-1.75, 0.25, 1000.0):
            (gradient,) = torch.autograd.grad(value, x, torch.full_like(value, weight), retain_graph=True)
            first.require_gradient(report, gradient, weight, "of a graph that was kept")
    with report.of(f"{first.where}: gradients that add up"):
        x = subject.leaf(first.x)
        for _ in range(2):
            called(first, x).backward()
        first.require_gradient(report, x.grad, 2.0, "of two backward passes that add up")
    with report.of(f"{first.where}: img1 that is computed"):
        x = subject.leaf(2 * first.x)
        called(first, x * 0.5).backward()
        first.require_gradient(report, x.grad, 0.5, "through an img1 that is computed")
    with report.of(f"{first.where}: SSIM inside a larger graph"):
        x = subject.leaf(first.x)
        share = 2.0**-10  # small, so that adding it rounds nothing that matters
        (1 - called(first, x) + share * x.sum()).backward()
        first.require_gradient(report, x.grad - share, -1.0, "inside a larger graph")
    equal = Case(oracle, padding, (2, 2, 21, 35), "identical", 14)
    with report.of(f"{equal.where}: img2 is img1.detach()"):
        x = subject.leaf(equal.x)
        value = subject(x, x.detach(), padding, True)
        value.backward()
        equal.require_value(report, float(value.detach()), "of img1 and img1.detach()")
        equal.require_gradient(report, x.grad, 1.0, "of img1 and img1.detach()")


def unchanged(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    """Inputs stay as they were, and call after call gives what it should."""
    import torch

    case = Case(oracle, padding, (2, 2, 21, 35), "textured", 1)
    for train in (False, True):
        x, y = subject.here(case.x).requires_grad_(train), subject.here(case.y)
        with report.of(f"{case.where}: inputs"), torch.set_grad_enabled(train):
            result = subject(x, y, padding, train)
            if train:
                result.backward()
        report.require(torch.equal(x.detach().cpu(), case.x), f"{padding}: img1 was modified, train={train}")
        report.require(torch.equal(y.cpu(), case.y), f"{padding}: img2 was modified, train={train}")
    values, gradients = set(), []
    for call in range(20):
        with report.of(f"{case.where}: call {call} of 20"):
            value, gradient = subject.gradient(case.x, case.y, padding)
            case.require_value(report, value, f"of call {call} of 20")
            case.require_value(report, subject.value(case.x, case.y, padding), f"without gradient of call {call} of 20")
            case.require_gradient(report, gradient, 1.0, f"of call {call} of 20")
            values.add(value)
            gradients.append(gradient)
    same = [torch.equal(gradient, gradients[0]) for gradient in gradients if gradient is not None]
    report.note(len(values) < 2 and all(same), f"{padding}: twenty runs differ")


def notes(subject: Subject, oracle: Oracle, padding: str, report: Report) -> None:
    """What nobody has promised: exactness, and errors for bad input."""
    x, y = oracle.images("textured", (2, 2, 21, 35), padding)
    with report.of(f"{padding}: the notes"):
        first, doubled = (subject.gradient(x, y, padding, weight)[1] for weight in (1.0, 2.0))
        if first is not None:
            report.note(bool((doubled == 2 * first).all()), f"{padding}: weight 2 does not double the gradient exactly")
        value, gradient = subject.gradient(x, x.clone(), padding)
        report.note(value == 1, f"{padding}: SSIM of equal images is {value!r}")
        if gradient is not None:
            largest = float(gradient.abs().max())
            report.note(largest == 0, f"{padding}: equal images have a gradient, up to {largest:.3g}")
    bad = {"of another height": (x[..., :20, :], y), "of fp64 beside fp32": (x.double(), y)}
    if padding == "valid":
        bad["smaller than the window"] = (x[..., :10], y[..., :10])
    for what, (a, b) in bad.items():
        with report.of(f"{padding}: images {what}"):
            try:
                value = subject.value(a, b, padding)
                report.notes.append(f"{padding}: no error for images {what}; the result is {value:.6g}")
            except Exception:
                pass


ALL = [accuracy, strides, bad_pixels, autograd, unchanged, notes]
