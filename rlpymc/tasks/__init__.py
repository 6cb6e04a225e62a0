"""Experiments in which models are simulated."""

from rlpymc.tasks.bandit import Bandit
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.cart_pole import StochasticCartPole
from rlpymc.tasks.chain import Chain
from rlpymc.tasks.choices import Choices
from rlpymc.tasks.drifting import DriftingBandit
from rlpymc.tasks.grid_world import GridWorld
from rlpymc.tasks.mdp import RandomMDP, without_beta
from rlpymc.tasks.prediction import Prediction
from rlpymc.tasks.reversal import Reversal
from rlpymc.tasks.rlwm import RLWM
from rlpymc.tasks.sin_mdp import SinMDP
from rlpymc.tasks.two_step import TwoStep

__all__ = [
    "RLWM",
    "Bandit",
    "Chain",
    "Choices",
    "DriftingBandit",
    "GridWorld",
    "Prediction",
    "RandomMDP",
    "Reversal",
    "SinMDP",
    "StochasticCartPole",
    "Task",
    "TwoStep",
    "World",
    "without_beta",
]
