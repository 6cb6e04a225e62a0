"""From a model to its description.

Priors and numbers are read off the effects that PyMC's model and the density are made of, never worked out anew.
"""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from rlpymc.fitting.held_constants import can_be_freed
from rlpymc.model import Model
from rlpymc.model.parameters import Input, Parameter, Support
from rlpymc.model.priors import Prior
from rlpymc.model.registry import get_model
from rlpymc.population.effects import Effect, Pooled
from rlpymc.population.population import Population
from rlpymc.population.regression import Base
from rlpymc.population.whole_numbers import WholeNumber
from rlpymc.reporting.description import Column, DescribedParameter, Description, Sizes
from rlpymc.trials.model_data import ModelData

if TYPE_CHECKING:
    from rlpymc.fitting.factory import RLModel
    from rlpymc.reporting.sampling_time import SamplingTime

POOLED = {
    "partial": "partial pooling, link(mu + sigma z)",
    "none": "no pooling, each subject alone",
    "complete": "complete pooling, one for all",
}


def describe(model: "RLModel | Model | str", *, time: bool | None = None) -> Description:
    """Say what a model is, what is estimated and with which priors, what it reads, and how long sampling may take.

    Parameters
    ----------
    model : RLModel, Model or str
        From `build`.  A model or its name is described as `build` makes it unless told otherwise; without data there
        are no numbers of subjects and no time.
    time : bool, optional
        Whether to time gradients.  Unless told, that is done where the density is machine code, which takes about a
        second; what PyTensor must compile first, for half a minute or more, is timed with ``time=True``.

    Returns
    -------
    Description
        It prints, in a terminal and in a notebook, what its attributes hold.

    Raises
    ------
    TypeError
        If it is no such model.
    ValueError
        If there is no model of that name, or nothing to time.
    """
    if isinstance(model, Model | str):
        learner = get_model(model)
        if time:
            raise ValueError(f"time=True: {learner.name} has no data to be timed with; describe(rlpymc.build(...))")
        how, untimed = "as build has it unless told otherwise", "known when there are data, describe(rlpymc.build(...))"
        return _described(learner, Population(), None, how, None, untimed)
    from rlpymc.fitting.factory import RLModel

    if not isinstance(model, RLModel):
        raise TypeError(
            "describe takes a model from rlpymc.build, a Model or a name such as 'delta+stickiness'; found "
            f"{type(model).__name__}"
        )
    how = "as built" if model.as_built else "as built; what was added or taken away since then is not shown"
    return _described(model.spec.model, model.spec.population, model.data, how, *_timed(model, time))


def _timed(rl_model: "RLModel", asked: bool | None) -> "tuple[SamplingTime | None, str]":
    """Return what sampling may take, or why that is not known."""
    from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
    from rlpymc.reporting.sampling_time import sampling_time

    if asked is False:
        return None, "not asked for"
    if not rl_model.free_RVs:
        return None, "all parameters are fixed or constant, there is nothing to sample"
    if asked is None and (obstacle := MachinePosterior.obstacle(rl_model)):
        return None, f"PyTensor must compile it first, since {obstacle}; describe(..., time=True) does so and times it"
    return sampling_time(rl_model), ""


def _described(
    model: Model,
    population: Population,
    data: ModelData | None,
    how: str,
    time: "SamplingTime | None",
    untimed: str,
) -> Description:
    effects = _effects(population, model, data)
    counted = data is not None or all(isinstance(n, int) for name in effects for n in model.parameter(name).shape)
    numbers = {"group": 0, "subject": 0}
    for e in (e for of in effects.values() for e in of):
        for v in e.variables:
            numbers[v.level] += prod(e.group_shape if v.level == "group" else e.shape)
    return Description(
        name=model.name,
        words=model.card["summary"],
        equation=model.card["equation"],
        reference=model.card["reference"],
        departures=model.departures,
        confused_with=model.confused_with,
        population=f"{population}, priors {population.preset!r}, {how}",
        parameters=tuple(_parameter(population, model, p, data, effects) for p in model.parameters),
        n_group=numbers["group"] if counted else None,
        n_per_subject=numbers["subject"] if counted else None,
        columns=tuple(_column(i, data) for i in model.inputs),
        data=None if data is None else _sizes(data),
        time=time,
        untimed=untimed,
    )


def _effects(population: Population, model: Model, data: ModelData | None) -> dict[str, tuple[Effect, ...]]:
    """Return, for each parameter that is estimated, what it follows from: one effect, or several within subjects."""
    if data is None:
        return {p.name: (_effect(population, model, p, None),) for p in population.estimated(model)}
    effects, predictors, _ = population.parts(data)
    known = {e.name: e for e in effects}
    several = {p.name: tuple(known[e.name] for e in p.effects) for p in predictors}
    return {p.name: several.get(p.name, (known[p.name],)) for p in population.estimated(model)}


def _effect(population: Population, model: Model, parameter: Parameter, data: ModelData | None) -> Effect:
    """Return how a parameter's values hang together; without data, as if of one number where these would count."""
    known = tuple(n for n in parameter.shape if isinstance(n, int))
    return population.effect(model, parameter, known if data is None else data.parameter_shape(parameter.name), data)


def _parameter(
    population: Population,
    model: Model,
    p: Parameter,
    data: ModelData | None,
    effects: Mapping[str, tuple[Effect, ...]],
) -> DescribedParameter:
    priors, freed = dict[str, Prior](), dict[str, Prior]()
    of = effects.get(population.tied.get(p.name, p.name), ())
    effect = of[0] if of else None
    if effect is None:
        fate = _held(population, p)
        if p in can_be_freed(model, population):
            try:
                effect = _freed(population, model, p, data)
                freed = _priors(effect, p.prior)
            except ValueError as error:  # its preset of priors does not know it
                fate += f"; cannot be freed as it is: {error}"
    elif effect.name != p.name:
        fate = f"equal to {effect.name}"
    else:
        word = population.pooling_of(p.name)
        for e in of:
            priors |= _priors(e, population.prior(p))
        fate = POOLED.get(word, f"{word} pooling")
        if p.name in population.formulas:
            fate = f"partial pooling, link(mean + sigma z), mean ~ {population.formulas[p.name].text}"
        if population.correlated and isinstance(effect, Pooled):
            fate += ", deviations correlated with those of other parameters"
        if isinstance(effect, WholeNumber):
            fate = f"summed over, with probabilities {'of the group' if effect.variables else 'as the prior has them'}"
    shape = p.shape if data is None else data.parameter_shape(p.name)
    linked = p.support if effect is None or isinstance(effect, Base) else effect.support
    support = _support(linked) + _many(shape)
    return DescribedParameter(p.name, p.meaning, support, shape, fate, priors, freed)


def _freed(population: Population, model: Model, p: Parameter, data: ModelData | None) -> Effect:
    """Return the effect of a constant, were it freed."""
    more = population.freeing(p.name)
    if data is not None:
        more.check(data)
    return _effect(more, model, p, data)


def _priors(effect: Effect, own: Prior | None) -> dict[str, Prior]:
    """Return the priors of what a parameter is made of; of its values, if it is a whole number without variables."""
    return {name: v.prior for name, v in effect.named.items()} or ({effect.name: own} if own else {})


def _held(population: Population, p: Parameter) -> str:
    """Return what a parameter is held at."""
    if p.name not in population.fixed:
        return f"constant {p.value:g}"
    values = np.unique(np.asarray(population.fixed[p.name], dtype=float))
    return f"fixed at {values[0]:g}" + (f" to {values[-1]:g}, by subject or entry" if values.size > 1 else "")


def _support(support: Support) -> str:
    """Return a support with its link, where there is one."""
    return str(support) if support.discrete or support.link == "identity" else f"{support}, {support.link} link"


def _column(entry: Input, data: ModelData | None) -> Column:
    """Return what there is to say of an input."""
    seen = "response" if entry.response else f"seen after {entry.after}" if entry.after else "seen before responding"
    absent = "" if entry.default is None else f"{entry.default} if there is no such column"
    if data is not None and entry.name not in data.trials:
        absent = f"not in the data, taken for {entry.default}"
    return Column(entry.name, f"{entry.kind}{_many(entry.shape)}", seen, absent)


def _many(shape: tuple[int | str, ...]) -> str:
    """Return how many numbers there are, where it is not one."""
    return f", {' x '.join(map(str, shape))} of them" if shape else ""


def _sizes(data: ModelData) -> Sizes:
    """Return how much data there are."""
    facts = {name: int(value) for name, value in vars(data.facts).items() if np.ndim(value) == 0}
    exists, scored = (int(mask.sum()) for mask in (data.masks["exists"], data.scored_trials))
    return Sizes(data.shape[0], exists, scored, len(data.segments.subject), facts)
