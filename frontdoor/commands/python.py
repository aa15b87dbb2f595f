# SPDX-License-Identifier: MIT
"""run the chosen interpreter with the package fused_ssim importable

All arguments go to the interpreter.
"""

import os

PASSES_THROUGH = True
EXAMPLE = """./suite python -c 'from fused_ssim import fused_ssim; print(fused_ssim.__doc__)'
./suite python my_training.py --steps 100"""


def arguments(parser):
    parser.add_argument("passed", nargs="*", metavar="ARGS", help="arguments of the interpreter")


def run(args, context):
    os.execve(context.python, [context.python, *args.passed], context.environment())
