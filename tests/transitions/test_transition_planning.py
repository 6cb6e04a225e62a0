"""Worlds, planning in them, and agents that learn them: laws as stated, seeds on their own, exact values."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.stats import kstest

import rlpymc as rl
from rlpymc.tasks import SinMDP, StochasticCartPole
from rlpymc.tasks.cart_pole import moved
from rlpymc.transitions import (
    Beta,
    CustomSin,
    Exponential,
    Gaussian,
    Learner,
    Product,
    ReLU,
    ScoreMatchingWarning,
    ShootingPlanner,
    Transition,
    fit_mle,
    optimum,
    run_episodes,
    score_matching,
    solve,
)
from rlpymc.transitions.agents import Knowledge, SideBySide

LEVEL = 1e-4  # of each of the many tests of distributions, whose seeds are fixed
NAMES = ("truth", "score_matching", "mle", "gaussian", "random")


# ------------------------------------------------------------------------------------------------ the world of sines
def test_sin_mdp_is_an_environment():
    check_env(SinMDP(), skip_render_check=True)
    env = SinMDP()
    with pytest.raises(ResetNeeded):
        env.step(0)
    state, _ = env.reset(seed=3)
    assert -1 < state[0] < 1
    with pytest.raises(ValueError, match=r"action: found 2, expected 0 or 1"):
        env.step(2)


def test_sin_mdp_follows_its_law_and_its_own_generator():
    env, path = SinMDP(), []
    for _ in range(2):
        np.random.seed(len(path))  # noqa: NPY002 # which must not matter
        state, _ = env.reset(seed=4)
        steps = [state]
        for t in range(20):
            before = state
            env.query(np.zeros((3, 1)), 1, np.random.default_rng(t))  # which must not move it
            state, reward, terminated, truncated, _ = env.step(t % 2)
            wanted = np.exp(-10 * (before[0] - np.pi / 8) ** 2) + np.exp(-10 * (before[0] + 3 * np.pi / 8) ** 2)
            assert_allclose(reward, wanted, rtol=1e-14)
            assert not terminated
            assert not truncated
            steps.append(state)
        path.append(np.array(steps))
    assert_array_equal(*path)
    drawn = env.query(np.full((20_000, 1), 0.5), np.ones(20_000, dtype=int), np.random.default_rng(5))
    assert drawn.shape == (20_000, 1)
    assert kstest(drawn[:, 0], lambda x: CustomSin(1.7, 4).cdf(x, 1.5)).pvalue > LEVEL
    drawn = env.query(np.full((20_000, 1), 0.5), np.zeros(20_000, dtype=int), np.random.default_rng(6))
    assert kstest(drawn[:, 0], lambda x: CustomSin(1.7, 4).cdf(x, -0.5)).pvalue > LEVEL
    first = env.first(np.random.default_rng(7).random((5000, 1)))
    assert kstest(first[:, 0], "uniform", args=(-1, 2)).pvalue > LEVEL


# ------------------------------------------------------------------------------------------------ the cart-pole
@pytest.mark.parametrize("density", ["normal", "exp", "custom_sin", "mixture"])
@pytest.mark.parametrize("noise", ["none", "action", "next_state", "both"])
def test_cart_pole_is_an_environment(noise, density):
    check_env(StochasticCartPole(noise, density), skip_render_check=True)


def test_continuous_cart_pole():
    env = StochasticCartPole("none", continuous=True)
    check_env(env, skip_render_check=True)
    state, _ = env.reset(seed=1)
    state, after = env._state.copy(), env.step(np.array([0.3]))[0]
    assert_allclose(after, moved(state, np.array(3.0)), rtol=1e-14)


def test_cart_pole_moves_like_gymnasiums():
    theirs, rng = gymnasium.make("CartPole-v1").unwrapped, np.random.default_rng(2)
    states = rng.uniform(-0.2, 0.2, (50, 4)) * [5, 5, 1, 10]
    actions = rng.integers(2, size=50)
    ours = StochasticCartPole("none").query(states, actions, rng)
    theirs.reset(seed=1)
    for state, action, after in zip(states, actions, ours, strict=True):
        theirs.state, theirs.steps_beyond_terminated = tuple(state), None
        assert_allclose(theirs.step(int(action))[0], after, rtol=2e-6, atol=1e-7)


def test_cart_pole_noise():
    rng, n = np.random.default_rng(3), 40_000
    state, action = np.tile([0.1, 0.2, -0.05, 0.3], (n, 1)), np.ones(n, dtype=int)
    scale = 0.2 * np.array([2.4, 0.2 / 1.1, 12 * np.pi / 180, 0.392])
    still = StochasticCartPole("none").query(state, action, rng)

    def noise(density, **options):
        env = StochasticCartPole("next_state", density, noise_sd=0.2, **options)
        assert_allclose(env.scale, scale, rtol=1e-14)
        return (env.query(state, action, rng) - still) / scale

    normal = noise("normal")
    for k in range(4):
        assert kstest(normal[:, k], "norm").pvalue > LEVEL
    assert np.abs(np.corrcoef(normal.T) - np.eye(4)).max() < 4 / np.sqrt(n)
    waves = noise("custom_sin")
    law = CustomSin(2, 1)
    for k in range(4):
        assert kstest(waves[:, k], lambda x: law.cdf(x, state[0].sum() + 1)).pvalue > LEVEL
    waiting, mixture = noise("exp"), noise("mixture", width=3.0)
    assert_array_equal(waiting[:, 1:], np.zeros((n, 3)))
    assert_array_equal(mixture[:, 1:], np.zeros((n, 3)))
    assert kstest(waiting[:, 0], "expon").pvalue > LEVEL
    assert_allclose([mixture[:, 0].mean(), mixture[:, 0].var()], [1.5, 1 + 9 / 4], rtol=0.03)
    assert abs((mixture[:, 0] < 1.5).mean() - 0.5) < 4 * 0.5 / np.sqrt(n)

    flips = StochasticCartPole("action", flip=0.3).query(state, action, rng)
    turned = moved(state, np.full(n, -10.0))
    is_turned = flips[:, 1] != still[:, 1]
    assert_array_equal(flips, np.where(is_turned[:, None], turned, still))
    assert abs(is_turned.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / n)


def test_cart_pole_ends():
    env = StochasticCartPole("none")
    env.reset(seed=1)
    steps = 0
    while True:
        state, reward, terminated, truncated, _ = env.step(1)
        steps += 1
        assert reward == 1
        assert not truncated
        if terminated:
            break
    assert 5 < steps < 20
    assert env.over(state)
    with pytest.raises(ResetNeeded):
        env.step(1)
    ends = [[2.5, 0, 0, 0], [0, 9, 0, 9], [0, 0, 0.21, 0], [-2.5, 0, 0, 0], [0, 0, -0.21, 0]]
    assert_array_equal(env.over(ends), [True, False, True, True, True])
    same = [StochasticCartPole().reset(seed=5)[0] for _ in range(2)]
    assert_array_equal(*same)
    assert np.abs(same[0]).max() <= 0.05


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"noise": "actions"}, "unknown noise 'actions'. Did you mean 'action'?"),
        ({"density": "gauss"}, "unknown density 'gauss'"),
        ({"noise_sd": -1.0}, "noise_sd: found -1"),
        ({"flip": 1.2}, "flip: found 1.2"),
        ({"width": np.nan}, "width: found nan"),
    ],
)
def test_bad_cart_poles(options, says):
    with pytest.raises(ValueError, match=says.replace("?", r"\?")):
        StochasticCartPole(**options)


# ------------------------------------------------------------------------------------------------ planner
def walk(state, action, rng):
    return state + np.asarray(action)[..., None] + 0.1 * rng.random(np.shape(state))


def test_planner_finds_the_better_action():
    for sequences in ("constant", "random"):
        planner = ShootingPlanner(walk, lambda s: -np.abs(s[..., 0] - 3), sequences=sequences, lookahead=4)
        assert_array_equal(planner.plan(np.array([[0.0], [9.0], [1.0]]), np.random.default_rng(1)), [1, 0, 1])
        assert planner.plan(np.array([9.0]), np.random.default_rng(1)) == 0
    three = ShootingPlanner(walk, lambda s: -np.abs(s[..., 0] - 3), actions=(-1.0, 0.0, 1.0), lookahead=3)
    assert_array_equal(three.plan(np.array([[0.0], [2.9], [9.0]]), np.random.default_rng(1)), [2, 1, 0])


def test_planner_takes_the_first_of_equal_actions():
    planner = ShootingPlanner(walk, lambda s: np.ones(s.shape[:-1]), lookahead=3, trials=5)
    assert_array_equal(planner.plan(np.zeros((20, 1)), np.random.default_rng(2)), np.zeros(20))


def test_return_is_of_the_states_up_to_the_end():
    """Rewards of s_0 to s_(lookahead - 1), but of no state that ends the episode, and of none after it."""
    seen = []

    def step(state, action, rng):
        seen.append(state)
        return state + 1

    planner = ShootingPlanner(step, lambda s: s[..., 0], over=lambda s: s[..., 0] >= 12, lookahead=5, trials=3)
    totals = planner._returns(np.array([[10.0]]), np.zeros((1, 4), dtype=int), np.random.default_rng(3))
    assert_array_equal(totals, [10 + 11])
    assert len(seen) == 4
    free = ShootingPlanner(step, lambda s: s[..., 0], lookahead=5)
    assert_array_equal(free._returns(np.array([[10.0]]), np.zeros((1, 4), dtype=int), None), [10 + 11 + 12 + 13 + 14])


def test_planner_holds_the_pole_upright():
    env = StochasticCartPole("none")
    planner = ShootingPlanner(env.pushed, env.reward, env.over, lookahead=15, trials=60, sequences="random")
    state, _ = env.reset(seed=1)
    rng = np.random.default_rng(4)
    for _ in range(100):
        state, _, terminated, _, _ = env.step(int(planner.plan(state, rng)))
        assert not terminated


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lookahead": 0}, "lookahead: found 0, expected a whole number of at least 2"),
        ({"lookahead": 1}, "lookahead: found 1, expected a whole number of at least 2"),
        ({"lookahead": "5"}, "lookahead: found '5', expected a whole number"),
        ({"lookahead": np.nan}, "lookahead: found nan, expected a whole number"),
        ({"trials": 0}, "trials: found 0"),
        ({"trials": 2.5}, "trials: found 2.5"),
        ({"sequences": "randm"}, "unknown sequences 'randm'. Did you mean 'random'"),
        ({"actions": (1.0,)}, "actions: found"),
    ],
)
def test_bad_planners(options, says):
    with pytest.raises(ValueError, match=says):
        ShootingPlanner(walk, lambda s: s[..., 0], **options)


def test_bad_states_to_plan_from():
    planner, rng = ShootingPlanner(walk, lambda s: s[..., 0]), np.random.default_rng(1)
    for state, says in ((0.3, r"state: found shape \(\)"), ([[0.3], [np.nan]], "state: found nan for row 1, column 0")):
        with pytest.raises(ValueError, match=says):
            planner.plan(state, rng)
    law = SinMDP().transition
    with pytest.raises(ValueError, match=r"features: found 3 .* expected 2, as many as W has columns"):
        ShootingPlanner(law.sample, SinMDP().reward).plan([0.1, 0.2], rng)


# ------------------------------------------------------------------------------------------------ exact values
@pytest.fixture(scope="module")
def exact():
    task = SinMDP()
    return task, solve(task.transition, task.reward, task.actions, 10)


def test_values_of_one_and_two_steps(exact):
    task, best = exact
    state = np.array([[0.3], [-1.2], [2.0]])
    assert_allclose(best.q(state, 9), np.repeat(task.reward(state)[:, None], 2, axis=1), rtol=1e-12)
    law = task.transition.density
    for s in state:
        for k, a in enumerate((-1.0, 1.0)):
            v = s[0] + a
            next_reward = sum(
                quad(lambda x, v=v: law.prob(x, v) * task.reward(np.array([x])), low, low + 1)[0]
                for low in range(-13, 13)
            )
            assert_allclose(best.q(s, 8)[k], task.reward(s) + next_reward, rtol=0, atol=1e-8)


def test_values_do_not_depend_on_the_points(exact, monkeypatch):
    task, best = exact
    monkeypatch.setattr(optimum, "INTERVALS", 130)
    finer = solve(task.transition, task.reward, task.actions, 10)
    state = np.linspace(-3, 3, 41)[:, None]
    for step in (0, 4, 8):
        assert_allclose(best.q(state, step), finer.q(state, step), rtol=0, atol=1e-8)


def test_action_one_is_best_everywhere(exact):
    _, best = exact
    q = np.stack([best.q(np.linspace(-6, 6, 241)[:, None], h) for h in range(9)])
    assert (q[..., 1] > q[..., 0]).all()
    assert best.q(np.zeros((2, 3, 1)), 0).shape == (2, 3, 2)
    assert_allclose(best.v(np.zeros((2, 1)), 0), best.q(np.zeros((2, 1)), 0).max(axis=1))


def test_values_are_what_the_best_actions_bring(exact):
    task, best = exact
    rng, n = np.random.default_rng(5), 20_000
    state, total = np.full((n, 1), 0.2), np.zeros(n)
    for _ in range(10):
        total += task.reward(state)
        state = task.query(state, np.ones(n, dtype=int), rng)
    assert abs(total.mean() - best.v(np.array([0.2]), 0)) < 4 * total.std() / np.sqrt(n)


def test_several_coordinates_have_no_exact_values():
    law = Transition(Product([Gaussian(1.0)] * 2), np.zeros((2, 3)))
    with pytest.raises(TypeError, match="one coordinate"):
        solve(law, lambda s: s[..., 0], (-1.0, 1.0), 5)


# ------------------------------------------------------------------------------------------------ episodes
SMALL = {"episodes": 4, "horizon": 6, "trials": 20, "evaluations": 2}


@pytest.fixture(scope="module")
def lived():
    return run_episodes(SinMDP(), NAMES, seeds=[0, 3, 1], **SMALL)


def test_shapes_and_counts(lived):
    assert dict(lived.sizes) == {"method": 5, "seed": 3, "episode": 4, "action": 2, "statistic": 1, "feature": 2}
    assert_array_equal(lived["seed"], [0, 3, 1])
    assert list(lived["method"].values) == list(NAMES)
    assert (lived["action_count"].sum("action") == 6).all()
    assert lived.attrs == {"task": "SinMDP", "horizon": 6, "lookahead": 5, "trials": 20, "sequences": "constant"}
    assert np.isfinite(lived["reward"]).all()
    assert (lived["regret"] >= 0).all()
    known = lived["error"].sel({"method": ["score_matching", "mle"]})
    assert np.isfinite(known).all()
    assert np.isnan(lived["error"].sel({"method": ["truth", "gaussian", "random"]})).all()
    last = known.isel(episode=-1)
    assert_allclose(last, np.linalg.norm(lived["W"].sel({"method": last["method"]}) - 1, axis=(2, 3)), rtol=1e-12)
    assert np.isnan(lived["W"].sel({"method": ["truth", "random"]})).all()


def test_a_seed_does_not_depend_on_the_others_or_on_threads(lived):
    alone = run_episodes(SinMDP(), ["mle", "truth"], seeds=[3], cores=1, **SMALL)
    for name in ("reward", "regret", "action_count", "evaluation", "W"):
        wanted = lived[name].sel({"method": ["mle", "truth"], "seed": [3]})
        assert_allclose(alone[name].values, wanted.values, rtol=1e-12)
    other = run_episodes(SinMDP(), ["truth"], seeds=[4], **SMALL)
    assert (other["reward"].values != alone["reward"].sel({"method": ["truth"]}).values).all()


def test_methods_meet_the_same_first_states():
    """Of the reward of one step, nothing but the first state matters."""
    one = run_episodes(SinMDP(), NAMES, seeds=2, episodes=3, horizon=1, trials=2, evaluations=0)
    assert_array_equal(one["reward"], np.broadcast_to(one["reward"].values[:1], one["reward"].shape))
    assert_allclose(one["regret"], 0, atol=1e-12)
    assert np.isnan(one["evaluation"]).all()


def test_regret_is_what_is_missed_on_average():
    many = run_episodes(SinMDP(), ["random"], seeds=300, episodes=1, evaluations=0)
    task = SinMDP()
    best = solve(task.transition, task.reward, task.actions, 10)
    first = [np.random.default_rng(np.random.SeedSequence(k).spawn(3)[0]).random((1,)) for k in range(300)]
    missed = best.v(task.first(np.array(first)), 0) - many["reward"].values[0, :, 0]
    difference = missed - many["regret"].values[0, :, 0]
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(300)
    assert many["regret"].std() < 0.7 * missed.std()


def test_knowledge_is_the_estimate_from_all_transitions():
    rng, ridge = np.random.default_rng(6), [1e-4, 0.5]
    families = [CustomSin(1.7, 4), Gaussian(0.5)]
    states, actions = rng.normal(size=(2, 60, 2)), rng.choice([-1.0, 1.0], (2, 60))
    after, real = rng.normal(size=(2, 60, 2)), rng.random((2, 60)) < 0.7
    by_score = Knowledge(Learner(families, ridge=ridge), 2, 2)
    by_likelihood = Knowledge(Learner(families, "mle"), 2, 2)
    for part in (slice(0, 25), slice(25, 60)):
        for knowledge in (by_score, by_likelihood):
            knowledge.learn(states[:, part], actions[:, part], after[:, part], real[:, part])
    for seed in range(2):
        phi = np.concatenate([states[seed], actions[seed, :, None]], axis=1)[real[seed]]
        x = after[seed][real[seed]]
        assert_allclose(by_score.W[seed], score_matching(families, phi, x, ridge).W, rtol=1e-9)
        assert_allclose(by_likelihood.W[seed], fit_mle(families, phi, x).W, rtol=1e-9)


def test_numbers_of_seeds_side_by_side_are_those_of_each():
    seeds = [np.random.SeedSequence(k) for k in (5, 9)]
    together = SideBySide(seeds)
    each = [np.random.default_rng(k) for k in (5, 9)]
    for shape in ((2, 3), (2, 4, 1)):
        assert_array_equal(together.random(shape), [rng.random(shape[1:]) for rng in each])


def test_cart_pole_is_learned_coordinate_by_coordinate():
    task = StochasticCartPole("next_state", "mixture", noise_sd=0.01)
    variance = task.scale**2
    methods = {
        "world": "truth",
        "linear": Learner([Gaussian(s) for s in variance], ridge=[1e-4] * 4),
        "kinked": Learner([ReLU(2 * variance[0]), *(Gaussian(s) for s in variance[1:])], ridge=1e-4),
        "chance": "random",
    }
    options = {"episodes": 5, "horizon": 40, "seeds": 2, "lookahead": 10, "sequences": "random", "evaluations": 1}
    with pytest.warns(ScoreMatchingWarning, match=r"kinked, coordinate 0, ReLU\(.*kink"):
        lived = run_episodes(task, methods, trials=40, **options)
    assert_array_equal(lived["regret"], 40 - lived["reward"])
    assert_array_equal(lived["action_count"].sum("action"), lived["reward"])
    assert lived.sizes["statistic"] == 5
    mean = lived["reward"].mean("seed")
    assert (mean.sel({"method": "world"}) == 40).all()
    assert (mean.sel({"method": "linear"}).isel(episode=slice(2, None)) > 30).all()
    assert mean.sel({"method": "chance"}).mean() < 30
    # the linear model finds where gravity and pushes lead: angular velocity grows with the angle, against the push
    W = lived["W"].sel({"method": "linear"}).isel(statistic=3)
    assert (W.isel(feature=3) > 0.8).all()
    assert (W.isel(feature=4) < -0.2).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"methods": ["score matching"]}, "unknown method 'score matching'. Did you mean 'score_matching'"),
        ({"methods": []}, "methods: found none"),
        ({"methods": ["truth"], "episodes": 0}, "episodes: found 0"),
        ({"methods": ["truth"], "horizon": 1.5}, "horizon: found 1.5"),
        ({"methods": ["truth"], "horizon": "10"}, "horizon: found '10', expected a whole number"),
        ({"methods": ["truth"], "seeds": 0}, "seeds: found 0"),
        ({"methods": ["truth"], "seeds": 2.5}, "seeds: found 2.5"),
        ({"methods": ["truth"], "seeds": [3, -1]}, "seeds: found -1, expected a whole number of at least 0"),
        ({"methods": ["truth"], "seeds": [1, 1]}, r"seeds: found \[1, 1\], expected at least one, and each once"),
        ({"methods": ["truth"], "cores": 0}, "cores: found 0, expected a whole number of at least 1"),
        ({"methods": ["truth"], "evaluations": -1}, "evaluations: found -1"),
        ({"methods": ["truth"], "lookahead": 0}, "lookahead: found 0"),
        ({"methods": {"one": Learner([CustomSin(1.7, 4)] * 2)}}, "found 2 families for next_states of 1 coordinates"),
    ],
)
def test_bad_runs(options, says):
    with pytest.raises(ValueError, match=says):
        run_episodes(SinMDP(), **options)


def test_bad_learners():
    with pytest.raises(ValueError, match=r"unknown estimator 'ml'. Did you mean 'mle'\?"):
        Learner(Gaussian(1.0), "ml")
    with pytest.raises(TypeError, match=r"methods, 'one': found 3, expected a Learner"):
        run_episodes(SinMDP(), {"one": 3})
    with pytest.raises(ValueError, match=r"unknown method 'score_matching'"):
        run_episodes(StochasticCartPole(), ["score_matching"])
    with pytest.raises(TypeError, match=r"task: found .*SinMDP.*it lacks actions"):
        run_episodes(SinMDP, ["truth"])
    assert rl.tasks.SinMDP is SinMDP


def test_learners_that_cannot_learn_here():
    brief = {"episodes": 1, "seeds": 1, "evaluations": 0}
    with pytest.raises(ValueError, match=r"family: Exponential\(\) has no density at W = 0, where agents begin"):
        run_episodes(SinMDP(), {"one": Learner(Exponential())}, **brief)
    for estimator in ("score_matching", "mle"):
        with pytest.raises(ValueError, match=r"next_states, row \d+: found .* expected numbers between 0 and 1"):
            run_episodes(SinMDP(), {"one": Learner(Beta(), estimator)}, **brief)
    twice = Learner(Gaussian(1.0), ridge=0.0, features=lambda s, a: np.ones((*np.shape(a), 2)))
    with pytest.raises(ValueError, match=r"W is not determined by 2 features .* give the Learner a ridge above 0"):
        run_episodes(SinMDP(), {"one": twice}, **brief)
