"""Figures of responses that are numbers: their mean and its prediction, or a refusal that names what is right."""

from functools import cache

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

mpl.use("Agg")
TRUTH = {"alpha": 0.3, "sigma": 8.0}
WIDE = {"sigma": rl.priors.Gamma(2.0, 0.1)}  # for outcomes as those of the task


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@cache
def trials():
    return rl.simulate("delta_prediction", rl.tasks.Prediction(), TRUTH, 3, 20, seed=1)


@cache
def prediction(kind="one_step"):
    """Return the prediction of a model with known parameters; two responses of the second person are not scored."""
    some = trials().copy(deep=True)
    some["scored"].values[1, :2] = False
    values = {k: (("chain", "draw", "subject"), np.full((1, 20, 3), v)) for k, v in TRUTH.items()}
    fit = xr.DataTree.from_dict({"posterior": xr.Dataset(values, coords={"subject": some["subject"].values})})
    model = rl.build("delta_prediction", some, pooling="none", priors=WIDE)
    return rl.predict(model, fit, kind, draws=20, seed=1, task=rl.tasks.Prediction() if kind == "free_run" else None)


@pytest.mark.parametrize("kind", ["one_step", "yoked"])
def test_learning_curve_of_numbers_is_their_mean(kind):
    found = prediction(kind)
    (ax,) = rl.plots.learning_curve(found, bins=10).axes
    (container,), (line,) = ax.containers, [line for line in ax.lines if line.get_marker() in ("None", None, "")][:1]
    by_bin = np.where(found["scored"], found["observed"], np.nan).reshape(3, 10, 2)
    of_people = [[np.mean(v[np.isfinite(v)]) if np.isfinite(v).any() else np.nan for v in row] for row in by_bin]
    assert_allclose(container.lines[0].get_ydata(), np.nanmean(of_people, axis=0))
    drawn = found["prediction"].values.reshape(20, 3, 10, 2)[:, :, 1:].mean(axis=3).mean(axis=1)  # all are scored there
    assert_allclose(line.get_ydata()[1:], drawn.mean(axis=0))
    band = ax.collections[0].get_paths()[0].vertices
    for x, values in zip(line.get_xdata()[1:], drawn.T, strict=True):
        at = band[np.isclose(band[:, 0], x), 1]
        assert_allclose([at.min(), at.max()], np.quantile(values, [0.03, 0.97]))
    assert len(ax.get_legend().get_texts()) == 2  # observed and predicted, and no value has a curve of its own
    assert ax.get_ylabel() == "mean prediction"
    low, high = ax.get_ylim()
    assert low < np.nanmin(of_people)
    assert high > np.nanmax(np.nanmean(of_people, axis=0))


def test_what_is_for_actions_is_refused_with_what_is_right():
    found = prediction()
    assert_says(
        refusal(rl.plots.learning_curve, found, target=1), "target 1", "'prediction' is a number", "leave it out"
    )
    assert_says(refusal(rl.plots.calibration, found), "no probabilities of 'prediction'", "learning_curve")
    text = refusal(rl.plots.trial_values, "delta_prediction", trials(), TRUTH)
    assert_says(text, "delta_prediction responds with prediction", "rlpymc.latents")
    sets = found.assign(stimulus=found["scored"] * 0, set_size=found["scored"] * 0 + 1, right=found["scored"] * 0)
    assert_says(refusal(rl.plots.set_size_curves, sets, target="right"), "'prediction' is a number", "learning_curve")
    assert not plt.get_fignums()  # nothing half drawn


def test_a_free_run_has_nothing_observed_beside_it():
    assert_says(
        refusal(rl.plots.learning_curve, prediction("free_run")), "'free_run'", "kind='one_step'", "kind='yoked'"
    )


def test_of_several_responses_the_first_is_drawn():
    params = {p.name: p.plausible for p in rl.get_model("two_step_hybrid").parameters if p.value is None}
    data = rl.simulate("two_step_hybrid", rl.tasks.TwoStep(), params, 2, 12, seed=1)
    values = {k: (("chain", "draw", "subject"), np.full((1, 5, 2), v)) for k, v in params.items()}
    fit = xr.DataTree.from_dict({"posterior": xr.Dataset(values, coords={"subject": data["subject"].values})})
    found = rl.predict(rl.build("two_step_hybrid", data, pooling="none"), fit, draws=5, seed=1)
    (ax,) = rl.plots.learning_curve(found, target=1, bins=12).axes
    assert_allclose(ax.containers[0].lines[0].get_ydata(), (data["action1"].values == 1).mean(axis=0))
