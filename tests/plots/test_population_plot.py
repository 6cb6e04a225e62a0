"""The figure of people and their group: the axis is that of most people, and what goes on beyond it is marked."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import rlpymc as rl

mpl.use("Agg")
SUBJECTS = 20


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def fit(longest=1.0, lowest=0.0, far=0.0, group=None):
    """Return a posterior of people around 3; two reach up to some value, one down to another, and one lies far off."""
    quantiles = np.linspace(0, 1, 101)
    ends = np.tile([2.0, 4.0], (SUBJECTS, 1)) + np.linspace(-0.5, 0.5, SUBJECTS)[:, None]
    ends[[3, 7], 1] += longest
    ends[5, 0] -= lowest
    ends[11] += far
    draws = ends[:, :1] + quantiles * (ends[:, 1:] - ends[:, :1])
    found = {"beta": (("chain", "draw", "subject"), draws.T[None])}
    if group is not None:
        found["beta_group"] = (("chain", "draw"), np.linspace(*group, 101)[None])
    return xr.DataTree.from_dict({"posterior": xr.Dataset(found, coords={"subject": np.arange(SUBJECTS)})})


def intervals(ax):
    return np.array([segment[:, 0] for segment in ax.collections[0].get_segments()])


def arrows(ax):
    return {line.get_marker(): line.get_xydata() for line in ax.lines if line.get_marker() in "<>"}


def test_where_all_are_near_nothing_is_cut_or_marked():
    (ax,) = rl.plots.population(fit()).axes
    low, high = ax.get_xlim()
    assert low < intervals(ax).min()
    assert intervals(ax).max() < high
    assert not arrows(ax)
    assert ax.get_title() == ""


def test_long_intervals_do_not_squeeze_the_others_and_are_marked():
    (ax,) = rl.plots.population(fit(longest=200.0, lowest=90.0, far=50.0)).axes
    left, right = ax.get_xlim()
    usual = np.median(np.diff(intervals(ax), axis=1))
    assert usual > (right - left) / 8  # an interval like most fills a good part of the axis
    found, ends = arrows(ax), intervals(ax)
    for marker, beyond, edge in ((">", ends[:, 1] > right, right), ("<", ends[:, 0] < left, left)):
        assert_allclose(found[marker], np.stack([np.full(beyond.sum(), edge), np.flatnonzero(beyond)], axis=1))
    assert len(found[">"]) == 3
    assert len(found["<"]) == 1
    assert ax.get_title().splitlines() == [
        f"beyond the axis: 1 of {SUBJECTS}, down to {ends.min():.3g}",
        "(1 with the mean)",
        f"beyond the axis: 3 of {SUBJECTS}, up to {ends.max():.3g}",
        "(3 with the mean)",
    ]
    ax.figure.canvas.draw()
    words, figure = ax.title.get_window_extent(), ax.figure.bbox
    assert figure.x0 <= words.x0
    assert words.x1 <= figure.x1
    assert words.y1 <= figure.y1


def test_every_person_is_in_sight_or_marked():
    (ax,) = rl.plots.population(fit(longest=30.0, far=500.0)).axes
    left, right = ax.get_xlim()
    within = {tuple(row) for row in ax.lines[0].get_xydata() if left <= row[0] <= right}
    marked = {row for xy in arrows(ax).values() for _, row in xy}
    assert {row for _, row in within} | marked == set(range(SUBJECTS))


def test_the_group_s_interval_is_always_in_sight():
    (ax,) = rl.plots.population(fit(longest=200.0, group=(-20.0, 3.0))).axes
    left, right = ax.get_xlim()
    assert left < -20 + 0.03 * 23
    assert right < 30
    assert len(arrows(ax)[">"]) == 2


def test_people_who_are_all_alike_have_an_axis():
    same = fit()
    same["posterior"] = same["posterior"].to_dataset() * 0 + 1
    (ax,) = rl.plots.population(same).axes
    left, right = ax.get_xlim()
    assert left < 1 < right
