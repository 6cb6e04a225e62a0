"""A model's responses as variables of a PyMC model: one likelihood in four forms.

`distribution` is a PyMC distribution over whole sequences; `categorical` and `bernoulli` are PyMC's own, given the
probabilities of each trial; `potential` adds the log likelihood alone.  All give the same posterior.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from string import ascii_lowercase
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph.basic import Constant, Variable

from rlpymc.compiler import signature
from rlpymc.likelihood.backends import check_backend, likelihood_of
from rlpymc.likelihood.derived import derived
from rlpymc.likelihood.likelihood import DirectLikelihood
from rlpymc.likelihood.parameter_arrays import check_names, parameter_array, varying
from rlpymc.likelihood.scan import Tensor, Tensors, core
from rlpymc.likelihood.steps import yoked
from rlpymc.model import Model
from rlpymc.model.parameters import Input
from rlpymc.model.responses import Bernoulli, Categorical
from rlpymc.population.whole_numbers import Marginal
from rlpymc.trials.grid import column_dims
from rlpymc.trials.model_data import ModelData, data_for, require_scored

MASKS = (*(mask.of for mask in signature.MASKS), "reset")


def data_columns(data: ModelData) -> dict[str, np.ndarray]:
    """A PyMC model's data: the model's columns that the trials have, and the masks."""
    return {k: data.inputs[k] for k in data.columns} | {k: data.masks[k] for k in MASKS}


def data_variables(data: ModelData, name: str) -> Tensors:
    """Add a model's columns and masks to the PyMC model in context, as data that can be replaced.

    Each takes the column's name, or ``<name>_<column>`` where that is taken.
    """
    model, found = pm.modelcontext(None), {}
    dims = _trial_dims(data, model)
    for column, values in data_columns(data).items():
        label = column if column not in model.named_vars else f"{name}_{column}"
        while label in model.named_vars:
            label += "_"
        own = column_dims(column, values.ndim)[2:]
        labels: dict[str, Any] = {d: np.arange(n) for d, n in zip(own, values.shape[2:], strict=True)}
        labels |= {"response": [r.name for r in data.model.responses]} if column == "scored" and own else {}
        model.add_coords(labels if dims else {})
        found[column] = pm.Data(label, values, dims=(*dims, *own) if dims else None)
    return found


def _trial_dims(data: ModelData, model: pm.Model) -> tuple[str, str] | None:
    lengths = {"subject": data.shape[0], "trial": data.shape[1]}
    known = {k: model.coords.get(k) for k in lengths}
    if all(v is None or len(v) == lengths[k] for k, v in known.items()):
        model.add_coords({"subject": data.subjects, "trial": np.arange(data.shape[1])})
        return ("subject", "trial")
    return None


class _Likelihood:
    """The likelihood as a graph, given parameters and columns, and summed over whole numbers.

    Parameters
    ----------
    data : ModelData
        The data that gave the layout.
    params : dict of tensors
        Every parameter, (subject, *shape) or (subject, trial, *shape).
    columns : dict of tensors
        Columns and masks, as from `data_variables`.
    backend : {"fused", "scan"}
        What computes it.
    active : iterable of str
        Parameters that are not constants.
    marginals : mapping
        Parameters that are whole numbers to be summed over.
    """

    def __init__(
        self,
        data: ModelData,
        params: Tensors,
        columns: Tensors,
        backend: str,
        active: Iterable[str],
        marginals: Mapping[str, Marginal] | None = None,
    ) -> None:
        self._marginals, self._params, self._columns = marginals or {}, params, columns
        likelihood = likelihood_of(data, backend, varying(data, params))
        assert isinstance(likelihood, DirectLikelihood), "complete has derived all that there is to derive"
        self._likelihood = likelihood
        self._active = tuple(k for k in params if k in set(active))

    def by_subject(self) -> Tensor:
        """Return the log likelihood of each subject, (subject,), summed over whole numbers."""
        if not self._marginals:
            return self._total({})
        sums = []
        for places in product(*(range(len(m.values)) for m in self._marginals.values())):
            chosen = dict(zip(self._marginals, places, strict=True))
            weight = sum(m.log_weights[..., chosen[name]] for name, m in self._marginals.items())
            whole = {
                name: np.full(self._likelihood.data.shape[0], m.values[chosen[name]])
                for name, m in self._marginals.items()
            }
            sums.append(self._total({k: pt.constant(v, dtype="float64") for k, v in whole.items()}) + weight)
        return pt.logsumexp(pt.stack(sums), axis=0)

    def _total(self, whole: Tensors) -> Tensor:
        return self._likelihood.total_graph(self._params | whole, self._columns, self._active)

    def argument(self, response: str) -> Tensor:
        """Return the argument of a response's distribution, if it has one alone, (subject, trial, ...)."""
        return self._likelihood.argument_graph(response, self._params, self._columns, self._active)


def _marginals(params: Mapping[str, Any]) -> dict[str, Marginal]:
    return {name: value for name, value in params.items() if isinstance(value, Marginal)}


def _active(params: Tensors) -> list[str]:
    return [name for name, value in params.items() if not isinstance(value, Constant)]


def complete(data: ModelData, params: Mapping[str, Any]) -> tuple[ModelData, Tensors]:
    """Return the data of the model without `derive`, and every parameter of it as a tensor (subject, ...) or by trial.

    Constants are included, whole numbers to be summed over are left out.  A wrong name or shape, or a number outside
    the support, is an error.
    """
    check_names(data.model, params)
    found, by_group = {}, {}
    for parameter in data.model.parameters:
        if isinstance(params.get(parameter.name), Marginal):
            continue
        shape = data.parameter_shape(parameter.name)
        value = params.get(parameter.name, parameter.value)
        if not isinstance(value, Variable):
            value = parameter_array(data, parameter, value)
        value = pt.as_tensor(value).astype("float64")
        if value.ndim == len(shape):  # one for all
            by_group[parameter.name] = value
            value = pt.broadcast_to(value, (data.shape[0], *shape))
        if not 1 <= value.ndim - len(shape) <= 2:
            raise ValueError(
                f"parameter {parameter.name!r}: found {value.ndim} dimensions, expected shape {shape}, "
                f"by subject ({data.shape[0]}, ...), or by subject and trial {data.shape}"
            )
        static = value.type.shape[: value.ndim - len(shape)]
        if any(k not in (None, length) for k, length in zip(static, data.shape, strict=False)):
            raise ValueError(
                f"parameter {parameter.name!r}: found shape {value.type.shape}, expected {data.shape[0]} subjects"
            )
        found[parameter.name] = value
    if (further := derived(data.model, data.facts)) is None:
        return data, found
    if summed := set(_marginals(params)) & set(further.reads):
        raise ValueError(f"{data.model.name} derives values from {summed.pop()!r}, a whole number; fix it")
    return further.data(data), found | further.tensors(found | by_group, data.shape[0])


def add(
    form: str, name: str, model: Model, trials: xr.Dataset, params: Mapping[str, Any], backend: str = "fused"
) -> Any:
    """Add the responses of a model to the PyMC model in context, in one of the four `FORMS`."""
    return FORMS[form](name, data_for(model, trials), params, backend)


def distribution(name: str, data: ModelData, params: Mapping[str, Any], backend: str = "fused") -> Any:
    """Add the responses as one distribution over whole sequences, (subject, trial[, response])."""
    check_backend(backend)
    require_scored(data)
    (data, values), columns, graph = complete(data, params), data_variables(data, name), core(data.model, data.facts)
    marginals, active = _marginals(params), _active(values)
    weights = {f"log_weights_{k}": pt.as_tensor(m.log_weights) for k, m in marginals.items()}
    names, order = list(values), [*values, *weights, *columns]
    responses = data.model.responses
    several = len(responses) > 1
    dtype = "float64" if any(r.dtype == "float64" for r in responses) else responses[0].dtype

    def split(arguments: tuple[Any, ...]) -> tuple[dict[str, Any], dict[str, Marginal], dict[str, Any]]:
        given = dict(zip(order, arguments, strict=True))
        summed = {k: Marginal(m.values, given[f"log_weights_{k}"]) for k, m in marginals.items()}
        return {k: given[k] for k in names}, summed, {k: given[k] for k in columns}

    def logp(value: Tensor, *arguments: Tensor) -> Tensor:
        params, summed, columns = split(arguments)
        scored = columns["scored"]
        for k, r in enumerate(responses):  # forced and missed ones stay as recorded
            here, made = (scored[..., k], value[..., k]) if several else (scored, value)
            columns[r.name] = pt.switch(here, made, columns[r.name]).astype(r.dtype)
        return _Likelihood(data, params, columns, backend, active, summed).by_subject()

    def random(*arguments: np.ndarray, rng: np.random.Generator, size: Any = None) -> np.ndarray:
        params, summed, columns = split(arguments)
        for k, m in summed.items():
            weights = np.exp(np.broadcast_to(m.log_weights, (data.shape[0], len(m.values))))
            params[k] = m.values[Categorical(probs=weights).sample(rng)].astype(float)
        inputs = {k: columns.get(k, v) for k, v in data.inputs.items()}
        masks = {k: columns[k] for k in MASKS}
        drawn = yoked(likelihood_of(data, backend).stepper(params), inputs, masks, rng)
        return np.stack(list(drawn.values()), axis=-1).astype(dtype) if several else drawn[responses[0].name]

    made = [columns[r.name] for r in responses]
    dims = _trial_dims(data, pm.modelcontext(None))
    return pm.CustomDist(
        name,
        *values.values(),
        *weights.values(),
        *columns.values(),
        logp=logp,
        random=random,
        signature=_signature({k: values[k].ndim - graph.p[k].ndim for k in names}, len(weights), data, list(columns)),
        dtype=dtype,
        observed=pt.stack([v.astype(dtype) for v in made], axis=-1) if several else made[0],
        dims=(*dims, "response") if dims and several else dims,
    )


def _signature(outer: dict[str, int], n_marginals: int, data: ModelData, columns: list[str]) -> str:
    """Return the core shapes of the arguments; one sequence of trials is one event."""
    letters = iter(ascii_lowercase.translate({ord("r"): None, ord("t"): None}))

    def shape(n_own: int, over_trials: bool) -> str:
        return f"({','.join([*('t' if over_trials else ''), *(next(letters) for _ in range(n_own))])})"

    parameters = [shape(len(data.parameter_shape(name)), n == 2) for name, n in outer.items()]
    parameters += [shape(1, False) for _ in range(n_marginals)]
    axes = {k: v.ndim - 2 for k, v in {**data.inputs, **data.masks}.items()}
    rest = [shape(axes[k], True) if k != "scored" or not axes[k] else "(t,r)" for k in columns]
    return f"{','.join([*parameters, *rest])}->({'t,r' if axes['scored'] else 't'})"


def potential(name: str, data: ModelData, params: Mapping[str, Any], backend: str = "fused") -> Any:
    """Add the log likelihood as a potential."""
    check_backend(backend)
    require_scored(data)
    (data, values), columns = complete(data, params), data_variables(data, name)
    likelihood = _Likelihood(data, values, columns, backend, _active(values), _marginals(params))
    return pm.Potential(name, likelihood.by_subject().sum())


def categorical(name: str, data: ModelData, params: Mapping[str, Any], backend: str = "fused") -> Any:
    """Add each scored choice as a `pymc.Categorical`, in the order of the trials, dims ("obs",)."""
    response, argument, observed = _observed(name, data, params, backend)
    if not isinstance(response, Categorical):
        raise ValueError(f"{data.model.name} does not choose among actions; use distribution or potential")
    key = "logit_p" if "logits" in response.arguments else "p"
    return pm.Categorical(name, **{key: argument}, observed=observed, dims=_obs_dim(name, data))


def bernoulli(name: str, data: ModelData, params: Mapping[str, Any], backend: str = "fused") -> Any:
    """Add each scored choice between two actions as a `pymc.Bernoulli`, dims ("obs",)."""
    response, argument, observed = _observed(name, data, params, backend)
    if isinstance(response, Bernoulli):
        return pm.Bernoulli(name, logit_p=argument, observed=observed, dims=_obs_dim(name, data))
    if not isinstance(response, Categorical) or argument.type.shape[-1] != 2:
        raise ValueError(
            f"bernoulli is for two actions, and these trials have {argument.type.shape[-1]}; use categorical"
        )
    if "logits" in response.arguments:
        return pm.Bernoulli(name, logit_p=argument[:, 1] - argument[:, 0], observed=observed, dims=_obs_dim(name, data))
    return pm.Bernoulli(name, p=argument[:, 1], observed=observed, dims=_obs_dim(name, data))


def _obs_dim(name: str, data: ModelData) -> str:
    """Return the dim of single observations, one of its own where another likelihood of the model has other ones."""
    model, n = pm.modelcontext(None), len(data.observations[0])
    known = model.coords.get("obs")
    dim = "obs" if known is None or len(known) == n else f"obs_{name}"
    model.add_coords({dim: np.arange(n)})
    return dim


def _observed(name: str, data: ModelData, params: Mapping[str, Any], backend: str) -> tuple[Any, Tensor, Tensor]:
    """Return the response, its argument at each scored trial, and what was observed there."""
    check_backend(backend)
    require_scored(data)
    entry = _single_response(data.model)
    if summed := _marginals(params):
        raise ValueError(f"{next(iter(summed))} is a whole number; use distribution or potential, which sum over it")
    response = core(data.model, data.facts).responses[entry.name]
    (data, values), columns = complete(data, params), data_variables(data, name)
    by_trial = _Likelihood(data, values, columns, backend, _active(values)).argument(entry.name)
    subject, trial = data.observations
    return response, by_trial[subject, trial], columns[entry.name][subject, trial]


def _single_response(model: Model) -> Input:
    if len(model.responses) != 1:
        raise ValueError(f"{model.name} has {len(model.responses)} responses in a trial; use distribution or potential")
    return model.responses[0]


FORMS = {"distribution": distribution, "categorical": categorical, "bernoulli": bernoulli, "potential": potential}
