# SPDX-License-Identifier: MIT
"""What pip calls to build the package: meson-python, told of the torch that the package will meet.

The operator's library fits one torch only. pip's build isolation hides the one that is installed, and a build against
another that pip fetches for the moment would not import. So: where this interpreter has a torch, it is used, isolation
or not (frontdoor/probe_torch.py); where it has none, torch becomes a build requirement, and pip resolves it to the
version that it then installs. CUDA code is compiled for the cards that are there; without a card for all of
meson.options. Either is changed as ever: pip install . -Csetup-args=-Darchs=80,90a -Csetup-args=-Dcuda=disabled
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mesonpy
from mesonpy import build_sdist, get_requires_for_build_sdist  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


def _have_torch() -> bool:
    probe = [sys.executable, str(ROOT / "frontdoor" / "probe_torch.py")]
    return subprocess.run(probe, capture_output=True).returncode == 0


def _settings(config_settings: dict | None) -> dict:
    """The caller's settings behind ours: this interpreter, the CUDA compiler that the suite would take, its targets."""
    sys.path.insert(0, str(ROOT))
    try:
        from frontdoor import machine
    finally:
        sys.path.pop(0)
    ours = [f"-Dpython={sys.executable}"]
    compiler, _ = machine.nvcc()
    if compiler:  # Meson asks PATH alone for it
        os.environ["PATH"] = os.pathsep.join([os.path.dirname(compiler), os.environ.get("PATH", "")])
        found = machine.native_architectures()
        ours += [f"-Darchs={','.join(found)}"] if found else []
    else:
        ours.append("-Dcuda=disabled")
    settings = dict(config_settings or {})
    given = settings.get("setup-args", [])
    settings["setup-args"] = [*ours, *([given] if isinstance(given, str) else given)]
    return settings


def get_requires_for_build_wheel(config_settings: dict | None = None) -> list[str]:
    """meson-python's own, and torch where this interpreter has none."""
    return mesonpy.get_requires_for_build_wheel(config_settings) + ([] if _have_torch() else ["torch>=2.7"])


get_requires_for_build_editable = get_requires_for_build_wheel


def build_wheel(directory: str, config_settings: dict | None = None, metadata_directory: str | None = None) -> str:
    """A wheel for this interpreter and its torch."""
    return mesonpy.build_wheel(directory, _settings(config_settings), metadata_directory)


def build_editable(directory: str, config_settings: dict | None = None, metadata_directory: str | None = None) -> str:
    """The same for pip install --editable, which needs --no-build-isolation."""
    return mesonpy.build_editable(directory, _settings(config_settings), metadata_directory)
