"""Rooms import only rooms above them, and what is light stays light."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import rlpymc

ROOT = Path(rlpymc.__file__).parent
ROOMS = [  # in the order in which data travel; those of one line do not import each other
    ["checks", "storage"],
    ["math"],
    ["model"],
    ["priors", "responses"],
    ["policies", "mdp", "transitions"],
    ["trials"],
    ["compiler"],
    ["likelihood"],
    ["population"],
    ["fitting"],
    ["tasks"],
    ["simulation"],
    ["comparison"],
    ["validation"],
    ["validate", "plots", "reporting", "terminal", "data"],
    ["demo"],
    ["cli"],
]
FLOOR = {room: k for k, rooms in enumerate(ROOMS) for room in rooms}
# Names of modules by which a room reaches one below it: the three doors, and the figures of transition models.
DOORS = {
    ("model", "rlpymc.fitting.pymc_forms"),
    ("math", "rlpymc.compiler.symbol_math"),
    ("model", "rlpymc.models"),
    ("transitions", "rlpymc.plots.transitions"),
}
HEAVY = {"pymc", "pytensor", "numba", "gymnasium", "matplotlib"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        if not name.startswith("rlpymc.models") and name != "rlpymc":
            yield name, ast.parse(path.read_text())


def imported(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a module imports, wherever in it and however it is written."""
    package = name if (ROOT.parent / name.replace(".", "/") / "__init__.py").exists() else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{a.name}" if is_module(f"{base}.{a.name}") else base for a in node.names)


def is_module(name: str) -> bool:
    """Whether there is a module of the library of this name."""
    path = ROOT.parent / name.replace(".", "/")
    return name.startswith("rlpymc") and (path.with_suffix(".py").exists() or (path / "__init__.py").exists())


def named(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of the library that a module names in a string of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("rlpymc."):
            found = node.value
            if found.replace(".", "").replace("_", "").isalnum():
                yield found


def test_every_room_has_its_place() -> None:
    assert {name.split(".")[1] for name, _ in modules()} == set(FLOOR)


def test_rooms_import_only_rooms_above() -> None:
    wrong = []
    for name, tree in modules():
        room = name.split(".")[1]
        for other in imported(name, tree):
            if other.startswith("rlpymc."):
                to = other.split(".")[1]
                if to == "models" or (to != room and FLOOR[to] >= FLOOR[room]):
                    wrong.append((room, name, other))
    assert [(name, other) for room, name, other in wrong if (room, other) not in DOORS] == []
    assert {(room, other) for room, _, other in wrong} == {("model", "rlpymc.models")}


def test_doors_are_the_only_names_of_rooms_below() -> None:
    found = set()
    for name, tree in modules():
        room = name.split(".")[1]
        for other in named(tree):
            to = other.split(".")[1]
            if to == "models" or (to in FLOOR and FLOOR[to] > FLOOR[room]):
                found.add((room, other.removesuffix(".")))
    assert found == DOORS


def test_there_is_no_circle() -> None:
    trees = dict(modules())
    graph = {}
    for name, tree in trees.items():
        graph[name] = {other for other in imported(name, tree) if other in trees and other != name}
    list(TopologicalSorter(graph).static_order())


def test_no_module_has_the_name_of_a_public_function() -> None:
    functions = {name for name in rlpymc.__all__ if callable(getattr(rlpymc, name))}
    assert not functions & {path.stem for path in ROOT.iterdir()}


def test_no_file_is_longer_than_a_person_reads() -> None:
    lengths = {name: len((ROOT.parent / p).read_text().splitlines()) for name, p in _paths()}
    assert {name: n for name, n in lengths.items() if n > 450} == {}


def _paths() -> Iterator[tuple[str, Path]]:
    for path in ROOT.rglob("*.py"):
        yield path.name, path.relative_to(ROOT.parent)


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    declared = {d.split(">")[0].split("[")[0].replace("-", "_").lower() for d in listed}
    of = packages_distributions()
    used = {o.split(".")[0] for name, tree in modules() for o in imported(name, tree)}
    used -= {"rlpymc", *sys.stdlib_module_names}
    distributions = {package: {d.replace("-", "_").lower() for d in of.get(package, [package])} for package in used}
    assert {package: found for package, found in distributions.items() if not found & declared} == {}


LIGHT = {
    "import": "",
    "list": "rl.list_models()",
    "describe": "rl.describe('delta+stickiness')",
    "tables": "rl.read_trials(pd.DataFrame({'subject': [1, 1], 'action': [0, 1], 'reward': [1.0, 0.0]}))",
    "data": "rl.example_data('fontanesi2019')",
    "log_prob": "rl.log_prob('delta', trials, dict(alpha=0.3, beta=2.0), gradient=True)",
    "latents": "rl.latents('delta', trials, dict(alpha=0.3, beta=2.0))",
    "fit_mle": "rl.fit_mle('delta', trials)",
    "fit_em": "rl.fit_em('delta', trials, iterations=1, tol=1e9)",
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """What is loaded after each of some calls, in a fresh process."""
    lines = [
        "import json, sys, warnings",
        "import rlpymc as rl",
        "found, heavy = {}, " + repr(sorted(HEAVY)),
        "def note(what): found[what] = [m for m in heavy if m in sys.modules]",
        "note('import')",
        "assert 'numpy' not in sys.modules",
        LIGHT["list"],
        "note('list')",
        f"{LIGHT['describe']}; note('describe')",
        "import pandas as pd",
        "trials = rl.example_data('fontanesi2019').isel(subject=[0, 1])",
        *(f"{call}; note({name!r})" for name, call in LIGHT.items() if name not in ("import", "list", "describe")),
        "rl.simulate('delta', rl.tasks.Bandit([0.3, 0.7]), dict(alpha=0.3, beta=2.0), 2, 5, seed=1)",
        "note('simulate')",
        "print(json.dumps(found))",
    ]
    out = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


@pytest.mark.parametrize("what", LIGHT)
def test_what_is_light_loads_nothing_heavy(what: str, loaded: dict[str, list[str]]) -> None:
    assert loaded[what] == []


def test_a_simulation_loads_its_task_s_package_alone(loaded: dict[str, list[str]]) -> None:
    assert loaded["simulate"] == ["gymnasium"]
