"""Prior distributions of parameters, under the short path that model files and studies use."""

from rlpymc.model.priors import (
    Beta,
    DiscreteUniform,
    Exponential,
    Gamma,
    HalfNormal,
    LogNormal,
    Normal,
    Prior,
    Uniform,
)

__all__ = [
    "Beta",
    "DiscreteUniform",
    "Exponential",
    "Gamma",
    "HalfNormal",
    "LogNormal",
    "Normal",
    "Prior",
    "Uniform",
]
