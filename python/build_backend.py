# SPDX-License-Identifier: MIT
"""What pip calls to build the package: meson-python, told of the torch that the package will meet.

The operator's library fits one torch only. pip's build isolation hides the one that is installed, and a build against
another that pip fetches for the moment would not import. So: where this interpreter has a torch, it is used, isolation
or not (frontdoor/probe_torch.py); where it has none, torch becomes a build requirement, and pip resolves it to the
version that it then installs. CUDA code is compiled for the cards that are there; without a card for all of
meson.options. Either is changed as ever: pip install . -Csetup-args=-Darchs=80,90a -Csetup-args=-Dcuda=disabled
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mesonpy
from mesonpy import build_editable, build_sdist, get_requires_for_build_sdist  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


def _have_torch() -> bool:
    probe = [sys.executable, str(ROOT / "frontdoor" / "probe_torch.py")]
    return subprocess.run(probe, capture_output=True).returncode == 0


def _architectures() -> list[str]:
    sys.path.insert(0, str(ROOT))
    try:
        from frontdoor.machine import native_architectures
    finally:
        sys.path.pop(0)
    found = native_architectures()
    return [f"-Darchs={','.join(found)}"] if found else []


def get_requires_for_build_wheel(config_settings: dict | None = None) -> list[str]:
    """meson-python's own, and torch where this interpreter has none."""
    return mesonpy.get_requires_for_build_wheel(config_settings) + ([] if _have_torch() else ["torch>=2.7"])


get_requires_for_build_editable = get_requires_for_build_wheel


def build_wheel(directory: str, config_settings: dict | None = None, metadata_directory: str | None = None) -> str:
    """A wheel for this interpreter and its torch."""
    settings = dict(config_settings or {})
    given = settings.get("setup-args", [])
    given = [given] if isinstance(given, str) else list(given)
    settings["setup-args"] = [f"-Dpython={sys.executable}", *_architectures(), *given]
    return mesonpy.build_wheel(directory, settings, metadata_directory)
