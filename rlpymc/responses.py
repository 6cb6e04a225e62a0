"""Distributions of responses, under the short path that model files use."""

from rlpymc.model.responses import Bernoulli, Categorical, Normal, Response

__all__ = ["Bernoulli", "Categorical", "Normal", "Response"]
