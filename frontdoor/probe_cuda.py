# SPDX-License-Identifier: MIT
"""Prints, for meson.build, the include folder and the shared runtime of the toolkit that an nvcc belongs to.

A toolkit keeps them in include/ and lib64/; the wheels of the Python index in nvidia/cu13/{include,lib}, where the
library has no bare .so name.
"""

import glob
import os
import shutil
import sys

nvcc = os.path.realpath(shutil.which(sys.argv[1]) or sys.argv[1])
root = os.path.dirname(os.path.dirname(nvcc))
candidates = []
for folder in ("lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"):
    candidates += glob.glob(os.path.join(root, folder, "libcudart.so")) + sorted(
        glob.glob(os.path.join(root, folder, "libcudart.so.*"))
    )
if not candidates:
    sys.exit(f"no libcudart.so under {root}")
include = next(
    (
        d
        for d in ("include", "targets/x86_64-linux/include", "targets/sbsa-linux/include")
        if os.path.exists(os.path.join(root, d, "cuda_runtime.h"))
    ),
    None,
)
if include is None:
    sys.exit(f"no cuda_runtime.h under {root}")
print(f"root={root}")
print(f"include={os.path.join(root, include)}")
print(f"lib={os.path.dirname(candidates[0])}")
print(f"cudart={candidates[0]}")
