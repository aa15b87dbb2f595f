# SPDX-License-Identifier: MIT
"""run the benchmark itself; everything after -- goes to it, Google Benchmark's flags included

The benchmark's own flags: ./suite bench -- --help
"""

import os

from frontdoor.place import BUILD, MISUSE, Stop

PASSES_THROUGH = True
TARGETS = ["bench/ssim_bench"]
EXAMPLE = "./suite bench -- --benchmark_filter=production --benchmark_format=json"


def arguments(parser):
    parser.add_argument("passed", nargs="*", metavar="-- FLAGS", help="flags of build/bench/ssim_bench")


def run(args, context):
    program = BUILD / "bench" / "ssim_bench"
    if not program.exists():
        raise Stop(MISUSE, f"{program} was not built (Google Benchmark or nlohmann_json is missing)")
    flags = args.passed[1:] if args.passed[:1] == ["--"] else args.passed
    os.execve(program, [str(program), *flags], context.environment())
