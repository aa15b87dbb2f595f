# SPDX-License-Identifier: MIT
"""A Python function f(img1, img2) -> scalar tensor against the oracle: `./suite check --python MODULE:FUNCTION`.

Asserted (python_checks.py): accuracy of the mean and of the gradient with an upstream weight, in many shapes and with
strides; NaN and infinity; the order of calls and backward passes; unchanged inputs. Noted only: bitwise properties, the
messages for bad input. Costs some ten seconds. Exit status: 0 right, 1 wrong, 2 misuse, 77 its device is not here.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
import traceback
from pathlib import Path
from typing import Callable

import python_checks
from python_case import Oracle, Report, Subject


class Misuse(Exception):
    """What the command line names cannot be checked, and why."""


def load(name: str) -> Callable:
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise Misuse(f"--python {name}: {error} (looked for on PYTHONPATH and in the current folder)") from None
    except AttributeError:
        raise Misuse(f"--python {name}: module {module} has no {function}") from None
    except KeyboardInterrupt:
        raise
    except BaseException:
        raise Misuse(f"--python {name}: importing {module} fails:\n{traceback.format_exc(limit=3)}") from None
    if not callable(found):
        raise Misuse(f"--python {name}: {function} is {type(found).__name__}, not a function")
    return found


def parameters(function: Callable) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()


def check(args) -> int:
    import torch

    device = args.device if args.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        print("suite check: --device cuda: PyTorch sees no CUDA device", file=sys.stderr)
        return 77
    try:
        function = load(args.name)
        takes = parameters(function)
        if "padding" not in takes and not args.padding:
            raise Misuse(
                f"--python {args.name} takes no `padding`: say with --padding same|valid which one it computes"
            )
    except Misuse as why:
        print(f"suite check: {why}", file=sys.stderr)
        return 2
    report, oracle = Report(), Oracle(args.library)
    subject = Subject(function, takes, device)
    for padding in [args.padding] if args.padding else ["same", "valid"]:
        print(f"{args.name}, padding {padding}, on {device}", flush=True)
        for one in python_checks.ALL:
            one(subject, oracle, padding, report)
    for message in dict.fromkeys(report.notes):
        print(f"note: {message}")
    for message in report.failures[:20]:
        print(f"WRONG {message}")
    if len(report.failures) > 20:
        print(f"... and {len(report.failures) - 20} more")
    print(f"{report.checks - len(report.failures)} of {report.checks} checks passed, {len(report.notes)} notes")
    return 1 if report.failures else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", metavar="MODULE:FUNCTION")
    parser.add_argument("--library", required=True, help="build/verify/libssim_verify_c.so")
    parser.add_argument("--padding", choices=["same", "valid"])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument(
        "--verdict",
        metavar="FILE",
        type=Path,
        help="takes the exit status when all is done: a function that ends the process leaves it empty",
    )
    args = parser.parse_args(arguments)
    # PyTorch's threads and the oracle's take turns: waiting for the others' cores they need ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    status = check(args)
    sys.stdout.flush()
    if args.verdict:
        args.verdict.write_text(str(status))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
