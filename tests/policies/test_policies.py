"""Value-based policies: exact probabilities and log probabilities, ties, Q functions, and the same rule in models."""

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

import rlpymc as rl
from rlpymc.model import choice_probabilities as probabilities
from rlpymc.model.responses import Categorical
from rlpymc.policies import (
    Boltzmann,
    EpsilonGreedy,
    Q,
    StochasticQ,
    SuccessorFeatures,
    SuccessorStateQ,
    TransformedQ,
    categorical_cross_entropy,
    categorical_entropy,
    categorical_kl,
    from_one_hot,
    gumbel_softmax,
    one_hot,
)
from tests.helpers.messages import assert_says, refusal

INF, NAN = float("inf"), float("nan")
POLICIES = [EpsilonGreedy(0.1), EpsilonGreedy(0), EpsilonGreedy(1), EpsilonGreedy(0.3, floor=1e-15)]
POLICIES += [Boltzmann(0.02), Boltzmann(1), Boltzmann(50)]
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=str)
values = arrays(float, (3, 4), elements=st.sampled_from([-2.0, 0.0, 0.1, 0.5, 0.5, 3.0]))  # many ties


def refused(error: type[Exception], function: Callable[[], Any], *parts: str) -> None:
    assert_says(refusal(function, error=error), *parts)


def plain(policy: Any, q: np.ndarray) -> np.ndarray:
    """Probabilities by a loop over rows, from the definitions."""
    rows = []
    for row in np.reshape(q, (-1, np.shape(q)[-1])):
        offered = [k for k, value in enumerate(row) if value > -INF]
        best = [k for k in offered if row[k] == max(row)]
        if isinstance(policy, EpsilonGreedy):
            epsilon = policy.params["epsilon"]
            p = [
                (1 - epsilon) * (k in best) / len(best) + epsilon * (k in offered) / len(offered)
                for k in range(len(row))
            ]
        else:
            p = list(special.softmax([value / policy.params["temperature"] for value in row]))
        rows.append(p)
    return np.reshape(rows, np.shape(q))


# ---------------------------------------------------------------- probabilities


@every_policy
@settings(max_examples=30, deadline=None)
@given(values)
def test_probabilities_are_those_of_the_definition(policy: Any, q: np.ndarray) -> None:
    assert_allclose(policy.probs(q), plain(policy, q), rtol=1e-12, atol=2e-15)
    assert_allclose(policy.probs(q).sum(axis=-1), 1.0, rtol=1e-12)
    assert_allclose(np.exp(policy.logits(q)), policy.probs(q), rtol=1e-12, atol=1e-300)
    assert_array_equal(policy.mean(q), policy.probs(q))


@every_policy
@settings(max_examples=30, deadline=None)
@given(values, st.integers(0, 2**32 - 1))
def test_the_log_probability_of_what_is_drawn_is_exact(policy: Any, q: np.ndarray, seed: int) -> None:
    action, log_prob = policy.sample(q, seed)
    assert action.shape == log_prob.shape == (3,)
    assert_allclose(log_prob, np.log(plain(policy, q)[range(3), action]), rtol=0, atol=1e-12)
    assert_array_equal(log_prob, policy.log_prob(q, action))
    again, _ = policy.sample(q, np.random.default_rng(seed))
    assert_array_equal(action, again)


@every_policy
def test_any_leading_axes_are_rows_of_their_own(policy: Any) -> None:
    q = np.random.default_rng(1).normal(size=(2, 3, 4)).round(1)
    other = Boltzmann(0.7)
    action = np.random.default_rng(2).integers(4, size=(2, 3))
    for name, arguments in (
        ("probs", ()),
        ("logits", ()),
        ("entropy", ()),
        ("cross_entropy", (other,)),
        ("kl", (other,)),
    ):
        whole = getattr(policy, name)(q, *arguments)
        rows = [[getattr(policy, name)(q[i, j], *arguments) for j in range(3)] for i in range(2)]
        assert_allclose(whole, rows, rtol=1e-14)
    whole = policy.log_prob(q, action)
    assert_allclose(whole, [[policy.log_prob(q[i, j], action[i, j]) for j in range(3)] for i in range(2)], rtol=1e-14)
    assert policy.sample(q, 1)[0].shape == policy.mode(q, 1).shape == (2, 3)


@every_policy
def test_one_row_of_values_gives_numbers(policy: Any) -> None:
    action, log_prob = policy.sample([1, 2, 3], 1)
    assert isinstance(action, np.integer)
    assert isinstance(log_prob, np.floating)
    assert isinstance(policy.mode([1, 2, 3], 1), np.integer)
    assert np.ndim(policy.entropy([1, 2, 3])) == np.ndim(policy.log_prob([1, 2, 3], 0)) == 0


def test_many_actions_for_one_row_and_one_for_many_rows() -> None:
    policy, rows = Boltzmann(1.0), np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 0.0]])
    assert_array_equal(policy.log_prob(rows[0], [0, 1, 1]), policy.logits(rows[0])[[0, 1, 1]])
    assert_array_equal(policy.log_prob(rows, 1), policy.logits(rows)[:, 1])


def test_what_is_impossible_has_a_log_probability_of_minus_infinity() -> None:
    assert_array_equal(EpsilonGreedy(0).logits([1, 2, 3, 0]), [-INF, -INF, 0, -INF])
    assert EpsilonGreedy(0).log_prob([1, 2], 0) == -INF
    assert EpsilonGreedy(0, floor=1e-15).log_prob([1, 2], 0) == np.log(1e-15)


@every_policy
def test_what_is_not_on_offer_is_never_chosen_and_does_not_count(policy: Any) -> None:
    q = np.array([0.5, -INF, 0.5, -INF, 0.1])
    on_offer = [0, 2, 4]
    if policy.params.get("epsilon") == 0.3:  # with a floor, nothing is impossible
        assert_array_equal(policy.probs(q)[[1, 3]], 1e-15)
    else:
        assert_array_equal(policy.probs(q)[[1, 3]], 0.0)
        assert set(policy.sample(np.tile(q, (500, 1)), 1)[0]) <= set(on_offer)
    assert_allclose(policy.probs(q)[on_offer], policy.probs(q[on_offer]), rtol=1e-14)
    assert_allclose(policy.entropy(q), policy.entropy(q[on_offer]), rtol=1e-10, atol=1e-12)


@every_policy
def test_relabelled_actions_have_relabelled_probabilities(policy: Any) -> None:
    q, order = np.array([0.3, 0.1, 0.3, -1.0]), [2, 0, 3, 1]
    assert_allclose(policy.probs(q[order]), policy.probs(q)[order], rtol=1e-15)


def test_limits_of_the_temperature() -> None:
    q = np.array([1.0, 3.0, 3.0, -2.0])
    for temperature in (1e-3, 1e-100, 2.3e-308):
        assert_array_equal(Boltzmann(temperature).probs(q), EpsilonGreedy(0).probs(q))
    assert_allclose(Boltzmann(1e300).probs(q), 0.25, rtol=1e-14)
    assert_array_equal(Boltzmann(1.0).probs([1e308, -1e308]), [1, 0])  # values whose difference overflows


def test_scale_of_values_and_temperature_are_one() -> None:
    q = np.array([0.2, 1.0, -0.3])
    assert_allclose(Boltzmann(0.5).logits(4 * q), Boltzmann(0.125).logits(q), rtol=1e-14)


@pytest.mark.parametrize("policy", [EpsilonGreedy(0.25), Boltzmann(0.7)], ids=str)
def test_draws_follow_the_probabilities(policy: Any) -> None:
    q = np.array([0.5, 0.1, 0.5, -0.4])
    action, _ = policy.sample(np.tile(q, (100_000, 1)), 5)
    expected = 100_000 * policy.probs(q)
    assert stats.chisquare(np.bincount(action, minlength=4), expected).pvalue > 0.001


# ---------------------------------------------------------------- ties


@pytest.mark.parametrize("size", [1e-300, 1e-3, 1.0, 1e6, 1e300])
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.3, 0.3, 0.1], [0.5, 0.5, 0]),
        ([0.3, np.nextafter(0.3, 1), 0.1], [0.5, 0.5, 0]),
        ([0.3, 0.1 + 0.2, 0.1], [0.5, 0.5, 0]),  # two sums that differ in the last digit
        ([0.3, 0.3 * (1 + 1e-9), 0.1], [0, 1, 0]),
        ([-0.1, -(0.1 + 1e-12), -1.0], [0.5, 0.5, 0]),
        ([0.0, -0.0, -INF], [0.5, 0.5, 0]),
        ([0.0, 0.0, 0.0], [1 / 3] * 3),
    ],
)
def test_what_differs_by_rounding_alone_ties_everywhere(values: list[float], wanted: list[float], size: float) -> None:
    q = size * np.array(values)
    assert_allclose(EpsilonGreedy(0).probs(q), wanted, rtol=1e-15)
    if np.isfinite(q).all():
        assert_allclose(rl.mdp.greedy(q[None])[0], wanted, rtol=1e-15)
    offered = pt.as_tensor(q > -INF)
    graph = probabilities.epsilon_greedy(pt.as_tensor(q), 0.0, offered)
    assert_allclose(graph.eval(), wanted, rtol=1e-15)


@pytest.mark.parametrize(
    ("policy", "tied"),
    [(EpsilonGreedy(0.1), [1, 3]), (Boltzmann(0.2), [1, 3]), (EpsilonGreedy(1), [0, 1, 2, 3])],
    ids=str,
)
def test_the_mode_picks_tied_actions_alike(policy: Any, tied: list[int]) -> None:
    mode = policy.mode(np.tile([0.0, 2.0, 1.0, 2.0], (20_000, 1)), 3)
    counts = np.bincount(mode, minlength=4)
    assert counts[[k for k in range(4) if k not in tied]].sum() == 0
    assert stats.chisquare(counts[tied]).pvalue > 0.001


# ---------------------------------------------------------------- one rule, in models and here


def on_pytensor(function: Callable[[Any], Any], q: np.ndarray) -> np.ndarray:
    x = pt.tensor("x", shape=q.shape, dtype="float64")
    return pytensor.function([x], function(x), mode="FAST_COMPILE")(q)


ON_VALUES = {
    "boltzmann": lambda q: probabilities.boltzmann_logits(q, 0.3),
    "greedy": probabilities.greedy,
    "epsilon-greedy": lambda q: probabilities.epsilon_greedy(q, 0.2, q > -INF),
    "lapse": lambda q: probabilities.mixed_with_chance(probabilities.greedy(q), 0.2, q > 0),
}


@pytest.mark.parametrize("name", ON_VALUES)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_the_mathematics_is_the_same_on_arrays_and_on_graphs(name: str, shape: tuple[int, ...]) -> None:
    q = np.random.default_rng(1).normal(size=shape).round(1)
    q[..., 0] = np.abs(q[..., 0]) + 0.1  # something is on offer
    assert_allclose(on_pytensor(ON_VALUES[name], q), ON_VALUES[name](q), rtol=1e-14)


@pytest.mark.parametrize("backend", ["fused", "scan"])
@pytest.mark.parametrize(
    ("model", "params", "policy"),
    [
        ("delta", {"beta": 4.0}, Boltzmann(0.25)),
        ("delta+epsilon_greedy", {"epsilon": 0.2}, EpsilonGreedy(0.2)),
        ("delta+epsilon_greedy", {"epsilon": 0.0}, EpsilonGreedy(0.0)),
    ],
)
def test_choice_rules_of_models_are_these_policies(model: str, params: Any, policy: Any, backend: Any) -> None:
    params = {"alpha": 0.3, "q0": 0.0, **params}
    task = rl.tasks.Bandit(probs=(0.2, 0.5, 0.8), on_offer=2)
    trials = rl.simulate(model, task, params, n_subjects=2, n_trials=60, seed=4)
    q = rl.latents(model, trials, params)["q"].values
    q = np.where(trials["available"].values, q, -INF)
    terms = policy.log_prob(q, trials["action"].values)
    assert_allclose(rl.log_prob(model, trials, params, backend=backend), terms, rtol=1e-12, atol=1e-12)
    assert len(np.unique(terms.round(6))) > 1


def test_the_gradient_of_a_boltzmann_log_probability_is_that_of_the_softmax() -> None:
    at = np.array([0.3, 0.3, -0.5])  # a tie at the maximum
    q = pt.tensor("q", shape=(3,), dtype="float64")
    log_prob = Categorical(logits=probabilities.boltzmann_logits(q, 0.5)).log_prob(0)
    found = pytensor.function([q], pt.grad(log_prob, q), mode="FAST_COMPILE")(at)
    assert_allclose(found, (one_hot(0, 3) - Boltzmann(0.5).probs(at)) / 0.5, rtol=1e-12)


def test_the_package_brings_no_environments_and_no_graphs() -> None:
    code = "import sys, rlpymc.policies; print(sorted({'gymnasium', 'pytensor', 'pymc', 'xarray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- entropy and divergence


@every_policy
@settings(max_examples=20, deadline=None)
@given(values)
def test_entropies_are_those_of_the_probabilities(policy: Any, q: np.ndarray) -> None:
    p, other = policy.probs(q), Boltzmann(2.0)
    r = other.probs(q)
    assert_allclose(policy.entropy(q), special.entr(p).sum(axis=-1), rtol=1e-12, atol=1e-14)
    assert_allclose(policy.kl(q, other), special.rel_entr(p, r).sum(axis=-1), rtol=1e-10, atol=1e-13)
    assert_allclose(policy.cross_entropy(q, other), policy.entropy(q) + policy.kl(q, other), rtol=1e-10, atol=1e-13)
    assert_allclose(policy.kl(q, r), policy.kl(q, other), rtol=1e-10, atol=1e-13)
    assert_array_equal(policy.kl(q, policy), 0.0)
    assert_allclose(categorical_entropy(p), policy.entropy(q), rtol=1e-12, atol=1e-13)
    assert_allclose(categorical_kl(p, r), policy.kl(q, other), rtol=1e-10, atol=1e-13)
    assert_allclose(categorical_cross_entropy(p, r), policy.cross_entropy(q, other), rtol=1e-10, atol=1e-13)


def test_entropies_of_certain_and_of_even_choices() -> None:
    assert categorical_entropy([0.0, 1.0, 0.0]) == 0
    assert_allclose(categorical_entropy(np.full(5, 0.2)), np.log(5))
    assert_array_equal(categorical_kl([0.5, 0.5], [[0.5, 0.5], [1.0, 0.0]]), [0.0, INF])
    assert categorical_kl([1.0, 0.0], [0.5, 0.5]) == categorical_cross_entropy([1.0, 0.0], [0.5, 0.5]) == np.log(2)
    assert categorical_kl([1.0, 0.0], [1.0, 0.0]) == categorical_cross_entropy([1.0, 0.0], [1.0, 0.0]) == 0
    assert EpsilonGreedy(0.1).kl([1, 2], EpsilonGreedy(0)) == INF
    assert np.isfinite(EpsilonGreedy(0).kl([1, 2], EpsilonGreedy(0.1)))


def test_divergences_do_not_underflow_where_probabilities_do() -> None:
    soft, sharp = Boltzmann(1.0), Boltzmann(1e-3)
    q = np.array([1.0, 2.0, 3.0])
    assert sharp.probs(q)[0] == 0  # exp(-2000)
    p = soft.probs(q)
    assert_allclose(soft.cross_entropy(q, sharp), 2000 * p[0] + 1000 * p[1], rtol=1e-12)
    states = [0]
    assert_allclose(soft.over([q]).cross_entropy(states, sharp.over([q])), soft.cross_entropy([q], sharp), rtol=1e-12)
    assert_allclose(soft.over([q]).kl(states, sharp.over([q])), soft.kl([q], sharp), rtol=1e-12)


# ---------------------------------------------------------------- one-hot vectors and relaxed draws


def test_one_hot_vectors_there_and_back() -> None:
    action = np.array([[0, 2, 1], [2, 2, 0]])
    assert_array_equal(one_hot(action, 3)[0], [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert_array_equal(from_one_hot(one_hot(action, 3)), action)
    assert from_one_hot([0.05, 0.02, 0.86, 0.07]) == 2
    assert_array_equal(one_hot(1, 3), [0, 1, 0])


@pytest.mark.parametrize("temperature", [0.01, 0.2, 5.0])
def test_relaxed_draws_stand_for_exact_ones_at_any_temperature(temperature: float) -> None:
    p = np.array([0.5, 0.0, 0.3, 0.2])
    x = gumbel_softmax(np.tile(p, (50_000, 1)), temperature, 8)
    assert_allclose(x.sum(axis=1), 1.0, rtol=1e-12)
    counts = np.bincount(from_one_hot(x), minlength=4)
    assert counts[1] == x[:, 1].max() == 0
    assert stats.chisquare(counts[[0, 2, 3]], 50_000 * p[[0, 2, 3]]).pvalue > 0.001


# ---------------------------------------------------------------- on states

TABLE = np.random.default_rng(3).normal(size=(6, 3)).round(1)


@every_policy
def test_over_a_table_is_the_policy_of_its_rows(policy: Any) -> None:
    pi, states = policy.over(TABLE), np.array([[0, 5, 2], [1, 1, 0]])
    rows, action = TABLE[states], np.array([[0, 1, 2], [2, 0, 0]])
    for name in ("probs", "logits", "mean", "entropy"):
        assert_array_equal(getattr(pi, name)(states), getattr(policy, name)(rows))
    assert_array_equal(pi.log_prob(states, action), policy.log_prob(rows, action))
    assert_array_equal(pi.mode(states, 1), policy.mode(rows, 1))
    for found, wanted in zip(pi.sample(states, 1), policy.sample(rows, 1), strict=True):
        assert_array_equal(found, wanted)
    other = Boltzmann(0.5)
    for third in (other, other.over(TABLE), other.probs(rows)):
        assert_allclose(pi.kl(states, third), policy.kl(rows, other), rtol=1e-10, atol=1e-13)
        assert_allclose(pi.cross_entropy(states, third), policy.cross_entropy(rows, other), rtol=1e-12, atol=1e-13)
    assert_array_equal(pi.probs(4), policy.probs(TABLE[4]))


def test_what_is_learned_into_a_table_is_seen_at_once() -> None:
    table = np.zeros((2, 2))
    pi = EpsilonGreedy(0).over(table)
    assert_array_equal(pi.probs(0), [0.5, 0.5])
    table[0, 1] = 1.0
    assert_array_equal(pi.probs(0), [0, 1])
    table[1, 0] = NAN
    refused(ValueError, lambda: pi.probs([0, 1]), "nan", "action 0", "state 1")


def linear(states: np.ndarray) -> np.ndarray:
    """Values of two actions in states that are vectors of two numbers."""
    return states @ np.array([[1.0, 0.5], [-1.0, 2.0]])


def test_over_a_function_of_a_batch_of_states() -> None:
    states = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.3]])
    pi = Boltzmann(0.4).over(linear)
    assert_array_equal(pi.probs(states), Boltzmann(0.4).probs(linear(states)))
    refused(ValueError, lambda: pi.probs(states[0]), "shape (2,)", "(2, n_actions)", "state[None]")
    refused(TypeError, lambda: pi.probs({"x": states}), "state", "dict", "array of states")
    squares = EpsilonGreedy(0).over(lambda s: np.stack([s, s**2], axis=1))  # one whole number is a batch of one
    assert_array_equal(squares.probs(3), [0, 1])
    assert squares.sample(3, 1)[0] == 1


def test_a_stochastic_q_is_used_by_its_mean() -> None:
    states = np.array([[1.0, 0.0], [0.0, 1.0]])
    for q in (
        StochasticQ(lambda s: stats.norm(linear(s), 3.0)),
        StochasticQ(lambda s: SimpleNamespace(mean=linear(s), sd=1.0)),
    ):
        assert_array_equal(Boltzmann(0.4).over(q).probs(states), Boltzmann(0.4).probs(linear(states)))
    refused(TypeError, lambda: Boltzmann(1.0).over(StochasticQ(linear)).probs(states), "ndarray", "mean")
    refused(TypeError, lambda: Boltzmann(1.0).over(lambda s: stats.norm(s)).probs(states), "StochasticQ")
    refused(TypeError, lambda: StochasticQ(TABLE), "ndarray", "function")


def test_successor_features_are_weighted() -> None:
    rng = np.random.default_rng(1)
    psi, w = rng.normal(size=(4, 3, 2)), np.array([0.5, -2.0])
    q = np.array([[sum(psi[s, a, k] * w[k] for k in range(2)) for a in range(3)] for s in range(4)])
    for features in (psi, lambda states: psi[states]):
        assert_allclose(
            SuccessorFeatures(features, w)([[0, 3]] if features is psi else [0, 3]).reshape(2, 3), q[[0, 3]]
        )
    pi = Boltzmann(0.3).over(SuccessorFeatures(psi, w))
    assert_allclose(pi.probs([0, 2]), Boltzmann(0.3).probs(q[[0, 2]]), rtol=1e-12)
    refused(ValueError, lambda: SuccessorFeatures(psi, [1.0]), "2 features", "1 weights")
    refused(TypeError, lambda: SuccessorFeatures(psi[0], w), "(3, 2)", "n_features")
    refused(ValueError, lambda: SuccessorFeatures(lambda s: TABLE[s], w)([0, 1]), "(2, 3)", "n_features")


def test_values_of_next_states_give_values_of_actions() -> None:
    rng = np.random.default_rng(1)
    v, reward, transition = rng.normal(size=4), rng.normal(size=(4, 2)), rng.dirichlet(np.ones(4), size=(4, 2))
    q = SuccessorStateQ(v, transition, reward, 0.9)
    wanted = [
        [reward[s, a] + 0.9 * sum(transition[s, a, n] * v[n] for n in range(4)) for a in range(2)] for s in range(4)
    ]
    assert_allclose(q(range(4)), wanted, rtol=1e-12)
    assert_allclose(q(2), wanted[2], rtol=1e-12)
    assert Boltzmann(1.0).over(q).n_actions == 2
    refused(ValueError, lambda: SuccessorStateQ(v[:3], transition, reward, 0.9), "(3,)", "(4, 2, 4)")
    refused(ValueError, lambda: SuccessorStateQ(v, transition * 2, reward, 0.9), "sum to 2", "state 0, action 0")
    refused(ValueError, lambda: SuccessorStateQ(v, transition, reward, 1.1), "discount", "1.1", "[0, 1]")


def signed_log(x: Any) -> Any:
    return np.sign(x) * np.log1p(np.abs(x))


def signed_exp(x: Any) -> Any:
    return np.sign(x) * np.expm1(np.abs(x))


def test_policies_choose_by_transformed_values_and_a_call_gives_those_in_units_of_reward() -> None:
    rewards = np.array([[100.0, 20.0, -3.0], [0.0, 0.5, 7.0]])
    q = TransformedQ(signed_log(rewards), signed_log, signed_exp)
    pi = Boltzmann(0.5).over(q)
    assert_allclose(q([0, 1]), rewards, rtol=1e-12)
    assert_allclose(pi.probs([0, 1]), Boltzmann(0.5).probs(signed_log(rewards)), rtol=1e-12)
    by_reward = Boltzmann(0.5).over(lambda states: q(states))
    assert_allclose(by_reward.probs([0, 1]), Boltzmann(0.5).probs(rewards), rtol=1e-9)
    assert not np.allclose(pi.probs([0, 1]), by_reward.probs([0, 1]), atol=0.01)
    assert_array_equal(EpsilonGreedy(0.1).over(q).probs([0, 1]), EpsilonGreedy(0.1).probs(rewards))
    refused(ValueError, lambda: TransformedQ(rewards, np.sqrt, np.abs)(0), "inverse", "100")
    refused(TypeError, lambda: TransformedQ(rewards, np.sqrt, None), "forward", "inverse")


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("policy", "new"), [(EpsilonGreedy(0.1), {"epsilon": 0.4}), (Boltzmann(0.1), {"temperature": 2.0})], ids=str
)
def test_parameters_are_read_and_replaced(policy: Any, new: dict[str, float]) -> None:
    pi = policy.over(TABLE)
    fresh = type(policy)(*new.values())
    kept = pi.params
    pi.params = {**new, "q": -TABLE}
    assert_array_equal(pi.probs(range(6)), fresh.probs(-TABLE))
    assert policy.params.keys() == new.keys()
    assert policy.params != new  # its own
    pi.params = kept
    assert_array_equal(pi.probs(range(6)), policy.probs(TABLE))
    assert_array_equal(TABLE, np.random.default_rng(3).normal(size=(6, 3)).round(1))  # the caller's array is as it was
    policy.params, before = new, policy.params
    assert_array_equal(policy.probs(TABLE), fresh.probs(TABLE))
    policy.params = before


def test_a_parameter_can_be_changed_on_its_own_and_nothing_else_assigned() -> None:
    greedy, soft = EpsilonGreedy(0.1, floor=1e-15), Boltzmann(1.0)
    greedy.epsilon, soft.temperature = 0.5, 0.2
    assert (greedy.params, soft.params, greedy.floor) == ({"epsilon": 0.5}, {"temperature": 0.2}, 1e-15)
    refused(ValueError, lambda: setattr(greedy, "epsilon", 2), "epsilon", "[0, 1]")
    pi = greedy.over(TABLE)
    pi.policy.epsilon = 0.0
    assert (pi.params["epsilon"], greedy.epsilon) == (0.0, 0.5)
    for thing, name in ((greedy, "floor"), (greedy, "temperature"), (soft, "beta"), (pi, "epsilon")):
        with pytest.raises(AttributeError, match=name):
            setattr(thing, name, 0.1)


def test_changing_what_was_read_changes_nothing() -> None:
    pi = EpsilonGreedy(0.1).over(TABLE)
    read = pi.params
    read["epsilon"] = 7.0
    read["q"][:] = NAN
    assert pi.params["epsilon"] == 0.1
    assert_array_equal(pi.params["q"], TABLE)


def test_parameters_of_the_other_q_functions() -> None:
    rng = np.random.default_rng(1)
    psi = rng.normal(size=(4, 3, 2))
    pi = Boltzmann(1.0).over(SuccessorFeatures(psi, [1.0, 0.0]))
    pi.params = {"temperature": 1.0, "q": {"features": psi, "weights": np.array([0.0, 1.0])}}
    assert_array_equal(pi.values(range(4)), psi[:, :, 1])

    class Network:
        def __init__(self) -> None:
            self.params = {"w": [np.ones(2), 3.0]}

        def __call__(self, states: np.ndarray) -> np.ndarray:
            return states[:, None] * self.params["w"][0] + self.params["w"][1]

    pi = Boltzmann(1.0).over(Network())
    pi.params = {"temperature": 1.0, "q": {"w": [np.array([1.0, 2.0]), 0.0]}}
    assert_array_equal(pi.values(np.array([1.0, 3.0])), [[1, 2], [3, 6]])
    refused(
        TypeError, lambda: setattr(pi, "params", {"temperature": 1.0, "q": {"w": [np.ones(2)]}}), "['w']", "list of 2"
    )
    assert Boltzmann(1.0).over(linear).params == {"temperature": 1.0, "q": {}}
    q = SuccessorStateQ([1.0, 0.0], np.full((2, 2, 2), 0.5), np.zeros((2, 2)), 0.5)
    q.params = {**q.params, "discount": 1.0}
    assert_array_equal(q([0]), [[0.5, 0.5]])
    transformed = TransformedQ(TABLE, signed_log, signed_exp)
    transformed.params = -TABLE
    assert_array_equal(transformed.learned(0), -TABLE[0])


@pytest.mark.parametrize(
    ("new", "error", "parts"),
    [
        ({"epsilon": 0.1}, TypeError, ("['epsilon']", "['epsilon', 'q']", "built like the old ones")),
        ({"temperature": 0.1, "q": TABLE}, TypeError, ("temperature", "['epsilon', 'q']")),
        ({"epsilon": [0.1], "q": TABLE}, TypeError, ("params['epsilon']", "(1,)", "()")),
        ({"epsilon": 0.1, "q": TABLE[:5]}, TypeError, ("params['q']", "(5, 3)", "(6, 3)")),
        ({"epsilon": "much", "q": TABLE}, TypeError, ("params['epsilon']", "str")),
        (0.1, TypeError, ("params", "float")),
        ({"epsilon": 1.5, "q": TABLE}, ValueError, ("epsilon", "1.5", "[0, 1]")),
        ({"epsilon": 0.5, "q": np.where(TABLE > 0, TABLE, NAN)}, ValueError, ("nan", "state", "action")),
    ],
    ids=range(8),
)
def test_wrong_parameters_are_refused_and_change_nothing(
    new: Any, error: type[Exception], parts: tuple[str, ...]
) -> None:
    pi = EpsilonGreedy(0.1).over(TABLE)
    refused(error, lambda: setattr(pi, "params", new), *parts)
    assert pi.params["epsilon"] == 0.1
    assert_array_equal(pi.params["q"], TABLE)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("wrong", [-0.1, 1.1, NAN, INF])
def test_epsilon_outside_its_range_is_refused(wrong: float) -> None:
    refused(ValueError, lambda: EpsilonGreedy(wrong), "epsilon", f"{wrong:g}", "[0, 1]")


@pytest.mark.parametrize("wrong", [0, -1.0, NAN, INF, 1e-320])
def test_a_temperature_that_is_not_above_0_is_refused(wrong: float) -> None:
    refused(ValueError, lambda: Boltzmann(wrong), "temperature", f"{wrong:g}", "above 0")


@pytest.mark.parametrize("wrong", ["0.1", None, [0.1, 0.2], True, 1j, pt.scalar("epsilon")], ids=repr)
def test_what_is_not_one_number_is_refused(wrong: Any) -> None:
    refused(TypeError, lambda: EpsilonGreedy(wrong), "epsilon", "expected")
    refused(TypeError, lambda: Boltzmann(wrong), "temperature", "expected")


def test_a_floor_is_small() -> None:
    for wrong in (-1e-15, 0.01, NAN):
        refused(ValueError, lambda wrong=wrong: EpsilonGreedy(0.1, floor=wrong), "floor", f"{wrong:g}", "1e-12")


@pytest.mark.parametrize(
    ("q", "error", "parts"),
    [
        ([1.0, NAN, 2.0], ValueError, ("nan", "action 1", "finite")),
        ([[1.0, 2.0], [INF, 0.0]], ValueError, ("inf", "action 0", "(1,)")),
        ([[0.0, 1.0], [-INF, -INF]], ValueError, ("-inf", "(1,)", "on offer")),
        (3.0, ValueError, ("()", "n_actions")),
        (np.zeros((3, 0)), ValueError, ("(3, 0)", "at least one action")),
        ([[1.0, 2.0], [3.0]], ValueError, ("q", "different lengths")),
        (["a", "b"], TypeError, ("q", "expected numbers")),
        ([True, False], TypeError, ("bool", "expected numbers")),
        (None, TypeError, ("NoneType", "expected numbers")),
        (np.ma.masked_array([1.0, 2.0], mask=[True, False]), TypeError, ("mask", "-inf")),
        (pt.vector("q"), TypeError, ("TensorVariable", "expected numbers")),
    ],
    ids=range(11),
)
def test_values_that_are_no_values_are_refused(q: Any, error: type[Exception], parts: tuple[str, ...]) -> None:
    for policy in (EpsilonGreedy(0.1), Boltzmann(1.0)):
        for method in (
            policy.probs,
            policy.logits,
            policy.entropy,
            lambda x, p=policy: p.sample(x, 1),
            lambda x, p=policy: p.mode(x, 1),
            lambda x, p=policy: p.log_prob(x, 0),
            lambda x, p=policy: p.kl(x, [0.5, 0.5]),
        ):
            refused(error, lambda method=method: method(q), *parts)


@pytest.mark.parametrize(
    ("action", "parts"),
    [
        (2, ("action", "found 2", "0 to 1")),
        ([0, 1, -1], ("action", "found -1", "(2,)")),
        ([0.0, 1.0, 1.0], ("float64", "whole numbers")),
        ([True, False, True], ("bool", "whole numbers")),
        ([0, 1], ("(2,)", "(3,)", "one action for each row")),
        ([[0], [1], [1]], ("(3, 1)", "(3,)")),
    ],
    ids=range(6),
)
def test_actions_that_are_none_are_refused(action: Any, parts: tuple[str, ...]) -> None:
    refused(ValueError, lambda: Boltzmann(1.0).log_prob(np.zeros((3, 2)), action), *parts)


@pytest.mark.parametrize(
    "wrong", ["q", None, 3.0, np.zeros(3), np.zeros((2, 3, 4)), [["a"]], dict, Boltzmann(1.0)], ids=repr
)
def test_what_is_no_q_function_is_refused(wrong: Any) -> None:
    for policy in (EpsilonGreedy(0.1), Boltzmann(1.0)):
        refused(TypeError, lambda policy=policy: policy.over(wrong), "q: found")


def test_tables_with_wrong_values_are_refused() -> None:
    refused(ValueError, lambda: Q([[1.0, 2.0], [0.0, NAN]]), "nan", "action 1", "state 1")
    refused(ValueError, lambda: Q(np.zeros((0, 2))), "(0, 2)")


@pytest.mark.parametrize("state", [6, -1, [0, 7], 1.0, "a"])
def test_states_that_a_table_does_not_have_are_refused(state: Any) -> None:
    refused(ValueError, lambda: Boltzmann(1.0).over(TABLE).probs(state), "state: found", "0 to 5")


@pytest.mark.parametrize(
    "space",
    [spaces.Box(-1.0, 1.0), spaces.MultiDiscrete([3, 3]), spaces.MultiBinary(3), 3, "Discrete(3)"],
    ids=repr,
)
def test_action_spaces_other_than_discrete_are_refused(space: Any) -> None:
    for policy in (EpsilonGreedy(0.1), Boltzmann(1.0)):
        refused(TypeError, lambda policy=policy: policy.over(TABLE, action_space=space), "action_space", "Discrete")

    class WithSpace:
        action_space = space

        def __call__(self, states: np.ndarray) -> np.ndarray:
            return TABLE[states]

    refused(TypeError, lambda: Boltzmann(1.0).over(WithSpace()), "action_space", "Discrete")


def test_the_number_of_actions_is_that_of_the_action_space() -> None:
    assert Boltzmann(1.0).over(TABLE, action_space=spaces.Discrete(3)).n_actions == 3
    refused(ValueError, lambda: Boltzmann(1.0).over(TABLE, spaces.Discrete(4)), "3 actions", "expected 4")
    refused(ValueError, lambda: Boltzmann(1.0).over(TABLE, spaces.Discrete(3, start=1)), "counted from 1")
    late = Boltzmann(1.0).over(lambda s: TABLE[s], spaces.Discrete(4))
    refused(ValueError, lambda: late.probs([0, 1]), "3 actions", "expected 4")


def test_distributions_that_are_none_are_refused() -> None:
    for wrong, parts in (
        ([0.5, 0.6], ("sum to 1.1", "probabilities")),
        ([-0.5, 1.5], ("found -0.5", "entry 0", "probability")),
        ([[0.5, 0.5], [NAN, 1.0]], ("found nan", "axis 0, entry 1")),
        (1.0, ("()", "(..., n_actions)")),
    ):
        for function in (
            categorical_entropy,
            lambda p: categorical_kl([0.5, 0.5], p),
            lambda p: gumbel_softmax(p, 1.0, 1),
        ):
            refused(ValueError, lambda function=function, wrong=wrong: function(wrong), *parts)
    refused(ValueError, lambda: categorical_kl([0.5, 0.5], [1.0]), "(2,)", "(1,)")
    refused(
        ValueError, lambda: categorical_cross_entropy(np.full((3, 2), 0.5), np.full((2, 2), 0.5)), "(3, 2)", "(2, 2)"
    )
    refused(ValueError, lambda: Boltzmann(1.0).kl([1.0, 2.0], [0.2, 0.3, 0.5]), "other", "(3,)", "(2,)")
    refused(TypeError, lambda: Boltzmann(1.0).kl([1.0, 2.0], "other"), "other", "numbers")
    refused(TypeError, lambda: Boltzmann(1.0).kl([1.0, 2.0], Boltzmann(1.0).over(TABLE)), "other", "StatePolicy")
    refused(ValueError, lambda: gumbel_softmax([0.5, 0.5], 0.0, 1), "temperature", "above 0")
    refused(ValueError, lambda: one_hot(3, 3), "found 3", "0 to 2")
    refused(ValueError, lambda: from_one_hot([[1.0, 0.0], [0.5, 0.5]]), "(1,)", "one largest")
    refused(ValueError, lambda: from_one_hot([NAN, 0.5]), "one largest")


# ---------------------------------------------------------------- episodes

TAXI = max(name for name in gymnasium.registry if name.startswith("Taxi-v"))


def table_of(environment: Any) -> np.ndarray:
    """Values by sixty sweeps of value iteration with a discount of .9."""
    dynamics = environment.unwrapped.P
    q = np.zeros((environment.observation_space.n, environment.action_space.n))
    for _ in range(60):
        v = q.max(axis=1)
        for s, by_action in dynamics.items():
            for a, outcomes in by_action.items():
                q[s, a] = sum(p * (r + 0.9 * v[n] * (not over)) for p, n, r, over in outcomes)
    return q


@pytest.mark.parametrize(("name", "options"), [("FrozenLake-v1", {"is_slippery": False}), (TAXI, {})])
@pytest.mark.parametrize("policy", [EpsilonGreedy(0.1), Boltzmann(0.02)], ids=str)
def test_episodes_of_20_steps(name: str, options: dict[str, Any], policy: Any) -> None:
    with gymnasium.make(name, **options) as environment:
        q, rng = table_of(environment), np.random.default_rng(1)
        pi = policy.over(q, environment.action_space)
        for choose in ("sample", "mode"):
            state, _ = environment.reset(seed=1)
            for _ in range(20):
                action = pi.mode(state, rng)
                if choose == "sample":
                    action, log_prob = pi.sample(state, rng)
                    assert_allclose(log_prob, np.log(plain(policy, q[state])[action]), rtol=0, atol=1e-12)
                assert environment.action_space.contains(action)
                state, _, terminated, truncated, _ = environment.step(action)
                if terminated or truncated:
                    state, _ = environment.reset(seed=1)


def test_the_mode_walks_to_the_goal_by_a_shortest_way() -> None:
    with gymnasium.make("FrozenLake-v1", is_slippery=False) as environment:
        q = table_of(environment)
        pi, rng, ways = EpsilonGreedy(0.1).over(q, environment.action_space), np.random.default_rng(1), set()
        for _ in range(20):
            state, _ = environment.reset(seed=1)
            way = [state]
            while way[-1] != 15:
                state, reward, *_ = environment.step(pi.mode(state, rng))
                way.append(state)
            assert (len(way), reward) == (7, 1.0)
            ways.add(tuple(way))
        assert len(ways) == 3  # of equal length: ties are not always decided alike
