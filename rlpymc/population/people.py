"""People drawn from the population that priors, or draws of its variables, describe."""

from collections.abc import Iterable, Mapping

import numpy as np

from rlpymc.model.record import Record
from rlpymc.model.responses import Categorical
from rlpymc.population.effects import Effect
from rlpymc.population.regression import Base
from rlpymc.population.whole_numbers import Marginal


def group_draws(effect: Effect, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return draws of the group's variables from their priors, (draw, *shape) by key."""
    group = [v for v in effect.variables if v.level == "group"]
    return {v.key: np.asarray(v.prior.sample(rng, (n, *effect.group_shape))) for v in group}


def beside_subjects(effect: Effect, group: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return draws of the group's variables and covariates by key, with axes for subjects and all their entries."""
    more = len(effect.shape) - len(effect.group_shape)
    drawn = {key: np.reshape(v, (len(v), 1, *[1] * more, *v.shape[1:])) for key, v in group.items()}
    return drawn | {key: value[None] for key, value in effect.known(1 + len(effect.shape)).items()}


def subjects_of(
    effect: Effect,
    group: Mapping[str, np.ndarray],
    draws: int,
    n: int,
    rng: np.random.Generator,
    own: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the values of n people from each draw of the group's variables, (draw, person, *shape).

    Where an effect has covariates, they are those of these people.  Where it reads variables of other effects, `own`
    has these by name; its own are added.
    """
    own = {} if own is None else own
    drawn = beside_subjects(effect, group)
    for name, v in effect.named.items():
        if v.level == "subject":
            own[name] = drawn[v.key] = v.prior.sample(rng, (draws, n, *effect.shape))
    drawn |= {key: own[name] for key, name in effect.foreign.items()}
    value = effect.value(Record(**drawn))
    if isinstance(value, Marginal):
        return whole_numbers_of(value, (draws, n), rng)
    return np.broadcast_to(value, (draws, n, *effect.shape))


def whole_numbers_of(value: Marginal, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return whole numbers of people, (draw, person), drawn from their probabilities."""
    logits = np.broadcast_to(value.log_weights, (*shape, len(value.values)))
    return np.asarray(value.values[Categorical(logits=logits).sample(rng)].astype(float))


def people(effects: Iterable[Effect], draws: int, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the parameters of n people from each of some draws of the population, (draw, person, *shape)."""
    found, own = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for effect in effects:
        if effect.covariates or isinstance(effect, Base):
            raise ValueError(
                f"parameter {effect.name!r} has a formula, and nothing is known of these people; leave formulas out"
            )
        values = subjects_of(effect, group_draws(effect, draws, rng), draws, n, rng, own)
        found |= dict.fromkeys((effect.name, *effect.copies), values)
    return found
