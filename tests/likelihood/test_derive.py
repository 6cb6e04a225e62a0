"""Values that a model derives from its parameters before the first trial."""

import json

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc import mdp
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.modes import QUICK
from rlpymc.mdp.implicit import soft_q
from rlpymc.model import Fact, Input, Model, Parameter, index, positive, real
from rlpymc.model.priors import Gamma, Normal
from rlpymc.trials.model_data import data_for
from tests.helpers.processes import random_process

FEATURES = np.eye(9).reshape((3, 3, 9))[..., [0, 5]]
TASK = rl.tasks.GridWorld(3, 3, features=FEATURES, slip=0.1, episode_length=6)
TRUTH = {"w": np.array([0.8, -0.5])}


@pytest.fixture(scope="module")
def trials():
    return rl.simulate("soft_planner", TASK, TRUTH, 3, 60, seed=1)


# ------------------------------------------------------------------------------------------ soft values
def compiled_soft_q(transition, terminal):
    reward, discount, weight = pt.tensor("r", shape=transition.shape[:2]), pt.scalar("g"), pt.matrix("w")
    q = soft_q(transition, reward, discount, terminal)
    slopes = pt.grad((q * weight).sum(), [reward, discount])
    return pytensor.function([reward, discount, weight], [q, *slopes], mode=QUICK)


def unrolled(transition, terminal, n_sweeps):
    """The same by so many sweeps, differentiated through all of them."""
    onward = transition * ~terminal
    reward, discount, weight = pt.tensor("r", shape=transition.shape[:2]), pt.scalar("g"), pt.matrix("w")
    v = pt.zeros(len(transition))
    for _ in range(n_sweeps):
        v = pt.logsumexp(reward + discount * pt.dot(pt.constant(onward), v), axis=1)
    q = reward + discount * pt.dot(pt.constant(onward), v)
    slopes = pt.grad((q * weight).sum(), [reward, discount])
    return pytensor.function([reward, discount, weight], [q, *slopes], mode=QUICK)


@pytest.mark.parametrize("terminal", [(), (1,)], ids=["endless", "with an end"])
def test_soft_values_and_their_slopes_are_those_of_many_sweeps(terminal):
    rng = np.random.default_rng(3)
    transition, ends = rng.dirichlet(np.ones(4), (4, 3)), np.isin(np.arange(4), terminal)
    here, there = compiled_soft_q(transition, ends), unrolled(transition, ends, 24)
    for _ in range(3):
        given = rng.normal(size=(4, 3)), np.array(rng.uniform(0.1, 0.2)), rng.normal(size=(4, 3))
        for found, wanted in zip(here(*given), there(*given), strict=True):  # 0.2 ** 24 is 2e-17
            assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95, 0.999])
def test_soft_values_are_those_of_soft_value_iteration(discount):
    transition, _, _, m = random_process(seed=2, discount=discount)
    function = compiled_soft_q(transition, np.zeros(m.n_states, dtype=bool))
    q, *_ = function(m.reward, np.array(discount), np.zeros_like(m.reward))
    wanted = mdp.soft_policy_iteration(m, 1.0).q
    assert_allclose(q, wanted, rtol=1e-10)


def test_large_rewards_neither_overflow_nor_run_for_ever():
    transition = np.random.default_rng(1).dirichlet(np.ones(3), (3, 2))
    function = compiled_soft_q(transition, np.zeros(3, dtype=bool))
    reward = 1e4 * np.random.default_rng(2).normal(size=(3, 2))
    q, by_reward, by_discount = function(reward, np.array(0.99), np.ones((3, 2)))
    assert np.isfinite(by_reward).all()
    assert np.isfinite(by_discount)
    assert_allclose(q, mdp.value_iteration(mdp.MDP(transition, reward, 0.99)).q, rtol=1e-6)
    assert np.isnan(function(reward, np.array(1.0), np.ones((3, 2)))[0]).all()


# ---------------------------------------------------------------------------------- in likelihoods and fits
def test_gradients_reach_the_parameters_behind_derived_values(trials):
    data = data_for(rl.get_model("soft_planner"), trials)
    params = {"w": np.tile(TRUTH["w"], (3, 1)), "gamma": np.full(3, 0.8), "beta": np.full(3, 1.2)}
    likelihood = likelihood_of(data)
    total, slopes = likelihood.gradient(params, ["w", "gamma", "beta"])
    by_scan, slopes_by_scan = likelihood_of(data, "scan").gradient(params, ["w", "gamma", "beta"])
    assert_allclose(total, by_scan, rtol=1e-12)
    for name, values in params.items():
        for entry in np.ndindex(values.shape[1:]):
            moved = np.zeros_like(values)
            moved[(slice(None), *entry)] = 1e-5
            up, down = (likelihood.total({**params, name: values + sign * moved}) for sign in (1, -1))
            assert_allclose(slopes[name][(slice(None), *entry)], (up - down) / 2e-5, rtol=1e-6, atol=1e-6)
        assert_allclose(slopes[name], slopes_by_scan[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["fused", "scan"])
def test_second_derivatives_reach_the_parameters_behind_derived_values(trials, backend):
    def log_lik(w):
        return rl.log_prob("soft_planner", trials, {"w": w}, "scan").sum("trial").values

    found, w, h = rl.hessian("soft_planner", trials, TRUTH, backend), TRUTH["w"], 1e-3 * np.eye(2)
    plain = [
        [(log_lik(w + a + b) - log_lik(w + a - b) - log_lik(w - a + b) + log_lik(w - a - b)) / 4e-6 for a in h]
        for b in h
    ]
    assert found["estimate"].values.tolist() == ["w[0]", "w[1]"]
    assert_allclose(found.values, np.moveaxis(plain, -1, 0), atol=1e-3)


def test_latents_hold_what_was_derived(trials):
    found = rl.latents("soft_planner", trials, TRUTH)
    m = mdp.MDP(np.array(TASK.facts["transitions"]), np.array(TASK.facts["features"]) @ TRUTH["w"], 0.9)
    wanted = mdp.soft_policy_iteration(m, 1.0)
    assert found["plan"].dims[0] == "subject"
    assert_array_equal(found["q"].values, np.repeat(found["plan"].values[:, None], 60, axis=1))
    for q in found["plan"].values:
        assert_allclose(q, wanted.q, rtol=1e-10)
    assert_allclose(found["action_probs"].values, wanted.policy[trials["state"].values], rtol=1e-9)
    chosen = wanted.q[trials["state"].values, trials["action"].values]
    assert_allclose(found["chosen_value"].values, chosen, rtol=1e-9)


@pytest.mark.slow
def test_a_fit_predicts_and_says_what_it_knew(trials, tmp_path):
    built = rl.build("soft_planner", trials, pooling="complete")
    fit = rl.sample(built, draws=400, tune=300, chains=2, seed=1, progress=False)
    assert json.loads(fit.attrs["rlpymc"])["facts"]["features"] == TASK.facts["features"]
    rl.save(fit, tmp_path / "fit.nc")
    fit = rl.load(tmp_path / "fit.nc")
    mle = rl.fit_mle("soft_planner", trials, starts=2, progress=False)
    assert (np.abs(fit["posterior"]["w"].mean(("chain", "draw")).values - mle.params["w"].mean("subject")) < 1).all()
    choices = rl.predict(built, fit, draws=5, seed=1)
    assert_allclose(choices["action_probs"].sum("option").values, 1.0)
    yoked = rl.predict(built, fit, kind="yoked", draws=3, seed=1)
    assert yoked["action"].shape == (3, 3, 60)
    free = rl.predict(built, fit, kind="free_run", task=TASK, draws=2, seed=1)
    assert free["action"].shape == (2, 3, 60)


def test_a_hidden_markov_model_and_choice_rules_keep_derived_values(trials):
    plain = rl.log_prob("soft_planner", trials, TRUTH).values
    engaged = {"leave": np.zeros(2), "engaged0": 1.0}
    assert_allclose(rl.log_prob("hmm(soft_planner)", trials, TRUTH | engaged).values, plain, rtol=1e-10)
    assert_allclose(rl.log_prob("soft_planner+lapse", trials, TRUTH | {"lapse": 0.0}).values, plain, rtol=1e-10)


def test_a_derived_value_may_be_the_same_for_everybody():
    def derive(p, facts):
        return {"bonus": facts.bonus}

    model = Model(
        name="constant",
        family="test",
        summary="a bonus that is known",
        reference="none",
        inputs=(Input("action", index("n_actions"), response=True),),
        facts=(Fact("bonus", ("n_actions",)),),
        derive=derive,
        values=lambda p, s, x: p.bonus,
        policy="softmax",
    )
    table = {"subject": ["a", "a", "b"], "trial": [0, 1, 0], "action": [0, 1, 1]}
    trials = rl.read_trials(pd.DataFrame(table), facts={"bonus": np.array([0.0, 1.0])})
    wanted = np.log([[1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))], [1 / (1 + np.exp(-2)), 1.0]])
    for backend in ("fused", "scan"):
        assert_allclose(rl.log_prob(model, trials, {"beta": 2.0}, backend).values, wanted)


# ------------------------------------------------------------------------------------------------- errors
def toy(**changes):
    arguments = {
        "name": "toy",
        "family": "test",
        "summary": "a derived value",
        "reference": "none",
        "inputs": (Input("action", index("n_actions"), response=True),),
        "parameters": (Parameter("w", real, prior=Normal()), Parameter("scale", positive, prior=Gamma(2, 2))),
        "derive": lambda p, facts: {"twice": 2 * p.w},
        "values": lambda p, s, x: rl.math.stack([p.twice, 0.0 * p.twice]),
        "policy": "logits",
    }
    return Model(**{**arguments, **changes})


def test_a_parameter_behind_derived_values_does_not_vary_by_trial(trials):
    trials = trials.assign(action=trials["action"] % 2).assign_attrs(facts={"n_actions": 2})
    by_trial = xr.DataArray(np.zeros(60), dims="trial")
    rl.log_prob(toy(), trials, {"w": 0.3, "scale": by_trial + 1})  # it is not made from this one
    with pytest.raises(ValueError, match="'w' varies by trial, and toy derives twice from it once for each subject"):
        rl.log_prob(toy(), trials, {"w": by_trial, "scale": 1.0})


@pytest.mark.parametrize(
    ("derive", "message"),
    [
        (lambda p, facts: {"w": p.w}, "derive returns 'w', which is a parameter"),
        (lambda p, facts: {"long": pt.arange(p.w.astype("int64"))}, "'long' of shape .None,., which must be known"),
    ],
)
def test_derive_is_checked(trials, derive, message):
    trials = trials.assign(action=trials["action"] % 2).assign_attrs(facts={"n_actions": 2})
    with pytest.raises(ValueError, match=message):
        rl.log_prob(toy(derive=derive), trials, {"w": 0.1, "scale": 1.0})


def changed(array, entry, value):
    new = np.array(array, dtype=float)
    new[entry] = value
    return new


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"transitions": changed(TASK.facts["transitions"], (4, 2, 0), 0.5)}, "of state 4, action 2 sum to 1.5"),
        ({"transitions": changed(TASK.facts["transitions"], (4, 2, 0), -0.5)}, "found -0.5 for state 4, action 2"),
        ({"transitions": np.ones((9, 4))}, r"found shape \(9, 4\), expected \(n_states, n_actions, n_states\)"),
        ({"transitions": np.ones((8, 4, 8)) / 8}, r"found shape \(8, 4, 8\), expected \(9, 4, 9\)"),
        (
            {"features": changed(TASK.facts["features"], (3, 1, 0), np.nan)},
            "found nan for state 3, action 1, feature 0",
        ),
        ({"terminal": np.full(9, 2.0)}, "found 2, expected true or false"),
        (
            {"transitions": None},
            "needs to know transitions, an array .n_states, n_actions, n_states.: pass read_trials",
        ),
    ],
)
def test_wrong_facts_are_named(trials, facts, message):
    known = {k: v for k, v in {**rl.facts(trials), **facts}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        rl.log_prob("soft_planner", trials.assign_attrs(facts=known), TRUTH)


def test_lengths_follow_from_arrays(trials):
    known = {k: v for k, v in rl.facts(trials).items() if k not in ("n_features", "n_states", "n_actions")}
    found = rl.log_prob("soft_planner", trials.assign_attrs(facts=known), TRUTH)
    assert_array_equal(found.values, rl.log_prob("soft_planner", trials, TRUTH).values)


def test_facts_that_are_arrays_are_read_with_a_table(trials):
    facts = {k: np.array(v) if np.ndim(v) else v for k, v in TASK.facts.items()}
    again = rl.read_trials(rl.to_table(trials), facts=facts)
    assert rl.facts(again) == rl.facts(trials)


# --------------------------------------------------------------------------------------------- grid worlds
def test_steps_in_a_grid_world():
    task = rl.tasks.GridWorld(2, 3, slip=0.2)
    transition = np.array(task.facts["transitions"])
    north, east, south, west = range(4)
    assert transition[0, east, 1] == pytest.approx(0.8)
    assert transition[0, east, 3] == pytest.approx(0.1)  # slips south
    assert transition[0, east, 0] == pytest.approx(0.1)  # slips north, off the grid, and stays
    assert transition[4, north, 1] == pytest.approx(0.8)
    assert transition[4, south, 4] == pytest.approx(0.8)
    assert transition[5, west, 4] == pytest.approx(0.8)
    assert_allclose(transition.sum(axis=2), 1.0)
    assert np.array(task.facts["features"]).shape == (6, 4, 6)


def test_episodes_in_a_grid_world_break_off():
    task = rl.tasks.GridWorld(3, 3, goals=[(2, 2)], weights=np.arange(9.0), episode_length=4, start=(0, 0))
    trials = rl.simulate("soft_planner", task, {"w": np.zeros(9)}, 40, 60, seed=2)
    state, after, done = (trials[k].values for k in ("state", "next_state", "done"))
    assert_array_equal(done, after == 8)
    assert_array_equal(trials["reward"].values, state)
    for here, there, ends in zip(state, after, done, strict=True):
        steps = 0
        for t in range(59):
            steps += 1
            over = ends[t] or steps == 4
            assert here[t + 1] == (0 if over else there[t])
            steps = 0 if over else steps


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slip": 1.5}, "slip: found 1.5, expected a probability"),
        ({"goals": [(5, 0)]}, r"goals: found \(5, 0\), expected \(row, column\) within 5 x 5"),
        ({"features": np.ones((5, 5))}, r"features: found shape \(5, 5\), expected \(5, 5, n_features\)"),
        ({"weights": [1.0, 2.0]}, r"weights: found shape \(2,\), expected \(25,\), one for each feature"),
        ({"features": np.full((5, 5, 1), np.nan)}, "features: found nan"),
        ({"episode_length": 0}, "episode_length"),
    ],
)
def test_grid_worlds_refuse_what_does_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        rl.tasks.GridWorld(**settings)


def test_features_need_transitions():
    with pytest.raises(ValueError, match="give transitions"):
        rl.tasks.RandomMDP(3, 2, features=np.ones((3, 2, 1)))
