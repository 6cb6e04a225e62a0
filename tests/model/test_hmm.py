"""Learners in a hidden Markov model: the forward algorithm is the sum over all hidden paths."""

import itertools
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

import rlpymc as rl
from rlpymc.tasks import Bandit
from tests.helpers.messages import assert_says, refusal

NAN = float("nan")
ACTION = np.array([0, 1, 1, 0, 2, 1, 0])
REWARD = np.array([1.0, 0.0, 1.0, -0.5, 0.5, 1.0, 0.0])
TWO = {"alpha": 0.4, "beta": 3.0, "leave": [0.2, 0.35], "engaged0": 0.7, "bias": [[0.6, -0.8]]}
THREE = TWO | {"leave": [0.2, 0.35, 0.6], "bias": [[0.6, -0.8], [-1.5, 0.4]]}


def trials(**columns: Any) -> xr.Dataset:
    """Return one subject, seven trials, three actions."""
    table = {"subject": "a", "action": ACTION.astype(float), "reward": REWARD} | columns
    return rl.read_trials(pd.DataFrame(table), facts={"n_actions": 3})


def log_prob(data: xr.Dataset, params: dict[str, Any], backend: str = "fused") -> np.ndarray:
    name = "hmm(delta)" if len(params["leave"]) == 2 else f"hmm(delta, n_states={len(params['leave'])})"
    return rl.log_prob(name, data, params, backend=backend).values[0]


def all_paths(params: dict[str, Any], scored: np.ndarray, made: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Return the log probability of each choice given those before it, by summing over every hidden path.

    The probability of the first n choices is a sum over paths of n hidden states: that of the path, times that of each
    scored choice in its state.  The hidden state changes with each choice that is made.
    """
    n, leave = len(ACTION), np.asarray(params["leave"])
    k = len(leave)
    move = np.array([[1 - leave[i] if i == j else leave[i] / (k - 1) for j in range(k)] for i in range(k)])
    first = np.array([params["engaged0"]] + [(1 - params["engaged0"]) / (k - 1)] * (k - 1))
    q, chance = np.zeros(3), np.ones((n, k))
    for t in range(n):
        engaged = special.softmax(params["beta"] * q)
        lapsed = [special.softmax([0.0, *row]) for row in params["bias"]]
        if scored[t]:
            chance[t] = [engaged[ACTION[t]], *(probs[ACTION[t]] for probs in lapsed)]
        if learned[t]:
            q[ACTION[t]] += params["alpha"] * (REWARD[t] - q[ACTION[t]])
    totals = [0.0]
    for length in range(1, n + 1):
        total = 0.0
        for path in itertools.product(range(k), repeat=length):
            weight = first[path[0]]
            for t in range(length):
                if t:
                    weight *= move[path[t - 1], path[t]] if made[t - 1] else float(path[t - 1] == path[t])
                weight *= chance[t, path[t]]
            total += weight
        totals.append(np.log(total))
    return np.diff(totals)


refused = partial(refusal, rl.get_model)


# ---------------------------------------------------------------- the forward algorithm


ALL = np.ones(7, dtype=bool)


@pytest.mark.parametrize("backend", ["fused", pytest.param("scan", marks=pytest.mark.slow)])
@pytest.mark.parametrize("params", [TWO, THREE], ids=["two states", "three states"])
def test_the_likelihood_is_the_sum_over_all_hidden_paths(params: dict[str, Any], backend: str) -> None:
    wanted = all_paths(params, ALL, ALL, ALL)
    assert_allclose(log_prob(trials(), params, backend), wanted, rtol=0, atol=1e-12)
    other = params | {"leave": params["leave"][::-1]}
    assert (abs(log_prob(trials(), other)[1:] - wanted[1:]) > 1e-4).all()


@pytest.mark.parametrize("params", [TWO, THREE], ids=["two states", "three states"])
def test_with_forced_missed_and_hidden_trials_it_is_still_the_sum(params: dict[str, Any]) -> None:
    """Trial 1 is forced, 2 has no feedback, 4 is missed, 5 is forced and without feedback."""
    t = np.arange(7)
    scored, made, learned = ~np.isin(t, [1, 4, 5]), t != 4, ~np.isin(t, [2, 4, 5])
    columns = {"action": np.where(made, ACTION, NAN), "reward": np.where(learned, REWARD, NAN)}
    data = trials(**columns, scored=scored, learned=learned)
    wanted = all_paths(params, scored, made, learned)
    assert_array_equal(abs(wanted) < 1e-12, ~scored)
    assert_allclose(log_prob(data, params), wanted, rtol=0, atol=1e-12)


def test_forced_choices_tell_nothing_about_the_state() -> None:
    """Whatever the experimenter picked, the belief moves on alike."""
    forced = np.isin(np.arange(7), [1, 3])
    found = []
    for pick in range(3):
        action = np.where(forced, pick, ACTION)
        data = trials(action=action, scored=~forced, learned=~forced)
        belief = rl.latents("hmm(delta)", data, TWO)["belief"].values[0]
        assert_allclose(belief[2], belief[1] * (1 - np.array(TWO["leave"])) + (belief[1] * TWO["leave"])[::-1])
        found.append(belief)
    assert_allclose(found[1], found[0], rtol=1e-12)
    assert_allclose(found[2], found[0], rtol=1e-12)
    free = [rl.latents("hmm(delta)", trials(action=np.where(forced, k, ACTION)), TWO)["belief"] for k in (0, 2)]
    assert abs(free[0] - free[1]).values[0, 2:].max() > 0.05


def test_missed_choices_leave_the_belief_as_it_is() -> None:
    missed = np.arange(7) == 3
    data = trials(action=np.where(missed, NAN, ACTION), reward=np.where(missed, NAN, REWARD))
    belief = rl.latents("hmm(delta)", data, TWO)["belief"].values[0]
    assert_array_equal(belief[4], belief[3])
    assert (belief[3] != belief[2]).all()


def test_beliefs_are_probabilities_and_start_again() -> None:
    data = trials(reset=np.arange(7) == 4)
    found = rl.latents("hmm(delta, n_states=3)", data, THREE)
    assert_allclose(found["belief"].sum("belief_dim_0"), 1, rtol=1e-12)
    for t in (0, 4):
        assert_allclose(found["belief"].values[0, t], [0.7, 0.15, 0.15])
        assert_array_equal(found["q"].values[0, t], 0)
    assert_allclose(found["belief_final"].sum(), 1)


def test_a_choice_that_was_impossible_does_not_break_the_belief() -> None:
    """Sure to be engaged, never leaving, and a choice with probability 0 on trial 1."""
    params = TWO | {"leave": 0.0, "engaged0": 1.0, "alpha": 1.0, "beta": 5000.0}
    data = trials(reward=np.ones(7))
    found = rl.log_prob("hmm(delta)", data, params).values[0]
    assert found[1] == -np.inf
    belief = rl.latents("hmm(delta)", data, params)["belief"].values
    assert_array_equal(belief, np.broadcast_to([1.0, 0.0], belief.shape))


def test_options_not_on_offer_are_impossible_in_every_state() -> None:
    offered = np.ones((7, 3), dtype=bool)
    offered[2] = [False, True, True]
    offered[5] = [True, True, False]
    data = trials(**{f"available_{k}": offered[:, k] for k in range(3)})
    probs = rl.latents("hmm(delta)", data, TWO)["action_probs"].values[0]
    assert_array_equal(probs == 0, ~offered)
    assert_allclose(probs.sum(axis=1), 1)
    lapsed = rl.latents("hmm(delta)", data, TWO | {"engaged0": 0.0})["action_probs"].values[0]
    assert_allclose(lapsed[0], special.softmax([0.0, 0.6, -0.8]))
    never = rl.latents("hmm(delta)", data, TWO | {"engaged0": 0.0, "leave": 0.0})["action_probs"].values[0]
    assert_allclose(never[2, 1:], special.softmax([0.6, -0.8]))


def test_the_gradient_is_that_of_the_sum_over_paths() -> None:
    for name in ("beta", "leave", "engaged0", "bias"):
        _, slopes = rl.log_prob("hmm(delta)", trials(), TWO, gradient=True)
        value = np.asarray(TWO[name], dtype=float)
        for k in np.ndindex(value.shape):
            step = np.zeros(value.shape)
            step[k] = 1e-6
            up, down = (all_paths(TWO | {name: value + s * step}, ALL, ALL, ALL).sum() for s in (1, -1))
            assert_allclose(slopes[name].values[0][k], (up - down) / 2e-6, rtol=1e-6)


# ---------------------------------------------------------------- special cases, signals


@pytest.mark.parametrize("learner", ["delta", "delta(rates=sign)+stickiness+lapse", "choice_kernel"])
def test_who_never_leaves_engagement_is_the_learner(learner: str) -> None:
    model, rng = rl.get_model(learner), np.random.default_rng(1)
    params = {p.name: p.prior.sample(rng) for p in model.parameters if p.value is None and p.prior is not None}
    wanted = rl.log_prob(learner, trials(), params)
    found = rl.log_prob(rl.hmm(learner), trials(), params | {"leave": 0.0, "engaged0": 1.0})
    assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert rl.hmm(learner).special_cases[learner] == {"leave": 0.0, "engaged0": 1.0}
    left = rl.log_prob(rl.hmm(learner), trials(), params | {"leave": 0.5, "engaged0": 1.0})
    assert abs(left - wanted).max() > 1e-3


def test_who_is_never_engaged_chooses_by_the_bias() -> None:
    found = rl.log_prob("hmm(delta)", trials(), TWO | {"leave": 0.0, "engaged0": 0.0}).values[0]
    assert_allclose(found, special.log_softmax([0.0, 0.6, -0.8])[ACTION])


def test_two_lapsed_states_without_bias_are_one() -> None:
    one = {"alpha": 0.4, "beta": 3.0, "engaged0": 0.7, "leave": [0.2, 0.3]}
    two = one | {"leave": [0.2, 0.6, 0.6]}  # half of those who leave a lapsed state are engaged then
    found = rl.log_prob("hmm(delta, n_states=3)", trials(), two)
    assert_allclose(found, rl.log_prob("hmm(delta)", trials(), one), atol=1e-12)


def test_the_learner_s_signals_and_values_are_still_there() -> None:
    known = rl.latents("delta", trials(), {"alpha": 0.4, "beta": 3.0})
    found = rl.latents("hmm(delta)", trials(), TWO)
    for name in ("prediction_error", "q", "q_final"):
        assert_allclose(found[name], known[name], rtol=1e-12)
    assert {"belief", "belief_final"} <= set(found.data_vars)
    model = rl.hmm("delta+stickiness")
    assert {"q", "last", "belief"} <= set(rl.latents(model, trials(), TWO | {"stickiness": 0.5}).data_vars)


# ---------------------------------------------------------------- names


def test_one_model_has_one_object() -> None:
    assert rl.hmm("delta", 3) is rl.get_model("hmm(delta, n_states=3)")
    assert rl.hmm("delta") is rl.get_model("hmm(delta)") is rl.hmm("delta", 2) is rl.hmm(rl.get_model("delta"))
    assert rl.hmm("delta", 3) is rl.get_model("hmm( delta ,n_states=3 )")
    assert rl.hmm("delta") is not rl.hmm("delta", 3)


@pytest.mark.parametrize(
    "name",
    [
        "hmm(delta)",
        "hmm(delta, n_states=3)",
        "hmm(delta(rates=sign)+stickiness+lapse)",
        "hmm(delta(rates=sign, forgetting=True), n_states=4)",
        "hmm(rlwm(interaction=True))",
    ],
)
def test_a_name_is_that_of_the_model_it_names(name: str) -> None:
    assert rl.get_model(name).name == name
    assert rl.get_model(rl.get_model(name).name) is rl.get_model(name)


def test_shapes_of_the_parameters() -> None:
    model = rl.hmm("delta", 4)
    assert model.parameter("leave").shape == (4,)
    assert model.parameter("bias").shape == (3, "n_actions-1")
    with pytest.raises(ValueError, match="leave") as info:
        rl.log_prob("hmm(delta, n_states=3)", trials(), TWO)
    assert_says(str(info.value), "(2,)", "(3,)")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hmm(delta)+lapse", ("choice rules", "belong to its learner", "hmm(delta(rates=sign)+stickiness)")),
        ("hmm(delta, n_states=1)", ("n_states", "found 1", "at least 2")),
        ("hmm(delta, n_states=0)", ("n_states", "found 0", "at least 2")),
        ("hmm(delta, n_states=two)", ("n_states", "'two'", "whole number")),
        ("hmm(delta, n_states=2.5)", ("n_states", "'2.5'", "whole number")),
        ("hmm(delta, n_states=²)", ("n_states", "'²'", "whole number")),
        ("hmm(two_step_hybrid)", ("one choice in a trial", "two_step_hybrid")),
        ("hmm(delta_prediction)", ("one choice in a trial", "delta_prediction")),
        ("hmm(nosuch)", ("'nosuch'", "delta")),
        ("hmm(detla)", ("Did you mean 'delta'?",)),
        ("hmm(delta", ("cannot read", "'hmm(delta'")),
        ("hmm()", ("hmm",)),
        ("hmm", ("hmm",)),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_names_that_mean_nothing_are_refused(name: str, parts: tuple[str, ...]) -> None:
    assert_says(refused(name), *parts)


@pytest.mark.parametrize("n_states", [1, 0, -1, 2.0, "3", True, None])
def test_numbers_of_states_that_are_none_are_refused(n_states: Any) -> None:
    with pytest.raises(ValueError, match="n_states") as info:
        rl.hmm("delta", n_states)
    assert_says(str(info.value), repr(n_states), "at least 2")


def test_options_belong_to_the_learner() -> None:
    assert_says(refused("hmm(delta)", rates="sign"), "options", "belong to its learner")


def test_choice_rules_by_argument_belong_to_the_learner() -> None:
    assert_says(refused("hmm(delta)", policy="lapse"), "belong to its learner")


def test_a_hidden_markov_model_in_another_is_refused() -> None:
    assert_says(refused("hmm(hmm(delta))"), "hmm is for")


def test_a_number_of_states_that_is_left_out_is_refused() -> None:
    assert_says(refused("hmm(delta, n_states=)"), "n_states")


# ---------------------------------------------------------------- simulated and fitted again


@pytest.fixture(scope="module")
def wandering() -> xr.Dataset:
    """One subject of many trials, who is away for about five at a time."""
    params = {"alpha": 0.3, "beta": 6.0, "leave": [0.1, 0.2], "engaged0": 0.9}
    return rl.simulate("hmm(delta)", Bandit(means=[-1.0, 0.0, 1.0], sd=0.5, block_length=100), params, 1, 3000, 2)


def test_simulated_choices_have_the_likelihood_s_log_probability(wandering: xr.Dataset) -> None:
    params = {k: wandering[f"true_{k}"].values for k in ("alpha", "beta", "leave", "engaged0")}
    assert_allclose(wandering["log_prob"], rl.log_prob("hmm(delta)", wandering, params), rtol=1e-12)


def test_leaving_is_found_again(wandering: xr.Dataset) -> None:
    found = rl.fit_mle("hmm(delta)", wandering, starts=3, progress=False)
    assert found.status.values.tolist() == ["converged"]
    for name, true in (("alpha", 0.3), ("beta", 6.0), ("leave", np.array([0.1, 0.2]))):
        estimate, error = found.params[name].values[0], found.se[name].values[0]
        assert (abs(estimate - true) < 4 * error).all(), name
    assert (found.se["leave"].values < 0.05).all()
    assert found.se["leave"].dims == ("subject", "leave_dim_0")
    plain = rl.fit_mle("delta", wandering, starts=3, progress=False)
    assert found.log_lik.values[0] > plain.log_lik.values[0] + 50
