"""How the parameters of subjects hang together, as variables of a PyMC model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlpymc.checks import as_names, unknown
from rlpymc.likelihood.parameter_arrays import parameter_array
from rlpymc.model.parameter_vector import own_dims
from rlpymc.model.parameters import Parameter
from rlpymc.model.priors import DiscreteUniform, HalfNormal, Normal, Prior
from rlpymc.population.machine_density import Part, Pooled, Single, Weights
from rlpymc.population.whole_numbers import Marginal, shares
from rlpymc.trials.model_data import ModelData

POOLINGS = ("none", "complete", "partial")
OF_ONE_SUBJECT = "Of one subject, build the model without a population: rlpymc.build(..., pooling='none')"


@dataclass(frozen=True)
class Population:
    """Which parameters are estimated, and how they are pooled over subjects.

    Parameters
    ----------
    pooling : {"partial", "none", "complete"}
        Partial: each subject's value, on the unbounded scale, is normal around the group's.  None: subjects have
        independent priors.  Complete: one value for all.
    priors : mapping
        Priors by parameter instead of the model's own; under partial pooling also of ``<name>_mu`` and
        ``<name>_sigma``.
    fixed : mapping
        Parameters that are constants, with their values: numbers, arrays (subject, *shape), or DataArrays by subject.
    free : sequence of str
        Parameters that the model keeps constant and that are to be estimated.
    shared : sequence of str
        Parameters with one value for all subjects, whatever the pooling.
    """

    pooling: str = "partial"
    priors: Mapping[str, Prior] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    free: Sequence[str] = ()
    shared: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise unknown("pooling", self.pooling, POOLINGS)
        if not isinstance(self.fixed, Mapping) or not isinstance(self.priors, Mapping):
            raise TypeError("fixed and priors are mappings of parameter to value: fixed={'alpha': 0.3}")
        for name in ("free", "shared"):
            object.__setattr__(self, name, as_names(name, getattr(self, name)))
        for name, prior in self.priors.items():
            if not isinstance(prior, Prior):
                raise TypeError(f"priors[{name!r}]: found {type(prior).__name__}, expected one of rlpymc.priors")

    def check(self, data: ModelData) -> None:
        """Raise a ValueError if this names what the model does not have, or contradicts itself."""
        names = [p.name for p in data.model.parameters]
        continuous = [p.name for p in data.model.parameters if not p.support.discrete]
        hyper = [f"{n}_{part}" for n in continuous for part in ("mu", "sigma")] if self.pooling == "partial" else []
        for group, allowed in (("priors", names + hyper), ("fixed", names), ("free", names), ("shared", names)):
            for name in getattr(self, group):
                if name not in allowed:
                    raise unknown(f"parameter of {data.model.name} in {group}", name, allowed)
        for name in self.fixed:
            if name in {*self.free, *self.shared, *self.priors}:
                raise ValueError(f"parameter {name!r} is fixed, and free, shared or given a prior as well; choose one")
        for name in self.fixed:
            if self.constant(data.model.parameter(name), data).ndim > 1 + len(data.parameter_shape(name)):
                raise ValueError(f"fixed {name!r} varies by trial; fix it by subject")
        for p in data.model.parameters:
            if p.name not in self.fixed and self.is_free(p) and self.prior(p) is None:
                raise ValueError(f"parameter {p.name!r} has no prior of its own; pass priors={{'{p.name}': ...}}")
        for p in data.model.parameters:
            if (
                p.support.discrete
                and self.is_free(p)
                and (p.name in self.shared or self.pooling == "complete" or p.shape)
            ):
                raise ValueError(f"parameter {p.name!r} is a whole number: let it differ between subjects, or fix it")
        for p in data.model.parameters:
            pooled = self.is_free(p) and p.name not in self.shared
            for part in ("mu", "sigma"):
                if f"{p.name}_{part}" in self.priors and not pooled:
                    raise ValueError(
                        f"prior of {p.name}_{part}: {p.name!r} is not estimated by subject; nothing uses it"
                    )
            sigma = self.priors.get(f"{p.name}_sigma")
            if sigma is not None and sigma.quantile(0.0) < 0:
                raise ValueError(
                    f"prior {sigma} of {p.name}_sigma: a standard deviation is not negative; use HalfNormal"
                )
            prior = self.priors.get(p.name)
            if prior is not None and isinstance(prior, DiscreteUniform) != p.support.discrete:
                kind = "whole numbers" if p.support.discrete else "numbers, not whole ones"
                raise ValueError(f"prior {prior} of {p.name!r}: it takes a prior on {kind}; its support is {p.support}")
            if prior is not None and not p.support.contains(prior.quantile([0.001, 0.999])).all():
                raise ValueError(f"prior {prior} of {p.name!r} reaches outside its support, {p.support}")

    def is_free(self, parameter: Parameter) -> bool:
        """True if a parameter is estimated."""
        if parameter.name in self.fixed:
            return False
        return parameter.value is None or parameter.name in {*self.free, *self.shared, *self.priors}

    def prior(self, parameter: Parameter) -> Prior | None:
        """Return the prior of a subject's value."""
        return self.priors.get(parameter.name, parameter.prior)

    def constant(self, parameter: Parameter, data: ModelData) -> np.ndarray:
        """Return the values of a parameter that is not estimated, (subject, *shape)."""
        if parameter.name in self.fixed:
            return parameter_array(data, parameter, self.fixed[parameter.name], "fixed")
        return parameter_array(data, parameter, parameter.value)

    def hyperpriors(self, parameter: Parameter) -> tuple[Prior, Prior]:
        """Return the priors of the group's mean and standard deviation on the unbounded scale.

        The prior of a subject's value, taken to the unbounded scale, has a median m and a half-width s, half the
        distance between its quantiles at 16 and 84 %.  Then mu ~ Normal(m, s) and sigma ~ HalfNormal(s).
        """
        prior = self.prior(parameter)
        assert prior is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            low, middle, high = parameter.support.unconstrain(prior.quantile(np.array([0.16, 0.5, 0.84])))
            width = float(high - low) / 2
        if not (np.isfinite(middle) and np.isfinite(width)):
            raise ValueError(
                f"prior {prior} of {parameter.name!r} lies at the bounds of its support, {parameter.support}, and has "
                "no width on the unbounded scale; give another"
            )
        mu = self.priors.get(f"{parameter.name}_mu", Normal(float(middle), width))
        return mu, self.priors.get(f"{parameter.name}_sigma", HalfNormal(width))

    def variables(self, data: ModelData) -> dict[str, Any]:
        """Add the parameters to the PyMC model in context; return each by name, constants included.

        Under partial pooling a parameter ``alpha`` gives ``alpha_mu`` and ``alpha_sigma`` on the unbounded scale,
        the subjects' standard normal deviations ``alpha_z`` (non-centred), ``alpha`` (dims subject), and
        ``alpha_group``, the value on the natural scale of a subject at ``alpha_mu``.  A parameter that is a whole
        number is no variable: the likelihood is summed over its values, with the prior's probabilities, or, under
        partial pooling, the group's, ``capacity_probs``.
        """
        import pymc as pm

        self.check(data)
        found: dict[str, Any] = {}
        for parameter in data.model.parameters:
            name, shape = parameter.name, data.parameter_shape(parameter.name)
            own = own_dims(name, len(shape))
            if not self.is_free(parameter):
                found[name] = self.constant(parameter, data)
                continue
            for dim, length in zip(own, shape, strict=True):
                pm.modelcontext(None).add_coord(dim, np.arange(length))
            prior = self.prior(parameter)
            assert prior is not None
            if parameter.support.discrete:
                found[name] = self._marginal(parameter, prior)
            elif name in self.shared or self.pooling == "complete":
                found[name] = prior.pymc(name, dims=own or None)
            elif self.pooling == "none":
                found[name] = prior.pymc(name, dims=("subject", *own))
            else:
                mu_prior, sigma_prior = self.hyperpriors(parameter)
                mu, sigma = (
                    mu_prior.pymc(f"{name}_mu", dims=own or None),
                    sigma_prior.pymc(f"{name}_sigma", dims=own or None),
                )
                z = pm.Normal(f"{name}_z", dims=("subject", *own))
                constrain = parameter.support.constrain
                pm.Deterministic(f"{name}_group", constrain(mu), dims=own or None)
                found[name] = pm.Deterministic(name, constrain(mu + sigma * z), dims=("subject", *own))
        return found

    def _marginal(self, parameter: Parameter, prior: Prior) -> Marginal:
        name, (values, weights) = parameter.name, shares(parameter, prior)
        import pymc as pm
        import pytensor.tensor as pt

        if self.pooling != "partial":
            return Marginal(values, np.log(weights))
        pm.modelcontext(None).add_coord(f"{name}_value", values)
        probs = pm.Dirichlet(f"{name}_probs", len(values) * weights, dims=f"{name}_value")
        return Marginal(values, pt.log(probs))

    def parts(self, data: ModelData) -> dict[str, Part]:
        """Return the same variables as `variables` makes, as records, of the parameters that are estimated."""
        found: dict[str, Part] = {}
        for parameter in filter(self.is_free, data.model.parameters):
            name, size = parameter.name, int(np.prod(data.parameter_shape(parameter.name)))
            prior = self.prior(parameter)
            assert prior is not None
            if parameter.support.discrete:
                values, probs = shares(parameter, prior)
                pooled = self.pooling == "partial"
                weights = tuple(len(values) * probs) if pooled else tuple(np.log(probs))
                found[name] = Weights(tuple(values.tolist()), **{"concentration" if pooled else "log_weights": weights})
            elif name in self.shared or self.pooling in ("complete", "none"):
                found[name] = Single(prior, size, name in self.shared or self.pooling == "complete")
            else:
                found[name] = Pooled(*self.hyperpriors(parameter), parameter.support, size)
        return found
