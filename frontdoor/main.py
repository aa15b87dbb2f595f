# SPDX-License-Identifier: MIT
"""Finds the command, parses its arguments, sees to what it needs, and runs it under the chosen interpreter.

A command is a module of frontdoor/commands: a docstring (first line = its line in the list), EXAMPLE, optionally NEEDS
("nothing", "python", "setup" or "build"; default "build"), TARGETS (what to build; default: everything), or both by
needs(args), PASSES_THROUGH
(all arguments go on unparsed, as args.passed), arguments(parser), check(args) before anything is set up, and
run(args, context) -> exit status.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from frontdoor.place import MISUSE, Stop, warn  # noqa: E402


def names() -> list[str]:
    return sorted(p.stem for p in (ROOT / "frontdoor" / "commands").glob("*.py") if not p.stem.startswith("_"))


def load(name: str):
    return importlib.import_module(f"frontdoor.commands.{name}")


def listing() -> str:
    return "\n".join(f"  {name:10s} {(load(name).__doc__ or '').strip().splitlines()[0]}" for name in names())


def usage() -> str:
    return f"""usage: ./suite COMMAND [ARGUMENTS]        ./suite COMMAND --help

Fused SSIM for CPU and CUDA: what verifies, times and reports it. A command first sets up what is missing.

{listing()}

examples:
  ./suite report                   verify and time every row, write reports/out/report.md
  ./suite test                     every test that this machine can run
  ./suite report --set smoke --filter ':(production|pytorch_mssim):'

Exit status: 0 good, 1 something is wrong or slower, 2 misuse, 77 cannot run here."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(MISUSE, f"suite {self.prog.split()[-1]}: {message}\n{self.format_usage()}")


def parser_for(name: str, command) -> Parser:
    parser = Parser(
        prog=f"./suite {name}",
        description=(command.__doc__ or "").strip(),
        epilog="example:\n  " + "\n  ".join(command.EXAMPLE.strip().splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.arguments(parser)
    return parser


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else MISUSE
    name, rest = arguments[0], arguments[1:]
    if name not in names():
        warn(f"unknown command '{name}'; there are:\n{listing()}")
        return MISUSE
    command = load(name)
    parser = parser_for(name, command)
    if getattr(command, "PASSES_THROUGH", False) and rest[:1] not in (["-h"], ["--help"]):
        args = argparse.Namespace(passed=rest)
    else:
        args = parser.parse_args(rest)
    if hasattr(command, "check"):
        command.check(args)
    from frontdoor.context import prepare

    if hasattr(command, "needs"):
        context = prepare(*command.needs(args))
    else:
        context = prepare(getattr(command, "NEEDS", "build"), getattr(command, "TARGETS", []))
    return command.run(args, context)


def entry() -> int:
    try:
        return main(sys.argv[1:])
    except Stop as stop:
        warn(str(stop))
        return stop.status
    except KeyboardInterrupt:
        warn("interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


if __name__ == "__main__":
    sys.exit(entry())
