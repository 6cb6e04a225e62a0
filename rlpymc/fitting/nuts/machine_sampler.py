"""Posteriors as machine code for nutpie: ready in a fraction of a second, and nothing between sampler and kernel.

It serves models as `build` makes them.  One that was changed afterwards, by a further prior or potential or by data set
by hand, is compiled by PyTensor, and so is one that derives values from its parameters.
"""

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.pymc_forms import data_columns
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.likelihood.loop import LoopLikelihood
from rlpymc.population.coordinates import Coordinates, Form
from rlpymc.population.machine_density import Density
from rlpymc.population.machine_predictors import PredictedEvaluator
from rlpymc.population.points import Points
from rlpymc.population.predicted_likelihood import PredictedLikelihood
from rlpymc.population.predictors import parameters_of
from rlpymc.population.site_search import find_sites
from rlpymc.population.whole_numbers import combinations

FIELDS = {  # of nutpie's compiled models
    *("dims", "reparameterized_names", "compiled_logp_func", "compiled_expand_func", "initial_point_func"),
    *("shared_data", "shared_var_keys", "user_data", "n_expanded", "shape_info", "logp_func", "expand_func"),
    *("_n_dim", "_shapes", "_coords", "_transform_adapt_args"),
}
POINT = "unconstrained_parameter"  # nutpie's name for the axis of points


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
        The model; it must be as it was built, see `obstacle`.
    coordinates : {"noncentred", "informed", "centred"}
        In which the sampler moves; sites that these need are found here.
    """

    def __init__(self, rl_model: RLModel, coordinates: str = "noncentred") -> None:
        data, population = rl_model.data, rl_model.spec.population
        effects, predictors, blocks = population.parts(data)
        self._model, self._points = rl_model, Points(effects, data.shape[0], predictors, blocks)
        held = [p for p in data.model.parameters if not population.is_free(p)]
        self._constants = {p.name: population.constant(p, data) for p in held}
        likelihood: Likelihood = likelihood_of(data, by_trial=parameters_of(predictors))
        assert isinstance(likelihood, LoopLikelihood)
        active = [name for e in effects if not e.support.discrete for name in (e.name, *e.copies)]
        self._evaluator: Evaluator | PredictedEvaluator
        if predictors:
            likelihood = PredictedLikelihood(likelihood, predictors)
            evaluator = likelihood.evaluator(active)
            assert evaluator is not None  # as there is a loop
            self._evaluator = evaluator
        else:
            self._evaluator = likelihood.evaluator("gradient", active)
        form, sites = Form.of(coordinates, effects), None
        if form.kind == "informed":
            sites = find_sites(likelihood, self._points, self._constants, form.together)
        self.coordinates = Coordinates(self._points, form, sites)

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

    @staticmethod
    def form(rl_model: RLModel, coordinates: str) -> Form:
        """Return what becomes of the coordinates that are asked for: "noncentred" where there are none to choose."""
        return Form.of(coordinates, rl_model.spec.population.effects(rl_model.data))

    def density(self) -> Density:
        """Return the density for one more chain, with memory of its own."""
        evaluators = [self._evaluator.twin() for _ in combinations(self._points.effects)]
        return Density(self.coordinates, self._constants, evaluators)

    def compiled(self) -> Any:
        """Return what nutpie samples, for one more chain."""
        from nutpie.compile_pymc import CompiledPyMCModel

        density = self.density()
        return CompiledPyMCModel(
            dims={"point": (POINT,)},
            _coords={POINT: pd.Index(self._points.labels)},
            _n_dim=density.size,
            _shapes={"point": (density.size,)},
            compiled_logp_func=SimpleNamespace(address=density.address),
            compiled_expand_func=SimpleNamespace(address=density.copy_address),
            initial_point_func=self.coordinates.start,
            shared_data={},
            shared_var_keys={},
            user_data=density.numbers,
            n_expanded=density.size,
            shape_info=(["point"], [slice(0, density.size)], [(density.size,)]),
            logp_func=density,
            expand_func=None,
        )

    def variables(self, points: np.ndarray) -> xr.Dataset:
        """Return the variables of the PyMC model for points (draw, number) of one chain."""
        dims = self._model.named_vars_to_dims
        found = self._points.variables(self.coordinates.noncentred(points))
        arrays = {k: (("chain", "draw", *(dims.get(k) or ())), v[None]) for k, v in found.items()}
        used = {d for own, _ in arrays.values() for d in own}
        coords = {d: list(labels) for d, labels in self._model.coords.items() if d in used and labels is not None}
        return xr.Dataset(arrays, coords={"chain": [0], "draw": np.arange(len(points)), **coords})
