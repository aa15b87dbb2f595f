# SPDX-License-Identifier: MIT
"""set up what is missing (packages, Python parts) and configure and build nothing

Distribution packages come from apt-get (root, or sudo that does not ask), Python parts go into .venv, pinned by
frontdoor/requirements.txt, unless .venv/bin/python or python3 has all that is needed already.
"""

from frontdoor import machine
from frontdoor.place import say

NEEDS = "setup"
EXAMPLE = "./suite setup"


def arguments(parser):
    pass


def run(args, context):
    versions = context.interpreter.versions
    say(f"interpreter: {context.python} (torch {versions['torch']}, Meson {versions['mesonbuild']})")
    compiler, why = machine.nvcc()
    say(f"CUDA compiler: {compiler or 'none (' + why + ')'}")
    cards = machine.capabilities()
    say(f"GPUs: {', '.join('compute capability ' + c for c in cards) if cards else 'none; the CPU does everything'}")
    return 0
