"""Processes: what is refused and what reported, where they come from, and whether episodes follow them."""

from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import rlpymc as rl
from rlpymc import mdp
from rlpymc.mdp import MDP
from tests.helpers.messages import assert_says, refusal
from tests.helpers.processes import grid, line, random_policy, random_process

STAY = np.eye(2)[:, None, :].repeat(2, axis=1)  # two states, two actions, nothing moves
NOTHING = np.zeros((2, 2))


def changed(array: np.ndarray, at: tuple[int, ...], value: float) -> np.ndarray:
    copy = np.array(array, dtype=float)
    copy[at] = value
    return copy


# ---------------------------------------------------------------- what it is


def test_the_public_name() -> None:
    assert rl.mdp.MDP is MDP
    assert set(mdp.__all__) <= set(dir(mdp))


@pytest.mark.parametrize("seed", range(3))
def test_dense_and_sparse_transitions_are_the_same_process(seed: int) -> None:
    transition, reward, initial, dense = random_process(seed, terminal=(2,))
    by_action = [sparse.coo_array(transition[:, a]) for a in range(3)]
    for form in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        other = MDP([form(one) for one in by_action], reward, 0.9, initial, 2)
        assert_array_equal(other.transition.toarray(), dense.transition.toarray())
    assert_array_equal(MDP(transition.tolist(), reward.tolist(), 0.9, initial, [2]).reward, dense.reward)


def test_the_row_of_a_state_and_action_is_where_it_says() -> None:
    transition, _, _, m = random_process(1)
    assert_allclose(m.transition.toarray().reshape(5, 3, 5), transition, atol=0)
    v = np.arange(5.0) ** 2
    assert_allclose(m.expected(v), transition @ v, rtol=1e-14)


def test_parts_of_a_probability_are_added_and_zeros_are_no_way() -> None:
    halves = sparse.coo_array(([0.5, 0.5, 1.0, 0.0], ([0, 0, 1, 1], [1, 1, 1, 0])), shape=(2, 2))
    m = MDP([halves], np.zeros((2, 1)), 0.9, [0, 1])
    assert_array_equal(m.transition.toarray(), [[0, 1], [0, 1]])
    assert_array_equal(m.unreachable, [0])


def test_a_process_does_not_change_with_its_material_nor_by_hand() -> None:
    transition, reward, initial, m = random_process(1)
    before = m.transition.toarray()
    transition[:], reward[:], initial[:] = 0, 0, 0
    assert_array_equal(m.transition.toarray(), before)
    assert m.reward.any()
    for array in (m.reward, m.initial, m.transition.data):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_rows_of_terminal_states_are_not_read() -> None:
    transition, reward, initial, m = random_process(4, terminal=(1, 3))
    nonsense, noise = changed(transition, (1,), np.nan), changed(reward, (3,), np.nan)
    assert_array_equal(MDP(nonsense, noise, 0.9, initial, (3, 1)).transition.toarray(), m.transition.toarray())
    assert_array_equal(m.transition.toarray().reshape(5, 3, 5)[[1, 3]], np.eye(5)[[1, 3], None].repeat(3, axis=1))
    assert_array_equal(m.reward[[1, 3]], 0)
    assert_array_equal(m.ends, [False, True, False, True, False])


def test_first_states_are_uniform_over_those_that_are_not_terminal() -> None:
    assert_allclose(MDP(STAY, NOTHING, 0.9).initial, [0.5, 0.5])
    assert_allclose(MDP(STAY, NOTHING, 0.9, terminal=0).initial, [0, 1])
    assert_says(refusal(MDP, STAY, NOTHING, terminal=[0, 1]), "terminal", "all states")


def test_a_process_prints_what_it_is() -> None:
    assert repr(random_process(1)[3]) == "MDP(5 states, 3 actions, discount 0.9)"
    m = MDP(STAY, NOTHING, 1.0, [1, 0], terminal=1)
    assert repr(m) == "MDP(2 states, 2 actions, discount 1; terminal state 1; unreachable state 1)"


# ---------------------------------------------------------------- what is refused


def test_probabilities_of_next_states() -> None:
    transition, reward, _, _ = random_process(1)
    row = transition[3, 2] * 0.9
    assert_says(refusal(MDP, changed(transition, (3, 2), row), reward), "state 3, action 2", "sum to 0.9", "expected 1")
    negative = changed(STAY, (1, 0), [-0.5, 1.5])
    assert_says(refusal(MDP, negative, NOTHING), "state 1, action 0 to state 0", "found -0.5")
    assert_says(refusal(MDP, changed(STAY, (0, 1), np.nan), NOTHING), "state 0, action 1", "found nan")
    assert_says(refusal(MDP, changed(STAY, (0, 1), 0), NOTHING), "state 0, action 1", "sum to 0", "terminal=")
    assert_says(refusal(MDP, changed(STAY, (0, 1), [1 + 1e-6, 0]), NOTHING), "sum to 1.000001", "rounding")
    assert MDP(changed(STAY, (0, 1), [1 + 1e-12, 0]), NOTHING, 0.9).n_states == 2
    assert_says(refusal(MDP, [sparse.eye_array(2), 2 * sparse.eye_array(2)], NOTHING), "state 0, action 1", "sum to 2")


def test_shapes() -> None:
    transition, reward, _, _ = random_process(1)
    assert_says(refusal(MDP, transition[0], reward), "(3, 5)", "(n_states, n_actions, n_states)")
    assert_says(refusal(MDP, transition.swapaxes(0, 1), reward), "(3, 5, 5)", "np.swapaxes")
    assert_says(refusal(MDP, transition, reward.T), "reward", "(3, 5)", "(5, 3)")
    assert_says(refusal(MDP, transition, [[1.0], [1.0, 2.0]]), "reward: expected an array of numbers")
    assert_says(refusal(MDP, transition, sparse.csr_array(reward)), "reward: expected an array of numbers")
    assert_says(refusal(MDP, transition, reward[:, 0]), "reward", "np.repeat")
    assert_says(refusal(MDP, transition, transition), "reward", "(transition * reward).sum(axis=2)")
    assert_says(refusal(MDP, [[1, 0], [1]], reward), "transition", "array of numbers")
    assert_says(refusal(MDP, "abc", reward), "transition", "array of numbers")
    assert_says(refusal(MDP, sparse.eye_array(2), NOTHING), "one sparse matrix", "one for each action")
    ragged = [sparse.eye_array(2), sparse.eye_array(3)]
    assert_says(refusal(MDP, ragged, NOTHING), "action 1", "(3, 3)", "(2, 2)")
    assert_says(refusal(MDP, [sparse.eye_array(2), np.eye(3)], NOTHING), "action 1", "(3, 3)", "(2, 2)")
    for nothing in ([], np.zeros((0, 0, 0)), np.zeros((2, 0, 2)), None, 3):
        assert_says(refusal(MDP, nothing, NOTHING), "transition: found shape", "(n_states, n_actions, n_states)")
    assert_says(refusal(MDP, [sparse.csr_array((0, 0))], NOTHING), "action 0", "(0, 0)")
    assert_says(refusal(MDP, transition + 0j, reward), "transition", "complex")
    assert_says(refusal(MDP, [1j * sparse.eye_array(2)] * 2, NOTHING), "action 0", "complex")


def test_rewards() -> None:
    assert_says(refusal(MDP, STAY, changed(NOTHING, (1, 0), np.nan)), "reward", "found nan", "state 1, action 0")
    assert_says(refusal(MDP, STAY, changed(NOTHING, (0, 1), -np.inf)), "reward", "found -inf", "state 0, action 1")


@pytest.mark.parametrize("discount", [-0.1, 1.1, np.nan, np.inf, "0.9", None, [0.9]])
def test_discounts(discount: Any) -> None:
    assert_says(refusal(MDP, STAY, NOTHING, discount), f"discount: found {discount!r}", "[0, 1]")


def test_first_states() -> None:
    assert_says(refusal(MDP, STAY, NOTHING, 0.9, [0.5, 0.4]), "initial", "sum to 0.9")
    assert_says(refusal(MDP, STAY, NOTHING, 0.9, [0.5, 0.500001]), "initial", "sum to 1.000001")
    assert_says(refusal(MDP, STAY, NOTHING, 0.9, [1.5, -0.5]), "initial", "found -0.5", "state 1")
    assert_says(refusal(MDP, STAY, NOTHING, 0.9, [1.0]), "initial", "(1,)", "(2,)")
    assert_says(refusal(MDP, STAY, NOTHING, 0.9, [np.nan, 1]), "initial", "found nan", "state 0")


@pytest.mark.parametrize("terminal", [2, -1, [0, 5], [0.5], [True, False], ["a"]])
def test_terminal_states_that_do_not_exist(terminal: Any) -> None:
    assert_says(refusal(MDP, STAY, NOTHING, 0.9, terminal=terminal), "terminal", "0 to 1")


# ---------------------------------------------------------------- what is reported


def test_unreachable_states() -> None:
    """0 leads to 1, or to 2, which is the end; 3 and 4 lead to each other and to 0; behind the end lies 5."""
    ways = np.zeros((6, 2, 6))
    for (s, a), to in {(0, 0): 1, (0, 1): 2, (1, 0): 0, (1, 1): 1, (2, 0): 5, (2, 1): 5}.items():
        ways[s, a, to] = 1
    ways[3, :, 4] = ways[4, 0, 3] = ways[4, 1, 0] = ways[5, :, 5] = 1
    one_way = MDP(ways, np.zeros((6, 2)), 0.9, [1, 0, 0, 0, 0, 0], terminal=2)
    assert_array_equal(one_way.unreachable, [3, 4, 5])
    assert_array_equal(MDP(ways, np.zeros((6, 2)), 0.9, terminal=2).unreachable, [])
    assert_array_equal(one_way.endless, [0, 1, 3, 4, 5])


def by_all_policies(transition: np.ndarray, terminal: int) -> np.ndarray:
    """States from which one of all deterministic policies has no way to the end."""
    n, k = transition.shape[:2]
    lost = np.zeros(n, dtype=bool)
    for actions in np.ndindex(*[k] * n):
        steps, reached = transition[np.arange(n), actions] > 0, np.arange(n) == terminal
        for _ in range(n):
            reached = reached | (steps & reached).any(axis=1)
        lost |= ~reached
    return np.flatnonzero(lost)


def test_an_action_that_may_lead_out_at_two_places_is_one_action() -> None:
    """1 leads to the end 0, and 2 to 1; 3 may go to either, or stay."""
    ways = np.zeros((4, 2, 4))
    ways[0, :, 0] = ways[1, :, 0] = ways[2, :, 1] = ways[3, 1, 3] = 1
    ways[3, 0, [1, 2]] = 0.5
    assert_array_equal(MDP(ways, np.zeros((4, 2)), terminal=0).endless, [3])


def test_a_way_of_probability_0_is_none() -> None:
    entries = ([0.0, 1.0, 1.0], ([0, 0, 1], [1, 0, 1]))
    m = MDP([sparse.coo_array(entries, shape=(2, 2))], np.zeros((2, 1)), 1.0, [1, 0], terminal=1)
    assert_array_equal(m.endless, [0])
    assert_array_equal(m.unreachable, [1])


@pytest.mark.parametrize("seed", range(12))
def test_states_from_which_a_policy_stays_away_from_the_ends(seed: int) -> None:
    transition, _, _, m = random_process(seed, 5, 2, 1.0, terminal=(0,), density=0.3)
    assert_array_equal(m.endless, by_all_policies(transition, 0))


def test_with_discount_1_a_process_must_end_whatever_one_does() -> None:
    """Unless there is a horizon."""
    transition, reward, initial, _ = random_process(2)
    plain = MDP(transition, reward, 1.0, initial)
    for solve in (
        mdp.value_iteration,
        mdp.policy_iteration,
        lambda m: mdp.soft_value_iteration(m, 1.0),
        lambda m: mdp.soft_policy_iteration(m, 1.0),
        mdp.fitted_q,
        lambda m: mdp.q_learning(m, 10, seed=1),
    ):
        assert_says(refusal(solve, plain), "discount 1", "states 0, 1, 2, 3, 4", "terminal state", "below 1", "horizon")
    stay_or_go = MDP([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], NOTHING - 1, 1.0, terminal=1)
    assert_says(refusal(mdp.value_iteration, stay_or_go), "from state 0 some policy never reaches")
    assert_says(refusal(mdp.policy_evaluation, stay_or_go, [0, 0]), "from state 0 this policy never reaches")
    assert_array_equal(mdp.policy_evaluation(stay_or_go, [1, 0]).v, [-1, 0])
    assert_array_equal(mdp.policy_evaluation(stay_or_go, [0, 0], horizon=3).v, [[-3, 0], [-2, 0], [-1, 0]])
    assert mdp.messages(plain, 3).v.shape == (3, 5)


def test_with_discount_1_a_process_that_ends_has_values() -> None:
    """A line on which every step costs 1: the time to its end, from the equations of a random walk."""
    m = line(30, 0.8)
    assert len(m.endless) == 0
    best = mdp.value_iteration(m)
    assert_array_equal(best.policy[:-1], [[0, 1]] * 29)
    ratio, left = 0.2 / 0.8, np.arange(29, -1, -1.0)
    # steps from i to the end of a walk that is held at 0
    wanted = left / 0.6 - ratio / (0.8 - 0.2) / (1 - ratio) * (ratio ** (29 - left) - ratio**29)
    assert_allclose(best.v, -wanted, atol=1e-11)
    assert_allclose(mdp.policy_iteration(m).v, -wanted, atol=1e-11)
    soft = mdp.soft_policy_iteration(m, 0.5)
    assert_allclose(soft.v, mdp.soft_value_iteration(m, 0.5).v, atol=1e-10)
    assert soft.v[-1] == 0


# ---------------------------------------------------------------- Gymnasium's


def plain_values(env: Any, discount: float) -> np.ndarray:
    """Value iteration over the environment's own table, as a plain loop."""
    table, v = env.unwrapped.P, np.zeros(env.observation_space.n)
    for _ in range(600):
        v = np.array(
            [
                max(
                    sum(p * (r + discount * v[s] * (not over)) for p, s, r, over in outcomes)
                    for outcomes in row.values()
                )
                for row in table.values()
            ]
        )
    return v


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1"])
def test_values_of_gymnasiums_environments(name: str) -> None:
    env = gymnasium.make(name)
    m = MDP.from_gymnasium(env, discount=0.95)
    found = mdp.value_iteration(m).v
    wanted = plain_values(env, 0.95)
    assert_allclose(found[~m.ends], wanted[~m.ends], atol=1e-10)
    assert_array_equal(m.initial, env.unwrapped.initial_state_distrib)  # type: ignore[attr-defined]


def test_frozen_lake_is_what_it_is_known_to_be() -> None:
    """The value 0.542 at discount .99 that is printed in many places, and holes and goal are the ends."""
    m = MDP.from_gymnasium(gymnasium.make("FrozenLake-v1"), 0.99)
    assert_array_equal(m.terminal, [5, 7, 11, 12, 15])
    assert_allclose(mdp.value_iteration(m).v[0], 0.542, atol=5e-4)
    assert m.discount == 0.99
    assert MDP.from_gymnasium(gymnasium.make("FrozenLake-v1")).discount == 1


def test_the_best_policy_drives_a_taxi() -> None:
    env = gymnasium.make("Taxi-v4")
    m = MDP.from_gymnasium(env, discount=0.99)
    assert len(m.terminal) == 4
    best = mdp.value_iteration(m)
    for seed in range(30):
        state, _ = env.reset(seed=seed)
        first, total, over, t = state, 0.0, False, 0
        while not over:
            state, reward, over, *_ = env.step(int(best.policy[state].argmax()))
            total, t = total + 0.99**t * float(reward), t + 1
        assert_allclose(total, best.v[first], atol=1e-10)
        assert state in m.terminal


def toy(table: dict[int, Any]) -> Any:
    spaces = {"observation_space": gymnasium.spaces.Discrete(len(table)), "action_space": gymnasium.spaces.Discrete(1)}
    return SimpleNamespace(P=table, initial_state_distrib=np.eye(len(table))[0], **spaces)


def test_environments_without_a_table_or_with_an_end_that_is_none() -> None:
    assert_says(
        refusal(MDP.from_gymnasium, gymnasium.make("Blackjack-v1")), "Blackjack", "env.unwrapped.P", "FrozenLake"
    )
    half = toy(
        {
            0: {0: [(0.5, 1, 0.0, True), (0.5, 2, 0.0, False)]},
            1: {0: [(1.0, 0, 0.0, False)]},
            2: {0: [(1.0, 1, 0.0, False)]},
        }
    )
    assert_says(refusal(MDP.from_gymnasium, half), "state 1", "from state 2, action 0", "two states")
    elsewhere = toy({0: {0: [(1.0, 1, 3.0, True)]}, 1: {0: [(1.0, 0, 0.0, False)]}, 2: {0: [(1.0, 1, 0.0, False)]}})
    assert_array_equal(mdp.value_iteration(MDP.from_gymnasium(elsewhere, 0.5)).v[:2], [3, 0])


def test_an_outcome_of_probability_0_ends_nothing() -> None:
    never = toy({0: {0: [(1.0, 1, 0.0, False), (0.0, 1, 0.0, True)]}, 1: {0: [(1.0, 1, 1.0, False)]}})
    m = MDP.from_gymnasium(never, 0.5)
    assert_array_equal(m.terminal, [])
    assert_allclose(mdp.value_iteration(m).v, [1, 2])


def test_outcomes_of_a_table_that_name_a_state_twice_are_added() -> None:
    twice = toy(
        {0: {0: [(0.25, 1, 4.0, True), (0.25, 1, 0.0, True), (0.5, 0, 2.0, False)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
    )
    m = MDP.from_gymnasium(twice, 0.5)
    assert_allclose(m.reward, [[2.0], [0.0]])
    assert_allclose(m.transition.toarray(), [[0.5, 0.5], [0, 1]])


# ---------------------------------------------------------------- episodes


def assert_frequencies(counts: np.ndarray, probs: np.ndarray) -> None:
    """Counts over the last axis are within four standard deviations of what the probabilities say."""
    n = counts.sum(axis=-1, keepdims=True)
    assert (np.abs(counts - n * probs) <= 4 * np.sqrt(n * probs * (1 - probs)) + 1e-9).all()


def test_episodes_follow_policy_and_process() -> None:
    transition, reward, initial, m = random_process(5, terminal=(4,))
    policy = random_policy(1, m)
    lived = mdp.sample_episodes(m, policy, 20_000, 6, seed=1)
    assert_frequencies(np.bincount(lived.state[:, 0], minlength=5), initial)
    steps = lived.transitions()
    assert_array_equal(steps.reward, reward[steps.state, steps.action])
    assert len(steps.state) == lived.length.sum()
    taken, moved = np.zeros((5, 3)), np.zeros((5, 3, 5))
    np.add.at(taken, (steps.state, steps.action), 1)
    np.add.at(moved, (steps.state, steps.action, steps.next_state), 1)
    assert_frequencies(taken[:4], policy[:4])
    assert_frequencies(moved[:4], transition[:4])
    assert taken[4].sum() == 0


def test_episodes_end_in_terminal_states() -> None:
    _, _, _, m = random_process(5, terminal=(1, 4))
    lived = mdp.sample_episodes(m, random_policy(1, m), 500, 3, seed=2)
    for state, action, reward, n in zip(lived.state, lived.action, lived.reward, lived.length, strict=True):
        assert not m.ends[state[:n]].any()
        assert (action[:n] >= 0).all()
        assert n == 3 or m.ends[state[n]]
        assert (state[n + 1 :] == -1).all()
        assert (action[n:] == -1).all()
        assert (reward[n:] == 0).all()
    assert (lived.length == 0).any()
    assert (lived.length == 3).any()


def test_policies_may_differ_by_step_or_be_actions() -> None:
    _, _, _, m = random_process(5)
    actions = np.array([0, 2, 1, 1, 0])
    lived = mdp.sample_episodes(m, actions, 50, 4, seed=1)
    assert_array_equal(lived.action, actions[lived.state[:, :-1]])
    by_step = np.eye(3)[[[k] * 5 for k in (2, 0, 1, 2)]]
    assert_array_equal(mdp.sample_episodes(m, by_step, 50, 4, seed=1).action, [[2, 0, 1, 2]] * 50)


def test_the_same_seed_gives_the_same_episodes() -> None:
    transition, reward, initial, m = random_process(5)
    by_action = MDP([sparse.csc_array(transition[:, a]) for a in range(3)], reward, 0.9, initial)
    policy = random_policy(1, m)
    first, again = (mdp.sample_episodes(one, policy, 40, 5, seed=3) for one in (m, by_action))
    other = mdp.sample_episodes(m, policy, 40, 5, seed=np.random.default_rng(4))
    assert_array_equal(first.state, again.state)
    assert_array_equal(first.action, again.action)
    assert (first.state != other.state).any()


def test_single_steps_come_from_everywhere() -> None:
    transition, reward, _, m = random_process(6, terminal=(2,))
    steps = mdp.sample_transitions(m, 30_000, seed=1)
    counts = np.zeros((5, 3, 5))
    np.add.at(counts, (steps.state, steps.action, steps.next_state), 1)
    alive = [0, 1, 3, 4]
    assert_frequencies(counts.sum(axis=2)[alive].ravel(), np.full(12, 1 / 12))
    assert_frequencies(counts[alive], transition[alive])
    assert counts[2].sum() == 0
    assert_array_equal(steps.reward, reward[steps.state, steps.action])


def test_many_states_are_drawn_in_their_own_rows() -> None:
    """The last rows of a large process are as exact as the first."""
    m = grid(200, 0.9, slip=0.4)
    lived = mdp.sample_transitions(m, 50_000, seed=1)
    row = lived.state * 4 + lived.action
    assert (np.asarray(m.transition[row, lived.next_state]) > 0).all()
    away = lived.next_state != lived.state
    inside = (np.abs(lived.state // 200 - 100) < 90) & (np.abs(lived.state % 200 - 100) < 90)
    assert away[inside].all()
    ahead = lived.next_state - lived.state == np.array([-200, 200, -1, 1])[lived.action]
    assert abs(ahead[inside].mean() - 0.7) < 4 * np.sqrt(0.21 / inside.sum())


def test_policies_that_are_none() -> None:
    _, _, _, m = random_process(5)
    policy = random_policy(1, m)
    assert_says(refusal(mdp.sample_episodes, m, policy * 0.5, 1, 1, 1), "policy", "state 0", "sum to 0.5")
    assert_says(refusal(mdp.sample_episodes, m, policy[:3], 1, 1, 1), "policy", "(3, 3)", "(5, 3)")
    assert_says(refusal(mdp.sample_episodes, m, np.stack([policy] * 2), 1, 3, 1), "policy", "(2, 5, 3)", "(3, 5, 3)")
    assert_says(refusal(mdp.sample_episodes, m, [0, 1, 2, 3, 0], 1, 1, 1), "policy", "action 3", "state 3", "0 to 2")
    assert_says(refusal(mdp.sample_episodes, m, [0, 1], 1, 1, 1), "policy", "(2,)", "(5,)")
    assert_says(refusal(mdp.sample_episodes, m, [0.0] * 5, 1, 1, 1), "policy", "float64")
    wrong = np.stack([policy] * 3)
    wrong[1, 4, 2] = np.nan
    assert_says(refusal(mdp.sample_episodes, m, wrong, 1, 3, 1), "policy", "found nan", "step 1, state 4, action 2")
    for name, args in {"n_episodes": (0, 3), "horizon": (3, 0), "horizon: found 2.5": (3, 2.5)}.items():
        assert_says(refusal(mdp.sample_episodes, m, policy, *args, 1), name, "whole number of at least 1")
