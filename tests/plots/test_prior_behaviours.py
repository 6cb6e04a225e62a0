"""The figure of what priors say of behaviour."""

from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

mpl.use("Agg")
SMALL = {"draws": 8, "n_subjects": 4, "n_trials": 15, "seed": 1}


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def found() -> xr.Dataset:
    return rl.prior_predictive("delta", rl.tasks.Bandit([0.2, 0.8]), priors=["wide", "matched"], **SMALL)


def test_presets_stand_side_by_side(found: xr.Dataset) -> None:
    axes = np.reshape(rl.plots.prior_predictive(found).axes, (4, 2))
    assert [ax.get_title() for ax in axes[0]] == ["wide", "matched"]
    assert [ax.get_xlabel() for ax in axes[1:, 1]] == ["accuracy", "stay after a win", "shift after a loss"]
    for row in axes:
        assert row[0].get_ylim() == row[1].get_ylim()


def test_curves_are_medians_over_populations(found: xr.Dataset) -> None:
    axes = rl.plots.prior_predictive(found).axes
    for j in range(2):
        expected = np.median(found["accuracy_by_trial"].isel(preset=j), axis=0)
        assert_allclose(axes[j].lines[0].get_ydata(), expected)


def test_distributions_are_of_people_and_of_groups(found: xr.Dataset) -> None:
    ax = rl.plots.prior_predictive(found.sel(preset="wide", drop=True)).axes[1]
    heights = [patch.get_height() for patch in ax.patches[:20]]
    values = found["accuracy"].sel(preset="wide")
    assert_allclose(heights, np.histogram(values, np.linspace(0, 1, 21), density=True)[0])
    outline = ax.patches[20].get_xy()[:, 1].max()
    assert_allclose(outline, np.histogram(values.mean("subject"), np.linspace(0, 1, 21), density=True)[0].max())


def test_what_is_not_there_is_not_drawn() -> None:
    stay = rl.prior_predictive("choice_kernel", rl.tasks.Choices(2), **SMALL)
    assert [ax.get_xlabel() for ax in rl.plots.prior_predictive(stay).axes] == ["repeat"]
    two_step = rl.prior_predictive("two_step_hybrid", rl.tasks.TwoStep(), **SMALL)
    axes = rl.plots.prior_predictive(two_step).axes
    assert [ax.get_ylabel() for ax in axes] == ["reward", "density", "density"]


def test_nobody_who_won_leaves_an_empty_panel() -> None:
    never = rl.prior_predictive("delta", rl.tasks.Bandit([0.0, 0.0]), **SMALL)
    assert len(rl.plots.prior_predictive(never).axes[2].patches) == 0


def test_other_results_are_refused() -> None:
    assert_says(refusal(rl.plots.prior_predictive, xr.Dataset({"alpha": 1.0})), "alpha", "rlpymc.prior_predictive")
