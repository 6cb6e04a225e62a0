"""A population's variables in PyMC."""

from collections.abc import Sequence
from typing import Any

from rlpymc.model.priors import stacked
from rlpymc.model.record import Record
from rlpymc.population.correlations import Block
from rlpymc.population.effects import Effect
from rlpymc.population.predictors import Predictor


def in_pymc(effects: Sequence[Effect], predictors: Sequence[Predictor], blocks: Sequence[Block]) -> dict[str, Any]:
    """Add the variables of effects to the PyMC model in context.

    Parameters
    ----------
    effects : sequence of Effect
        All of a population.
    predictors : sequence of Predictor
        What follows from some of them.
    blocks : sequence of Block
        Of which deviations are correlated.

    Returns
    -------
    dict
        The parameters that they give, by name, (subject, *shape), or (subject, trial) from predictors.
    """
    import pymc as pm
    import pytensor.tensor as pt

    named: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for effect in effects:
        found |= _of_effect(effect, effects, named)
    for predictor in predictors:
        numbers = {e.name: found.pop(e.name) for e in predictor.effects}
        found |= dict.fromkeys(predictor.parameters, predictor.by_trial(numbers))
        pm.modelcontext(None).add_coords({predictor.level: predictor.labels} if predictor.level else {})
        for name, (value, dims) in predictor.shown(named, numbers).items():
            pm.Deterministic(name, value, dims=dims or None)
    for block in blocks:
        pm.modelcontext(None).add_coords(dict.fromkeys(block.dims, block.labels))
        matrix = pt.stack([pt.stack(row) for row in block.matrix(named)])
        pm.Deterministic(block.name, matrix, dims=block.dims)
    return found


def _of_effect(effect: Effect, effects: Sequence[Effect], named: dict[str, Any]) -> dict[str, Any]:
    """Add one effect's variables to those that there are by name; return the parameter and its copies."""
    import pymc as pm

    pm.modelcontext(None).add_coords(effect.coords)
    own = tuple(effect.coords)
    dims = {"group": own[len(effect.shape) - len(effect.group_shape) :], "subject": ("subject", *own)}
    in_vectors = {part: vector for vector, parts in effect.vectors.items() for part in parts.values()}
    for name, v in effect.named.items():
        if name not in in_vectors:
            named[name] = v.prior.pymc(name, dims=dims[v.level] or None)
        elif name not in named:
            named |= _vector(in_vectors[name], effects, dims["group"])
    natural = {v.key: named[name] for name, v in effect.named.items()}
    natural |= {key: named[name] for key, name in effect.foreign.items()}
    record = Record(**natural, **effect.known(1 + len(own)))
    for name, value in effect.computed(record).items():
        named[name] = pm.Deterministic(name, value, dims=("subject", *own)[1 + len(own) - value.ndim :] or None)
    if effect.name not in named:  # a whole number, which is no variable, or what a predictor adds to
        return {effect.name: effect.value(record)}
    return {name: named[name] for name in (effect.name, *effect.copies)}


def _vector(name: str, effects: Sequence[Effect], own: tuple[str, ...]) -> dict[str, Any]:
    """Add a vector of variables of the group to the PyMC model in context; return its parts by name."""
    import pymc as pm

    parts = {label: (e, part) for e in effects for label, part in e.vectors.get(name, {}).items()}
    dim = f"{name}_dim"
    pm.modelcontext(None).add_coords({dim: list(parts)})
    whole = stacked([e.named[part].prior for e, part in parts.values()], 1 + len(own)).pymc(name, dims=(dim, *own))
    return {part: whole[k] for k, (_, part) in enumerate(parts.values())}
