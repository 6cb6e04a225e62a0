"""What models and priors take for granted is held against the data before they are fitted, and mends work."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rlpymc as rl
from rlpymc.tasks import DriftingBandit, GridWorld, Prediction, TwoStep
from tests.helpers.messages import assert_says

P = {"alpha": 0.4, "beta": 2.5}


def doubts(function: Any, *args: Any, **options: Any) -> tuple[Any, list[str]]:
    """What a call returns, and the doubts about trials that it says."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = function(*args, **options)
    return found, [str(one.message) for one in said if issubclass(one.category, rl.TrialsWarning)]


def fit(*args: Any, **options: Any) -> tuple[Any, list[str]]:
    return doubts(rl.fit_mle, *args, progress=False, **options)


def bandit(rewards: list[float], n: int = 40) -> Any:
    rng = np.random.default_rng(1)
    table = {"subject": 1, "action": rng.integers(0, 2, n), "reward": rng.choice(rewards, n)}
    return rl.read_trials(pd.DataFrame(table))


# ---------------------------------------------------------------- a world that is another one


def world(common: float, n_subjects: int = 4, n_trials: int = 400) -> Any:
    """Model-based choices in a two-step world, of people who know it."""
    params = {"alpha1": 0.5, "alpha2": 0.6, "beta1": 6.0, "beta2": 4.0, "lam": 0.5, "w": 0.9, "stickiness": 0.0}
    return rl.simulate("two_step_hybrid", TwoStep(common), params | {"common": common}, n_subjects, n_trials, seed=1)


def test_a_two_step_world_that_leads_elsewhere_is_said_and_the_mend_works() -> None:
    trials = world(0.3)
    share = float((trials["state2"] == trials["action1"]).mean())
    wrong, said = fit("two_step_hybrid", trials, starts=4)
    mend = f"fixed={{'common': {share:.2f}}}"
    assert len(said) == 1
    assert_says(said[0], "'action1' and 'state2'", f"a share of {share:.2f} of 1600 trials", "common=0.7", mend)
    right, silent = fit("two_step_hybrid", trials, starts=4, **eval(f"dict({mend})"))
    assert not silent
    assert float(wrong.params["w"].mean()) < 0.5
    assert float(right.params["w"].mean()) == pytest.approx(0.9, abs=0.15)
    turned = trials.assign(state2=1 - trials["state2"])
    assert not fit("two_step_hybrid", turned, starts=1)[1]
    assert doubts(rl.build, "two_step_hybrid", trials)[1] == said
    assert doubts(rl.fit_em, "two_step_hybrid", trials, iterations=0)[1] == said


def test_a_two_step_world_as_assumed_is_not_said() -> None:
    trials = world(0.7, n_trials=100)
    assert not doubts(rl.build, "two_step_hybrid", trials)[1]
    assert not doubts(rl.build, "two_step_hybrid", world(0.3), free=("common",))[1]
    assert not doubts(rl.build, "two_step_hybrid", world(0.3).isel(trial=slice(3)))[1]  # three trials say little


def test_transitions_that_the_known_world_does_not_have_are_said() -> None:
    task = GridWorld(3, 3, features=np.eye(9)[:, :2].reshape(3, 3, 2), episode_length=6)
    trials = rl.simulate("soft_planner", task, {"w": np.array([0.8, -0.5])}, 2, 30, seed=1)
    assert not doubts(rl.build, "soft_planner", trials)[1]
    turned = trials.assign(next_state=8 - trials["next_state"])
    _, said = doubts(rl.build, "soft_planner", turned)
    assert len(said) == 1
    assert_says(said[0], "'next_state'", "facts['transitions']", "states=[...]")


# ---------------------------------------------------------------- outcomes that are not meant so


def test_outcomes_in_which_no_win_is_seen_are_said_and_the_mend_works() -> None:
    rewards = [-1, 0, 0, -1, 0, -1, -1, 0, 0, -1]
    actions, won = [0], [r == 0 for r in rewards]
    for t in range(len(rewards) - 1):
        actions.append(actions[-1] if won[t] else 1 - actions[-1])
    table = pd.DataFrame({"subject": 1, "action": actions, "reward": rewards})
    wrong, said = fit("wsls", rl.read_trials(table))
    assert float(wrong.params["epsilon"][0]) == pytest.approx(1.0, abs=1e-3)
    assert len(said) == 1
    assert_says(said[0], "'reward'", "found -1 to 0", "wsls", mend := "table['reward'] - (-0.5)")
    right, silent = fit("wsls", rl.read_trials(table.assign(reward=eval(mend, {"table": table}))))
    assert not silent
    assert float(right.params["epsilon"][0]) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("rewards", [[0, 1], [-1, 1], [1, 1], [0, 0]])
def test_wins_and_losses_that_are_told_apart_are_not_said(rewards: list[float]) -> None:
    assert not fit("wsls", bandit(rewards))[1]


def outcomes(level: float = 50.0, sd: float = 2.0) -> Any:
    """People who predict outcomes around a level, and start there."""
    params = {"alpha": 0.3, "sigma": 1.0, "v0": level}
    task = Prediction(sd=sd, hazard=0.0, bounds=(level - 1e-6, level + 1e-6))
    return rl.simulate("delta_prediction", task, params, 6, 40, seed=1)


def test_outcomes_far_from_where_learning_starts_are_said_and_the_mends_work() -> None:
    trials = outcomes()
    far, said = fit("delta_prediction", trials, starts=4)
    assert len(said) == 1
    assert_says(said[0], "'outcome'", "v0 = 0, where learning starts", "fixed={'v0': 5", mend := "free=('v0',)")
    assert_says(doubts(rl.build, "delta_prediction", trials)[1][0], "from 'prediction' alike", "then divide by", mend)
    assert_says(doubts(rl.build, "delta_prediction", outcomes(sd=1.0))[1][0], "priors={'v0': Normal(5")
    near, silent = fit("delta_prediction", trials, starts=4, **eval(f"dict({mend})"))
    assert not silent
    assert float((near.log_lik - far.log_lik).sum()) > 300
    shifted = trials.assign(outcome=trials["outcome"] - 50, prediction=trials["prediction"] - 50)
    assert not fit("delta_prediction", shifted, starts=1)[1]


def test_a_prior_that_does_not_reach_the_outcomes_is_said_and_the_mend_works() -> None:
    trials = outcomes(sd=1.0)
    _, said = doubts(rl.build, "delta_prediction", trials, free=("v0",))
    assert len(said) == 1
    assert_says(said[0], "'outcome'", "about 50", "the prior of v0, Normal(0, 1)", "priors={'v0': ...}")
    own = {"v0": rl.priors.Normal(50.0, 10.0)}
    assert not doubts(rl.build, "delta_prediction", trials, priors=own)[1]


@pytest.mark.parametrize(
    ("model", "column", "parameter"),
    [("delta", "reward", "beta"), ("delta_prediction", "outcome", "sigma"), ("gaussian", "prediction", "mu")],
)
def test_the_scale_of_every_column_that_a_prior_rests_on_is_checked(model: str, column: str, parameter: str) -> None:
    rng = np.random.default_rng(1)
    table = {"subject": 1, "action": rng.integers(0, 2, 40), "reward": 0.0, "outcome": 0.0, "prediction": 0.0}
    trials = rl.read_trials(pd.DataFrame(table))
    usual, large = trials[column] + rng.normal(size=40), trials[column] + 30 * rng.normal(size=40)
    assert not doubts(rl.build, model, trials.assign({column: usual}), pooling="none")[1]
    _, said = doubts(rl.build, model, trials.assign({column: large}), pooling="none")
    assert len(said) == 1
    assert_says(said[0], f"column {column!r}", parameter, "divide the column by about")


def test_points_far_from_the_start_of_values_are_said_before_every_fit() -> None:
    trials = bandit([40.0, 41.0])
    for found in (fit("delta", trials)[1], doubts(rl.build, "delta", trials, pooling="none")[1]):
        assert_says(found[0], "'reward'", "found 40 to 41", "q0 = 0", "fixed={'q0': 4")
    assert not fit("delta", trials, fixed={"q0": 40.5})[1]


def points(start: float) -> Any:
    """Choices of people who get 50 to 100 points and expect so many before the first trial."""
    task = DriftingBandit(4, center=75.0, sd_drift=4.0, sd=6.0, decay=0.97, limits=(50.0, 100.0))
    return rl.simulate("delta", task, {"alpha": 0.5, "beta": 0.15, "q0": start}, 6, 100, seed=1)


@pytest.mark.parametrize("start", [0.0, 75.0])
def test_points_on_another_scale_and_far_from_the_start_are_mended_wherever_people_started(start: float) -> None:
    trials = points(start)
    _, said = doubts(rl.build, "delta", trials)
    assert len(said) == 1
    assert_says(
        said[0], "found 50 to 100", "q0 = 0, where learning starts", "subtract ", "then divide by 25", "free=('q0',)"
    )
    middle, half = (float(said[0].partition(word)[2].split()[0].strip(",")) for word in ("subtract ", "divide by "))
    mended = trials.assign(reward=(trials["reward"] - middle) / half)
    assert not doubts(rl.build, "delta", mended, free=("q0",))[1]

    def log_lik(data: Any, **options: Any) -> float:
        return float(fit("delta", data, starts=3, **options)[0].log_lik.sum())

    best = log_lik(trials, fixed={"q0": start})
    assert log_lik(mended, free=("q0",)) > best - 0.01
    halves = [log_lik(trials.assign(reward=trials["reward"] / half)), log_lik(mended)]
    assert min(halves) < best - 50  # of dividing alone, and of not freeing q0, one is far off for these people


@pytest.mark.parametrize(
    ("rewards", "far"), [([0, 1], 0), ([1, 1, 0], 0), ([-1, 1], 0), ([0.3, 1.3, 1.3], 0), ([3, 4], 1), ([2, 2.9], 1)]
)
def test_a_start_is_far_where_it_is_more_than_a_range_away(rewards: list[float], far: int) -> None:
    assert len(fit("delta", bandit(rewards), starts=1)[1]) == far


def test_what_is_in_units_of_another_parameter_does_not_follow_the_column() -> None:
    _, said = doubts(rl.build, "kalman", points(75.0))
    assert len(said) == 1
    assert_says(said[0], "the priors of center, beta", "sd_drift and sd0: in units of sd_obs, held at 1, whatever")
    units = {p["name"]: p["units"] for p in rl.get_model("kalman").card["parameters"]}
    assert units["sd_drift"] == units["sd0"] == "sd_obs"
    held = {"decay": 0.9, "center": 0.0, "mu0": 0.0, "sd_drift": 0.7, "beta": 1.0}
    trials = points(75.0)
    terms = [rl.log_prob("kalman", trials, held).sum()]
    scaled = {**held, "beta": 25.0}  # rewards, and what is in units of them, on another scale; sd_drift as it was
    terms.append(rl.log_prob("kalman", trials.assign(reward=trials["reward"] / 25), scaled).sum())
    assert float(terms[0]) == pytest.approx(float(terms[1]))
