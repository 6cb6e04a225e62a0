"""Numbers of maximum likelihood for a Q-learner in a world of 10 states and 3 actions, everything shared.

LaplacianExpectationMaximization.jl, "Fitting a Q-Learner".  The source's data cannot be drawn again: what is compared
are its log likelihoods' criteria, which are arithmetic, and fits of data that are drawn like its own, 100 subjects of
200 trials.  What free parameters gain follows half a chi2, of mean n / 2 and variance n / 2: for 30 start values 15,
within three standard deviations 3.4 to 26.6, where the source's 20.96 lies too.
"""

from functools import cache

import numpy as np

import rlpymc as rl
from rlpymc.fitting.mle.estimates import criteria
from tests.golden.row import Golden

SOURCE = "q_mdp(terminal=bootstraps)"
LEARNER = ("alpha", "beta", "gamma")
DEFAULT = {"alpha": 0.0, "beta": np.log1p(np.e), "gamma": 1 / (1 + np.exp(-10.0))}
GENERATING = {"alpha": 0.15, "beta": np.log1p(np.exp(1.6)), "gamma": 1 / (1 + np.exp(-1.8))}
FREE, FIXED, ROWS_OF_DATA = -20473.929115426105, -20494.891628022964, 20100
SAMPLERS = ("right", "source")
SEED = 1


@cache
def data(sampler: str, seed: int):
    """Data drawn by the right sampler, or by the source's, which ignores beta; and the parameters behind them."""
    params = GENERATING if sampler == "right" else {**GENERATING, "beta": 1.0}
    drawn = GENERATING if sampler == "right" else rl.tasks.without_beta(GENERATING)
    return rl.simulate(SOURCE, rl.tasks.RandomMDP(), drawn, 100, 200, seed=seed), params


@cache
def fit(sampler: str, seed: int, *more: str) -> rl.MLE:
    return rl.fit_mle(SOURCE, data(sampler, seed)[0], shared=(*LEARNER, *more), starts=2, progress=False)


def increments(sampler: str, seed: int) -> tuple[float, float]:
    """What three estimates gain over the truth, and 30 free start values over these."""
    trials, params = data(sampler, seed)
    fixed, free = (fit(sampler, seed, *more).totals["log_lik"] for more in ((), ("q0",)))
    return fixed - float(rl.log_prob(SOURCE, trials, params).sum()), free - fixed


def in_order() -> list[float]:
    """What log likelihoods of the source's data gain: defaults, generating, generating at beta 1, fixed, free."""
    trials, params = data("source", SEED)
    given = [float(rl.log_prob(SOURCE, trials, p).sum()) for p in (DEFAULT, GENERATING, params)]
    fitted = [float(fit("source", SEED, *more).totals["log_lik"]) for more in ((), ("q0",))]
    return list(np.diff([*given, *fitted]))


def estimated(sampler: str) -> list[float]:
    return [float(fit(sampler, SEED).params[name][0]) for name in LEARNER]


def scaled(sampler: str, mean: tuple[float, ...], sd: tuple[float, ...]) -> np.ndarray:
    """How far estimates are from the source's mean, in its standard deviations."""
    return (np.array(estimated(sampler)) - mean) / sd


def of_all(log_lik: float, n_shared: int) -> list[float]:
    """AIC and BIC of a fit of one group with everything shared."""
    n = np.full(100, ROWS_OF_DATA / 100)
    return [float(v.sum()) for v in criteria(np.full(100, log_lik / 100), 0, n_shared, n)]


def lem_24() -> float:
    """What the BIC of a fit with everything shared is beside its log likelihood, over its logarithm of all rows."""
    totals = fit("right", SEED).totals
    return float((totals["bic"] + 2 * totals["log_lik"]) / np.log(20000))


ROWS = [
    Golden("LEM-4", "log likelihoods in ascending order", True, lambda: bool(np.min(in_order()) > 0), 0),
    Golden("LEM-9", "AIC and BIC, start values free", [41013.86, 41274.84], lambda: of_all(FREE, 33), 5e-3),
    Golden("LEM-9", "AIC and BIC, start values fixed", [40995.78, 41019.51], lambda: of_all(FIXED, 3), 5e-3),
    Golden("LEM-24", "BIC + 2 log likelihood in log n, three shared", 3.0, lem_24),
    *(
        Golden(
            "LEM-8",
            f"{what}, {sampler}",
            n / 2,
            lambda s=sampler, k=k: increments(s, SEED)[k],
            3 * np.sqrt(n / 2),
        )
        for sampler in SAMPLERS
        for k, (what, n) in enumerate([("gain over the truth", 3), ("gain of start values", 30)])
    ),
    Golden(
        "LEM-6",
        "estimates of the source's data, in standard deviations",
        np.zeros(3),
        lambda: scaled("source", (0.152, 0.991, 0.823), (0.009, 0.058, 0.063)),
        3.0,
    ),
    Golden(
        "LEM-7",
        "estimates of rightly drawn data, in standard deviations",
        np.zeros(3),
        lambda: scaled("right", (0.152, 1.766, 0.870), (0.006, 0.036, 0.040)),
        3.0,
    ),
]
