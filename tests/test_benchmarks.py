"""Benchmarks compare what gives the same numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks import hand, transitions
from benchmarks.likelihood import simulated
from rlpymc.compiler.signature import TOTAL, Name
from rlpymc.likelihood.evaluator import Evaluator


@pytest.mark.parametrize(
    ("name", "bind"),
    [*hand.KERNELS.items(), *hand.BACK.items()],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_a_loop_by_hand_is_the_library(name, bind):
    case = simulated(name, 3, 50)
    found = Evaluator(case.trace, "gradient", case.data, case.active)(case.params)
    total, slopes = bind(case.params, case.data.inputs, case.data.facts)()
    assert_allclose(total, found[TOTAL], rtol=1e-10)
    assert sorted(slopes) == sorted(case.active)
    for parameter, slope in slopes.items():
        assert_allclose(slope, found[Name("slope", parameter)], rtol=1e-8, atol=1e-9)


def test_the_naive_posterior_is_the_same(monkeypatch):
    monkeypatch.setattr(transitions, "NODES", np.linspace(-10, 10, 20_001))
    phi, x = transitions.example(1)
    assert transitions.differ_by(phi[:20], x[:20]) < 1e-6
