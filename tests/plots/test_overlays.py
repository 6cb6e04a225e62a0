"""Trials and their prediction in one figure: both are there, told apart, and where they are when drawn alone."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

mpl.use("Agg")
TWO_STEP = {"alpha1": 0.5, "alpha2": 0.5, "beta1": 4, "beta2": 4, "lam": 0.5, "w": 0.5, "stickiness": 0.2}
PICTURES = {"alpha": 0.1, "stick": 0.1, "rho": 0.8, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.3, "bias_rl": 0.3}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def simulated(model, task, params, n_subjects, draws=None):
    """Return trials, or as many simulations as draws, as a prediction holds them."""
    n = n_subjects * (draws or 1)
    trials = rl.simulate(model, task, params, n, 60, seed=n)
    if draws is None:
        return trials
    columns = {
        k: (("sample", *v.dims), v.values.reshape((draws, n_subjects, *v.shape[1:])))
        for k, v in trials.items()
        if v.dims[:2] == ("subject", "trial")
    }
    others = {"subject": np.arange(n_subjects), **{k: v for k, v in trials.coords.items() if k != "subject"}}
    found = trials.drop_vars([*trials.data_vars, "subject"]).assign(columns).assign_coords(others)
    return found.assign_attrs(kind="free_run", response=trials.attrs.get("response", "action"))


@pytest.fixture(scope="module")
def two_step():
    task = rl.tasks.TwoStep()
    return simulated("two_step_hybrid", task, TWO_STEP, 6), simulated("two_step_hybrid", task, TWO_STEP, 6, draws=8)


@pytest.fixture(scope="module")
def pictures():
    task, params = rl.tasks.RLWM(set_sizes=[2, 4, 2, 4], presentations=5), PICTURES | {"capacity": 3}
    return simulated("rlwm", task, params, 5), simulated("rlwm", task, params, 5, draws=8)


def test_stay_probabilities_of_both_are_one_figure(two_step):
    trials, prediction = two_step
    (both,), (alone,), (predicted,) = (
        rl.plots.stay_probabilities(*given).axes for given in ((trials, prediction), (trials,), (prediction,))
    )
    heights = [patch.get_height() for patch in both.patches]
    assert_allclose(heights, [patch.get_height() for patch in alone.patches])
    dots = [line for line in both.lines if line.get_marker() == "o"]
    assert_allclose(
        np.concatenate([dot.get_ydata() for dot in dots]), [patch.get_height() for patch in predicted.patches]
    )
    for dot, bars in zip(dots, (both.patches[:2], both.patches[2:]), strict=True):  # each lies on its bar
        for x, bar in zip(dot.get_xdata(), bars, strict=True):
            assert bar.get_x() < x < bar.get_x() + bar.get_width()
    assert [t.get_text() for t in both.get_legend().get_texts()] == ["common", "rare", "predicted"]
    bars, over = both.get_title().splitlines()
    assert_says(bars, "bars: trials", "standard error")
    assert_says(over, "dots: free-running prediction", "94 % interval")
    assert alone.get_title() == "trials, mean ± standard error"
    assert predicted.get_title() == "free-running prediction, mean and 94 % interval"
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in (both, alone, predicted))


def test_set_size_curves_of_both_are_one_figure(pictures):
    trials, prediction = pictures
    (both,) = rl.plots.set_size_curves(trials, prediction=prediction).axes
    (alone,), (predicted,) = (rl.plots.set_size_curves(one).axes for one in pictures)
    assert [t.get_text() for t in both.get_legend().get_texts()] == ["2", "4"]
    for found, known in zip(both.containers, alone.containers, strict=True):
        assert_allclose(found.lines[0].get_xydata(), known.lines[0].get_xydata())
        assert found.lines[0].get_linestyle() == "None"
    lines = [line for line in both.lines if line.get_linestyle() == "-"]
    known = [line for line in predicted.lines if line.get_linestyle() == "-"]
    assert len(lines) == 2
    for line, other, dots in zip(lines, known, both.containers, strict=True):
        assert_allclose(line.get_xydata(), other.get_xydata())
        assert line.get_color() == dots.lines[0].get_color()
    assert_says(both.get_title(), "dots: trials", "lines: free-running prediction")


@pytest.mark.parametrize("draw", [rl.plots.stay_probabilities, rl.plots.set_size_curves])
def test_trials_and_prediction_the_other_way_round_are_refused(draw, two_step):
    trials, prediction = two_step
    text = refusal(draw, prediction, prediction=trials)
    assert_says(text, "found a prediction and trials", "expected trials, and prediction=")
    assert_says(refusal(draw, trials, prediction=trials), "found trials and trials")
    _, ax = plt.subplots()
    assert_says(refusal(draw, trials, prediction=ax, error=TypeError), "a prediction from rlpymc.predict", "Axes")
