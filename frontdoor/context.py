# SPDX-License-Identifier: MIT
"""What a command works with: the chosen interpreter, the environment of what it starts, and the build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from frontdoor import commit, interpreter, machine, shard
from frontdoor.place import BUILD, MISUSE, ROOT, Stop, say, warn


@dataclass
class Context:
    interpreter: interpreter.Interpreter | None

    def environment(self) -> dict[str, str]:
        """For whatever the front door starts: tools first on PATH, our package importable, the commit known."""
        env = dict(os.environ)
        if self.interpreter:
            folders = [os.path.dirname(self.interpreter.path), os.path.dirname(self.interpreter.ninja)]
            compiler, _ = machine.nvcc()
            if compiler:  # Meson asks PATH alone for it
                folders.append(os.path.dirname(compiler))
            env["PATH"] = os.pathsep.join(dict.fromkeys([*folders, *env.get("PATH", "").split(os.pathsep)]))
            env["NINJA"] = self.interpreter.ninja
        env["PYTHONPATH"] = os.pathsep.join(p for p in (str(BUILD / "python"), os.environ.get("PYTHONPATH", "")) if p)
        known, dirty = commit.identify()
        if known:
            env["SUITE_COMMIT"] = commit.label(known, dirty)
        return env

    @property
    def python(self) -> str:
        assert self.interpreter
        return self.interpreter.path

    def build(self, targets: list[str]) -> None:
        from frontdoor import building

        building.build(self, targets)


def _packages() -> None:
    """Distribution packages; --venv where a virtual environment will have to be made."""
    arguments = [] if interpreter.candidates() and interpreter.remembered(interpreter.candidates()[0]) else ["--venv"]
    status = subprocess.run(["sh", str(ROOT / "frontdoor" / "packages.sh"), *arguments]).returncode
    if status:
        raise Stop(MISUSE, "the set-up cannot go on without these packages")


def _same(a: str, b: str) -> bool:
    return os.path.abspath(a) == os.path.abspath(b) or (shutil.which(a) or a) == (shutil.which(b) or b)


def prepare(needs: str, targets: list[str]) -> Context:
    """needs: "nothing", "python" (the interpreter and its packages), "setup" (all that a build takes) or "build"."""
    if needs == "nothing":
        return Context(None)
    if shard.here():
        with shard.one_at_a_time():
            return _prepare(needs, targets)
    return _prepare(needs, targets)


def _prepare(needs: str, targets: list[str]) -> Context:
    chosen, lacking = interpreter.find()
    if needs != "python":
        _packages()
    if chosen is None:
        for python, missing in lacking.items():
            names = [entry.split(" (")[0] for entry in missing]
            say(f"{python} lacks {', '.join(names)}")
        chosen = interpreter.make_venv()
    # A name can lead to another one (a version manager's shim): having come here by that name is enough.
    if os.environ.pop("SUITE_INTERPRETER", None) != chosen.path and not _same(sys.executable, chosen.path):
        # The rest of the front door may import what only the chosen interpreter has.
        sys.stdout.flush()
        os.execve(
            chosen.path,
            [chosen.path, str(ROOT / "frontdoor" / "main.py"), *sys.argv[1:]],
            {**os.environ, "SUITE_INTERPRETER": chosen.path},
        )
    context = Context(chosen)
    if needs != "python":
        compiler, _ = machine.nvcc()
        if compiler is None and machine.have_driver():
            if interpreter.install_cuda_compiler(chosen):
                machine.nvcc.cache_clear()
        if needs == "build":
            context.build(targets)
        if machine.have_driver() and not chosen.torch_cuda:
            warn(
                f"torch {chosen.versions['torch']} of {chosen.path} is CPU-only although there is a GPU: "
                "LibTorch rows and the operator are skipped on cuda"
            )
    return context
