"""Which parameters of a model are estimated, and how they are pooled over subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from rlpymc.checks import as_names, unknown
from rlpymc.likelihood.parameter_arrays import parameter_array
from rlpymc.model import Model
from rlpymc.model.parameters import Parameter
from rlpymc.model.priors import DiscreteUniform, Prior
from rlpymc.population.correlations import Block, correlated
from rlpymc.population.coupled import as_groups, check_coupled
from rlpymc.population.effects import POOLINGS, Effect
from rlpymc.population.model_matrix import Formula
from rlpymc.population.predictors import Predictor, predicted
from rlpymc.population.presets import DEFAULT, PRESETS
from rlpymc.population.pymc_variables import in_pymc
from rlpymc.population.regression import Regressed
from rlpymc.population.whole_numbers import WholeNumber
from rlpymc.trials.model_data import ModelData

TAKEN = {"mu", "sigma", "z", "centre", "Intercept", "reliability", "se", "lower", "upper"}  # after a parameter's name
DIMS = {"choice", "chain", "draw", "sample", "subject", "trial", "parameter", "other_parameter"}  # of a fit
OF_ONE_SUBJECT = "Of one subject, build the model without a population: rlpymc.build(..., pooling='none')"


@dataclass(frozen=True)
class Population:
    """Which parameters are estimated, and how they are pooled over subjects.

    Parameters
    ----------
    pooling : str or mapping
        A word of `POOLINGS`, or such words by parameter, the others as partial.  Partial: each subject's value, on the
        unbounded scale, is normal around the group's.  None: subjects have independent priors.  Complete: one value
        for all.
    priors : mapping
        Priors by parameter instead of the model's own, and of the group's variables, under partial pooling
        ``<name>_mu`` and ``<name>_sigma``.
    fixed : mapping
        Parameters that are constants, with their values: numbers, arrays (subject, *shape), or DataArrays by subject.
    free : sequence of str
        Parameters that the model keeps constant and that are to be estimated.
    shared : sequence of str
        Parameters with one value for all subjects, whatever the pooling.
    coupled : sequence of sequences of str
        Groups of parameters that are equal; the first of each group stands for all.
    preset : str
        The priors of the group, where none are given: a name of `PRESETS`.
    formulas : mapping
        By parameter, what the mean of the group depends on: texts, or formulas that were learned already (`learned`).
    correlated : bool
        Whether subjects' deviations of one parameter go with those of others, and sessions' as well.
    """

    pooling: str | Mapping[str, str] = "partial"
    priors: Mapping[str, Prior] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    free: Sequence[str] = ()
    shared: Sequence[str] = ()
    coupled: Sequence[Sequence[str]] = ()
    preset: str = DEFAULT
    formulas: Mapping[str, Any] = field(default_factory=dict)
    correlated: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.pooling, str | Mapping):
            raise TypeError(
                f"pooling: found {self.pooling!r}, expected a word, or words by parameter: {{'alpha': 'none'}}"
            )
        for name, word in ({"": self.pooling} if isinstance(self.pooling, str) else self.pooling).items():
            if word not in POOLINGS:
                raise unknown(f"pooling of {name!r}" if name else "pooling", word, POOLINGS)
        if self.preset not in PRESETS:
            raise unknown("preset of priors", self.preset, PRESETS)
        if not isinstance(self.fixed, Mapping) or not isinstance(self.priors, Mapping):
            raise TypeError("fixed and priors are mappings of parameter to value: fixed={'alpha': 0.3}")
        if not isinstance(self.formulas, Mapping):
            raise TypeError(f"formulas: found {self.formulas!r}, expected them by parameter: {{'alpha': '~ age'}}")
        if not isinstance(self.correlated, bool):
            raise TypeError(f"correlated: found {self.correlated!r}, expected True or False")
        for name in ("free", "shared"):
            object.__setattr__(self, name, as_names(name, getattr(self, name)))
        object.__setattr__(self, "coupled", as_groups(self.coupled))
        for name, prior in self.priors.items():
            if not isinstance(prior, Prior):
                raise TypeError(f"priors[{name!r}]: found {type(prior).__name__}, expected one of rlpymc.priors")

    def check(self, data: ModelData, *, deviations: bool = True) -> None:
        """Raise a ValueError if this names what the model does not have, or contradicts itself.

        Parameters
        ----------
        data : ModelData
            The data.
        deviations : bool
            Whether subjects deviate from what formulas say; under maximum likelihood they do not.
        """
        names = [p.name for p in data.model.parameters]
        own = {} if isinstance(self.pooling, str) else self.pooling
        named = {"fixed": self.fixed, "free": self.free, "shared": self.shared, "pooling": own}
        for group, given in {**named, "formulas": self.formulas}.items():
            for name in given:
                if name not in names:
                    raise unknown(f"parameter of {data.model.name} in {group}", name, names)
        for name in self.fixed:
            if name in {*self.free, *self.shared, *self.priors}:
                raise ValueError(f"parameter {name!r} is fixed, and free, shared or given a prior as well; choose one")
            if self.constant(data.model.parameter(name), data).ndim > 1 + len(data.parameter_shape(name)):
                raise ValueError(f"fixed {name!r} varies by trial; fix it by subject")
        for name, word in own.items():
            if not self.is_free(data.model.parameter(name)):
                raise ValueError(
                    f"pooling of {name!r}: it is not estimated; leave it out, or estimate it (free=[{name!r}])"
                )
            if name in self.shared and word != "complete":
                raise ValueError(f"parameter {name!r} is shared, and its pooling is {word!r}; choose one")
        self._check_formulas(data, deviations)
        numbers = [p.name for p in data.model.parameters if self.is_free(p) and not p.support.discrete]
        check_coupled(data, self.coupled, numbers, self.fixed, self.shared, own, self.priors)
        estimated = self.estimated(data.model)
        PRESETS[self.preset].check(self.preset, data.model, [p for p in estimated if p.name not in self.priors])
        for p in (self._revised(data.model, p) for p in estimated):
            prior = self.priors.get(p.name)
            if self.prior(p) is None:
                raise ValueError(f"parameter {p.name!r} has no prior of its own; pass priors={{'{p.name}': ...}}")
            if p.support.discrete and (self.pooling_of(p.name) == "complete" or p.shape):
                raise ValueError(f"parameter {p.name!r} is a whole number: let it differ between subjects, or fix it")
            if prior is not None and isinstance(prior, DiscreteUniform) != p.support.discrete:
                kind = "whole numbers" if p.support.discrete else "numbers, not whole ones"
                raise ValueError(f"prior {prior} of {p.name!r}: it takes a prior on {kind}; its support is {p.support}")
            if prior is not None and not p.support.contains(prior.quantile([0.001, 0.999])).all():
                raise ValueError(f"prior {prior} of {p.name!r} reaches outside its support, {p.support}")
        effects = self.effects(data)
        known = [*names]
        for e in effects:
            if not e.support.discrete:
                known += dict.fromkeys(e.asked(name) for name, v in e.named.items() if v.level == "group")
        for name in self.priors:
            of = next((k for k in names if name.startswith(f"{k}_")), "")
            if name not in known and of in names and of not in [e.name for e in effects if e.by_subject]:
                raise ValueError(f"prior of {name}: {of!r} is not estimated by subject; nothing uses it")
            if name not in known:
                raise unknown(f"parameter of {data.model.name} in priors", name, known)

    def _check_formulas(self, data: ModelData, deviations: bool) -> None:
        """Raise a ValueError if a parameter that has a formula cannot have one, or its names are taken."""
        names = [p.name for p in data.model.parameters]
        for name, formula in self.formulas.items():
            what, parameter = f"formula of {name!r}: {name!r}", data.model.parameter(name)
            if not self.is_free(parameter):
                raise ValueError(f"{what} is not estimated; leave the formula out, or estimate it (free=[{name!r}])")
            if parameter.support.discrete:
                raise ValueError(f"{what} is a whole number, which has no mean; leave the formula out")
            if name in self.tied:
                raise ValueError(f"{what} is equal to {self.tied[name]!r}; give that one the formula")
            if not deviations and name in self.shared:
                raise ValueError(f"{what} is shared, which is a formula with an intercept alone, '1'; choose one")
            if deviations and (word := self.pooling_of(name)) != "partial":
                raise ValueError(f"{what} has {word} pooling; a formula is of the mean of a group: pool it partially")
            learned = Formula.learn(name, formula, data)
            if learned.level in {*names, *data.columns, *data.masks, *DIMS}:
                raise ValueError(
                    f"formula of {name!r}: {learned.level!r} means something else in a fit, and cannot name an axis of "
                    f"it; take a copy of the column: trials.assign(sitting=trials[{learned.level!r}])"
                )
            if learned.by_trial and data.parameter_shape(name):
                raise ValueError(
                    f"{what} has several values, {data.parameter_shape(name)}, and something in the formula varies "
                    "within subjects; this is known for parameters with one value"
                )
            for column in learned.columns:
                if (suffix := column.name) in TAKEN or column.term in TAKEN or f"{name}_{suffix}" in names:
                    raise ValueError(
                        f"formula of {name!r}: {name}_{suffix} has a meaning already; rename the column {suffix!r}"
                    )

    def learned(self, data: ModelData) -> "Population":
        """Return the same with formulas as these subjects have them, so that they mean the same for others."""
        found = {name: Formula.learn(name, formula, data) for name, formula in self.formulas.items()}
        return replace(self, formulas=found)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `build` that say the same."""
        found = {k: v for k, v in vars(self).items() if k != "preset"}
        return {**found, "priors": self.priors or self.preset}

    @property
    def tied(self) -> dict[str, str]:
        """The parameters for which another stands, by name that one."""
        return {name: first for first, *rest in self.coupled for name in rest}

    def pooling_of(self, name: str) -> str:
        """Return the word for how a parameter is pooled."""
        first = self.tied.get(name, name)
        if first in self.shared:
            return "complete"
        return self.pooling if isinstance(self.pooling, str) else self.pooling.get(first, "partial")

    def __str__(self) -> str:
        if isinstance(self.pooling, str):
            return f"{self.pooling} pooling"
        return f"partial pooling ({', '.join(f'{word} of {name}' for name, word in self.pooling.items())})"

    def is_free(self, parameter: Parameter) -> bool:
        """True if a parameter is estimated."""
        if parameter.name in self.fixed:
            return False
        return parameter.value is None or parameter.name in {*self.free, *self.shared, *self.priors}

    def estimated(self, model: Model) -> list[Parameter]:
        """Return the parameters that are estimated; of those that are equal, the one that stands for all."""
        return [p for p in model.parameters if self.is_free(p) and p.name not in self.tied]

    def _revised(self, model: Model, parameter: Parameter) -> Parameter:
        """Return a parameter with the prior and the link that the preset has for it."""
        return PRESETS[self.preset].revised(model, parameter)

    def freeing(self, name: str, prior: Prior | None = None) -> "Population":
        """Return the same with one more parameter estimated, with a prior of its own unless one is given."""
        return replace(self, free=(*self.free, name), priors={**self.priors, **({name: prior} if prior else {})})

    def prior(self, parameter: Parameter) -> Prior | None:
        """Return the prior of a subject's value."""
        return self.priors.get(parameter.name, parameter.prior)

    def constant(self, parameter: Parameter, data: ModelData) -> np.ndarray:
        """Return the values of a parameter that is not estimated, (subject, *shape)."""
        if parameter.name in self.fixed:
            return parameter_array(data, parameter, self.fixed[parameter.name], "fixed")
        return parameter_array(data, parameter, parameter.value)

    def effects(self, data: ModelData) -> tuple[Effect, ...]:
        """Return how the values of each parameter that is estimated hang together, in the model's order."""
        return self.parts(data)[0]

    def parts(self, data: ModelData) -> tuple[tuple[Effect, ...], tuple[Predictor, ...], tuple[Block, ...]]:
        """Return effects, what makes parameters of some of them, and which deviations are correlated."""
        predictors = {p.name: p for p in self.predictors(data)}
        found: list[Effect] = []
        for p in self.estimated(data.model):
            if p.name in predictors:
                found += predictors[p.name].effects
            else:
                found.append(self.effect(data.model, p, data.parameter_shape(p.name), data))
        effects, blocks = correlated(found) if self.correlated else (found, [])
        return tuple(effects), tuple(predictors.values()), tuple(blocks)

    def predictors(self, data: ModelData) -> tuple[Predictor, ...]:
        """Return how the parameters that vary within subjects follow from numbers, which effects are of."""
        found = []
        for parameter in self.estimated(data.model):
            if parameter.name not in self.formulas:
                continue
            formula = Formula.learn(parameter.name, self.formulas[parameter.name], data)
            if formula.by_trial:
                parameter, group = self._revised(data.model, parameter), PRESETS[self.preset].group
                prior = self.prior(parameter)
                assert prior is not None
                copies = self._copies(parameter.name)
                found.append(predicted(formula, data, parameter, prior, group, self.priors, copies))
        return tuple(found)

    def _copies(self, name: str) -> tuple[str, ...]:
        """Return the parameters for which one stands."""
        return tuple(copy for copy, first in self.tied.items() if first == name)

    def effect(
        self, model: Model, parameter: Parameter, shape: tuple[int, ...], data: ModelData | None = None
    ) -> Effect:
        """Return how the values of one parameter that is estimated hang together.

        Parameters
        ----------
        model : Model
            The model.
        parameter : Parameter
            The parameter.
        shape : tuple of int
            Its shape for one subject.
        data : ModelData, optional
            The subjects; needed where the parameter has a formula.
        """
        parameter = self._revised(model, parameter)
        prior, name = self.prior(parameter), parameter.name
        assert prior is not None
        if parameter.support.discrete:  # its probabilities are the group's wherever there is one
            return WholeNumber.of(parameter, prior, pooled=self.pooling_of(name) != "none")
        make = POOLINGS[self.pooling_of(name)]
        if name in self.formulas:
            assert data is not None
            make = partial(Regressed.on, Formula.learn(name, self.formulas[name], data), data)
        effect = make(parameter, shape, prior, PRESETS[self.preset].group).with_priors(self.priors)
        return replace(effect, copies=self._copies(name))

    def variables(self, data: ModelData) -> dict[str, Any]:
        """Add the parameters to the PyMC model in context; return each by name, constants included.

        Under partial pooling ``alpha`` gives ``alpha_mu`` and ``alpha_sigma`` on the unbounded scale, the subjects'
        standard normal deviations ``alpha_z`` (non-centred), ``alpha_group``, the value on the natural scale of a
        subject at ``alpha_mu``, and ``alpha`` (dims subject).  With a formula there are ``alpha_centre`` in its place,
        coefficients such as ``alpha_age``, and ``alpha_Intercept``.  A parameter that is a whole number is no variable:
        the likelihood is summed over its values, with the prior's probabilities or the group's, ``capacity_probs``.
        One for which another stands is a copy of it.
        """
        self.check(data)
        found = {p.name: self.constant(p, data) for p in data.model.parameters if not self.is_free(p)}
        found |= in_pymc(*self.parts(data))
        return {p.name: found[p.name] for p in data.model.parameters}
