"""Checks of a model's promises, under the short path that authors of models use."""

from rlpymc.validate import checks

__all__ = ["checks"]
