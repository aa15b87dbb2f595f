# SPDX-License-Identifier: MIT
"""How old figures are: what is read as a file's commit, and what the history says of it."""

import gzip
import json
import subprocess

import pytest

from reports.check import NoHistory, check, commits_of, text
from reports.example import ENVIRONMENT, Stream


def git(root, *arguments):
    done = subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=N", "-c", "user.email=n@example.org", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def history(tmp_path):
    """A checkout with one commit, and a function that commits a change of one file."""
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "-q")

    def change(name, message):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(message)
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", message)
        return git(root, "rev-parse", "HEAD")

    return root, change, change("kernels/a.cpp", "begin")


def results(folder, commit, dirty=False):
    folder.mkdir(exist_ok=True)
    Stream().begin(commit=commit, dirty=dirty).end().write(folder / "samples.jsonl")
    (folder / "report.json").write_text(json.dumps({"environment": {**ENVIRONMENT, "commit": commit, "dirty": dirty}}))
    (folder / "report.csv").write_text(f"name,commit\na,{commit}\nb,{commit}\n")
    (folder / "profiles.md").write_text(f"# Profiles\n\nCommit {commit}.\n")
    (folder / "gate.jsonl").write_text(json.dumps({"kind": "aa", "commit": commit, "dirty": dirty}) + "\n")
    (folder / "calibration.json").write_text(json.dumps({"commit": commit, "dirty": dirty}))
    (folder / "x.png").write_bytes(b"not looked at")
    (folder / "timeline.json.gz").write_bytes(gzip.compress(json.dumps({"commit": commit, "traceEvents": []}).encode()))
    (folder / "sweep").mkdir(exist_ok=True)
    (folder / "sweep" / "report.csv").write_text(f"name,commit\na,{commit}\n")
    return folder


def test_nothing_has_changed(history, tmp_path):
    root, change, commit = history
    change("README.md", "words")
    files = check(results(tmp_path / "results", commit), root)
    names = {"calibration.json", "gate.jsonl", "profiles.md", "report.csv", "report.json", "samples.jsonl",
             "sweep/report.csv", "timeline.json.gz"}  # fmt: skip
    assert {f.name for f in files} == names
    assert all(f.commits == [commit] and not f.stale for f in files)


def test_each_section_of_the_profiles_counts(history, tmp_path):
    root, change, old = history
    new = change("kernels/b.cpp", "a faster kernel")
    folder = results(tmp_path / "results", new)
    (folder / "profiles.md").write_text(f"# Profiles\n\n## a\n\nCommit {new}. Fast.\n\n## b\n\nCommit {old}. Slow.\n")
    (folder / "profiles.json").write_text(json.dumps({"profiles": [{"commit": new}, {"commit": old}]}))
    stale = {f.name: f.commits for f in check(folder, root) if f.stale}
    assert stale == {"profiles.md": sorted([old, new]), "profiles.json": sorted([old, new])}


def test_what_has_changed_is_listed_once(history, tmp_path):
    root, change, commit = history
    change("kernels/b.cpp", "a faster kernel")
    change("reports/c.py", "a table")
    change("bench/d.cpp", "another clock")
    files = check(results(tmp_path / "results", commit), root)
    assert all(f.stale and len(f.since) == 2 for f in files)
    page = text(files)
    assert page.count("a faster kernel") == page.count("another clock") == 1 and "a table" not in page


UNKNOWN = "0" * 40


@pytest.mark.parametrize("commit, dirty, message", [(UNKNOWN, False, "not in this history"), (None, True, "had edits")])
def test_unknown_and_dirty_commits(history, tmp_path, commit, dirty, message):
    root, _, first = history
    folder = tmp_path / "results"
    folder.mkdir()
    Stream().begin(commit=commit or first, dirty=dirty).end().write(folder / "samples.jsonl")
    (file,) = check(folder, root)
    assert file.stale and message in text([file])


def test_a_file_without_commit(history, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "notes.md").write_text("fast\n")
    (file,) = check(folder, history[0])
    assert file.stale and "names no commit" in text([file])


def test_damage_and_no_history(history, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "report.json").write_text("{")
    with pytest.raises(ValueError, match="report.json cannot be read"):
        check(tmp_path / "x", history[0])
    with pytest.raises(NoHistory):
        check(tmp_path / "x", tmp_path)


def test_several_commits_in_one_file(tmp_path):
    path = tmp_path / "gate.jsonl"
    path.write_text('{"commit": "b1"}\n{"commit": "a2", "dirty": true}\n{"commit": "b1"}\n')
    assert commits_of(path) == ["a2-dirty", "b1"]
