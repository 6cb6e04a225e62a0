"""Figures of comparisons show the numbers, and which of them cannot be relied on."""

import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose

import rlpymc as rl
from tests.helpers.results import elpd

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def words(of):
    """Return the title and the entries of a legend."""
    legend = of.get_legend() if hasattr(of, "get_legend") else of.legends[0]
    return [legend.get_title().get_text(), *(t.get_text() for t in legend.get_texts())]


def test_comparison_puts_the_best_on_top():
    table = pd.DataFrame(
        {"elpd": [-10.0, -20.0], "se": 1.0, "elpd_diff": [0.0, -10.0], "dse": [0.0, 2.0], "weight": [0.9, 0.1]},
        index=["good", "bad"],
    )
    figure = rl.plots.comparison(table.assign(unit="trial"))
    ax = figure.axes[0]
    heights = {t.get_text().split("\n")[0]: y for t, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)}
    up = ax.get_ylim()[1] > ax.get_ylim()[0]
    assert (heights["good"] > heights["bad"]) == up
    left, right = figure.axes
    assert list(left.containers[0].lines[0].get_xdata()) == [-10, -20]
    assert_allclose(right.containers[0].lines[2][0].get_segments()[1][:, 0], [-12, -8])
    assert [t.get_text() for t in right.texts] == ["weight", "0.90", "0.10"]


def test_elpd_by_unit_shows_who_prefers_which():
    one, other = elpd([-1.0, -5.0, -3.0], ["a", "b", "c"]), elpd([-2.0, -2.0, -3.5], ["a", "b", "c"])
    (ax,) = rl.plots.elpd_by_unit({"one": one, "other": other}).axes
    assert_allclose(ax.collections[1].get_offsets(), [[-3, 0], [0.5, 1], [1, 2]])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "c", "a"]
    assert ax.get_title() == "one: 2, other: 1 of 3"
    assert ax.get_ylabel() == "subject, sorted"
    with pytest.raises(ValueError, match="compares two results, found 1"):
        rl.plots.elpd_by_unit({"one": one})
    with pytest.raises(ValueError, match="differ in subject"):
        rl.plots.elpd_by_unit({"one": one, "other": elpd([-2.0, -2.0, -3.5], ["a", "b", "z"])})


def test_pareto_k_names_what_is_not_reliable():
    result = elpd([-1.0] * 5, [*"abcde"], k=[0.1, 0.9, -np.inf, 1.2, 0.3], refitted=[3])
    (ax,) = rl.plots.pareto_k(result).axes
    by_label = {c.get_label(): c.get_offsets().tolist() for c in ax.collections}
    assert by_label == {"reliable: 2": [[0, 0.1], [4, 0.3]], "not reliable: 1": [[1, 0.9]], "refitted: 1": [[3, 1.2]]}
    assert words(ax)[1:] == [*by_label, "nothing approximated: 1"]
    assert np.allclose(ax.collections[2].get_facecolors()[0], to_rgba("white"))
    assert [(t.get_text(), t.xy[0]) for t in ax.texts] == [("b", 1), ("d", 3)]
    assert list(ax.lines[0].get_ydata()) == [0.7, 0.7]


def test_group_bms_shows_frequencies_and_exceedance():
    found = rl.group_bms({"a": np.r_[np.zeros(7), np.full(2, -99.0)], "b": np.r_[np.full(7, -99.0), np.zeros(2)]})
    (ax,) = rl.plots.group_bms(found).axes
    assert_allclose([patch.get_height() for patch in ax.patches], [8 / 11, 3 / 11])
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert_allclose(lines["exceedance"], found.exceedance)
    assert_allclose(lines["protected exceedance"], found.protected_exceedance)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]


def test_future_draws_the_mean_over_people():
    subjects, cut = [*"ab", *"ab", "a"], [5, 5, 6, 6, 7]
    one = elpd([-1.0, -3.0, -1.0, -2.0, -0.5], subjects, refitted=[2, 3], cut=cut)
    (ax,) = rl.plots.future({"one": one, "other": elpd([-1.0] * 5, subjects, cut=cut)}).axes
    assert_allclose(ax.lines[0].get_xydata(), [[5, -2], [6, -1.5], [7, -0.5]])
    assert_allclose(ax.lines[1].get_xydata(), [[6, -1.5]])
    band = ax.collections[0].get_paths()[0].vertices
    assert_allclose([band[band[:, 0] == 5, 1].min(), band[band[:, 0] == 5, 1].max()], [-3, -1])
    assert ax.lines[0].get_label() == "one, -7.5 in all"
    with pytest.raises(ValueError, match="expected a result of leave_future_out"):
        rl.plots.future({"one": elpd([-1.0], ["a"])})


def test_pareto_k_s_legend_counts_every_unit_once():
    k = [0.1, 0.7, 0.70001, np.nan, np.inf, -np.inf, 1.2, -0.2, np.inf, -np.inf]
    result = elpd([-1.0] * 10, [*"abcdefghij"], k=k, refitted=[6, 8])
    (ax,) = rl.plots.pareto_k(result).axes
    title, *entries = words(ax)
    assert title == "10 units, threshold 0.70"
    counts = {label: int(n) for label, n in (re.fullmatch(r"(.*): (\d+)", e).groups() for e in entries)}
    assert counts == {"reliable": 3, "not reliable": 3, "refitted": 2, "nothing approximated": 2}
    assert sum(counts.values()) == result.n
    drawn = np.concatenate([c.get_offsets() for c in ax.collections])
    assert len(drawn) == 8
    assert_allclose(drawn[np.isin(drawn[:, 0], [3, 4, 8]), 1], 1.1 * 1.2)  # at the top, in sight
    assert [t.get_text() for t in ax.texts] == ["c", "d: k nan", "e: k inf", "g", "i: k inf"]


def test_pareto_k_of_exact_refits_alone_is_drawn():
    cuts = elpd([-1.0, -2.0], ["a", "a"], k=[-np.inf, 0.4], refitted=[1], cut=[5, 6])
    every = rl.Elpd(cuts.elpd_i, cuts.pareto_k, cuts.refitted, p=np.nan, good_k=-np.inf, unit=cuts.unit)
    (ax,) = rl.plots.pareto_k(every).axes
    assert words(ax)[1:] == ["refitted: 1", "nothing approximated: 1"]
    assert not [line for line in ax.lines if len(line.get_xdata())]  # no threshold


def test_elpd_by_unit_marks_what_is_not_reliable():
    names = [*"abcd"]
    one = elpd([-1.0, -5.0, -3.0, -2.0], names, k=[0.1, 0.9, 0.2, 0.8], refitted=[3])
    other = elpd([-2.0, -2.0, -3.5, -1.0], names, k=[np.nan, 0.3, 0.2, 0.1])
    (ax,) = rl.plots.elpd_by_unit({"one": one, "other": other}).axes
    sure, unsure = ax.collections[1:3]
    assert_allclose(sure.get_offsets(), [[-1, 1], [0.5, 2]])  # d, which was refitted, and c
    assert_allclose(unsure.get_offsets(), [[-3, 0], [1, 3]])  # b, and a, whose k is no number
    assert np.allclose(unsure.get_facecolors(), to_rgba("white"))
    assert not np.allclose(sure.get_facecolors()[0], to_rgba("white"))
    assert words(ax)[1:] == ["not reliable, Pareto k above 0.70: 2 of 4"]
    (ax,) = rl.plots.elpd_by_unit({"one": elpd([-1.0, -5.0], [*"ab"]), "other": elpd([-2.0, -2.0], [*"ab"])}).axes
    assert ax.get_legend() is None


def test_comparison_marks_models_that_are_not_reliable():
    columns = {"elpd": [-10.0, -20.0, -30.0], "se": 1.0, "elpd_diff": [0.0, -10.0, -20.0], "dse": 2.0, "weight": 0.3}
    counts = {"k_bad": [3, 2, 0], "k_refitted": [0, 2, 0], "n": 40}
    table = pd.DataFrame(columns | counts, index=["rough", "mended", "sure"])
    figure = rl.plots.comparison(table)
    left, right = figure.axes
    for ax, at in ((left, -10), (right, 0)):
        (marks,) = (line for line in ax.lines if line.get_marker() == "D")
        assert_allclose(marks.get_xydata(), [[at, 0]])
        assert marks.get_markerfacecolor() == "white"
    assert [t.get_text() for t in left.get_yticklabels()] == ["rough\nk too high: 3 of 40", "mended", "sure"]
    assert "Pareto k" in words(figure)[1]
    assert not rl.plots.comparison(table.iloc[1:]).legends
