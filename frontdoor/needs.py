# SPDX-License-Identifier: MIT
"""What an interpreter must have to run the suite, and whether this one has it.

Run by the interpreter in question: `python frontdoor/needs.py` imports everything (seconds) and prints one JSON object;
exit status 0 if nothing is missing. The answer is kept by interpreter.py until something changes.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import shutil
import sys

# module -> (distribution, least version)
NEEDS = {
    "torch": ("torch", (2, 7)),
    "mesonbuild": ("meson", (1, 5)),
    "numpy": ("numpy", (1, 24)),
    "scipy": ("scipy", (1, 10)),
    "matplotlib": ("matplotlib", (3, 6)),
    "jinja2": ("Jinja2", (3, 0)),
    "tqdm": ("tqdm", (4, 60)),
    "pytest": ("pytest", (7, 0)),
    "PIL": ("pillow", (9, 0)),
}


def numbers(version: str) -> tuple[int, ...]:
    """(2, 11, 0) of "2.11.0+cu130"; what is not a number ends it."""
    found = []
    for part in version.split("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit())
        if not part[:1].isdigit():
            break
        found.append(int(digits))
    return tuple(found)


def ninja() -> str | None:
    """Ninja's program: from the interpreter's own package, beside the interpreter, or on PATH."""
    try:
        package = importlib.import_module("ninja")
        candidate = os.path.join(getattr(package, "BIN_DIR", ""), "ninja")
        if os.access(candidate, os.X_OK):
            return candidate
    except ImportError:
        pass
    beside = os.path.join(os.path.dirname(sys.executable), "ninja")
    if os.access(beside, os.X_OK):
        return beside
    return shutil.which("ninja") or shutil.which("ninja-build")


def examine() -> dict:
    missing, versions = [], {}
    for module, (distribution, least) in NEEDS.items():
        wanted = f"{distribution} >= {'.'.join(map(str, least))}"
        try:
            imported = importlib.import_module(module)
        except Exception as error:  # a broken install raises OSError, RuntimeError, ... as well
            missing.append(
                f"{wanted} ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'})"
            )
            continue
        version = getattr(imported, "__version__", None)
        if version is None:
            try:
                version = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                version = "0"
        versions[module] = str(version)
        if numbers(str(version)) < least:
            missing.append(f"{wanted} (it has {version})")
    path = ninja()
    if path is None:
        missing.append("ninja")
    answer = {"missing": missing, "versions": versions, "ninja": path, "python": sys.version.split()[0]}
    if "torch" in versions:
        torch = sys.modules["torch"]
        answer["torch_cuda"] = torch.version.cuda
        answer["torch_abi"] = int(torch.compiled_with_cxx11_abi())
    return answer


if __name__ == "__main__":
    sys.path.pop(0)  # not this folder's modules
    result = examine()
    print(json.dumps(result))
    sys.exit(1 if result["missing"] else 0)
