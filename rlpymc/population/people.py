"""People drawn from the population that priors, or draws of its variables, describe."""

from collections.abc import Iterable, Mapping

import numpy as np

from rlpymc.model.record import Record
from rlpymc.model.responses import Categorical
from rlpymc.population.effects import Effect
from rlpymc.population.whole_numbers import Marginal


def group_draws(effect: Effect, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return draws of the group's variables from their priors, (draw, *shape) by key."""
    group = [v for v in effect.variables if v.level == "group"]
    return {v.key: np.asarray(v.prior.sample(rng, (n, *effect.shape))) for v in group}


def subjects_of(
    effect: Effect, group: Mapping[str, np.ndarray], draws: int, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the values of n people from each draw of the group's variables, (draw, person, *shape).

    Where an effect has covariates, they are those of these people.
    """
    drawn = {key: value[:, None] for key, value in group.items()}
    drawn |= {key: value[None] for key, value in effect.known(1 + len(effect.shape)).items()}
    for v in effect.variables:
        if v.level == "subject":
            drawn[v.key] = v.prior.sample(rng, (draws, n, *effect.shape))
    value = effect.value(Record(**drawn))
    if isinstance(value, Marginal):
        logits = np.broadcast_to(value.log_weights, (draws, n, len(value.values)))
        return np.asarray(value.values[Categorical(logits=logits).sample(rng)].astype(float))
    return np.broadcast_to(value, (draws, n, *effect.shape))


def people(effects: Iterable[Effect], draws: int, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the parameters of n people from each of some draws of the population, (draw, person, *shape)."""
    found: dict[str, np.ndarray] = {}
    for effect in effects:
        if effect.covariates:
            raise ValueError(
                f"parameter {effect.name!r} has a formula, and nothing is known of these people; leave formulas out"
            )
        values = subjects_of(effect, group_draws(effect, draws, rng), draws, n, rng)
        found |= dict.fromkeys((effect.name, *effect.copies), values)
    return found
