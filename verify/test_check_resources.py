# SPDX-License-Identifier: MIT
"""The resource gate: what it reads from the two tools, and what it lets through."""

import json
import re
from pathlib import Path

import pytest

from verify import check_resources as gate

LOG = (Path(__file__).parent / "testdata/ptxas.log").read_text()
DUMP = """
arch = sm_90a
Resource usage:
 Common:
  GLOBAL:0
 Function _ZN4ssim4cuda41_GLOBAL__N__c5b0f4b9_9_stream_cu_33c97d4112stream_trainENS1_5TrainEdPdPjS3_:
  REG:128 STACK:0 SHARED:1024 LOCAL:0 CONSTANT[0]:664 TEXTURE:0 SURFACE:0 SAMPLER:0
arch = sm_80
 Function _ZN4ssim4cuda40_GLOBAL__N__2a30a1c5_8_tiled_cu_0db4ae4513tiled_forwardILb0EEEvNS1_5ShapeEPKfS5_ffPfS6_l:
  REG:32 STACK:16 SHARED:2048 LOCAL:0 CONSTANT[0]:432 TEXTURE:0 SURFACE:0 SAMPLER:0
"""


def kernel(registers=32, stack=0, spills=0, shared=0):
    return {"registers": registers, "stack": stack, "spills": spills, "shared": shared}


def test_log():
    assert gate.from_log(LOG) == {
        "90a": {"stream_train": kernel(128), "tiled_forward<1>": kernel(32, 32, 80)},
        "86": {"tiled_forward<1>": kernel(40, shared=2048)},  # the helper's stack is not the kernel's
    }


def test_dump():
    assert gate.from_dump(DUMP) == {
        "90a": {"stream_train": kernel(128)},  # less what the system keeps
        "80": {"tiled_forward<0>": kernel(32, 16, None, 2048)},
    }


@pytest.mark.parametrize("field", ["registers", "stack", "shared"])
def test_more_fails_and_less_is_a_note(field):
    less, more = {"80": {"k": kernel()}}, {"80": {"k": {**kernel(), field: kernel()[field] + 1}}}
    failures, notes = gate.compare(less, more)
    assert len(failures) == 1 and field in failures[0] and not notes
    failures, notes = gate.compare(more, less)
    assert not failures and len(notes) == 1 and field in notes[0]


def test_spills_fail_even_if_the_budget_has_them():
    spilling = {"80": {"k": kernel(spills=8)}}
    failures, _ = gate.compare(spilling, spilling)
    assert len(failures) == 1 and "spill" in failures[0]


def test_a_stack_of_unknown_use_may_not_grow():
    unknown = {"80": {"k": kernel(stack=8, spills=None)}}
    assert gate.compare({"80": {"k": kernel(stack=8)}}, unknown) == ([], [])
    for budget in ({"80": {"k": kernel()}}, {"80": {"k": kernel(stack=8, spills=4)}}, {"80": {}}):
        assert any("spill" in line for line in gate.compare(budget, unknown)[0])


def test_new_and_vanished_kernels_fail():
    failures, _ = gate.compare({"80": {"old": kernel()}}, {"80": {"new": kernel()}})
    assert len(failures) == 2


def test_unknown_architecture_is_a_note():
    failures, notes = gate.compare({"80": {}}, {"87": {"k": kernel()}})
    assert not failures and "sm_87" in notes[0]


def fake_tools(monkeypatch, figures, version="13.0.88"):
    monkeypatch.setattr(gate, "version_of", lambda nvcc: version)
    monkeypatch.setattr(gate, "measure", lambda *given: figures)


def test_exit_statuses(monkeypatch, tmp_path, capsys):
    budget, library = tmp_path / "budget.json", tmp_path / "library.a"
    library.touch()
    call = ["--nvcc", "nvcc", "--budget", str(budget), "--library", str(library)]
    fake_tools(monkeypatch, {"80": {"k": kernel()}})
    assert gate.main([*call, "--update"]) == 0
    assert json.loads(budget.read_text())["kernels"]["80"]["k"] == kernel()
    assert gate.main(call) == 0
    fake_tools(monkeypatch, {"80": {"k": kernel(33)}})
    assert gate.main(call) == 1
    assert "registers 32 -> 33" in capsys.readouterr().out
    fake_tools(monkeypatch, {"80": {"k": kernel()}}, version="13.1.0")
    assert gate.main(call) == 77
    assert "13.1.0" in capsys.readouterr().out
    fake_tools(monkeypatch, {"87": {"k": kernel()}})
    assert gate.main(call) == 77


def test_update_refuses_spills_and_keeps_other_architectures(monkeypatch, tmp_path):
    budget, library = tmp_path / "budget.json", tmp_path / "library.a"
    library.touch()
    call = ["--nvcc", "nvcc", "--budget", str(budget), "--library", str(library), "--update"]
    fake_tools(monkeypatch, {"80": {"k": kernel()}})
    assert gate.main(call) == 0
    fake_tools(monkeypatch, {"90a": {"k": kernel(spills=4)}})
    assert gate.main(call) == 1
    fake_tools(monkeypatch, {"90a": {"k": kernel()}})
    assert gate.main(call) == 0
    assert sorted(json.loads(budget.read_text())["kernels"]) == ["80", "90a"]


def test_no_nvcc_cannot_check(tmp_path):
    library = tmp_path / "library.a"
    library.touch()
    assert gate.main(["--nvcc", str(tmp_path / "nvcc"), "--library", str(library)]) == 77


def test_misuse(tmp_path):
    with pytest.raises(SystemExit) as stop:
        gate.main(["--nvcc", "nvcc", "--library", str(tmp_path / "absent.a")])
    assert stop.value.code == 2


def test_spills_with_a_reason_are_held_to_their_bytes():
    allowed = {"80": {"k": {"bytes": 8, "because": "measured faster so"}}}
    assert not gate.compare({"80": {"k": kernel(spills=8)}}, {"80": {"k": kernel(spills=8)}}, allowed)[0]
    failures, _ = gate.compare({"80": {"k": kernel(spills=8)}}, {"80": {"k": kernel(spills=12)}}, allowed)
    assert failures == ["sm_80 k: spills 12 bytes; 8 are allowed"]


def test_names_of_instantiations():
    names = {
        "_ZN4ssim4cuda14tensor_forwardINS1_8CopyFeedILi4EEEEEvNS1_8WithMapsIXEE": "tensor_forward<CopyFeed,4>",
        "_ZN4ssim4cuda12tensor_trainINS1_4MapsEEEvNS1_8WithMapsIT_EE": "tensor_train<Maps>",
        "_ZN4ssim4cuda13tiled_forwardILi1EEEvPf": "tiled_forward<1>",
        "_ZN4ssim4cuda5naiveEv": "naive",
    }
    assert {gate.kernel_name(mangled) for mangled in names} == set(names.values())


def test_committed_budget_has_every_architecture_that_the_build_names():
    """An architecture that the budget lacks is not compared; each has every kernel, if only as an empty one."""
    options = (gate.ROOT / "meson.options").read_text()
    archs = re.search(r"option\('archs', type: 'array', value: \[([^\]]*)\]", options)[1]
    budget = json.loads((gate.ROOT / "verify/resource_budget.json").read_text())["kernels"]
    assert set(budget) == set(re.findall(r"'(\w+)'", archs)) >= {"80", "86", "89", "90a", "100", "120"}
    assert len({frozenset(kernels) for kernels in budget.values()}) == 1


def test_committed_budget_has_no_spills_but_those_with_a_reason():
    budget = json.loads((gate.ROOT / "verify/resource_budget.json").read_text())
    assert budget["kernels"]
    allowed = budget.get("spills_allowed", {})
    assert all(len(entry["because"]) > 20 for kernels in allowed.values() for entry in kernels.values())
    for arch, kernels in budget["kernels"].items():
        for name, kernel in kernels.items():
            assert kernel["spills"] <= allowed.get(arch, {}).get(name, {}).get("bytes", 0), (arch, name)
