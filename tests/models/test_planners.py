"""Learners in worlds with states, against what algebra and exact planning say of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import rlpymc as rl
from rlpymc.tasks import RandomMDP
from rlpymc.validation.examples import random_params, random_trials

GAMMA = 0.8
RNG = np.random.default_rng(5)
NEXT = np.array([[1, 2], [2, 3], [3, 0], [0, 1]])  # (n_states, n_actions): where each action leads, for certain
CERTAIN = np.eye(4)[NEXT]


def world(rewards, terminal=()):
    return RandomMDP(4, 2, transitions=CERTAIN, rewards=rewards, terminal=terminal)


def learned(model, task, params):
    """Return the final states of a learner with 600 random choices to learn from."""
    trials = rl.simulate("q_mdp", task, {"alpha": 0.0, "gamma": GAMMA, "beta": 0.0}, 1, 600, seed=3)
    return rl.latents(model, trials, {"beta": 0.0, "gamma": GAMMA, **params}).isel(subject=0)


def test_soft_q_is_q_learning_within_what_the_soft_maximum_can_add():
    trials = random_trials(rl.get_model("q_mdp"), n_actions=3)
    params = {"alpha": 0.4, "gamma": GAMMA, "beta": 1e4}
    soft = rl.latents("soft_q", trials, params)["logits_final"].values / params["beta"]
    hard = rl.latents("q_mdp", trials, params)["q_final"].values
    assert (soft >= hard - 1e-12).all()  # rounding is by beta Q
    assert (soft - hard).max() > 1e-9
    assert_allclose(soft, hard, rtol=0, atol=np.log(3) / 1e4 / (1 - GAMMA))


def test_soft_q_learns_the_values_of_soft_planning():
    rewards = RNG.normal(size=(4, 2))
    found = learned("soft_q", world(rewards), {"alpha": 1.0, "beta": 2.0})
    exact = rl.mdp.soft_value_iteration(rl.mdp.MDP(CERTAIN, rewards, discount=GAMMA), temperature=0.5)
    assert_allclose(found["logits_final"] / 2.0, exact.q, atol=1e-8)


@pytest.mark.parametrize("name", ["soft_q", "soft_q(terminal=bootstraps)"])
def test_soft_q_and_its_slopes_have_a_limit_where_only_entropy_counts(name):
    """The slope at beta = 0 is that of choices between which the entropy left to come differs, and is finite."""
    trials = random_trials(rl.get_model(name))
    params = {"alpha": 0.4, "gamma": GAMMA}
    limit, slopes = rl.log_prob(name, trials, params | {"beta": 0.0}, gradient=True)
    near, near_slopes = rl.log_prob(name, trials, params | {"beta": 1e-12}, gradient=True)
    assert_allclose(near, limit, rtol=0, atol=1e-10)
    step = 1e-5
    above, further = (rl.log_prob(name, trials, params | {"beta": k * step}).sum() for k in (1, 2))
    forward = float(4 * above - further - 3 * limit.sum()) / (2 * step)  # exact to step squared
    for found in (slopes, near_slopes):
        assert float(found["beta"].sum()) == pytest.approx(forward, rel=1e-6)
    for beta in (1e-300, 1e-100, 1e-8):
        found = rl.log_prob(name, trials, params | {"beta": beta}, gradient=True)[1]
        assert float(found["beta"].sum()) == pytest.approx(float(slopes["beta"].sum()), rel=1e-6)


@pytest.mark.parametrize("name", ["actor_critic", "actor_critic(actor=gradient)", "reinforce"])
def test_preferences_only_show_with_beta(name):
    model = rl.get_model(name)
    trials = random_trials(model)
    params = random_params(model, trials)
    larger = trials.assign(reward=trials["reward"] * 5)
    rescaled = {k: v * {"beta": 1 / 5, "baseline0": 5}.get(k, 1) for k, v in params.items()}
    found = rl.log_prob(model, larger, rescaled)
    assert_allclose(found, rl.log_prob(model, trials, params), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["actor_critic(actor=gradient)", "reinforce"])
def test_a_gradient_moves_what_is_on_offer_and_preferences_sum_to_zero(name):
    model = rl.get_model(name)
    trials = random_trials(model)
    params = random_params(model, trials)
    found = rl.latents(model, trials, params)["w_final"].values
    assert np.abs(found).max() > 0.1
    assert_allclose(found.sum(axis=-1), 0, atol=1e-12)


def test_a_gradient_leaves_alone_what_is_not_on_offer():
    trials = random_trials(rl.get_model("reinforce"))
    trials["available"].values[..., 2] = False
    used = trials["action"].values != 2
    for mask in ("scored", "learned"):
        trials[mask].values[:] &= used
    trials["action"].values[~used] = -1
    found = rl.latents("reinforce", trials, {"alpha": 0.3, "beta": 1.0})["w_final"].values
    assert np.abs(found[:, :2]).max() > 0.1
    assert (found[:, 2] == 0).all()


def test_reinforce_is_an_actor_critic_where_every_trial_is_an_episode_from_one_state():
    trials = random_trials(rl.get_model("reinforce"))
    here = trials["action"] * 0
    episodes = trials.assign(state=here, next_state=here, done=here == 0).assign_attrs(
        facts={"n_actions": 3, "n_states": 2}
    )
    params = {"alpha": 0.3, "beta": 1.5}
    found = rl.log_prob("actor_critic(actor=gradient)", episodes, {**params, "gamma": GAMMA})
    assert_allclose(found, rl.log_prob("reinforce", trials, params), rtol=1e-12)


def test_model_based_finds_the_optimum_of_a_world_that_it_has_seen():
    rewards = RNG.normal(size=(4, 2))
    found = learned("model_based", world(rewards), {"alpha_transition": 1.0, "alpha_reward": 1.0})
    assert_allclose(found["transition_final"], CERTAIN, atol=1e-12)
    assert_allclose(found["reward_final"], rewards, atol=1e-12)
    exact = rl.mdp.value_iteration(rl.mdp.MDP(CERTAIN, rewards, discount=GAMMA))
    assert_allclose(found["q_final"], exact.q, atol=1e-8)


def test_model_based_expects_nothing_after_an_end():
    rewards = RNG.normal(size=(4, 2))
    found = learned("model_based", world(rewards, terminal=[3]), {"alpha_transition": 1.0, "alpha_reward": 1.0})
    ends = NEXT == 3
    assert_allclose(found["transition_final"].values[ends], 0, atol=1e-12)
    assert_allclose(found["q_final"].values[ends], rewards[ends], atol=1e-12)


def test_successor_counts_the_visits_of_the_policy():
    worth = RNG.normal(size=4)  # of reaching each state
    found = learned("successor", world(worth[NEXT]), {"alpha_successor": 1.0, "alpha_reward": 1.0})
    at_random = CERTAIN.mean(axis=1)  # (n_states, n_states)
    visits = CERTAIN @ np.linalg.inv(np.eye(4) - GAMMA * at_random)
    assert_allclose(found["m_final"], visits, atol=1e-8)
    assert_allclose(found["w_final"], worth, atol=1e-12)


def test_successor_sees_no_further_than_an_end():
    found = learned("successor", world(np.ones((4, 2)), terminal=[3]), {"alpha_successor": 1.0, "alpha_reward": 1.0})
    ends = NEXT == 3
    assert_allclose(found["m_final"].values[ends], CERTAIN[ends], atol=1e-12)


# ------------------------------------------------------------------------- what people like, from where they walk
WORTH = np.zeros((5, 5))
WORTH[0, 3], WORTH[3, 1], WORTH[1, 0], WORTH[2, 2], WORTH[4, 4] = 1.5, 1.0, 0.5, -1.0, -0.7


def test_reward_weights_of_a_grid_world_are_recovered():
    """Twenty people, fifty walks of ten steps each; every cell is a feature."""
    task = rl.tasks.GridWorld(5, 5, slip=0.1, episode_length=10)
    trials = rl.simulate("soft_planner", task, {"w": WORTH.ravel()}, 20, 500, seed=1)
    fit = rl.fit_mle("soft_planner", trials, shared="w", priors=True, starts=1, progress=False)
    found, cov = fit.params["w"].values[0], fit.cov.values[0]
    assert (np.abs(found - WORTH.ravel()) < 4 * np.sqrt(np.diag(cov))).all()
    level = np.eye(25) - 1 / 25  # the level of all cells shows in no choice
    errors = np.sqrt(np.diag(level @ cov @ level))
    assert (errors < 0.2).all()
    assert (np.abs(level @ (found - WORTH.ravel())) < 4 * errors).all()
    assert np.corrcoef(found, WORTH.ravel())[0, 1] > 0.95


@pytest.mark.slow
def test_what_each_person_likes_is_recovered_by_nuts():
    """The same with two features, which people like differently: 9 of 10 intervals hold the truth, or about that."""
    features = np.eye(25).reshape((5, 5, 25))[..., [3, 16]]
    task = rl.tasks.GridWorld(5, 5, features=features, slip=0.1, episode_length=10)
    likes = np.array([1.0, -0.6]) + np.random.default_rng(1).normal(0, 0.4, (20, 2))
    trials = rl.simulate("soft_planner", task, {"w": likes}, 20, 500, seed=2)
    fit = rl.sample(rl.build("soft_planner", trials), draws=2000, tune=1000, chains=2, seed=3, progress=False)
    low, high = fit["posterior"]["w"].quantile([0.05, 0.95], dim=("chain", "draw")).values
    covered = ((low < likes) & (likes < high)).sum()
    assert 40 * 0.9 - 3 * np.sqrt(40 * 0.09) <= covered  # three standard deviations of a binomial law
    mean, var = (getattr(fit["posterior"]["w"], f)(("chain", "draw")).values for f in ("mean", "var"))
    for k in range(2):  # means correlate with the truth as the posterior's own variances say
        expected = np.sqrt(mean[:, k].var() / (mean[:, k].var() + var[:, k].mean()))
        assert np.corrcoef(mean[:, k], likes[:, k])[0, 1] > expected - 3 * (1 - expected**2) / np.sqrt(19)
