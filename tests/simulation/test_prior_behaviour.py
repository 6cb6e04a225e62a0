"""What priors say of behaviour: measures by hand, populations as the priors have them, and what is left out where."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

import rlpymc as rl
from rlpymc.model.priors import Beta, Normal
from rlpymc.population.people import people
from rlpymc.population.population import Population
from rlpymc.simulation.behaviour import behaviour
from rlpymc.simulation.prior_behaviour import _nobody_yet
from rlpymc.tasks import RLWM, Bandit, Choices, DriftingBandit, Prediction, Reversal, TwoStep
from tests.helpers.messages import assert_says, refusal

NAN = float("nan")
SMALL: dict[str, Any] = {"draws": 6, "n_subjects": 3, "n_trials": 20, "seed": 1}


def rows(**columns: Any) -> xr.Dataset:
    """Return trials of one subject, all scored, with a reset before the first; `columns` replace or add."""
    n = len(columns["action"])
    given = {"scored": np.ones(n, bool), "reset": np.arange(n) == 0, **columns}
    return xr.Dataset({k: (("subject", "trial"), np.asarray(v)[None]) for k, v in given.items()})


# ---------------------------------------------------------------- measures


def test_staying_and_shifting_by_hand() -> None:
    """Wins at 0, 1, 4: stay, shift, -; losses at 2, 3: shift, stay."""
    trials = rows(action=[0, 0, 1, 0, 0, 0], reward=[1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    found = behaviour(trials, "action", 0.5).by_subject
    assert_allclose(found["win_stay"], [2 / 3])
    assert_allclose(found["lose_shift"], [1 / 2])
    assert_allclose(found["stay"], [3 / 5])
    assert_allclose(found["reward"], [4 / 6])


def test_a_missed_choice_is_passed_over_and_hidden_outcomes_are_neither() -> None:
    trials = rows(action=[0, -1, 0, 1], reward=[1.0, NAN, NAN, 0.0], scored=[True, False, True, True])
    found = behaviour(trials, "action", 0.5).by_subject
    assert_allclose(found["win_stay"], [1.0])
    assert_allclose(found["lose_shift"], [NAN])
    assert_allclose(found["stay"], [0.5])


def test_forced_choices_are_not_counted_and_are_repeated() -> None:
    trials = rows(action=[0, 1, 1], reward=[0.0, 1.0, 0.0], scored=[True, False, True])
    found = behaviour(trials, "action", 0.5).by_subject
    assert_allclose([found["win_stay"][0], found["lose_shift"][0]], [1.0, NAN])
    assert_allclose(found["reward"], [0.0])


def test_nothing_is_repeated_over_a_reset() -> None:
    trials = rows(action=[0, 0, 0, 1], reward=[1.0] * 4, reset=[True, False, True, False], best=[1, 0, 1, 1])
    found = behaviour(trials, "action", 0.5)
    assert_allclose(found.by_subject["stay"], [0.5])
    assert_allclose(found.by_trial["accuracy"], [[1.0, 0.5]])
    assert_allclose(found.by_subject["accuracy"], [0.75])


@pytest.mark.parametrize("column", ["stimulus", "state"])
def test_a_choice_repeats_the_one_at_the_same_stimulus(column: str) -> None:
    trials = rows(action=[0, 1, 0, 0], reward=[1.0, 0.0, 0.0, 1.0], **{column: [0, 1, 0, 1]})
    found = behaviour(trials, "action", 0.5).by_subject
    assert_allclose([found["win_stay"][0], found["lose_shift"][0], found["stay"][0]], [1.0, 1.0, 0.5])


# ---------------------------------------------------------------- what was best


def test_what_was_best_in_each_task() -> None:
    params = {"alpha": 0.3, "beta": 1.0}
    few = rl.simulate("delta", Bandit([0.1, 0.9, 0.5], on_offer=2), params, 4, 30, 1, best=True)
    top = np.where(few["available"], [0.1, 0.9, 0.5], 0).argmax(axis=2)
    assert_array_equal(few["best"], few["action"] == top)
    by_trial = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5)
    moving = rl.simulate("delta", Bandit(by_trial), params, 4, 10, 1, best=True)
    assert_array_equal(moving["best"], moving["action"] == by_trial.argmax(axis=1))
    turned = rl.simulate("delta", Reversal((1.0, 0.0), every=5), params, 4, 20, 1, best=True)
    assert_array_equal(turned["best"], turned["reward"] == 1)
    found = rl.simulate("delta", Reversal((1.0, 0.0), criterion=3), params, 4, 40, 1, best=True)
    assert_array_equal(found["best"], found["reward"] == 1)
    drifting = DriftingBandit(2, sd=0.0, sd_drift=0.0, decay=1.0, start=[10.0, 60.0])
    assert_array_equal((found := rl.simulate("delta", drifting, params, 4, 9, 1, best=True))["best"], found["action"])
    learned = rl.simulate("rlwm", RLWM((2, 3)), {**RLWM_PARAMS, "capacity": 3}, 3, 30, 1, best=True)
    assert_array_equal(learned["best"], learned["reward"] == 1)


RLWM_PARAMS = dict.fromkeys(("alpha", "stick", "rho", "forget", "epsilon", "bias_wm", "bias_rl"), 0.2)


def test_what_was_best_changes_nothing_else() -> None:
    params, task = {"alpha": 0.3, "beta": 1.0}, Bandit([0.2, 0.8], missed=0.3)
    with_best = rl.simulate("delta", task, params, 4, 30, 1, best=True)
    xr.testing.assert_identical(with_best.drop_vars("best"), rl.simulate("delta", task, params, 4, 30, 1))
    assert not with_best["best"].values[with_best["action"].values < 0].any()


def test_a_task_that_does_not_say_what_is_best_is_refused() -> None:
    params = {"alpha": 0.3, "beta": 1.0}
    first = rl.simulate("delta", Bandit([0.2, 0.8]), params, 2, 3, 1)
    assert_says(
        refusal(rl.simulate, "biased_random", Choices(2), {"bias": [0.0]}, 2, 3, best=True), "Choices", "is_best"
    )
    given = {"first_rows": first, "best": True}
    assert_says(
        refusal(rl.simulate, "delta", Bandit([0.2, 0.8]), params, 2, 3, **given), "first_rows", "leave out best"
    )


# ---------------------------------------------------------------- people


def test_people_are_as_the_priors_have_them() -> None:
    """On the unbounded scale a subject's value has the variance of its prior, two thirds of it between groups."""
    model = rl.get_model("delta")
    data = _nobody_yet(model, Bandit([0.2, 0.8]), 50)
    drawn = people(Population().effects(data), 4000, 50, np.random.default_rng(1))
    for name, prior, link in (("alpha", Beta(1.1, 1.1), special.logit), ("beta", stats.gamma(2, scale=2), np.log)):
        law = prior if hasattr(prior, "ppf") else prior.scipy()
        low, middle, high = link(law.ppf([0.16, 0.5, 0.84]))
        u, width = link(drawn[name]), (high - low) / 2
        assert drawn[name].shape == (4000, 50)
        assert_allclose(np.median(u), middle, atol=0.05 * width)
        assert_allclose(u.var() / width**2, 1.0, rtol=0.05)
        assert_allclose(u.var(axis=1, ddof=1).mean() / width**2, 0.36, rtol=0.06)


def test_people_have_whole_numbers_and_equal_parameters() -> None:
    model = rl.get_model("rlwm")
    data, pair = _nobody_yet(model, RLWM(), 5), [("bias_wm", "bias_rl")]
    drawn = people(Population(coupled=pair).effects(data), 400, 5, np.random.default_rng(1))
    assert set(np.unique(drawn["capacity"])) == {2.0, 3.0, 4.0, 5.0}
    assert_allclose(drawn["capacity"].mean(), 3.5, atol=0.15)
    assert_array_equal(drawn["bias_rl"], drawn["bias_wm"])
    known = people(Population("none").effects(data), 400, 5, np.random.default_rng(1))
    assert_allclose(known["capacity"].mean(), 3.5, atol=0.15)


def test_groups_differ_in_their_whole_numbers() -> None:
    data = _nobody_yet(rl.get_model("rlwm"), RLWM(), 200)
    drawn = people(Population().effects(data), 50, 200, np.random.default_rng(1))["capacity"]
    assert drawn.mean(axis=1).std() > 3 * drawn.std() / np.sqrt(200)


# ---------------------------------------------------------------- the whole


def test_what_comes_back() -> None:
    found = rl.prior_predictive("delta", Bandit([0.2, 0.8]), **SMALL)
    for name in ("accuracy", "win_stay", "lose_shift", "stay", "reward"):
        assert found[name].dims == ("draw", "subject")
        assert found[name].shape == (6, 3)
    assert found["accuracy_by_trial"].dims == ("draw", "trial")
    assert_allclose(found["accuracy_by_trial"].mean("trial"), found["accuracy"].mean("subject"))
    assert_allclose(found["reward_by_trial"].mean("trial"), found["reward"].mean("subject"))
    assert found.attrs == {"model": "delta", "task": "Bandit"}


def test_presets_stand_side_by_side_on_the_same_random_numbers() -> None:
    task = Bandit([0.2, 0.8])
    both = rl.prior_predictive("delta", task, priors=["wide", "hbayesdm"], **SMALL)
    assert both["preset"].values.tolist() == ["wide", "hbayesdm"]
    for name in ("wide", "hbayesdm"):
        one = rl.prior_predictive("delta", task, priors=name, **SMALL)
        xr.testing.assert_equal(both.sel(preset=name, drop=True), one)
    assert not both["accuracy"].isel(preset=0).equals(both["accuracy"].isel(preset=1))


def test_the_same_seed_gives_the_same_result() -> None:
    first, second = (rl.prior_predictive("delta", Bandit([0.2, 0.8]), **SMALL) for _ in range(2))
    xr.testing.assert_identical(first, second)
    other = rl.prior_predictive("delta", Bandit([0.2, 0.8]), **{**SMALL, "seed": 2})
    assert not other.equals(first)


def test_priors_decide_behaviour() -> None:
    """Whoever learns nothing chooses at random; whoever learns at once and chooses greedily repeats what was won."""
    task, options = Bandit([0.0, 1.0]), {**SMALL, "n_trials": 200, "fixed": {"beta": 8.0}}
    narrow = {"alpha_sigma": rl.priors.HalfNormal(0.01)}
    idle = rl.prior_predictive("delta", task, priors={"alpha_mu": Normal(-30.0, 0.1), **narrow}, **options)
    quick = rl.prior_predictive("delta", task, priors={"alpha_mu": Normal(8.0, 0.1), **narrow}, **options)
    assert_allclose(idle["accuracy"].mean(), 0.5, atol=0.05)
    assert quick["accuracy"].min() > 0.9
    assert quick["win_stay"].min() > 0.95


@pytest.mark.parametrize(
    ("model", "task", "there"),
    [
        ("choice_kernel", Choices(2), {"stay"}),
        ("two_step_hybrid", TwoStep(), {"stay", "win_stay", "lose_shift", "reward", "reward_by_trial"}),
        ("biased_random", Reversal(every=5), None),
        ("rlwm", RLWM((2, 3)), None),
    ],
    ids=["no rewards", "nothing is best", "reversal", "rlwm"],
)
def test_what_is_left_out_where(model: str, task: Any, there: set[str] | None) -> None:
    found = rl.prior_predictive(model, task, **SMALL)
    everything = {"stay", "win_stay", "lose_shift", "reward", "accuracy", "reward_by_trial", "accuracy_by_trial"}
    assert set(found.data_vars) == (there or everything)


def test_a_win_lies_above_the_middle_of_what_can_be_won() -> None:
    """Payoffs of 40 are losses where up to 100 can be won, and wins where the range is unknown."""
    options: dict[str, Any] = {"sd": 0.0, "sd_drift": 0.0, "decay": 1.0, "start": 40.0}
    limited = rl.prior_predictive("delta", DriftingBandit(2, **options), **SMALL)
    assert np.isnan(limited["win_stay"]).all()
    assert np.isfinite(limited["lose_shift"]).all()
    free = rl.prior_predictive("delta", DriftingBandit(2, limits=None, **options), **SMALL)
    assert np.isfinite(free["win_stay"]).all()
    assert np.isnan(free["lose_shift"]).all()


def test_as_many_trials_as_the_task_is_described_for() -> None:
    options = {k: v for k, v in SMALL.items() if k != "n_trials"}
    found = rl.prior_predictive("delta", Bandit([0.2, 0.8], n_trials=7), **options)
    assert found.sizes["trial"] == 7


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"priors": "match"}, ("'match'", "Did you mean 'matched'?")),
        ({"priors": []}, ("priors: found []", "one or more")),
        ({"priors": ["wide", "wide"]}, ("'wide', 'wide'", "each once")),
        ({"draws": 0}, ("draws: found 0", "at least 1")),
        ({"n_subjects": 1.5}, ("n_subjects: found 1.5",)),
        ({"seed": -1}, ("seed: found -1",)),
        ({"priors": {"alpha": Normal(0.5, 1.0)}}, ("'alpha'", "outside its support")),
        ({"model": "delta+stickiness", "priors": "hbayesdm"}, ("'stickiness'", "fixed=")),
        ({"model": "delta_prediction", "task": Prediction()}, ("choices", "'prediction'", "simulate")),
    ],
    ids=", ".join,
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    options = {"model": "delta", "task": Bandit([0.2, 0.8]), **SMALL, **changes}
    assert_says(refusal(rl.prior_predictive, **options), *parts)


def test_what_is_no_task_is_named() -> None:
    assert_says(refusal(rl.prior_predictive, "delta", "bandit", error=TypeError), "task: found str", "Bandit")
