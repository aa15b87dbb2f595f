# SPDX-License-Identifier: MIT
"""break every row on purpose and see that the checks notice

Rows with a deliberate defect switched on (kernels/defect.hpp), each of which a named check must catch. Prints the table
mutant -> caught by, then what was not caught by its check, with the seeds, and last `N of N mutants caught (M not
runnable here)`. Exit status 1 if one survives. SUITE_MUTANT=DEVICE:ROW/DEFECT runs one of them.
"""

import re
import subprocess

from frontdoor.place import BUILD, CANNOT, GOOD, MISUSE, WRONG, Stop, warn

TARGETS = ["verify/test_mutants"]
EXAMPLE = """./suite mutants
./suite mutants --device cpu"""


def arguments(parser):
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "cuda-emulated"],
        default="auto",
        help="mutants of rows of this device only (default: all that can run here)",
    )


def run(args, context):
    from tqdm import tqdm

    program = BUILD / "verify" / "test_mutants"
    if not program.exists():
        raise Stop(MISUSE, "mutants: the mutants were not built (GoogleTest is missing)")
    environment = {**context.environment(), "SUITE_DEVICE": args.device}
    bar = tqdm(disable=None, leave=False, unit="mutant")
    other, survivors, last = [], [], ""
    with subprocess.Popen(
        [program, "--gtest_brief=1"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            line = line.rstrip()
            if total := re.fullmatch(r"(\d+) mutants", line):
                bar.reset(total=int(total[1]))
            elif line.startswith("mutant "):
                row, defect, by = re.split(r"\s+", line, maxsplit=3)[1:]
                bar.write(f"{row + ' ' + defect:48s} -> {by}")
                bar.update(1)
            elif line.startswith("NOT CAUGHT: "):
                survivors.append(line)
            elif re.match(r"\d+ of \d+ mutants caught", line):
                last = line
            else:
                other.append(line)
    bar.close()
    status = process.returncode
    if status == 77:
        raise Stop(CANNOT, "mutants: " + next((line for line in other if "no row" in line), "nothing ran").strip())
    if status != 0 or not last:
        warn("\n".join(["mutants: not all is well:", *other, *survivors]))
    print(last or "no mutant ran", flush=True)
    return GOOD if status == 0 and last else WRONG
