"""How long sampling may take, from the time that gradients take on this machine."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from inspect import signature
from itertools import repeat
from math import ceil
from typing import Any

import numpy as np
from pymc.blocking import DictToArrayBijection

from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.fitting.nuts.sampling import sample

SECONDS, FEWEST = 0.3, 3  # how long gradients are timed, and how many at least
# Gradients a draw, tuning included: means of runs at defaults, of 5 to 100 subjects and 3 to 7 parameters.
STEPS = {"informed": (9.0, 20.0), "noncentred": (12.0, 36.0), "of all": (3.5, 18.0)}


@dataclass(frozen=True)
class SamplingTime:
    """What `rlpymc.sample` may take at its defaults.

    Parameters
    ----------
    gradient : float
        Seconds that one gradient of the log density takes while as many chains run as will at a time.
    density : {"machine", "pytensor"}
        What computes it.
    coordinates : str
        What NUTS moves in.
    steps : tuple of float
        Gradients a draw takes, from and to.
    chains, tune, draws, at_once : int
        Chains, draws of each for tuning and to keep, and how many chains run at a time.
    """

    gradient: float
    density: str
    coordinates: str
    steps: tuple[float, float]
    chains: int
    tune: int
    draws: int
    at_once: int

    @property
    def seconds(self) -> tuple[float, float]:
        """Seconds that the chains take, from and to."""
        rounds = ceil(self.chains / self.at_once) * (self.tune + self.draws)
        low, high = (rounds * steps * self.gradient for steps in self.steps)
        return low, high

    def __str__(self) -> str:
        (few, many), (low, high) = self.steps, map(_spoken, self.seconds)
        # PyTensor's gradient is timed alone, and chains that run beside each other take longer
        kind, factor = ("machine code", "two") if self.density == "machine" else ("PyTensor", "four")
        return (
            f"{low if low == high else f'{low} to {high}'} for {self.chains} chains of {self.tune} + {self.draws} "
            f"draws, {self.at_once} at a time: {few:g} to {many:g} gradients a draw in {self.coordinates} coordinates, "
            f"{_spoken(self.gradient)} each ({kind}). An estimate within a factor of about {factor}, for a machine as "
            "busy as now; compiling, log likelihoods and constants come on top"
        )


def _spoken(seconds: float) -> str:
    """Return a time in the unit that it is a few of."""
    units = {"hours": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
    unit = next((name for name, size in units.items() if seconds >= 1.5 * size), "us")
    return f"{float(f'{seconds / units[unit]:.2g}'):g} {unit}"


def sampling_time(rl_model: RLModel) -> SamplingTime:
    """Time gradients of a model from `build`, and return what sampling may take.

    Gradients run side by side, as chains do: these take from each other, as does other work on the machine, and a
    gradient that runs alone promises too much.  What needs to be compiled is compiled before.
    """
    chains, tune, draws = (signature(sample).parameters[name].default for name in ("chains", "tune", "draws"))
    at_once = min(chains, os.cpu_count() or 1)
    by_subject = any(effect.by_subject for effect in rl_model.spec.population.effects(rl_model.data))
    functions: list[Callable[[Any], Any]]
    if MachinePosterior.obstacle(rl_model):
        density, coordinates = "pytensor", "noncentred"
        start = DictToArrayBijection.map(rl_model.initial_point())
        function = rl_model.logp_dlogp_function(ravel_inputs=True)
        function.set_extra_values({})
        functions = [function]  # alone, since its memory is shared by all who call it
    else:
        # Informed coordinates add little to a gradient, and finding them takes as long as many of these.
        density, coordinates = "machine", MachinePosterior.form(rl_model, "informed").kind
        posterior = MachinePosterior(rl_model)
        start, functions = posterior.coordinates.start(0), [posterior.density() for _ in range(at_once)]
    with ThreadPoolExecutor(len(functions)) as pool:
        gradient = float(np.mean([*pool.map(_mean_time, functions, repeat(start))]))
    steps = STEPS[coordinates if by_subject else "of all"]
    return SamplingTime(gradient, density, coordinates, steps, chains, tune, draws, at_once)


def _mean_time(function: Callable[[Any], Any], x: Any) -> float:
    """Return the mean time of a call, pauses included, after a first one that prepares things."""
    function(x)
    n, began = 0, time.perf_counter()
    while n < FEWEST or time.perf_counter() < began + SECONDS:
        function(x)
        n += 1
    return (time.perf_counter() - began) / n
