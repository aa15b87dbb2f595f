#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Registers, stack, spills and static shared memory of every CUDA kernel against a committed budget, without a GPU.

    verify/check_resources.py --nvcc nvcc --library build/kernels/libssim_kernels.a          # compare
    verify/check_resources.py --nvcc nvcc --source kernels/cuda/*.cu --archs 80,90a --update   # rewrite the budget

The figures come from the built library by way of cuobjdump where that is found (beside nvcc, on PATH, or in the Triton
package), else the sources are compiled once more with `-Xptxas -v`. What ptxas makes of a kernel depends on its
version: under another nvcc than the one that wrote the budget nothing is compared, and the exit status is 77, as
without nvcc.
Fewer of anything is said but is no failure; more is, and so is any spill, in --update too, but for those that the
budget's `spills_allowed` names, with the bytes and the reason. Exit status 2: misuse.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Figures = dict[str, dict[str, dict[str, int]]]  # architecture -> kernel -> what -> how much

FIELDS = ("registers", "stack", "spills", "shared")
ROOT = Path(__file__).resolve().parent.parent


class CannotCheck(Exception):
    """Nothing can be said on this machine, and why."""


def kernel_name(mangled: str) -> str:
    """`tensor_forward<CopyFeed,4>` of a mangled name, without what changes from build to build."""
    rest, name = mangled, ""
    rest = re.sub(r"^_ZN?", "", rest)
    while match := re.match(r"(\d+)", rest):
        length = int(match[1])
        name = rest[match.end() : match.end() + length]
        rest = rest[match.end() + length :]
    if rest.startswith("I"):
        name += "<" + ",".join(template_arguments(rest.partition("Ev")[0])) + ">"
    return name or mangled


def template_arguments(mangled: str) -> list[str]:
    """Names of types and numbers, from left to right."""
    found = []
    while mangled:
        if match := re.match(r"L[a-z](n?\d+)", mangled):
            found.append(match[1])
            mangled = mangled[match.end() :]
        elif match := re.match(r"\d+", mangled):
            end = match.end() + int(match[0])
            found.append(mangled[match.end() : end])
            mangled = mangled[end:]
        else:
            mangled = re.sub(r"^(?:S\d*_|.)", "", mangled)
    return found


def reserved(arch: str) -> int:
    """Bytes of shared memory a block that the system keeps for itself; cuobjdump counts them, ptxas does not."""
    return 1024 if int(re.match(r"\d+", arch)[0]) >= 90 else 0


def from_dump(text: str) -> Figures:
    """Of `cuobjdump --dump-resource-usage`, which does not tell spills from other use of the stack: then None."""
    figures: Figures = {}
    arch = kernel = None
    for line in text.splitlines():
        if match := re.match(r"\s*arch = sm_(\w+)", line):
            arch = match[1]
        elif match := re.match(r"\s*Function (\S+?):", line):
            kernel = kernel_name(match[1])
        elif arch and kernel and (match := re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", line)):
            registers, stack, shared, local = map(int, match.groups())
            figures.setdefault(arch, {})[kernel] = {
                "registers": registers,
                "stack": stack,
                "spills": None if max(stack, local) else 0,
                "shared": max(0, shared - reserved(arch)),
            }
            kernel = None
    return figures


def from_log(text: str) -> Figures:
    """Of what `nvcc -Xptxas -v` prints."""
    figures: Figures = {}
    at: dict[str, int] | None = None
    for line in text.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)' for 'sm_(\w+)'", line):
            at = dict.fromkeys(FIELDS, 0)
            figures.setdefault(match[2], {})[kernel_name(match[1])] = at
        elif at is not None:
            if match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
                at["stack"], at["spills"] = int(match[1]), int(match[2]) + int(match[3])
            if match := re.search(r"Used (\d+) registers", line):
                at["registers"] = int(match[1])
                shared = re.search(r"(\d+) bytes smem", line)
                at["shared"] = int(shared[1]) if shared else 0
                at = None  # what follows belongs to device functions
    return figures


Allowed = dict[str, dict[str, dict]]  # architecture -> kernel -> {"bytes": how many, "because": why}


def compare(budget: Figures, measured: Figures, allowed: Allowed | None = None) -> tuple[list[str], list[str]]:
    """(failures, notes), one line each."""
    failures, notes = [], []
    for arch in sorted(measured):
        if arch not in budget:
            notes.append(f"sm_{arch}: not in the budget, not compared")
            continue
        for kernel in sorted(measured[arch].keys() | budget[arch].keys()):
            where, now, then = f"sm_{arch} {kernel}", measured[arch].get(kernel), budget[arch].get(kernel)
            if now and now["spills"] is None:
                # The compiler's log, which the budget came from, knows; a stack that has not grown is still that one.
                known = then is not None and now["stack"] <= then["stack"]
                now = now | {"spills": then["spills"] if known else now["stack"]}
            most = (allowed or {}).get(arch, {}).get(kernel, {}).get("bytes", 0)
            if now and now["spills"] > most:
                rule = f"{most} are allowed" if most else "no kernel may spill"
                failures.append(f"{where}: spills {now['spills']} bytes; {rule}")
            if now is None:
                failures.append(f"{where}: in the budget but not built; --update if it is gone")
            elif then is None:
                failures.append(f"{where}: not in the budget; --update adds it")
            else:
                for field in FIELDS:
                    change = f"{where}: {field} {then[field]} -> {now[field]}"
                    if field != "spills" and now[field] > then[field]:
                        failures.append(change)
                    elif now[field] < then[field]:
                        notes.append(change + ", better; --update takes it into the budget")
    return failures, notes


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr.strip()}")
    return done.stdout + done.stderr


def version_of(nvcc: str | None) -> str:
    path = shutil.which(nvcc) if nvcc else None
    if not path:
        raise CannotCheck(f"no nvcc ({nvcc or 'none given'})")
    match = re.search(r"\bV(\d+\.\d+\.\d+)", run([path, "--version"]))
    if not match:
        raise CannotCheck(f"{path} --version tells no version")
    return match[1]


def find_cuobjdump(nvcc: str) -> str | None:
    beside = Path(shutil.which(nvcc) or nvcc).resolve().parent / "cuobjdump"
    if beside.exists():
        return str(beside)
    if path := shutil.which("cuobjdump"):
        return path
    for folder in map(Path, sys.path):
        bundled = folder / "triton/backends/nvidia/bin/cuobjdump"
        if bundled.exists():
            return str(bundled)
    return None


def measure(nvcc: str, library: Path | None, sources: list[Path], archs: list[str]) -> Figures:
    """From the library if cuobjdump can read it, else by compiling."""
    tool = find_cuobjdump(nvcc) if library else None
    if tool and (figures := from_dump(run([tool, "--dump-resource-usage", str(library)]))):
        return figures
    if not sources:
        raise CannotCheck("no cuobjdump for the library, and no sources were given to compile instead")

    def compile_one(job: tuple[Path, str]) -> Figures:
        source, arch = job
        flags = ["-std=c++20", "-O3", "--expt-relaxed-constexpr", f"-I{ROOT}", "-Xptxas", "-v"]
        target = "native" if arch == "native" else f"sm_{arch}"
        return from_log(run([nvcc, *flags, f"-arch={target}", "-cubin", "-o", "/dev/null", str(source)]))

    figures: Figures = {}
    with ThreadPoolExecutor(2) as pool:
        for part in pool.map(compile_one, [(s, a) for s in sources for a in archs]):
            for arch, kernels in part.items():
                figures.setdefault(arch, {}).update(kernels)
    return figures


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvcc", help="the compiler that built the library")
    parser.add_argument("--budget", type=Path, default=ROOT / "verify/resource_budget.json")
    parser.add_argument("--library", type=Path, help="static library with the kernels")
    parser.add_argument("--source", type=Path, nargs="*", default=[], help="CUDA sources, where cuobjdump is missing")
    parser.add_argument("--archs", default="80,86,89,90a,100,120", help="for --source; comma-separated")
    parser.add_argument("--update", action="store_true", help="rewrite the budget's architectures that were built")
    given = parser.parse_args(argv)
    if not given.library and not given.source:
        parser.error("give --library or --source")
    for path in [given.library, *given.source]:
        if path and not path.exists():
            parser.error(f"{path} does not exist")
    return given


def main(argv: list[str] | None = None) -> int:
    given = arguments(argv)
    try:
        version = version_of(given.nvcc)
        budget = json.loads(given.budget.read_text()) if given.budget.exists() else {"nvcc": version, "kernels": {}}
        if budget["nvcc"] != version and not given.update:
            raise CannotCheck(f"the budget is of nvcc {budget['nvcc']}, this is {version}; ptxas differs")
        measured = measure(given.nvcc, given.library, given.source, [a for a in given.archs.split(",") if a])
    except CannotCheck as reason:
        print(f"cannot compare resources: {reason}")
        return 77
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1

    if given.update:
        allowed = budget.get("spills_allowed")
        spilling = [line for line in compare({a: {} for a in measured}, measured, allowed)[0] if "spills" in line]
        if spilling:
            print("\n".join(spilling), file=sys.stderr)
            return 1
        known = budget["kernels"] if budget["nvcc"] == version else {}
        now = {**budget, "nvcc": version, "kernels": {**known, **measured}}
        text = json.dumps(now, indent=1, sort_keys=True)
        # One line a kernel.
        text = re.sub(r"\{\s*\n\s*(\"registers\"[^{}]*?)\n\s*\}", lambda m: "{" + re.sub(r"\s+", " ", m[1]) + "}", text)
        given.budget.write_text(text + "\n")
        print(f"{given.budget}: {sum(map(len, measured.values()))} entries for {', '.join(sorted(measured))}")
        return 0
    failures, notes = compare(budget["kernels"], measured, budget.get("spills_allowed"))
    print("\n".join(notes + failures))
    compared = sum(len(kernels) for arch, kernels in measured.items() if arch in budget["kernels"])
    if not compared:
        print("cannot compare resources: no architecture that was built is in the budget")
        return 77
    print(f"{compared} kernels compared, {len(failures)} over budget")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
