# SPDX-License-Identifier: MIT
"""`./suite check`: a right implementation of each kind passes, each wrong one is named, bad arguments are misuse."""

import argparse
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from frontdoor import testrun
from frontdoor.commands import check
from frontdoor.here import Here
from frontdoor.place import BUILD, Stop

ROOT = Path(__file__).resolve().parent.parent
VERIFY = Path(os.environ.get("SUITE_BUILD", BUILD)) / "verify"
EXAMPLE = ROOT / "verify" / "testdata" / "example_row.c"
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as check_python.py does, before anything loads OpenMP


@pytest.fixture(scope="module")
def compiler():
    found = shutil.which("cc") or shutil.which("gcc")
    if not found:
        pytest.skip("no C compiler")
    return found


RIGHT, ENDS_THE_PROCESS = 0, 8  # example_row.c


def build(compiler: str, folder: Path, mistake: int) -> Path:
    library = folder / f"libexample_{mistake}.so"
    command = [compiler, "-O2", "-shared", "-fPIC", f"-DMISTAKE={mistake}", f"-I{ROOT}"]
    command += [str(EXAMPLE), "-o", str(library)]
    subprocess.run([*command, "-lm"], check=True)
    return library


def library_tests(library: Path, match: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [VERIFY / "test_accuracy", "--match", match, "--gtest_brief=1"],
        env={**os.environ, "SUITE_LIBRARY": str(library), "SUITE_LIBRARY_NAME": "mine", "SUITE_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )


SOME = r"cpu:mine:(infer|train):(same|valid):(2x3x37x53|1x1x17x79)/(uniform|textured|local)"


def test_right_library_passes(compiler, tmp_path):
    done = library_tests(build(compiler, tmp_path, 0), SOME)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "[  PASSED  ] 20 tests" in done.stdout


@pytest.mark.parametrize(
    "mistake, message",
    [
        (1, "gradient of image"),
        (2, "oracle"),
        (3, "gradient of image"),
        (4, "grad_x was written 0 bytes past its end"),
        (5, "x was modified"),
        (6, "control block of the workspace is not zero"),
    ],
)
def test_wrong_library_is_caught(compiler, tmp_path, mistake, message):
    done = library_tests(build(compiler, tmp_path, mistake), SOME)
    assert done.returncode == 1
    assert message in done.stdout and "cpu:mine:" in done.stdout


def cases(compiler, folder: Path) -> list[tuple[str, str]]:
    """(test program, case) of all cases of a library as cpu:mine."""
    library = build(compiler, folder, RIGHT)
    environment = {**os.environ, "SUITE_LIBRARY": str(library), "SUITE_LIBRARY_NAME": "mine", "SUITE_DEVICE": "cpu"}
    found = []
    for name in sorted(check.ROW_TESTS - {"libssim_verify_c.so"}):
        listed = subprocess.run(
            [VERIFY / name, "--list", "--match", "cpu:mine(:|/|$)"], env=environment, capture_output=True, text=True
        )
        assert listed.returncode == 0 and "cpu:mine" in listed.stdout, name
        found += [(name, case) for case in listed.stdout.split()]
    return found


def test_what_ran_is_told_and_must_be_enough(compiler, tmp_path):
    """By the names that the programs give their cases."""
    every = cases(compiler, tmp_path)

    def lines(verdict_of):
        told, enough = check.what_ran("mine", [(program, (case, *verdict_of(case))) for program, case in every])
        return "\n".join(told), enough

    refuses = "skipped", "cpu:mine does not support it: no thanks"
    told, enough = lines(lambda case: ("passed", ""))
    assert enough and "not" not in told and "no " not in told
    for where in ("cpu infer same", "cpu infer valid", "cpu train same", "cpu train valid"):
        assert re.search(rf"^{where}: 2 NaN, \d\d\d accuracy, \d descent, \d environment, ", told, re.M)
    told, enough = lines(lambda case: refuses if ":train:" in case else ("passed", ""))
    assert enough and "no gradient was checked on cpu: the row refuses train (no thanks)" in told
    told, enough = lines(lambda case: refuses if ":valid" in case else ("failed", ""))
    assert enough and "no gradient was checked for valid on cpu: the row refuses train valid (no thanks)" in told
    for kind, pattern in [
        ("NaN", "range_nan"), ("accuracy", "accuracy[.]"), ("environment", "environment"), ("repeat", "repeat[.]"),
        ("properties", "(equal|symmetry|images|planes|powers|flips|bad|threads|gradient)_"),
    ]:  # fmt: skip
        told, enough = lines(lambda case: refuses if re.match(pattern, case) and ":train:" in case else ("passed", ""))
        assert not enough
        assert f"not checked enough: cpu train valid without a case of {kind}" in told and "cpu infer" in told
        assert "enough: cpu infer" not in told
    told, enough = lines(lambda case: refuses)
    assert not enough and "no case ran" in told and "no value without gradient was checked on cpu" in told


def test_the_example_may_be_called_by_threads(compiler, tmp_path):
    """Taps in memory that all calls share would be wrong while another call makes them."""
    done = subprocess.run(
        [VERIFY / "test_environment", "--match", "two_host_threads.cpu:mine:", "--gtest_repeat=60", "--gtest_brief=1"],
        env={**os.environ, "SUITE_LIBRARY": str(build(compiler, tmp_path, RIGHT)), "SUITE_LIBRARY_NAME": "mine",
             "SUITE_DEVICE": "cpu"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 and "FAILED" not in done.stdout, done.stdout[-3000:]


def test_a_library_that_ends_the_process_fails(compiler, tmp_path):
    """Although its exit status is the one that says: nothing matches."""
    environment = {**os.environ, "SUITE_LIBRARY": str(build(compiler, tmp_path, ENDS_THE_PROCESS)),
                   "SUITE_LIBRARY_NAME": "mine", "SUITE_DEVICE": "cpu"}  # fmt: skip
    test = testrun.Test("repeat", ["rows"], [str(VERIFY / "test_repeat")], {}, None, 60, True)
    outcome = testrun.Runner(ROOT, tmp_path, environment, "cpu:mine(:|/|$)").run(test)
    assert (outcome.passed, outcome.failed) == (0, 1)
    assert "exit status 2, without results" in outcome.failures[0].message
    nothing = testrun.Runner(ROOT, tmp_path, environment, "cuda:mine(:|/|$)").run(test)
    assert nothing.cases == 0


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    check.arguments(parser)
    return parser.parse_args(given)


def test_library_arguments(compiler, tmp_path):
    good = build(compiler, tmp_path, 0)
    args = arguments("--library", str(good))
    check.check(args)
    assert args.name == "example_0" and Path(args.library).is_absolute()
    lacking = build(compiler, tmp_path, 7)
    text = tmp_path / "text.so"
    text.write_text("no library")
    for given, message in [
        (["--library", str(tmp_path / "none.so")], "there is no such file"),
        (["--library", str(text)], "cannot be loaded"),
        (["--library", str(lacking)], "does not export ssim_row_value_and_grad"),
        (["--library", str(good), "--name", "stream"], "there is a row of this name already"),
        (["--library", str(good), "--name", "a-b"], "letters, digits and _ only"),
        (["--library", str(good), "--padding", "valid"], "--padding goes with --python"),
        (["--python", "module.function"], "not of the form MODULE:FUNCTION"),
        (["--python", "a:b", "--name", "mine"], "--name mine goes with --library"),
    ]:
        with pytest.raises(Stop) as stop:
            check.check(arguments(*given))
        assert stop.value.status == 2 and message in str(stop.value)


def test_a_card_that_is_not_here(compiler, tmp_path, monkeypatch):
    monkeypatch.setattr(check.machine, "have_driver", lambda: False)
    for given in (["--library", str(build(compiler, tmp_path, RIGHT))], ["--python", "a:b"]):
        with pytest.raises(Stop) as stop:
            check.check(arguments(*given, "--device", "cuda"))
        assert stop.value.status == 77 and "there is no CUDA device here" in str(stop.value)


def python_check(*given: str) -> subprocess.CompletedProcess:
    library = VERIFY / "libssim_verify_c.so"
    if not library.exists():
        pytest.skip("libssim_verify_c.so is not built")
    return subprocess.run(
        [sys.executable, ROOT / "verify" / "check_python.py", *given, "--library", library, "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "verify" / "testdata")},
        capture_output=True,
        text=True,
        timeout=300,
    )


RIGHT_ONES = [["example_ssim:right"], ["example_ssim:valid_only", "--padding", "valid"]]
RIGHT_ONES += [["example_ssim:of_bytes", "--padding", "same"]]


@pytest.mark.parametrize("given", RIGHT_ONES)
def test_right_function_passes(given):
    pytest.importorskip("torch")
    done = python_check(*given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout and "checks passed" in done.stdout


def test_wrong_function_is_caught():
    pytest.importorskip("torch")
    done = python_check("example_ssim:wrong_constant", "--padding", "valid")
    assert done.returncode == 1
    assert "WRONG valid:2x3x37x53/uniform/1: mean without gradient" in done.stdout
    assert re.search(r"^\d+ of \d+ checks passed", done.stdout, re.M)


@pytest.fixture(scope="module")
def python_checks():
    """The module, the oracle, and the modules of wrong functions."""
    pytest.importorskip("torch")
    library = VERIFY / "libssim_verify_c.so"
    if not library.exists():
        pytest.skip("libssim_verify_c.so is not built")
    folders = [str(ROOT / "verify"), str(ROOT / "verify" / "testdata")]
    sys.path[:0] = folders
    import example_ssim
    import python_case
    import python_checks
    import wrong_ssim

    yield python_checks, python_case.Oracle(str(library)), (example_ssim, wrong_ssim)
    for folder in folders:
        sys.path.remove(folder)


@pytest.mark.parametrize(
    "function, by, message",
    [
        ("no_gradient", "accuracy", "valid:2x3x37x53/uniform/1: gradient of img1, weight -1.75: element"),
        ("wrong_constant", "accuracy", "mean with gradient"),
        ("not_a_scalar", "accuracy", "TypeError: returns shape (1,) with train=False, not a scalar tensor"),
        ("raises", "accuracy", "ValueError: not today"),
        ("swallows_nan", "bad_pixels", "nan in img1[0, 1, 10, 17]: 441 of 441 gradients that see it are numbers"),
        ("modifies_its_input", "unchanged", "img2 was modified, train=True"),
        ("zero_if_width_is_2_mod_4", "accuracy", "valid:1x2x62x78/uniform/2: mean without gradient 0,"),
        ("zero_if_large", "accuracy", "valid:1x1x262x277/uniform/6: mean without gradient 0,"),
        ("three_images_alone", "accuracy", "valid:7x2x17x19/"),
        ("clamps_the_weight", "accuracy", "gradient of img1, weight 65536:"),
        ("drops_small_weights", "accuracy", "gradient of img1, weight 1e-06:"),
        ("float_without_gradient", "accuracy", "TypeError: returns float with train=False, not a scalar tensor"),
        ("ends_the_process", "accuracy", "SystemExit: 0"),
        ("ignores_strides", "strides", "mean of img1 with every second column, img2 contiguous"),
        ("ignores_strides", "strides", "mean of img1 contiguous, img2 transposed"),
        ("swallows_nan_of_img2", "bad_pixels", "nan in img2[0, 1, 10, 17], and yet the mean with gradient is -0.001"),
        ("swallows_nan_without_gradient", "bad_pixels", "nan in img1[1, 0, 0, 0], and yet the mean without"),
        ("clamps_infinity", "bad_pixels", "-inf in img1[0, 0, 20, 34], and yet the mean with gradient is"),
        ("one_gradient_for_all_calls", "autograd", "gradient of two calls before a backward pass, weight 1:"),
        ("no_gradient_unless_leaf", "autograd", "gradient through an img1 that is computed, weight 0.5:"),
        ("scales_in_place", "autograd", "gradient of a graph that was kept, weight 0.25:"),
        ("forgets_its_graph", "autograd", "backward twice: TypeError"),
        ("modifies_img1_without_gradient", "unchanged", "img1 was modified, train=False"),
        ("wrong_now_and_then", "unchanged", " of 20 0.93"),
    ],
)
def test_mistake_is_caught(python_checks, monkeypatch, function, by, message):
    """By the check that is there for it, with fewer classes and a smaller large image than it has."""
    checks, oracle, modules = python_checks
    monkeypatch.setattr(oracle, "classes", lambda: ["uniform", "checkerboard", "textured"])
    monkeypatch.setattr(checks, "LARGE", (1, 1, 262, 277))
    (wrong,) = (getattr(module, function) for module in modules if hasattr(module, function))
    subject = checks.Subject(wrong, set(inspect.signature(wrong).parameters), "cpu")
    report = checks.Report()
    getattr(checks, by)(subject, oracle, "valid", report)
    assert any(message in failure for failure in report.failures), report.failures[:20]


@pytest.mark.parametrize(
    "name, status",
    [("wrong_ssim:ends_the_process_at_once", 1), ("ends_at_import:f", 1), ("leaves_at_import:f", 2), ("nosuch:f", 2)],
)
def test_a_function_that_ends_the_process_is_wrong(tmp_path, monkeypatch, capfd, name, status):
    """Status 0 counts only from a run that came to its end."""
    pytest.importorskip("torch")
    if not (VERIFY / "libssim_verify_c.so").exists():
        pytest.skip("libssim_verify_c.so is not built")
    (tmp_path / "ends_at_import.py").write_text("import os\nos._exit(0)\n")
    (tmp_path / "leaves_at_import.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.setattr(check, "BUILD", VERIFY.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT / "verify" / "testdata")]))
    args = arguments("--python", name, "--padding", "valid", "--device", "cpu")
    check.check(args)
    assert check.run(args, Here()) == status
    said = capfd.readouterr().err
    assert ("ended the process with status 0 before the checks were through" in said) == (status == 1)
    assert ("SystemExit: 0" in said) == (name == "leaves_at_import:f")


@pytest.mark.parametrize(
    "given, message",
    [
        (["nosuchmodule:f"], "No module named 'nosuchmodule'"),
        (["example_ssim:nothing"], "module example_ssim has no nothing"),
        (["example_ssim:NUMBER"], "NUMBER is int, not a function"),
        (["example_ssim:valid_only"], "say with --padding same|valid"),
    ],
)
def test_misuse(given, message):
    pytest.importorskip("torch")
    done = python_check(*given)
    assert done.returncode == 2 and message in done.stderr
