"""Transition models from exponential families: densities, estimates of their parameters, and planning with them."""

from importlib import import_module
from typing import Any

from rlpymc.transitions import features
from rlpymc.transitions.agents import Learner
from rlpymc.transitions.closed import Beta, Exponential, Gaussian
from rlpymc.transitions.distances import integrated_distance, total_variation
from rlpymc.transitions.episodes import run_episodes
from rlpymc.transitions.estimate import Estimate, Transition, log_likelihood
from rlpymc.transitions.family import Family
from rlpymc.transitions.kinked import DoubleReLU, ReLU
from rlpymc.transitions.maximum_likelihood import fit_mle, gaussian_variance
from rlpymc.transitions.mixture_like import MixtureLike
from rlpymc.transitions.optimum import Optimum, solve
from rlpymc.transitions.periodic import CustomSin, ExpSin, SinSquared
from rlpymc.transitions.planner import ShootingPlanner
from rlpymc.transitions.posterior import build
from rlpymc.transitions.product import Product
from rlpymc.transitions.scores import ScoreMatchingWarning, score_matching, score_matching_objective

__all__ = [
    "FAMILIES",
    "Beta",
    "CustomSin",
    "DoubleReLU",
    "Estimate",
    "ExpSin",
    "Exponential",
    "Family",
    "Gaussian",
    "Learner",
    "MixtureLike",
    "Optimum",
    "Product",
    "ReLU",
    "ScoreMatchingWarning",
    "ShootingPlanner",
    "SinSquared",
    "Transition",
    "build",
    "features",
    "fit_mle",
    "gaussian_variance",
    "integrated_distance",
    "log_likelihood",
    "plots",
    "run_episodes",
    "score_matching",
    "score_matching_objective",
    "solve",
    "total_variation",
]

FAMILIES = (Gaussian, Exponential, Beta, CustomSin, SinSquared, ExpSin, MixtureLike, ReLU, DoubleReLU)


def __getattr__(name: str) -> Any:
    """Return the module of figures, which is loaded when it is first used."""
    if name == "plots":
        return import_module("rlpymc.plots.transitions")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
