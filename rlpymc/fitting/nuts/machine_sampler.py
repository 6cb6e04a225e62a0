"""Posteriors as machine code for nutpie: ready in a fraction of a second, and nothing between sampler and kernel.

It serves models as `build` makes them.  One that was changed afterwards, by a further prior or potential or by data set
by hand, is compiled by PyTensor, and so is one that derives values from its parameters.
"""

from dataclasses import dataclass, fields
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.pymc_forms import data_columns
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.loop import LoopLikelihood
from rlpymc.population.machine_density import Density, Pooled, Single, Weights

FIELDS = {  # of nutpie's compiled models
    *("dims", "reparameterized_names", "compiled_logp_func", "compiled_expand_func", "initial_point_func"),
    *("shared_data", "shared_var_keys", "user_data", "n_expanded", "shape_info", "logp_func", "expand_func"),
    *("_n_dim", "_shapes", "_coords", "_transform_adapt_args"),
}
POINT = "unconstrained_parameter"  # nutpie's name for the axis of points


@dataclass(frozen=True)
class Chain:
    """What nutpie needs for one chain; memory of its own is used by no other.

    Parameters
    ----------
    compiled : nutpie.CompiledModel
        To be sampled.
    density : Density
        The function.
    """

    compiled: Any
    density: Density


def _nutpie_is_known() -> bool:
    """True if nutpie takes functions by their addresses, which is no part of its documentation."""
    try:
        from nutpie.compile_pymc import CompiledPyMCModel
    except ImportError:
        return False
    return {f.name for f in fields(CompiledPyMCModel)} == FIELDS


class MachinePosterior:
    """The posterior of a model from `build`.

    Parameters
    ----------
    rl_model : RLModel
        The model; it must be as it was built, see `serves`.
    """

    def __init__(self, rl_model: RLModel) -> None:
        data, population = rl_model.data, rl_model.spec.population
        self._model, self._n_subjects = rl_model, data.shape[0]
        self.parts = population.parts(data)
        free = [p for p in data.model.parameters if population.is_free(p)]
        self._constants = {p.name: population.constant(p, data) for p in data.model.parameters if p not in free}
        likelihood = likelihood_of(data)
        assert isinstance(likelihood, LoopLikelihood)
        active = [name for name, part in self.parts.items() if not isinstance(part, Weights)]
        self._evaluator = likelihood.evaluator("gradient", active)
        self._shapes = {p.name: data.parameter_shape(p.name) for p in free}

    @staticmethod
    def obstacle(rl_model: RLModel) -> str:
        """Why a model cannot be sampled by machine code; empty where it can."""
        if rl_model.spec.backend != "fused":
            return "its likelihood is a scan"
        if rl_model.spec.model.derive is not None:
            return f"{rl_model.spec.model.name} derives values from its parameters"
        if not rl_model.as_built:
            return "distributions or potentials were added or taken away since it was built"
        if not _nutpie_is_known():
            return "this version of nutpie takes functions in another way than the versions that are known"
        for name, values in data_columns(rl_model.data).items():
            if not np.array_equal(rl_model[name].get_value(), values):
                return f"its data {name!r} were set by hand"
        return ""

    def chain(self) -> Chain:
        """A copy for one more chain, with memory of its own."""
        n = len(list(product(*(part.values for part in self.parts.values() if isinstance(part, Weights)))))
        density = Density(self.parts, self._constants, [self._evaluator.twin() for _ in range(n)])
        return Chain(self._nutpie_model(density), density)

    def _nutpie_model(self, density: Density) -> Any:
        from nutpie.compile_pymc import CompiledPyMCModel

        names = [f"{name}_{k}" for name, place in density.places.items() for k in range(place.stop - place.start)]
        return CompiledPyMCModel(
            dims={"point": (POINT,)},
            _coords={POINT: pd.Index(names)},
            _n_dim=density.size,
            _shapes={"point": (density.size,)},
            compiled_logp_func=SimpleNamespace(address=density.address),
            compiled_expand_func=SimpleNamespace(address=density.copy_address),
            initial_point_func=self._start,
            shared_data={},
            shared_var_keys={},
            user_data=density.numbers,
            n_expanded=density.size,
            shape_info=(["point"], [slice(0, density.size)], [(density.size,)]),
            logp_func=density,
            expand_func=None,
        )

    def _start(self, seed: int | None) -> np.ndarray:
        """Return a random point around the middle of the priors, as PyMC starts its chains."""
        middle: list[np.ndarray] = []
        for part in self.parts.values():
            match part:
                case Pooled(mu=mu, sigma=sigma, size=size):
                    middle += [np.full(size, mu.middle()), np.full(size, sigma.middle())]
                    middle += [np.zeros(size * self._n_subjects)]
                case Single(prior=prior, size=size, for_all=for_all):
                    middle += [np.full(size * (1 if for_all else self._n_subjects), prior.middle())]
                case Weights(concentration=concentration) if concentration:
                    middle += [np.zeros(len(concentration) - 1)]
        point = np.concatenate(middle)
        return point + np.random.default_rng(seed).uniform(-1, 1, size=point.size)

    def variables(self, points: np.ndarray) -> xr.Dataset:
        """Return the variables of the PyMC model for points (draw, number) of one chain."""
        found: dict[str, np.ndarray] = {}
        start = 0

        def take(*shape: int) -> np.ndarray:
            nonlocal start
            size = int(np.prod(shape))
            start += size
            return points[:, start - size : start].reshape((-1, *shape))

        for name, part in self.parts.items():
            own = self._shapes[name]
            match part:
                case Pooled(mu=mu, sigma=sigma, support=support):
                    mean, spread = mu.unbounded(take(*own))[0], sigma.unbounded(take(*own))[0]
                    z = take(self._n_subjects, *own)
                    found |= {f"{name}_mu": mean, f"{name}_sigma": spread, f"{name}_z": z}
                    found[f"{name}_group"] = support.constrain(mean)
                    found[name] = support.constrain(mean[:, None] + spread[:, None] * z)
                case Single(prior=prior, for_all=for_all):
                    found[name] = prior.unbounded(take(*own) if for_all else take(self._n_subjects, *own))[0]
                case Weights(concentration=concentration) if concentration:
                    y = take(len(concentration) - 1)
                    logits = np.concatenate([y, -y.sum(axis=1, keepdims=True)], axis=1)
                    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
                    found[f"{name}_probs"] = shares / shares.sum(axis=1, keepdims=True)
        dims = self._model.named_vars_to_dims
        arrays = {k: (("chain", "draw", *(dims.get(k) or ())), np.asarray(v)[None]) for k, v in found.items()}
        used = {d for own, _ in arrays.values() for d in own}
        coords = {d: list(labels) for d, labels in self._model.coords.items() if d in used and labels is not None}
        return xr.Dataset(arrays, coords={"chain": [0], "draw": np.arange(len(points)), **coords})
