"""Experiments in which models are simulated."""

from rlpymc.tasks.bandit import Bandit

__all__ = ["Bandit"]
