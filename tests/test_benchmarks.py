"""Benchmarks compare what gives the same numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from benchmarks import defaults, hand, transitions
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


def test_pictures_by_themselves_are_the_same_answers():
    trials, place = defaults.by_picture(1), ["subject", "block", "stimulus", "iteration"]
    whole, alone = (rl.to_table(t)[[*place, "action", "reward"]] for t in (rl.example_data("collins2018_rlwm"), trials))
    assert_array_equal(alone, whole.sort_values(place))
    begins = trials["reset"].values[trials["exists"].values]
    assert_array_equal(begins, ~alone.duplicated(place[:3]))


def test_typical_people_vary_around_plausible_values(monkeypatch):
    monkeypatch.setattr(rl, "simulate", lambda model, task, params, *sizes, seed: params)
    found = defaults.typical("two_step_hybrid", rl.tasks.TwoStep(), 4000, 10, seed=1)
    sticky = found["stickiness"]  # whose prior is Normal(0, 0.5)
    assert_allclose([sticky.mean(), sticky.std()], [0.2, 0.25], atol=0.02)
    assert_allclose(np.median(found["beta1"]), 4.0, rtol=0.03)
    assert "common" not in found
