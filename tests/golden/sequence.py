"""Numbers of the example models of LaplacianExpectationMaximization.jl: coins, a Gaussian, chains of states."""

from functools import cache

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit, softmax

import rlpymc as rl
from rlpymc.model.parameters import softplus
from tests.golden.row import Golden

FLIPS = rl.read_trials(pd.DataFrame({"subject": 0, "action": [0, 1, 0]}))
COIN = {"w0": 0.5, "alpha": 0.1}
STEPS = np.array([(1, 2), (2, 2), (2, 3), (3, 1), (1, 1), (1, 2)]) - 1  # the source counts from 1
TRANSITIONS = rl.read_trials(pd.DataFrame({"subject": 0, "state": STEPS[:, 0], "next_state": STEPS[:, 1]}))
HABITUATING = {"w0": np.array([[[0.1, 0.2, 0.3], [0, 0.5, -0.5], [0.4, 0, 0.2]]])}  # [from, to]
PLAIN = {"w": np.array([[[0.1, 0.4, -0.2], [0.3, 0, 0.5], [-0.1, 0.2, 0.6]]])}  # [to, from]
TERMS = [-1.1019428482, -0.6802696706, -1.8517210660, -0.9119014326, -1.6200674849, -0.6278910051]


@cache
def flipped() -> xr.Dataset:
    return rl.simulate("biased_coin", rl.tasks.Choices(), {"bias": expit(0.7)}, 1, 200, seed=13)


def fitted(model: str, **fixed: float) -> rl.MLE:
    return rl.fit_mle(model, flipped(), fixed=fixed, starts=2, progress=False)


@cache
def numbers() -> np.ndarray:
    params = {"mu": 0.2, "sd": softplus.constrain(0.7)}
    return rl.simulate("gaussian", rl.tasks.Prediction(), params, 1000, 100, seed=14)["prediction"].values


@cache
def wandered() -> xr.Dataset:
    return rl.simulate("markov_chain", rl.tasks.Chain(3), PLAIN, 1, 300, seed=15)


def frequencies() -> np.ndarray:
    """Share of each next state (row) after each state (column)."""
    counts = np.zeros((3, 3))
    np.add.at(counts, (wandered()["next_state"].values[0], wandered()["state"].values[0]), 1)
    return counts / counts.sum(axis=0)


def fitted_frequencies() -> np.ndarray:
    fit = rl.fit_mle("markov_chain", wandered(), starts=1, progress=False)
    return softmax(fit.params["w"].values[0], axis=0)


ROWS = [
    Golden(
        "LEM-12", "habituating coin", -2.431923257059192, lambda: rl.log_prob("habituating_coin", FLIPS, COIN).sum()
    ),
    Golden(
        "LEM-12",
        "its log odds before the second and third flip",
        [0.4377540669, 0.4769816929],
        lambda: rl.latents("habituating_coin", FLIPS, COIN)["w"].values[0, 1:],
    ),
    Golden(
        "LEM-13",
        "fitted bias less the share of ones",
        0,
        lambda: fitted("biased_coin").params["bias"][0] - flipped()["action"].mean(),
    ),
    Golden(
        "LEM-13",
        "habituating coin with alpha fixed at 0, less the biased coin's log likelihood",
        0,
        lambda: fitted("habituating_coin", alpha=0.0).log_lik[0] - fitted("biased_coin").log_lik[0],
    ),
    Golden(
        "LEM-13",
        "logistic of its fitted w0, less the fitted bias",
        0,
        lambda: expit(fitted("habituating_coin", alpha=0.0).params["w0"][0]) - fitted("biased_coin").params["bias"][0],
    ),
    Golden(
        "LEM-13",
        "both at one bias, flip by flip",
        np.zeros((1, 200)),
        lambda: (
            rl.log_prob("habituating_coin", flipped(), {"w0": 0.7, "alpha": 0.0})
            - rl.log_prob("biased_coin", flipped(), {"bias": expit(0.7)})
        ),
        1e-12,
    ),
    Golden(
        "LEM-13",
        "fitted above generating, more free above fewer",
        [True, True],
        lambda: [
            fitted("biased_coin").log_lik[0] > flipped()["log_prob"].sum(),
            fitted("habituating_coin").log_lik[0] > fitted("habituating_coin", alpha=0.0).log_lik[0],
        ],
        0,
    ),
    Golden("LEM-14", "softplus of sigma .7", 1.103186, lambda: softplus.constrain(0.7), 5e-7),
    Golden("LEM-14", "mean of 100,000", 0.2, lambda: numbers().mean(), 0.05),
    Golden("LEM-14", "their standard deviation", 1.103186, lambda: numbers().std(), 0.05),
    Golden(
        "LEM fixture",
        "habituating Markov chain",
        -6.793793507542,
        lambda: rl.log_prob("habituating_markov_chain", TRANSITIONS, HABITUATING).sum(),
    ),
    Golden(
        "LEM fixture",
        "its terms",
        TERMS,
        lambda: rl.log_prob("habituating_markov_chain", TRANSITIONS, HABITUATING).values[0],
    ),
    Golden(
        "LEM fixture",
        "Markov chain",
        -7.015693850070,
        lambda: rl.log_prob("markov_chain", TRANSITIONS, PLAIN).sum(),
    ),
    Golden(
        "algebra",
        "fitted probabilities of a Markov chain less the shares of its transitions",
        np.zeros((3, 3)),
        lambda: fitted_frequencies() - frequencies(),
        1e-8,
    ),
]
