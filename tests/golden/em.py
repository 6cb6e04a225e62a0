"""Numbers of population models by Laplace expectation-maximisation: coins, whose marginal likelihoods are known.

LaplacianExpectationMaximization.jl: its tests and documentation, and exact values by quadrature.
"""

from functools import cache

import numpy as np
from scipy.optimize import root

import rlpymc as rl
from rlpymc.fitting.em.evidence import bic_int
from tests.golden.row import Golden
from tests.helpers.coins import fit, log_marginal, posterior_moments

DIGITS = 1e-10  # a unit of the last decimal
START = {"bias_mu": 0.0, "bias_sigma": 1.0}
MODES = [0.5089225901, -0.1669891393, 0.8768051889, -1.0779360342, 0.1669891393]
HESSIANS = [-5.6897266669, -5.9653046453, -5.1499632275, -4.7886643158, -5.9653046453]
FREE, FIXED = -20473.929115426105, -20494.891628022964  # log likelihoods with 33 and 3 parameters
ROWS_OF_MDP = 20_100
FLIPS = 5 * 30


@cache
def after(rounds: int) -> rl.EM:
    return fit(start=START, iterations=rounds, tol=None)


def group(rounds: int) -> list[float]:
    em = after(rounds)
    return [float(em.mu["bias"]), float(em.sigma["bias"])]


@cache
def at_group() -> rl.EM:
    return fit(start={"bias_mu": 0.3, "bias_sigma": 0.4}, iterations=0, tol=None)


def marginal_maximum() -> list[float]:
    """Where the mean and variance of subjects' posteriors are the group's own."""
    found = root(lambda x: posterior_moments(*x) - x, [0.0, 0.7], tol=1e-12)
    return list(found.x)


def numbers(**options) -> int:
    """How many numbers of three subjects with two parameters are estimated."""
    trials = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": 0.3, "beta": 2.0}, 3, 30, 1)
    return rl.fit_em("delta", trials, iterations=0, tol=None, progress=False, **options).n_free


def shared_bic() -> float:
    """How far the criterion is from -2 log likelihood + 2 ln n where both parameters are shared."""
    trials = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": 0.3, "beta": 2.0}, 3, 30, 1)
    em = rl.fit_em("delta", trials, shared=["alpha", "beta"], progress=False)
    again = float(rl.log_prob("delta", trials, em.params).sum())
    return em.bic_int - (-2 * again + 2 * np.log(90))


@cache
def populations(seed: int, n: int, throws: int, sigma: float) -> tuple[rl.EM, rl.EM]:
    """Fits of coins with a mean of 0.3: each with its own bias, and all with one."""
    rng = np.random.default_rng(seed)
    heads = rng.binomial(throws, 1 / (1 + np.exp(-rng.normal(0.3, sigma, n))))
    return fit(heads, throws, iterations=10, tol=None), fit(heads, throws, shared="bias")


def prefers_shared(*settings) -> bool:
    own, shared = populations(*settings)
    return shared.bic_int < own.bic_int


@cache
def habituating(sigma: float = 0.0, iterations: int = 50) -> rl.EM:
    """Five sequences with equal parameters: a fit of one pair of parameters, or of pairs around it."""
    trials = rl.simulate("habituating_coin", rl.tasks.Choices(2), {"w0": 0.3, "alpha": 0.1}, 5, 30, seed=1)
    if not sigma:
        return rl.fit_em("habituating_coin", trials, shared=["w0", "alpha"], progress=False)
    best = {name: float(habituating().params[name][0]) for name in ("w0", "alpha")}
    start = {f"{name}_mu": value for name, value in best.items()} | dict.fromkeys(("w0_sigma", "alpha_sigma"), sigma)
    return rl.fit_em("habituating_coin", trials, start=start, iterations=iterations, tol=None, progress=False)


def gaps(*sigmas: float) -> list[float]:
    """How much worse the criterion is of pairs with such standard deviations than of one pair."""
    return [habituating(sigma, 0).bic_int - habituating().bic_int for sigma in sigmas]


ROWS = [
    Golden("LEM-15", "modes", MODES, lambda: after(0).params_unbounded["bias"], DIGITS),
    Golden("LEM-15", "Hessians", HESSIANS, lambda: after(0).hessian.values.ravel(), DIGITS),
    Golden("LEM-15", "after a round", [0.0615583490, 0.7925388700], lambda: group(1), DIGITS),
    Golden("LEM-15", "after two rounds", [0.0733174116, 0.7206290173], lambda: group(2), DIGITS),
    Golden("LEM-15", "after ten rounds", [0.0788876747, 0.6477582233], lambda: group(10), DIGITS),
    Golden("LEM-15", "fixed point", [0.0789122428, 0.6468114103], lambda: group(60), DIGITS),
    Golden(
        "LEM-15",
        "exact maximum of the marginal: as high as that of a search",  # whose place is flat to five digits
        log_marginal(0.0814295, 0.6781204).sum(),
        lambda: log_marginal(*marginal_maximum()).sum(),
        1e-8,
    ),
    Golden("LEM-16", "exact", -67.8017084038, lambda: log_marginal(0.3, 0.4).sum(), DIGITS),
    Golden("LEM-16", "exact, the first coin", -13.3655601785, lambda: log_marginal(0.3, 0.4)[0], DIGITS),
    Golden("LEM-16", "Laplace", -67.8130848387, lambda: at_group().log_evidence.sum(), DIGITS),
    Golden(
        "LEM-16",
        "Monte Carlo, mean of 20 repetitions",
        -67.806,
        lambda: at_group().mc_marginal_logp().total.mean(),
        3 * 0.029 / np.sqrt(20),
    ),
    Golden(
        "LEM-9",
        "BIC with 33 and with 3 parameters",
        [41274.84, 41019.51],
        lambda: [bic_int(FREE, 33, ROWS_OF_MDP), bic_int(FIXED, 3, ROWS_OF_MDP)],
        0.005,
    ),
    Golden("LEM-18", "one bias for equal coins", True, lambda: prefers_shared(1, 20, 20, 0.0), 0),
    Golden("LEM-19", "own biases for unequal coins", False, lambda: prefers_shared(1, 50, 50, 0.4), 0),
    Golden("LEM-19", "their standard deviation", 0.4, lambda: populations(1, 50, 50, 0.4)[0].sigma["bias"], 0.1),
    Golden("LEM-22", "one pair for equal coins", True, lambda: habituating().bic_int < habituating(0.1).bic_int, 0),
    Golden("LEM-22", "the gap where standard deviations vanish", 2 * np.log(FLIPS), lambda: gaps(1e-3)[0], 1e-3),
    Golden("LEM-22", "which is where they belong", True, lambda: bool((np.diff(gaps(1e-3, 0.02, 0.1)) > 0).all()), 0),
    Golden("LEM-23", "numbers, none shared", 6, numbers, 0),
    Golden("LEM-23", "numbers, one shared", 4, lambda: numbers(shared=["beta"]), 0),
    Golden("LEM-23", "numbers, both shared", 2, lambda: numbers(shared=["alpha", "beta"]), 0),
    Golden("LEM-23", "numbers, one fixed", 3, lambda: numbers(fixed={"beta": 2.0}), 0),
    Golden("LEM-23", "numbers, one fixed, one shared", 1, lambda: numbers(fixed={"beta": 2.0}, shared=["alpha"]), 0),
    Golden("LEM-24", "everything shared: BIC + 2 ll - 2 ln n", 0.0, shared_bic, 1e-9),
]
