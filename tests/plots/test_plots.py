"""Figures show what they say: marks, curves and lines are where the numbers are."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal
from tests.helpers.results import elpd

mpl.use("Agg")
TRUTH = {"alpha": 0.4, "beta": 3.0}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trials():
    return rl.simulate("delta", rl.tasks.Bandit(probs=(0.2, 0.8), block_length=20), TRUTH, 4, 40, seed=1)


@pytest.fixture(scope="module")
def prediction(trials):
    """A prediction in which every draw is the observed choice, but for the first."""
    drawn = np.repeat(trials["action"].values[None], 5, axis=0)
    drawn[0] = 1 - drawn[0]
    out = trials.assign(
        action=(("sample", "subject", "trial"), drawn), observed=trials["action"], right=trials["action"] * 0 + 1
    )
    return out.assign_attrs(response="action", kind="one_step", model="delta", facts={"n_actions": 2})


def fake_fit():
    rng = np.random.default_rng(0)
    subject = ["a", "b", "c"]
    posterior = xr.Dataset(
        {
            "alpha_group": (("chain", "draw"), rng.normal(0.3, 0.01, (2, 50))),
            "alpha_mu": (("chain", "draw"), rng.normal(-1, 0.1, (2, 50))),
            "alpha_z": (("chain", "draw", "subject"), rng.normal(size=(2, 50, 3))),
            "alpha": (("chain", "draw", "subject"), rng.normal([0.1, 0.5, 0.3], 0.01, (2, 50, 3))),
        },
        coords={"chain": [0, 1], "draw": np.arange(50), "subject": subject},
    )
    return xr.DataTree.from_dict({"posterior": posterior})


def dots(figure):
    """Return the number of filled and of open markers of a figure's scatter plots and marker lines."""
    filled = hollow = 0
    for ax in figure.axes[:1]:
        for collection in ax.collections:
            if len(collection.get_offsets()) and collection.get_facecolors().size:
                white = np.allclose(collection.get_facecolors()[0], to_rgba("white"))
                hollow, filled = (
                    hollow + white * len(collection.get_offsets()),
                    filled + (not white) * len(collection.get_offsets()),
                )
        for line in ax.lines:
            if line.get_marker() not in ("None", None, "") and len(line.get_xdata()):
                white = np.allclose(to_rgba(line.get_markerfacecolor()), to_rgba("white"))
                hollow, filled = hollow + white * len(line.get_xdata()), filled + (not white) * len(line.get_xdata())
    return filled, hollow


@pytest.mark.parametrize("centred", [True, False])
def test_trial_values_mark_every_choice_by_its_outcome(trials, centred):
    figure = rl.plots.trial_values("delta", trials, TRUTH, subject=2, centred=centred)
    rewarded = int((trials["reward"].values[2] > 0).sum())
    assert dots(figure) == (rewarded, 40 - rewarded)


def test_trial_values_leave_missed_trials_unmarked(trials):
    missed = trials.copy(deep=True)
    missed["action"].values[0, 5] = -1
    for name in ("scored", "learned"):
        missed[name].values[0, 5] = False
    assert sum(dots(rl.plots.trial_values("delta", missed, TRUTH))) == 39


def values_by_hand(trials, subject):
    """Return the values before each choice, (trial, action), by a plain loop."""
    q, before = np.zeros(2), []
    columns = (trials[name].values[subject] for name in ("reset", "action", "reward"))
    for reset, action, reward in zip(*columns, strict=True):
        q = np.zeros(2) if reset else q
        before.append(q.copy())
        q[action] += TRUTH["alpha"] * (reward - q[action])
    return np.array(before)


def test_trial_values_are_those_before_the_choice(trials):
    upper, lower = rl.plots.trial_values("delta", trials, TRUTH, subject=1, centred=False).axes
    q, action = values_by_hand(trials, 1), trials["action"].values[1]
    for k in (0, 1):
        assert_allclose(upper.lines[k].get_ydata(), q[:, k], atol=1e-12)
    marks = np.concatenate([c.get_offsets() for c in upper.collections if "rewarded" in c.get_label()])
    marks = marks[np.argsort(marks[:, 0])]
    assert_allclose(marks[:, 1], q[np.arange(40), action], atol=1e-12)
    assert_allclose(lower.lines[0].get_ydata(), np.exp(trials["log_prob"].values[1]))
    restarts = [segment[0, 0] for c in lower.collections for segment in c.get_segments()]
    assert restarts == [19.5]


def test_centred_values_lie_around_the_row_of_their_action(trials):
    upper = rl.plots.trial_values("delta", trials, TRUTH, subject=1).axes[0]
    q = values_by_hand(trials, 1)
    for k in (0, 1):
        assert_allclose(upper.lines[k].get_ydata(), k + 0.4 * q[:, k] / np.abs(q).max(), atol=1e-12)
    rewarded = next(c for c in upper.collections if c.get_label() == "rewarded").get_offsets()
    won = trials["reward"].values[1] > 0
    assert_allclose(rewarded, np.stack([np.flatnonzero(won), trials["action"].values[1][won]], axis=1))


def test_a_learner_without_values_is_shown_by_its_probabilities(trials):
    params = {"alpha_kernel": 0.3, "beta_kernel": 2.0}
    upper = rl.plots.trial_values("choice_kernel", trials, params, centred=False).axes[0]
    assert_allclose(upper.lines[0].get_ydata() + upper.lines[1].get_ydata(), 1)
    assert upper.get_ylabel() == "probability of the action"


def test_trial_values_of_an_unknown_subject_are_refused(trials):
    with pytest.raises(ValueError, match="unknown subject 9"):
        rl.plots.trial_values("delta", trials, TRUTH, subject=9)


def test_learning_curve_is_the_mean_over_people(prediction):
    figure = rl.plots.learning_curve(prediction, target="right", bins=20)
    observed = next(c for c in figure.axes[0].containers).lines[0].get_ydata()
    by_position = (prediction["observed"].values == 1).reshape(4, 2, 20).mean(axis=(0, 1))
    assert_allclose(observed, by_position)
    predicted = next(line for line in figure.axes[0].lines if line.get_marker() in ("None", None, ""))
    assert_allclose(predicted.get_ydata(), 0.8 * by_position + 0.2 * (1 - by_position))


def test_learning_curve_errors_interval_and_bins(prediction):
    some = prediction.copy(deep=True)
    some["scored"].values[0, :5] = False
    some["action"].values[:] = np.random.default_rng(0).integers(2, size=some["action"].shape)
    ax = rl.plots.learning_curve(some, target=1, bins=4).axes[0]

    scored = some["scored"].values.reshape(4, 2, 4, 5)  # (subject, block, bin, trial)
    n = scored.sum(axis=(1, 3))
    observed = ((some["observed"].values == 1).reshape(scored.shape) & scored).sum(axis=(1, 3)) / n
    drawn = ((some["action"].values == 1).reshape(5, *scored.shape) & scored).sum(axis=(2, 4)) / n
    points, _, (bars,) = ax.containers[0].lines
    assert_allclose(points.get_ydata(), observed.mean(axis=0))
    error = observed.std(axis=0, ddof=1) / 2  # of 4 people
    assert_allclose([s[1, 1] - s[0, 1] for s in bars.get_segments()], 2 * error)
    assert_allclose(points.get_xdata()[1:], [7, 12, 17])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    low, high = np.quantile(drawn.mean(axis=1), [0.03, 0.97], axis=0)
    assert_allclose([band.min(), band.max()], [low.min(), high.max()])


def test_learning_curve_has_one_curve_for_each_action(prediction):
    figure = rl.plots.learning_curve(prediction)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert {"action 0", "action 1"} <= set(labels)


@pytest.mark.parametrize(("target", "message"), [("rigth", "Did you mean 'right'"), (7, "unknown action 7")])
def test_learning_curve_of_an_unknown_target_is_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        rl.plots.learning_curve(prediction, target=target)


def test_posterior_draws_the_reference_where_it_is():
    figure = rl.plots.posterior(fake_fit(), var_names=["alpha_group"], reference={"alpha_group": 0.31})
    at = [line.get_xdata()[0] for ax in figure.axes for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert any(np.isclose(x, 0.31) for x in at)


def test_traces_leave_raw_effects_out():
    figure = rl.plots.traces(fake_fit())
    text = " ".join(t.get_text() for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label))
    assert "alpha_group" in text
    assert "_z" not in text


def test_population_sorts_people_by_their_mean():
    figure = rl.plots.population(fake_fit())
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels in (["a", "c", "b"], ["b", "c", "a"])


def test_population_draws_means_intervals_and_the_group():
    fit = fake_fit()
    ax = rl.plots.population(fit).axes[0]
    draws = fit["posterior"].to_dataset()
    means = np.sort(draws["alpha"].mean(("chain", "draw")).values)
    people, group = ax.lines
    assert_allclose(people.get_xdata(), means)
    assert_allclose(group.get_xdata(), draws["alpha_group"].values.mean())
    intervals = [s[:, 0] for s in ax.collections[0].get_segments()]
    assert_allclose(intervals[0], np.quantile(draws["alpha"].sel(subject="a"), [0.03, 0.97]))
    with pytest.raises(ValueError, match="no parameter by subject"):
        rl.plots.population(xr.DataTree.from_dict({"posterior": draws[["alpha_group"]]}))


def test_posterior_of_an_unknown_variable_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'alpha_group'"):
        rl.plots.posterior(fake_fit(), var_names=["alpha_grop"])
    with pytest.raises(ValueError, match="unknown variable 'beta'"):
        rl.plots.posterior(fake_fit(), reference={"beta": 1})


# ---------------------------------------------------------------- calibration


@pytest.fixture(scope="module")
def one_step():
    """Predictions of two options with probabilities 0.2 and 0.6 for the second, which are true but for the last."""
    rng = np.random.default_rng(0)
    p = np.where(np.arange(2000) < 1000, 0.2, 0.6)[None].repeat(2, axis=0)
    observed = (rng.random(p.shape) < p).astype(int)
    observed[:, 1000:] = rng.random((2, 1000)) < 0.9
    probs = np.stack([1 - p, p], axis=-1)
    return xr.Dataset(
        {
            "action_probs": (("sample", "subject", "trial", "option"), np.stack([probs + 0.1, probs - 0.1])),
            "observed": (("subject", "trial"), observed),
            "scored": (("subject", "trial"), np.ones(p.shape, dtype=bool)),
        },
        coords={"subject": ["a", "b"], "trial": np.arange(2000)},
        attrs={"response": "action", "kind": "one_step"},
    )


def test_calibration_holds_shares_against_probabilities(one_step):
    (ax,) = rl.plots.calibration(one_step, bins=2).axes
    observed = one_step["observed"].values
    dots = next(line for line in ax.lines if line.get_label() == "observed").get_xydata()
    assert_allclose(dots, [[0.2, observed[:, :1000].mean()], [0.6, observed[:, 1000:].mean()]])
    band = ax.collections[0].get_paths()[0].vertices
    at = band[np.isclose(band[:, 0], 0.2), 1]
    half = 1.8807936 * np.sqrt(0.2 * 0.8 / 2000)
    assert_allclose([at.min(), at.max()], [0.2 - half, 0.2 + half], rtol=1e-6)
    assert at.min() < dots[0, 1] < at.max()
    assert dots[1, 1] > band[np.isclose(band[:, 0], 0.6), 1].max()


def test_calibration_leaves_out_what_is_predicted(one_step):
    seen = one_step["observed"].values
    chosen = np.where(seen == 1, 0.3, 0.7)  # the second option has probability 0.3 throughout
    loo = elpd(np.log(chosen).ravel(), np.repeat(["a", "b"], 2000), trial=np.tile(np.arange(2000), 2))
    loo.elpd_i.coords["response"] = ("unit", np.full(4000, "action"))
    by_trial = rl.Elpd(loo.elpd_i, loo.pareto_k, loo.refitted, 1.0, 0.7, "trial")
    (ax,) = rl.plots.calibration(one_step, by_trial, bins=1).axes
    dots = next(line for line in ax.lines if line.get_label() == "observed").get_xydata()
    assert_allclose(dots, [[0.3, seen.mean()]])
    assert "not reliable" not in " ".join(t.get_text() for t in ax.get_legend().get_texts())
    k, refitted = by_trial.pareto_k.copy(), by_trial.refitted.copy()
    k[[3, 5, 7]], refitted[7] = [0.9, np.nan, 1.2], True
    (ax,) = rl.plots.calibration(one_step, rl.Elpd(loo.elpd_i, k, refitted, 1.0, 0.7, "trial"), bins=1).axes
    words = [t.get_text() for t in ax.get_legend().get_texts()]
    assert words[-1] == "not reliable, Pareto k above 0.70: 2 of 4000"
    with pytest.raises(ValueError, match="expected by trial"):
        rl.plots.calibration(one_step, loo)


def test_calibration_of_more_options_takes_all_of_them(one_step):
    three = one_step.isel(trial=slice(4)).copy(deep=True)
    probs = np.broadcast_to([0.5, 0.3, 0.2], (2, 2, 4, 3))
    three["action_probs"] = (("sample", "subject", "trial", "option_"), probs)
    three["scored"].values[0, 0] = False
    (ax,) = rl.plots.calibration(three, bins=3).axes
    dots = next(line for line in ax.lines if line.get_label() == "observed").get_xydata()
    counted = three["observed"].values[three["scored"].values]
    assert_allclose(dots, [[p, (counted == k).mean()] for k, p in ((2, 0.2), (1, 0.3), (0, 0.5))])


def test_calibration_without_probabilities_is_refused(one_step):
    with pytest.raises(ValueError, match="kind='one_step'"):
        rl.plots.calibration(one_step.drop_vars("action_probs"))
    with pytest.raises(ValueError, match="bins: found 0"):
        rl.plots.calibration(one_step, bins=0)


def bars(ax):
    """Return heights and error bars (low, high) by label of the bars."""
    found = {}
    for container in ax.containers:
        if hasattr(container, "patches"):
            (segments,) = container.errorbar.lines[2]
            heights = [patch.get_height() for patch in container.patches]
            found[container.get_label()] = heights, [tuple(s.reshape(-1, 2)[:, 1]) for s in segments.get_segments()]
    return found


@pytest.fixture
def two_step():
    """Two people, ten trials; the trials are counted out in the tests."""
    columns = {
        "action1": [[0, 0, 1, 1, 1, 0, 0, 0, -1, 0], [0, 1, 1, 1, 0, 0, 0, 1, 1, 1]],
        "state2": [[0, 1, 1, 1, 0, 0, 0, 1, -1, 0], [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]],
        "reward": [[1, 1, 0, 1, 0, 0, 1, 0, np.nan, 1], [1, 0, 1, 0, 1, 1, 0, np.nan, 1, 0]],
    }
    trials = xr.Dataset({k: (("subject", "trial"), np.array(v)) for k, v in columns.items()})
    reset = np.zeros((2, 10), dtype=bool)
    reset[:, 0] = reset[0, 6] = True
    there = np.ones((2, 10), dtype=bool)
    scored = np.stack([trials["action1"].values >= 0, there], axis=2)
    scored[1, 7, 1] = False  # the second response is missing: the first counts
    trials = trials.assign(exists=(("subject", "trial"), there), reset=(("subject", "trial"), reset))
    return trials.assign(scored=(("subject", "trial", "response"), scored))


def test_stay_probabilities_by_reward_and_transition(two_step):
    # Person 0, trials 1 to 9 after the one before: common and rewarded 0 -> 0 stays, 3 -> 4 stays, 6 -> 7 stays (5 -> 6
    # is a reset); rare and rewarded 1 -> 2 leaves; common and unrewarded 2 -> 3 stays; rare and unrewarded 4 -> 5
    # leaves, 7 -> 8 has no action; 8 -> 9 follows none.
    # Person 1: common and rewarded 0 -> 1 leaves, 4 -> 5 stays; common and unrewarded 1 -> 2 stays, 3 -> 4 leaves,
    # 6 -> 7 leaves; rare and rewarded 2 -> 3 stays, 5 -> 6 stays, 8 -> 9 stays; 7 -> 8 follows a missing response.
    found = bars(rl.plots.stay_probabilities(two_step).axes[0])
    heights, errors = found["common"]
    assert_allclose(heights, [(1 + 1 / 2) / 2, (1 + 1 / 3) / 2])
    assert_allclose(errors, [(0.5, 1.0), (1 / 3, 1.0)])  # of two, the standard error is half the difference
    assert_allclose(found["rare"][0], [0.5, 0.0])  # person 1 has no unrewarded rare transition
    assert_allclose(found["rare"][1][0], (0.0, 1.0))


def test_stay_probabilities_of_predictions(two_step):
    many = two_step.expand_dims(sample=4)
    free_run = many.assign_attrs(kind="free_run")
    heights, errors = bars(rl.plots.stay_probabilities(free_run).axes[0])["common"]
    assert_allclose(heights, [3 / 4, 2 / 3])
    assert_allclose(errors, [(3 / 4, 3 / 4), (2 / 3, 2 / 3)])  # all draws agree

    drawn = np.repeat(two_step["action1"].values[None], 4, axis=0)
    drawn[0] = np.where(drawn[0] >= 0, 1 - drawn[0], -1)  # one draw in four does the contrary
    one_step = two_step.assign(
        observed_action1=two_step["action1"], action1=(("sample", "subject", "trial"), drawn)
    ).assign_attrs(kind="one_step")
    one_step["scored"] = two_step["scored"][..., 0]
    heights, errors = bars(rl.plots.stay_probabilities(one_step).axes[0])["common"]
    assert_allclose(heights, [(3 * 3 / 4 + 1 / 4) / 4, (3 * 2 / 3 + 1 / 3) / 4])
    assert_allclose(errors[0], np.quantile([1 / 4, 3 / 4, 3 / 4, 3 / 4], [0.03, 0.97]))
    with pytest.raises(ValueError, match="yoked"):
        rl.plots.stay_probabilities(one_step.assign_attrs(kind="yoked"))
    with pytest.raises(ValueError, match="unknown column of the trials 'state2'"):
        rl.plots.stay_probabilities(two_step.drop_vars("state2"))


@pytest.fixture
def pictures():
    """Two people, a block of one picture and one of two; person 1 lacks the last trial and missed one."""
    columns = {
        "stimulus": [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]],
        "set_size": [[1, 1, 2, 2, 2, 2], [1, 1, 2, 2, 2, 2]],
        "action": [[1, 2, 0, 0, 1, 0], [0, 2, 1, -1, 0, -1]],
        "right": [[2, 2, 0, 1, 1, 0], [2, 2, 1, 0, 0, 1]],
    }
    trials = xr.Dataset({k: (("subject", "trial"), np.array(v)) for k, v in columns.items()})
    scored, reset = trials["action"].values >= 0, np.zeros((2, 6), dtype=bool)
    reset[:, [0, 2]] = True
    exists = np.ones((2, 6), dtype=bool)
    exists[1, 5] = False
    masks = {"exists": exists, "scored": scored, "learned": scored, "reset": reset}
    reward = np.where(scored, trials["action"] == trials["right"], np.nan)
    return trials.assign(
        {"reward": (("subject", "trial"), reward)} | {k: (("subject", "trial"), v) for k, v in masks.items()}
    )


def curves(ax):
    """Return x and y of the lines by label of the errorbars or lines."""
    held = {c.get_label(): c.lines[0] for c in ax.containers}
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    return {k: (line.get_xdata(), line.get_ydata()) for k, line in (lines | held).items()}


@pytest.mark.parametrize("target", [None, "right"])
def test_set_size_curves_count_presentations(pictures, target):
    ax = rl.plots.set_size_curves(pictures, target=target).axes[0]
    found = curves(ax)
    assert list(found) == ["1", "2"]
    assert_allclose(found["1"], [[1, 2], [0.0, 1.0]])
    # two pictures, first time: person 0 right on trial 2, wrong on 3; person 1 right on 2, missed 3
    # second time: person 0 right on 4 and 5; person 1 right on 4 (the picture's second, the missed one included)
    assert_allclose(found["2"], [[1, 2], [(1 / 2 + 1) / 2, 1.0]])
    (segments,) = ax.containers[1].lines[2]
    assert_allclose(segments.get_segments()[0][:, 1], [0.5, 1.0])
    assert_allclose(curves(rl.plots.set_size_curves(pictures, target, presentations=1).axes[0])["2"], [[1], [3 / 4]])


def test_set_size_curves_of_predictions(pictures):
    drawn = np.repeat(pictures["action"].values[None], 4, axis=0)
    drawn[0] = np.where(drawn[0] >= 0, 3, -1)  # one draw in four is never right
    prediction = pictures.assign(action=(("sample", "subject", "trial"), drawn)).assign_attrs(kind="one_step")
    ax = rl.plots.set_size_curves(prediction, target="right").axes[0]
    assert_allclose(curves(ax)["2"], [[1, 2], [9 / 16, 3 / 4]])
    band = ax.collections[1].get_paths()[0].vertices[:, 1]
    low, high = np.quantile([[0, 0], [3 / 4, 1], [3 / 4, 1], [3 / 4, 1]], [0.03, 0.97], axis=0)
    assert_allclose([band.min(), band.max()], [low.min(), high.max()])
    with pytest.raises(ValueError, match="name the column with the right action"):
        rl.plots.set_size_curves(prediction)

    free_run = pictures.expand_dims(sample=3).assign_attrs(kind="free_run")
    assert_allclose(curves(rl.plots.set_size_curves(free_run).axes[0])["2"], [[1, 2], [3 / 4, 1.0]])
    with pytest.raises(ValueError, match=r"unknown column of the trials 'rigth'\. Did you mean 'right'"):
        rl.plots.set_size_curves(pictures, target="rigth")


def test_calibration_counts_what_was_on_offer():
    """Three options: one in six choices is no choice, and the rest are between two."""
    rng = np.random.default_rng(0)
    available = np.ones((1, 60, 3), dtype=bool)
    available[0, np.arange(60), rng.integers(3, size=60)] = False
    available[0, :10] = [True, False, False]
    probs = np.where(available, 1.0, 0.0) / available.sum(axis=2, keepdims=True)
    action = np.array([[rng.choice(3, p=p) for p in probs[0]]])
    ones = np.ones((1, 60), dtype=bool)
    prediction = xr.Dataset(
        {
            "action_probs": (("sample", "subject", "trial", "option"), probs[None]),
            "observed": (("subject", "trial"), action),
            "scored": (("subject", "trial"), ones),
            "available": (("subject", "trial", "option"), available),
        },
        attrs={"response": "action"},
    )
    x, share = rl.plots.calibration(prediction, bins=2).axes[0].lines[1].get_data()
    assert_allclose(x, 0.5)
    assert_allclose(share.mean(), 0.5)


def test_predictions_keep_what_was_on_offer():
    trials = rl.simulate("delta", rl.tasks.Bandit(probs=(0.2, 0.8)), TRUTH, 2, 10, seed=1)
    trials = trials.assign(available=(("subject", "trial", "option"), np.ones((2, 10, 2), dtype=bool)))
    model = rl.build("delta", trials)
    values = {
        "alpha": (("chain", "draw", "subject"), np.full((1, 2, 2), 0.3)),
        "beta": (("chain", "draw", "subject"), np.full((1, 2, 2), 2.0)),
    }
    fit = xr.DataTree.from_dict({"posterior": xr.Dataset(values, coords={"subject": trials["subject"].values})})
    assert "available" in rl.predict(model, fit, draws=2, seed=1)


TABLE = pd.DataFrame(
    {
        "subject": ["a"] * 4,
        "stimulus": [0] * 4,
        "set_size": [1] * 4,
        "action": [1, 2, 2, 2],
        "reward": [0, 1, 1, 1],
        "correct_action": [2] * 4,
        "best": [2] * 4,
        "word_action": ["right"] * 4,
    }
)


def test_targets_are_coded_as_the_actions_are():
    trials = rl.read_trials(TABLE, action_base=1)
    ax = rl.plots.set_size_curves(trials, target="correct_action").axes[0]
    assert_allclose(ax.containers[0].lines[0].get_ydata(), [0, 1, 1, 1])
    drawn = trials["action"].expand_dims(sample=2)
    prediction = trials.assign(action=drawn, observed=trials["action"]).assign_attrs(
        response="action", kind="one_step", model="delta", facts={"n_actions": 2}
    )
    ax = rl.plots.learning_curve(prediction, target="correct_action").axes[0]
    assert_allclose(ax.containers[0].lines[0].get_ydata(), [0, 1, 1, 1])
    assert_allclose(next(iter(ax.lines)).get_ydata(), [0, 1, 1, 1])


@pytest.mark.parametrize("target", ["best", "reward", "word_action"])
@pytest.mark.parametrize("draw", [rl.plots.set_size_curves, rl.plots.learning_curve])
def test_what_is_not_coded_as_actions_is_no_target(draw, target):
    trials = rl.read_trials(TABLE, action_base=1)
    trials = trials.assign(observed=trials["action"]).assign_attrs(response="action", facts={"n_actions": 2})
    message = refusal(draw, trials, target=target)
    assert_says(message, f"target '{target}'", "coded as the actions are", "correct_action", f"'{target}_action'")


def test_figures_show_the_labels_of_options():
    table = TABLE.assign(action=TABLE["action"].map({1: "left", 2: "right"})).drop(
        columns=["correct_action", "word_action"]
    )
    trials = rl.read_trials(table, actions=["left", "right"])
    prediction = trials.assign(action=trials["action"].expand_dims(sample=2), observed=trials["action"]).assign_attrs(
        response="action", kind="one_step", model="delta"
    )
    curve = rl.plots.learning_curve(prediction).axes[0].get_legend()
    assert {"left", "right"} <= {text.get_text() for text in curve.get_texts()}
    values = rl.plots.trial_values("delta", trials, {"alpha": 0.3, "beta": 2.0})
    assert [tick.get_text() for tick in values.axes[0].get_yticklabels()] == ["left", "right"]


def test_maps_of_a_grid_world_share_their_colours():
    task = rl.tasks.GridWorld(2, 3, goals=[(1, 2)])
    true, found = np.array([[0.0, 1.0, -2.0], [0.5, 0.0, 0.0]]), np.arange(6.0) / 10
    figure = rl.plots.grid_maps({"true": true, "found": found}, task)
    first, second = figure.axes[:2]
    assert [ax.get_title() for ax in (first, second)] == ["true", "found"]
    assert_array_equal(first.images[0].get_array(), true)
    assert_array_equal(second.images[0].get_array(), found.reshape(2, 3))
    assert {ax.images[0].get_clim() for ax in (first, second)} == {(-2.0, 2.0)}
    assert [(t.get_text(), *t.get_position()) for t in first.texts] == [("G", 2, 1)]
    with pytest.raises(ValueError, match=r"map 'found': found shape \(5,\), expected a finite number for each cell"):
        rl.plots.grid_maps({"true": true, "found": found[:5]}, task)
    with pytest.raises(ValueError, match="found none"):
        rl.plots.grid_maps({}, task)
