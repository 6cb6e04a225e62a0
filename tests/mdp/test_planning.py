"""Best and soft policies: bounds, limits and fixed points on random processes, and processes of many states."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import solve_banded

from rlpymc import mdp
from rlpymc.mdp import MDP, greedy, soft_policy, soft_value
from tests.helpers.processes import grid, line, random_policy, random_process

SEEDS = range(4)
PROCESSES = {
    "goes on": {},
    "ends": {"terminal": (1, 3)},
    "hardly a discount": {"discount": 0.99},
    "no future": {"discount": 0.0},
    "certain": {"deterministic": True},
    "two actions": {"n_actions": 2, "n_states": 9},
}
every_process = pytest.mark.parametrize("options", PROCESSES.values(), ids=PROCESSES.keys())


def scale(m: MDP) -> float:
    """The largest value that there can be."""
    return float(np.abs(m.reward).max() / (1 - m.discount))


# ---------------------------------------------------------------- the best


@every_process
@pytest.mark.parametrize("seed", SEEDS)
def test_best_values_are_a_fixed_point_and_no_policy_has_more(seed: int, options: dict[str, Any]) -> None:
    transition, reward, _, m = random_process(seed, **options)
    best = mdp.value_iteration(m)
    alive, tight = ~m.ends, 1e-9 * scale(m)
    assert_allclose(best.q[alive], (reward + m.discount * transition @ best.v)[alive], atol=tight)
    assert_allclose(best.v[alive], best.q.max(axis=1)[alive], atol=tight)
    assert_array_equal(best.v[m.ends], 0)
    assert_allclose(mdp.policy_evaluation(m, best.policy).v, best.v, atol=tight)
    for k in range(20):
        assert (mdp.policy_evaluation(m, random_policy(k, m)).v <= best.v + tight).all()


@every_process
@pytest.mark.parametrize("seed", SEEDS)
def test_iterations_over_values_and_policies_agree(seed: int, options: dict[str, Any]) -> None:
    _, _, _, m = random_process(seed, **options)
    start = np.random.default_rng(seed).integers(m.n_actions, size=m.n_states)
    by_value, by_policy = mdp.value_iteration(m), mdp.policy_iteration(m, start)
    assert_allclose(by_policy.v, by_value.v, atol=1e-10 * scale(m))
    assert_array_equal(by_policy.policy, by_value.policy)
    assert by_policy.history is not None
    assert len(by_policy.history) == by_policy.iterations
    assert (np.diff(by_policy.history, axis=0) >= -1e-12 * scale(m)).all()
    assert_allclose(by_policy.history[0], mdp.policy_evaluation(m, start).v, atol=1e-12 * scale(m))


def test_ties_are_broken_evenly_and_end_the_iteration() -> None:
    """On a grid without slips, both ways round are as good; copies of an action share its probability."""
    m = grid(6, 0.9)
    for found in (mdp.value_iteration(m), mdp.policy_iteration(m)):
        down, right = found.policy[:, 1].reshape(6, 6), found.policy[:, 3].reshape(6, 6)
        assert_array_equal(down[:5, :5], 0.5)
        assert_array_equal(right[:5, :5], 0.5)
        assert_array_equal(down[:5, 5], 1)
        assert_array_equal(right[5, :5], 1)
        assert_array_equal(found.policy[-1], 0.25)
    transition, reward, initial, _ = random_process(1)
    order = [0, 1, 2, 1, 0, 1]
    copies = MDP(transition[:, order], reward[:, order], 0.9, initial)
    plain = mdp.value_iteration(random_process(1)[3])
    for start in np.random.default_rng(1).integers(6, size=(20, 5)):
        found = mdp.policy_iteration(copies, start)
        shared = plain.policy[:, order] / [2, 3, 1, 3, 2, 3]
        assert_allclose(found.policy, shared, atol=1e-15)


def test_what_differs_by_rounding_alone_is_a_tie() -> None:
    q = np.array([[1.0, 1.0 + 1e-13, 0.5], [1e-3, 1.1e-3, 0.0], [-2.0, -2.0, -2.0]])
    assert_allclose(greedy(q), [[0.5, 0.5, 0], [0, 1, 0], [1 / 3] * 3])
    assert_allclose(greedy(q * 1e-20), greedy(q))
    assert_allclose(greedy(np.zeros((1, 4))), [[0.25] * 4])


@every_process
@pytest.mark.parametrize("entropy", [0.0, 0.7])
def test_policy_evaluation_is_the_fixed_point(entropy: float, options: dict[str, Any]) -> None:
    transition, reward, _, m = random_process(3, **options)
    policy = random_policy(4, m)
    found = mdp.policy_evaluation(m, policy, entropy=entropy)
    alive = ~m.ends
    bonus = entropy * -(policy * np.log(policy)).sum(axis=1)
    wanted = (policy * (reward + m.discount * transition @ found.v)).sum(axis=1) + bonus
    assert_allclose(found.v[alive], wanted[alive], atol=1e-12 * scale(m))
    assert_array_equal(found.v[m.ends], 0)
    assert_allclose(found.q[alive], (reward + m.discount * transition @ found.v)[alive], atol=1e-12 * scale(m))


@pytest.mark.parametrize("entropy", [False, True, 0.3])
@pytest.mark.parametrize("terminal", [(), (0, 2)])
def test_values_of_a_policy_are_the_mean_of_what_its_episodes_earn(entropy: float, terminal: tuple[int, ...]) -> None:
    _, _, _, m = random_process(7, discount=0.8, terminal=terminal)
    policy = random_policy(1, m)
    lived = mdp.sample_episodes(m, policy, 20_000, 60, seed=1)
    made, step = lived.action >= 0, np.arange(60)
    surprise = -np.log(policy[lived.state[:, :-1], lived.action])
    earned = (made * 0.8**step * (lived.reward + entropy * surprise)).sum(axis=1)
    value = m.initial @ mdp.policy_evaluation(m, policy, entropy=entropy).v
    assert abs(earned.mean() - value) < 4 * earned.std() / np.sqrt(20_000) + 0.8**60 * 10


@pytest.mark.parametrize("entropy", [False, 0.3])
def test_a_long_horizon_is_no_horizon(entropy: float) -> None:
    _, _, _, m = random_process(7, discount=0.8, terminal=(1,))
    policy = random_policy(1, m)
    far, near = (mdp.policy_evaluation(m, policy, entropy=entropy, horizon=t) for t in (200, 3))
    endless = mdp.policy_evaluation(m, policy, entropy=entropy)
    assert_allclose(far.v[0], endless.v, atol=1e-12)
    assert_allclose(far.q[0], endless.q, atol=1e-12)
    assert_allclose(far.v[-3:], near.v, atol=1e-14)
    assert_array_equal(near.q[-1], m.reward)
    changing = np.stack([random_policy(2, m), policy, policy])
    assert_allclose(mdp.policy_evaluation(m, changing, entropy=entropy, horizon=3).v[1:], near.v[1:], atol=1e-14)


# ---------------------------------------------------------------- soft


@every_process
@pytest.mark.parametrize("seed", SEEDS)
def test_soft_values_lie_above_the_best_and_rise_with_the_temperature(seed: int, options: dict[str, Any]) -> None:
    _, _, _, m = random_process(seed, **options)
    below, rounding = mdp.value_iteration(m).v, 1e-9 * scale(m)
    best = below
    for temperature in (1e-3, 0.1, 0.5, 1.0, 3.0, 30.0):
        found = mdp.soft_value_iteration(m, temperature)
        most = temperature * np.log(m.n_actions) / (1 - m.discount)
        assert (found.v >= below - rounding).all()
        assert (found.v <= best + most * (1 + 1e-9) + rounding).all()
        assert_allclose(found.policy.sum(axis=1), 1)
        assert_array_equal(found.v[m.ends], 0)
        below = found.v


@every_process
@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_the_soft_policy_is_the_best_trade_of_reward_and_entropy(temperature: float, options: dict[str, Any]) -> None:
    """Its own value is the soft value, and no other policy has more."""
    _, _, _, m = random_process(2, **options)
    found, tight = mdp.soft_value_iteration(m, temperature), 1e-10 * (scale(m) + temperature / (1 - m.discount))
    assert_allclose(mdp.policy_evaluation(m, found.policy, entropy=temperature).v, found.v, atol=tight)
    for k in range(20):
        assert (mdp.policy_evaluation(m, random_policy(k, m), entropy=temperature).v <= found.v + tight).all()


@every_process
@pytest.mark.parametrize("temperature", [1e-6, 0.05, 1.0, 1e6])
def test_soft_iterations_over_values_and_policies_agree(temperature: float, options: dict[str, Any]) -> None:
    _, _, _, m = random_process(5, **options)
    by_value = mdp.soft_value_iteration(m, temperature)
    size = 1e-10 * (scale(m) + temperature / (1 - m.discount))
    for start in (None, random_policy(1, m), np.zeros(m.n_states, dtype=int)):
        by_policy = mdp.soft_policy_iteration(m, temperature, start=start)
        assert_allclose(by_policy.v, by_value.v, atol=size)
        assert by_policy.history is not None
        assert len(by_policy.history) == by_policy.iterations < 30
        assert (np.diff(by_policy.history, axis=0) >= -size).all()


@every_process
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 100.0, 0.0])
def test_a_sweep_contracts_by_the_discount(temperature: float, options: dict[str, Any]) -> None:
    _, _, _, m = random_process(6, **options)
    value = (lambda q: q.max(axis=-1)) if temperature == 0 else (lambda q: soft_value(q, temperature))
    rng = np.random.default_rng(1)
    for size in (0.1, 1.0, 100.0):
        for first, second in rng.normal(0, size, (100, 2, m.n_states)):
            one, other = (value(m.reward + m.discount * m.expected(v)) for v in (first, second))
            assert np.abs(one - other).max() <= m.discount * np.abs(first - second).max() * (1 + 1e-12) + 1e-13
    shift = value(m.reward + m.discount * m.expected(np.full(m.n_states, 5.0))) - value(m.reward)
    assert_allclose(shift, m.discount * 5.0, atol=1e-12)


@pytest.mark.parametrize("temperature", [1e-2, 1.0, 50.0])
def test_the_slope_of_the_soft_value_is_the_soft_policy(temperature: float) -> None:
    q = np.random.default_rng(1).normal(size=(6, 4)) * temperature
    h = 1e-3 * temperature
    for a in range(4):
        moved = [soft_value(q + k * h * (np.arange(4) == a), temperature) for k in (-2, -1, 1, 2)]
        slope = np.tensordot([1, -8, 8, -1], moved, 1) / (12 * h)
        assert_allclose(slope, soft_policy(q, temperature)[:, a], atol=1e-10)


@pytest.mark.parametrize("temperature", [1e-308, 1e-300, 1e-12, 1e-3])
def test_cold_is_hard(temperature: float) -> None:
    """Values and policy are the best ones, and ties are shared, with no overflow."""
    transition, reward, initial, m = random_process(1)
    order = [0, 1, 2, 1, 0]
    copies, square = MDP(transition[:, order], reward[:, order], 0.9, initial), grid(4, 0.9)
    for process in (m, copies, square):
        found, best = mdp.soft_value_iteration(process, temperature), mdp.value_iteration(process)
        assert_allclose(found.v, best.v, atol=temperature * np.log(process.n_actions) / 0.1 + 1e-12)
        assert_array_equal(found.policy > 1e-6, best.policy > 0)
        if process is not square:  # where ties are not even: see below
            assert_allclose(found.policy, best.policy, atol=1e-6)
        assert_allclose(mdp.soft_policy_iteration(process, temperature).v, found.v, atol=1e-11)


def test_in_the_cold_all_best_ways_are_as_likely() -> None:
    """Hardly discounted and without slips, an action is as likely as its share of the shortest ways to the corner."""
    side = 5
    policy = mdp.soft_policy_iteration(grid(side, 0.999999), 1e-2).policy
    ways = np.ones((side, side))  # from each cell: as many as from the one below and the one to the right together
    for row in range(side - 2, -1, -1):
        for column in range(side - 2, -1, -1):
            ways[row, column] = ways[row + 1, column] + ways[row, column + 1]
    down = policy[:, 1].reshape(side, side)[:-1]
    assert_allclose(down[:, :-1], ways[1:, :-1] / ways[:-1, :-1], atol=1e-3)
    assert_allclose(down[:, -1], 1, atol=1e-3)


@pytest.mark.parametrize("temperature", [1e6, 1e12, 1e300])
def test_hot_is_uniform(temperature: float) -> None:
    _, reward, _, m = random_process(1)
    found = mdp.soft_value_iteration(m, temperature)
    assert_allclose(found.policy, 1 / 3, atol=2 * scale(m) / temperature + 1e-15)
    uniform = mdp.policy_evaluation(m, np.full(reward.shape, 1 / 3)).v
    assert_allclose(found.v / temperature, uniform / temperature + np.log(3) / 0.1, rtol=1e-11)


def test_only_rewards_over_temperature_count() -> None:
    transition, reward, initial, m = random_process(1)
    doubled = MDP(transition, 2 * reward, 0.9, initial)
    assert_allclose(mdp.soft_value_iteration(doubled, 1.0).policy, mdp.soft_value_iteration(m, 0.5).policy, atol=1e-13)
    assert_allclose(mdp.soft_value_iteration(doubled, 1.0).v, 2 * mdp.soft_value_iteration(m, 0.5).v, atol=1e-11)


@pytest.mark.parametrize("unit", [1e-300, 1e-20, 1e20, 1e300])
def test_the_unit_of_rewards_does_not_matter(unit: float) -> None:
    """Nor are small rewards taken for none: values are as exact as in other units."""
    transition, reward, initial, m = random_process(1)
    scaled = MDP(transition, unit * reward, 0.9, initial)
    for solve in (
        mdp.value_iteration,
        mdp.policy_iteration,
        mdp.fitted_q,
        lambda one: mdp.soft_value_iteration(one, 0.5 * np.abs(one.reward).max()),
        lambda one: mdp.soft_policy_iteration(one, 0.5 * np.abs(one.reward).max()),
    ):
        found, plain = solve(scaled), solve(m)
        assert_allclose(found.v / unit, plain.v, rtol=1e-12)
        assert_allclose(found.policy, plain.policy, atol=1e-12)


def test_values_beyond_all_numbers_are_an_error() -> None:
    transition, reward, initial, _ = random_process(1)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(RuntimeError, match=r"still change by (inf|nan) after \d{1,3} sweeps"),
    ):
        mdp.value_iteration(MDP(transition, 1e308 * (reward / np.abs(reward).max()), 0.99, initial))


def test_a_constant_more_changes_no_policy() -> None:
    transition, reward, initial, m = random_process(1)
    more = MDP(transition, reward + 4.0, 0.9, initial)
    assert_allclose(mdp.soft_value_iteration(more, 1.0).policy, mdp.soft_value_iteration(m, 1.0).policy, atol=1e-12)
    assert_allclose(mdp.soft_value_iteration(more, 1.0).v, mdp.soft_value_iteration(m, 1.0).v + 40, atol=1e-11)


def test_one_action_leaves_no_choice() -> None:
    _, _, _, m = random_process(1, n_actions=1)
    for found in (mdp.value_iteration(m), mdp.soft_value_iteration(m, 1.0), mdp.policy_iteration(m)):
        assert_array_equal(found.policy, 1)
        assert_allclose(found.v, mdp.policy_evaluation(m, np.ones((5, 1))).v, atol=1e-11)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf, "1", None, [1.0, 2.0]])
def test_temperatures(temperature: Any) -> None:
    _, _, _, m = random_process(1)
    with pytest.raises(ValueError, match=r"temperature: found .*above 0.*; value_iteration is the limit"):
        mdp.soft_value_iteration(m, temperature)
    with pytest.raises(ValueError, match=r"temperature: found .*above 0.*; policy_iteration is the limit"):
        mdp.soft_policy_iteration(m, temperature)


@pytest.mark.parametrize("entropy", [-1.0, np.nan, "yes", None, [1.0]])
def test_weights_of_entropy(entropy: Any) -> None:
    _, _, _, m = random_process(1)
    with pytest.raises(ValueError, match=r"entropy: found .*at least 0"):
        mdp.policy_evaluation(m, random_policy(1, m), entropy=entropy)


def test_a_soft_value_has_a_temperature() -> None:
    assert_allclose(soft_value([1.0, 1.0]), 1 + np.log(2))
    assert_allclose(soft_policy([1.0, 1.0, -np.inf]), [0.5, 0.5, 0])
    for function in (soft_value, soft_policy):
        for wrong in (0.0, -1.0, np.nan, np.inf):
            with pytest.raises(ValueError, match=r"temperature: found .*above 0"):
                function([1.0, 2.0], wrong)


def test_a_policy_by_step_needs_a_horizon() -> None:
    _, _, _, m = random_process(1)
    with pytest.raises(ValueError, match="policy: found one for each of 2 steps, expected a horizon"):
        mdp.policy_evaluation(m, random_policy(1, m, 2))
    with pytest.raises(ValueError, match="policy: expected an array of numbers"):
        mdp.policy_evaluation(m, [[1.0], [1.0, 0.0]])


def test_first_policies() -> None:
    _, _, _, m = random_process(1)
    with pytest.raises(ValueError, match=r"start: found action 3 for state 1, expected 0 to 2"):
        mdp.policy_iteration(m, [0, 3, 0, 0, 0])
    with pytest.raises(ValueError, match=r"start: found float64 of shape \(5, 3\), expected an action for each state"):
        mdp.policy_iteration(m, np.ones((5, 3)))
    with pytest.raises(ValueError, match=r"start: the probabilities of state 0 sum to 3"):
        mdp.soft_policy_iteration(m, 1.0, start=np.ones((5, 3)))


def test_iterations_that_do_not_settle_say_so() -> None:
    _, _, _, m = random_process(1)
    with pytest.raises(RuntimeError, match=r"still change by .* after 5 sweeps, expected 1e-14"):
        mdp.value_iteration(m, max_iterations=5)
    with pytest.raises(RuntimeError, match="after 5 sweeps"):
        mdp.soft_value_iteration(m, 1.0, max_iterations=5)
    worst = mdp.value_iteration(MDP(random_process(1)[0], -random_process(1)[1], 0.9)).policy.argmax(axis=1)
    with pytest.raises(RuntimeError, match="after each of 1 evaluations"):
        mdp.policy_iteration(m, worst, max_iterations=1)
    with pytest.raises(RuntimeError, match=r"still gain .* after 2 evaluations"):
        mdp.soft_policy_iteration(m, 1.0, max_iterations=2)
    for name, wrong in {"tolerance": -1.0, "max_iterations": 0}.items():
        with pytest.raises(ValueError, match=f"{name}: found"):
            mdp.value_iteration(m, **{name: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [22, 44])
def test_sweeps_that_go_in_circles_of_rounding_end(seed: int) -> None:
    """In these processes no sweep leaves all values as they are."""
    _, _, _, m = random_process(seed, discount=0.5)
    found = mdp.soft_value_iteration(m, 3.0, tolerance=0.0, max_iterations=200)
    assert_allclose(found.v, soft_value(m.reward + 0.5 * m.expected(found.v), 3.0), atol=1e-14)


def test_a_tolerance_is_kept() -> None:
    _, _, _, m = random_process(1)
    exact = mdp.value_iteration(m).v
    for tolerance in (1e-2, 1e-5):
        rough = mdp.value_iteration(m, tolerance=tolerance)
        assert 0 < np.abs(rough.v - exact).max() <= tolerance * 0.9 / 0.1


# ---------------------------------------------------------------- many states


@pytest.mark.slow
def test_a_line_of_a_hundred_thousand_states() -> None:
    """Without discount, values of 1e5 and more are those of the tridiagonal system."""
    n = 100_000
    m = line(n, 0.9)
    policy = np.tile([0.25, 0.75], (n, 1))
    forward = 0.25 * 0.5 + 0.75 * 0.9
    above, on, below = np.full(n, -forward), np.ones(n), np.full(n, forward - 1)
    on[0], below[n - 2] = forward, 0.0  # the first state leads back to itself, the last one nowhere
    wanted = solve_banded((1, 1), [above, on, below], np.append(np.full(n - 1, -1.0), 0))
    assert_allclose(mdp.policy_evaluation(m, policy).v, wanted, rtol=1e-9)
    best, soft = mdp.policy_iteration(m), mdp.soft_policy_iteration(m, 1.0)
    assert_array_equal(best.policy[:-1, 1], 1)
    assert (soft.v >= best.v - 1e-6).all()


@pytest.mark.slow
def test_a_grid_of_a_hundred_thousand_states() -> None:
    m = grid(316, 0.9, slip=0.1)
    by_policy = mdp.soft_policy_iteration(m, 0.5)
    by_value = mdp.soft_value_iteration(m, 0.5, tolerance=1e-2)
    assert_allclose(by_value.v, by_policy.v, atol=1e-2 * 0.9 / 0.1)
    assert len(m.unreachable) == 0


def test_a_hundred_thousand_states_that_lead_anywhere() -> None:
    """A factor of such a system would fill the memory."""
    n, rng = 100_000, np.random.default_rng(1)
    by_action = [
        sparse.csr_array((np.full(3 * n, 1 / 3), rng.integers(n, size=3 * n), np.arange(0, 3 * n + 1, 3)), shape=(n, n))
        for _ in range(2)
    ]
    m = MDP(by_action, rng.normal(size=(n, 2)), 0.99)
    policy = random_policy(1, m)
    v = mdp.policy_evaluation(m, policy, entropy=True).v
    bonus = -(policy * np.log(policy)).sum(axis=1)
    assert_allclose(v, (policy * (m.reward + 0.99 * m.expected(v))).sum(axis=1) + bonus, atol=1e-11)
    best = mdp.policy_iteration(m)
    assert_allclose(best.v, best.q.max(axis=1), atol=1e-9)
