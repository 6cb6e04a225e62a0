"""The package as others get it: a wheel with the zoo and the data, quick to import."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_has_zoo_data_and_types_once(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "models/bandit/delta.py",
        "data/fontanesi2019.csv.gz",
        "data/LICENSE.fontanesi",
        "py.typed",
        "__init__.pyi",
    ):
        assert names.count(f"rlpymc/{name}") == 1
    assert not [name for name in names if name.startswith(("models/", "tests/")) or name.endswith(".pyc")]


@pytest.mark.slow
def test_installed_elsewhere_it_finds_the_zoo(wheel, tmp_path):
    where = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(where),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    code = (
        "import json, rlpymc, rlpymc.models;"
        "print(json.dumps([rlpymc.__file__, rlpymc.models.__file__, *rlpymc.list_models().index,"
        "rlpymc.example_data('fontanesi2019').sizes['subject']]))"
    )
    environment = {"PYTHONPATH": str(where), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True)
    package, zoo, *models, subjects = json.loads(done.stdout)
    assert Path(package).is_relative_to(where)
    assert Path(zoo).is_relative_to(where)
    assert {"delta", "counterfactual", "wsls"} <= set(models)
    assert subjects == 27


def test_import_is_light():
    code = "import sys, rlpymc; print(sorted({'pymc', 'pytensor', 'arviz', 'pandas', 'xarray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_run_without_arguments_says_what_it_does():
    done = subprocess.run([str(ROOT / "run")], check=True, capture_output=True, text=True)
    assert "./run demo" in done.stdout
    assert "./run test" in done.stdout


def test_requirements_are_locked_with_hashes_and_without_addresses():
    lock = (ROOT / "requirements.lock").read_text()
    assert "http" not in lock
    pins = [line for line in lock.splitlines() if "==" in line and not line.startswith(" ")]
    assert len(pins) > 50
    assert lock.count("--hash=sha256:") >= len(pins)
    assert any(pin.startswith("hatchling==") for pin in pins)
