# SPDX-License-Identifier: MIT
"""The two sides of a comparison as built source folders: this checkout, a git revision, or a folder of sources.

Revisions are unpacked and built under build/suite/trees/, once each. A folder that is given is only read: it is built
under build/suite/trees/ too. Both sides get the same interpreter, compilers and options.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from frontdoor import building, commit, machine
from frontdoor.place import BUILD, MISUSE, ROOT, STATE, WRONG, Stop, relative, say

TREES = STATE / "trees"
PACKED = ".packed-commit"  # in a folder that --pack made: the commit that it holds


@dataclass
class Tree:
    name: str  # as the user wrote it
    source: Path
    build: Path
    commit: str | None

    def program(self, target: str) -> Path:
        return self.build / target

    def environment(self, context) -> dict[str, str]:
        env = context.environment()
        env.pop("SUITE_COMMIT", None)
        if self.commit:
            env["SUITE_COMMIT"] = self.commit
        return env


def _git(*arguments: str, text: bool = True):
    return subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *arguments], capture_output=True, text=text
    )


def _revision(command: str, name: str) -> str:
    """The full hash of a revision."""
    try:
        done = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except OSError as error:
        raise Stop(MISUSE, f"{command}: '{name}' is no folder and no file, and git does not run: {error}") from None
    if done.returncode:
        kinds = "neither a revision known to git, nor a source folder, nor a result file"
        raise Stop(MISUSE, f"{command}: '{name}' is {kinds}")
    return done.stdout.strip()


def unpack(revision: str, folder: Path) -> None:
    """The sources of a commit into a folder that does not exist yet."""
    done = _git("archive", "--format=tar", revision, text=False)
    if done.returncode:
        raise Stop(WRONG, f"git archive {revision} failed: {done.stderr.decode(errors='replace').strip()}")
    part = folder.with_name(folder.name + ".part")
    subprocess.run(["rm", "-rf", "--", str(part)], check=True)
    part.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(part, filter="data")
        else:
            archive.extractall(part)
    (part / PACKED).write_text(revision + "\n")
    part.replace(folder)


def pack(command: str, name: str, folder: Path | None) -> Path:
    revision = _revision(command, name)
    folder = folder or Path.cwd() / f"gate-{revision[:12]}"
    if folder.exists():
        raise Stop(MISUSE, f"{command}: --pack: {folder} exists already; remove it or name another with --to")
    try:
        unpack(revision, folder)
    except OSError as error:
        raise Stop(MISUSE, f"{command}: --pack: {folder} cannot be written: {error.strerror or error}") from None
    return folder


def checkout() -> Tree:
    known, dirty = commit.identify()
    return Tree("this checkout", ROOT, BUILD, known and commit.label(known, dirty))


def find(command: str, name: str) -> Tree:
    """A folder with sources, else a git revision. Nothing is built yet."""
    folder = Path(name)
    if folder.is_dir():
        if folder.resolve() == ROOT:
            return checkout()
        if not (folder / "bench" / "meson.build").exists() or not (folder / "kernels").is_dir():
            raise Stop(MISUSE, f"{command}: folder {name} holds no sources of this suite (bench/meson.build, kernels/)")
        packed = folder / PACKED
        digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        known = packed.read_text().strip() if packed.exists() else None
        return Tree(name, folder.resolve(), TREES / f"folder-{digest}", known)
    revision = _revision(command, name)
    base = TREES / revision[:12]
    return Tree(name, base / "source", base / "build", revision)


def _options(context) -> dict:
    return {
        "python": context.python,
        "archs": building.architectures(),
        "nvcc": machine.nvcc()[0],
        "abi": context.interpreter.torch_abi,
    }


def build(context, tree: Tree, targets: list[str]) -> list[str]:
    """Builds those of the targets that the tree has, and returns them. The checkout itself is built by the command."""
    if tree.build == BUILD:
        return [t for t in targets if (BUILD / t).exists()]
    if not tree.source.exists():
        unpack(str(tree.commit), tree.source)
    stamp, options = tree.build.with_name(tree.build.name + ".json"), _options(context)
    known = json.loads(stamp.read_text()) if stamp.exists() else None
    env = tree.environment(context)
    log = tree.build.with_name(tree.build.name + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    if known != options or not (tree.build / "build.ninja").exists():
        say(f"configuring {tree.name}")
        subprocess.run(["rm", "-rf", "--", str(tree.build)], check=True)
        flags = [f"-Dpython={options['python']}", "-Dtests=disabled"]
        flags += [f"-Darchs={','.join(options['archs'])}"] if options["archs"] is not None else []
        flags += [] if options["nvcc"] else ["-Dcuda=disabled"]
        flags += [] if options["abi"] else ["-Dtorch=disabled"]
        command = [context.python, "-m", "mesonbuild.mesonmain", "setup", str(tree.build), str(tree.source), *flags]
        _run(command, env, log, f"configuring {tree.name}")
        stamp.write_text(json.dumps(options))
    text = (tree.build / "build.ninja").read_text()
    there = [t for t in targets if f"\nbuild {t}:" in text]
    if there:
        say(f"building {tree.name}")
        _run([context.interpreter.ninja, "-C", str(tree.build), f"-j{building.jobs()}", *there], env, log,
             f"building {tree.name}")  # fmt: skip
    return there


def _run(command: list[str], env: dict[str, str], log: Path, what: str) -> None:
    with log.open("w") as out:
        status = subprocess.run(command, env=env, stdout=out, stderr=subprocess.STDOUT, cwd=os.sep).returncode
    if status:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise Stop(WRONG, f"{what} failed; the end of {relative(log)}:\n{tail}")
