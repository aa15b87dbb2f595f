# SPDX-License-Identifier: MIT
"""Which interpreter is chosen, and that a half-made .venv is never believed."""

import sys

import pytest

from frontdoor import interpreter, machine, needs


@pytest.mark.parametrize(
    "text, expected",
    [("2.11.0+cu130", (2, 11, 0)), ("1.5", (1, 5)), ("2.7.0a0", (2, 7, 0)), ("9.2.0.dev1", (9, 2, 0)), ("", ())],
)
def test_version_numbers(text, expected):
    assert needs.numbers(text) == expected


def test_old_versions_are_named(monkeypatch):
    monkeypatch.setitem(needs.NEEDS, "numpy", ("numpy", (999,)))
    monkeypatch.setitem(needs.NEEDS, "no_such_module", ("no-such-package", (1,)))
    missing = needs.examine()["missing"]
    assert any(entry.startswith("numpy >= 999 (it has ") for entry in missing)
    assert any(entry.startswith("no-such-package >= 1 (ModuleNotFoundError") for entry in missing)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(interpreter, "STATE", tmp_path / "state")
    monkeypatch.setattr(interpreter, "REMEMBERED", tmp_path / "state" / "interpreter.json")
    return tmp_path


def make(folder, body):
    folder.mkdir(parents=True)
    program = folder / "python"
    program.write_text(f"#!{sys.executable}\n{body}\n")
    program.chmod(0o755)
    return program


COMPLETE = """import json, sys
if sys.argv[1:2] != ["-c"]:
    print(json.dumps({"missing": [], "versions": {"torch": "2.11.0", "mesonbuild": "1.12.1"}, "ninja": "/bin/sh"}))"""
LACKING = """import json, sys
print(json.dumps({"missing": ["torch >= 2.7 (not there)"], "versions": {}, "ninja": None}))
sys.exit(1)"""


def test_venv_comes_first_and_is_remembered(place, monkeypatch):
    own = make(place / ".venv" / "bin", COMPLETE)
    assert interpreter.find()[0].path == str(own)
    monkeypatch.setattr(interpreter, "_examine", lambda python: pytest.fail("it was asked again"))
    assert interpreter.find()[0].path == str(own)


def test_changed_interpreter_is_asked_again(place):
    own = make(place / ".venv" / "bin", COMPLETE)
    assert interpreter.find()[0]
    own.write_text(f"#!{sys.executable}\n{LACKING}\n")
    assert interpreter.remembered(str(own)) is None


def test_unfinished_venv_is_passed_over(place, monkeypatch):
    own = make(place / ".venv" / "bin", COMPLETE)
    (place / ".venv" / interpreter.UNFINISHED).touch()
    assert str(own) not in interpreter.candidates()


def test_what_is_lacking_is_told(place, monkeypatch):
    own = make(place / ".venv" / "bin", LACKING)
    monkeypatch.setattr(interpreter.shutil, "which", lambda name: None)
    found, lacking = interpreter.find()
    assert found is None and lacking == {str(own): ["torch >= 2.7 (not there)"]}


@pytest.mark.parametrize("cards, expected", [((), []), (("9.0",), ["90a"]), (("12.0", "8.0", "8.0"), ["80", "120"])])
def test_native_architectures(cards, expected, monkeypatch):
    monkeypatch.setattr(machine, "capabilities", lambda: cards)
    assert machine.native_architectures() == expected
