"""Every registered model, and combinations with choice rules and options, keep every promise."""

from importlib import import_module

import pytest

import rlpymc as rl
from rlpymc.validation import checks
from tests.known_failures import KNOWN_FAILURES
from tests.reference.combinations import COMBINATIONS

REGISTERED = list(rl.list_models().index)
NAMES = [*REGISTERED, *COMBINATIONS]


def reference_of(name):
    return COMBINATIONS[name] if name in COMBINATIONS else import_module(f"tests.reference.{name}").log_prob


@pytest.fixture
def expected(request):
    """Run a known failure all the same, and complain when it has healed."""

    def mark(name, check):
        if reason := KNOWN_FAILURES.get((name, check.__name__)):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))

    return mark


def promises():
    """Every check of every model; slow are those that compile graphs of combinations, or scans of planners."""
    for name in NAMES:
        planner = rl.get_model(name).family == "planning"
        for check in checks.all_checks():
            compiles = check in (checks.check_backends, checks.check_likelihood_forms)
            slow = (compiles and name in COMBINATIONS) or (planner and check is checks.check_backends)
            marks = pytest.mark.slow if slow else ()
            yield pytest.param(name, check, id=f"{name}-{check.__name__}", marks=marks)


@pytest.mark.parametrize(("name", "check"), list(promises()))
def test_promise(name, check, expected):
    expected(name, check)
    check(rl.get_model(name))


@pytest.mark.parametrize("name", NAMES)
def test_reference(name):
    checks.check_reference(rl.get_model(name), reference_of(name))


def test_known_failures_name_models_and_checks():
    known = {check.__name__ for check in checks.all_checks()}
    assert all(name in NAMES and check in known for name, check in KNOWN_FAILURES)
