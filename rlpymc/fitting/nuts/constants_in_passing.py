"""Constants of a model that was sampled, tried in a small share of the time that sampling took."""

import logging
import time
from collections.abc import Callable

from rlpymc.fitting.budget import Budget
from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.held_constants import Constants, can_be_freed, constants_within
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.loop import LoopLikelihood
from rlpymc.trials.model_data import ModelData

logger = logging.getLogger("rlpymc")

SHARE = 0.1  # of what sampling took
COMPILING = 3e-6  # seconds a character of a kernel's text, with some to spare


def constants_in_passing(
    rl_model: RLModel, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Constants | None:
    """Try the constants of a model, as many and for as many subjects as a share of some time allows.

    No kernel is compiled for which the rest of the time may be too short, and no evaluation begins when it is over.

    Parameters
    ----------
    rl_model : RLModel
        From `build`.
    seconds : float
        What sampling it took.
    clock : callable
        Returns the time, in seconds.

    Returns
    -------
    Constants or None
        None where there is no constant to try, or not enough time; a line of the log says so.
    """
    budget, data, population = Budget(SHARE * seconds, clock), rl_model.data, rl_model.spec.population
    names = [p.name for p in can_be_freed(data.model, population)]
    if not names:
        return None
    found = None
    if MachinePosterior.obstacle(rl_model):
        why = "the density is not made by build alone, or no compiled loop"
    else:
        active = [p.name for p in data.model.parameters if population.is_free(p) and not p.support.discrete]
        # one kernel for the model as it is, which may be known, and one for each constant
        most = int(budget.left / seconds_to_compile(data, active)) - 1
        found = constants_within(data, population, budget, most) if most > 0 else None
        why = f"a {SHARE:.0%} share of the time that sampling took is too short"
    if found is None or not found.log_lik.size:
        held = ", ".join(names)
        logger.info("%s: constants (%s) were not tried: %s; see rlpymc.constants", data.model.name, held, why)
        return None
    logger.info("%s", found)
    return found


def seconds_to_compile(data: ModelData, active: list[str]) -> float:
    """Return about how long the kernel of a gradient takes to be compiled for the first time."""
    likelihood = likelihood_of(data)
    assert isinstance(likelihood, LoopLikelihood)
    return COMPILING * len(likelihood.evaluator("gradient", active).kernel.text)
