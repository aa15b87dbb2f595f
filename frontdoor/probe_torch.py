# SPDX-License-Identifier: MIT
"""Prints, for meson.build, where this interpreter's LibTorch is: one `key=value` a line; exit status 1 without one.

While pip builds a package, PYTHONPATH hides what the interpreter has installed. The library must fit that torch, so
where none is importable it is looked for once more without PYTHONPATH.
"""

import os
import sys

try:
    import torch
    from torch.utils import cpp_extension  # noqa: F401  (its import proves that the headers' helper is there)
except ModuleNotFoundError as error:
    if "PYTHONPATH" not in os.environ:
        sys.exit(str(error))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    os.execve(sys.executable, [sys.executable, os.path.abspath(__file__)], environment)

root = os.path.dirname(torch.__file__)
libraries = [
    n
    for n in ("torch_cuda", "torch_cpu", "torch", "c10_cuda", "c10")
    if os.path.exists(os.path.join(root, "lib", f"lib{n}.so"))
]
print(f"version={torch.__version__}")
print(f"root={root}")
print(f"cxx11_abi={int(torch.compiled_with_cxx11_abi())}")
print(f"cuda={torch.version.cuda or ''}")
print(f"libraries={','.join(libraries)}")
