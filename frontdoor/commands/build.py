# SPDX-License-Identifier: MIT
"""set up what is missing, then configure and compile in build/

CUDA code is compiled for the cards that are there; with CI set in the environment, for every supported architecture.
A build/ that you configured yourself with Meson is used as it is.
"""

EXAMPLE = "./suite build"


def arguments(parser):
    pass


def run(args, context):
    return 0
