"""Promises that every model keeps, as functions that raise an AssertionError when one is broken.

Run them on a model of your own: ``for check in all_checks(): check(model)``.  They use small random data, ragged and
with all masks, made from the model's declared inputs.
"""

import ast
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from rlpymc.fitting.mle import fit_mle
from rlpymc.likelihood.backends import BACKENDS, likelihood_of
from rlpymc.likelihood.by_trial import latents_of, log_prob
from rlpymc.likelihood.modes import QUICK
from rlpymc.likelihood.parameter_arrays import parameter_arrays
from rlpymc.model import Model
from rlpymc.model.registry import get_model
from rlpymc.simulation.running import simulate
from rlpymc.tasks import Task
from rlpymc.trials.attributes import facts
from rlpymc.trials.masks import MASKS
from rlpymc.trials.model_data import data_for
from rlpymc.trials.reading import read_trials
from rlpymc.trials.writing import to_table
from rlpymc.validation.examples import default_task, plausible_params, random_params, random_trials
from rlpymc.validation.replay import replay

type Reference = Callable[[Mapping[str, Any], Mapping[str, np.ndarray], dict[str, Any]], np.ndarray]


def check_card(model: Model) -> None:
    """Require that the card is complete and plain data, and that the model's file imports nothing but rlpymc."""
    card = json.loads(json.dumps(model.card))
    for key in ("name", "family", "summary", "reference"):
        assert model.declared[key].strip(), f"{model.name}: the card has no {key}"
    assert card["equation"], f"{model.name}: the card has no equation"
    for parameter in model.parameters:
        assert parameter.meaning, f"{model.name}: {parameter.name} has no meaning"
        assert parameter.citation, f"{model.name}: {parameter.name} has no citation"
        assert parameter.prior is not None, f"{model.name}: {parameter.name} has no prior"
        known = parameter.value if parameter.plausible is None else parameter.plausible
        assert known is not None, f"{model.name}: {parameter.name} has no plausible value"
    for function in (model.start, model.update, model.values, model.signals):
        module = inspect.getmodule(function) if function is not None else None
        if module is not None and ".models." in module.__name__:
            for node in ast.walk(ast.parse(inspect.getsource(module))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
                for name in names:
                    assert name.split(".")[0] == "rlpymc", f"{module.__name__} imports {name}"


def check_probabilities(model: Model) -> None:
    """Require on every trial probabilities in [0, 1] that sum to one, and that log_prob is their log."""
    trials = random_trials(model)
    params, data = random_params(model, trials), data_for(model, trials)
    found, terms = latents_of(model, trials, params), likelihood_of(data).terms(params).reshape((*data.shape, -1))
    masks = data.masks["scored"].reshape(terms.shape)
    for k, entry in enumerate(model.responses):
        if entry.dtype != "int64":
            continue
        every, scored = found[f"{entry.name}_probs"].values, masks[..., k]
        probs = every[data.masks["exists"]]
        assert ((probs >= 0) & (probs <= 1)).all(), f"{model.name}: a probability is outside [0, 1]"
        assert_allclose(probs.sum(axis=-1), 1, rtol=1e-12, err_msg=f"{model.name}: probabilities do not sum to one")
        chosen = np.take_along_axis(every[scored], data.inputs[entry.name][scored][:, None], 1)[:, 0]
        with np.errstate(divide="ignore"):
            message = f"{model.name}: log_prob is not the log of a probability"
            rounding = 8 * np.finfo(float).eps  # of a probability near 1: its log is close to 0, and no better known
            assert_allclose(terms[..., k][scored], np.log(chosen), rtol=1e-9, atol=rounding, err_msg=message)


def check_reference(model: Model, reference: Reference) -> None:
    """Require that replay, scan and compiled loop agree per trial with a plain loop from the paper.

    On ragged data with all masks.

    Parameters
    ----------
    model : Model
        The model.
    reference : callable
        ``reference(params, data, facts) -> (n_trials,)`` for one subject: params by name; data the columns and the
        masks scored, learned, reset, responded; facts by name.
    """
    for seed in range(3):
        trials = random_trials(model, n_actions=2 + seed % 2 if not model.conditions else 3, seed=seed)
        data, params = data_for(model, trials), random_params(model, trials, seed=seed + 10)
        wanted = np.zeros(data.shape)
        for i in range(data.shape[0]):
            n = int(data.masks["exists"][i].sum())
            columns = {k: v[i, :n] for k, v in {**data.inputs, **data.masks}.items()}
            wanted[i, :n] = reference({k: v[i] for k, v in params.items()}, columns, vars(data.facts))
        ways = {"replay": replay(data, params)}
        ways |= {backend: log_prob(model, trials, params, backend=backend).values for backend in BACKENDS}
        for how, found in ways.items():
            message = f"{model.name}: {how} differs from the reference loop"
            assert_allclose(found, wanted, rtol=0, atol=1e-10, err_msg=message)


def check_backends(model: Model) -> None:
    """Require that compiled loop and scan agree in value, gradient and latents, at ordinary and extreme parameters.

    The difference is at most 1e-9 (1 + the sum of the absolute terms); for a derivative this sum includes its own
    size.  Extreme are bounds, numbers with units a thousand times as large, and outcomes up to 1e4.
    """
    trials = random_trials(model, seed=3)
    for what, params, rows in _extremes(model, trials):
        value, slopes = log_prob(model, rows, params, backend="fused", gradient=True)
        wanted, wanted_slopes = log_prob(model, rows, params, backend="scan", gradient=True)
        message = f"{model.name}: the compiled loop differs from the scan, {what}"
        total = np.abs(np.where(np.isfinite(wanted), wanted, 0.0)).sum(axis=1, keepdims=True)
        same = np.isclose(value, wanted, rtol=0, atol=1e-9 * (1 + total))  # infinities are equal, too
        assert same.all(), message
        for name in slopes:
            scale = 1 + total.reshape((-1,) + (1,) * (slopes[name].ndim - 1)) + np.abs(wanted_slopes[name].values)
            difference = np.abs(slopes[name].values - wanted_slopes[name].values)
            assert (difference <= 1e-9 * scale).all(), f"{message}: the derivative of {name}"
    params = random_params(model, trials)
    steps, value = replay(data_for(model, trials), params), log_prob(model, trials, params).values
    message = f"{model.name}: the compiled loop differs from stepping through the trials in NumPy"
    assert_allclose(value, steps, rtol=1e-9, atol=1e-9, err_msg=message)
    found, expected = (latents_of(model, trials, params, backend=backend) for backend in ("fused", "scan"))
    assert set(found) == set(expected), f"{model.name}: the compiled loop has other latents than the scan"
    for name in found:
        message = f"{model.name}: the compiled loop differs from the scan in {name}"
        assert_allclose(found[name].values, expected[name].values, rtol=1e-9, atol=1e-9, err_msg=message)


def _extremes(model: Model, trials: xr.Dataset) -> Iterator[tuple[str, Mapping[str, np.ndarray], xr.Dataset]]:
    """Return descriptions, parameters and trials at which a likelihood is hard to compute."""
    for seed in range(3):
        yield "parameters drawn from their priors", random_params(model, trials, seed=seed), trials
    params = random_params(model, trials, seed=3)
    for parameter in model.parameters:
        name, support = parameter.name, parameter.support
        inside = [b for b in (support.lower, support.upper) if np.isfinite(b)]
        for bound in inside:
            yield f"{name} = {bound:g}", {**params, name: np.full_like(params[name], bound)}, trials
        if parameter.units:
            yield f"{name} a thousand times as large", {**params, name: params[name] * 1e3}, trials
    outcomes = [i for i in model.inputs if i.after and i.dtype == "float64" and i.kind.contains(1e4)]  # type: ignore[union-attr]
    large = trials.assign({i.name: trials[i.name] * 4e3 for i in outcomes})
    yield "outcomes up to 1e4", params, large


def check_gradient(model: Model) -> None:
    """Require a gradient that equals central differences and is finite at ties and bounds, where log_prob is no NaN."""
    trials = random_trials(model)
    params = random_params(model, trials)
    _, slopes = log_prob(model, trials, params, gradient=True)
    rng = np.random.default_rng(0)
    for name, value in params.items():
        direction = rng.normal(size=value.shape) * 1e-6 * np.maximum(1e-2, np.abs(value))
        support = model.parameter(name).support
        direction = np.where(support.contains(value + direction) & support.contains(value - direction), direction, 0)
        up, down = (
            log_prob(model, trials, {**params, name: value + sign * direction}).values.sum() for sign in (1, -1)
        )
        wanted, found = (up - down) / 2, float((slopes[name].values * direction).sum())
        scale = 1e-6 * (1 + np.abs(slopes[name].values)).max()
        assert abs(found - wanted) <= 1e-4 * abs(wanted) + 1e-4 * scale, (
            f"{model.name}: the gradient of {name} is {found:.6g} along a direction, differences say {wanted:.6g}"
        )
    for name, value in params.items():
        support = model.parameter(name).support
        for bound in (support.lower, support.upper):
            if np.isfinite(bound):
                _finite(model, trials, {**params, name: np.full_like(value, bound)}, f"{name} = {bound:g}")
    tied = trials.assign({i.name: trials[i.name] * 0 for i in model.inputs if i.after and i.dtype == "float64"})
    _finite(model, tied, params, "all outcomes 0")


def _finite(model: Model, trials: xr.Dataset, params: Mapping[str, Any], where: str) -> None:
    value, slopes = log_prob(model, trials, params, gradient=True)
    assert not np.isnan(value.values).any(), f"{model.name}: log_prob is NaN at {where}"
    for name in slopes:
        assert np.isfinite(slopes[name].values).all(), f"{model.name}: the gradient of {name} is not finite at {where}"


def check_does_not_peek(model: Model) -> None:
    """Require that a response's distribution stays the same whatever happens from that response on."""
    trials = random_trials(model, seed=1)
    other = random_trials(model, seed=2)
    params = random_params(model, trials)
    order = [r.name for r in model.responses]
    data = data_for(model, trials)
    before = likelihood_of(data).arguments(params)
    for t in (0, 1, trials.sizes["trial"] // 2):
        for k, response in enumerate(order):
            changed = trials.copy(deep=True)
            for entry in model.inputs:
                if entry.name not in trials or entry.name == "scored":
                    continue
                made_at = entry.name if entry.response else entry.after
                first = t if made_at is not None and order.index(made_at) >= k else t + 1
                own = entry.name == "action" and "available" in trials  # a choice must stay among those on offer
                changed[entry.name].values[:, first + own :] = other[entry.name].values[:, first + own :]
                if own:
                    changed["action"].values[:, t] = _another(trials, t)
            _use_only(changed, model)
            after = likelihood_of(data_for(model, changed)).arguments(params)
            scored = data.masks["scored"].reshape((*data.shape, -1))[:, : t + 1, k]
            for name in before[response]:
                message = f"{model.name}: {response} on trial {t} or before depends on what happens later"
                now, then = after[response][name][:, : t + 1], before[response][name][:, : t + 1]
                assert_array_equal(now[scored], then[scored], err_msg=message)


def _another(trials: xr.Dataset, t: int) -> np.ndarray:
    """Return for each subject another action on offer on trial t; -1 stays."""
    action, available = trials["action"].values[:, t], trials["available"].values[:, t].copy()
    available[np.arange(len(action)), action] = False
    return np.where(action < 0, -1, available.argmax(axis=1))


def _use_only(trials: xr.Dataset, model: Model) -> None:
    """Score and learn only where the columns, put together from two sets of trials, hold what is needed."""

    def good(name: str) -> np.ndarray:
        values = trials[name].values
        return values >= 0 if values.dtype.kind == "i" else np.isfinite(values)

    made = np.ones((*trials["exists"].shape, len(model.responses)), dtype=bool)
    for k, response in enumerate(model.responses):
        made[..., k] = made[..., max(k - 1, 0)] & good(response.name)
        trials[response.name].values[:] = np.where(
            made[..., k], trials[response.name].values, -1 if response.dtype == "int64" else np.nan
        )
    seen = [i.name for i in model.inputs if i.after is not None and i.dtype != "bool"]
    whole = np.logical_and.reduce([made[..., -1], *(good(name) for name in seen)])
    between = [i.name for i in model.inputs if i.after is not None and i.after != model.responses[-1].name]
    scored = made.copy()
    scored[..., -1] &= np.logical_and.reduce([made[..., -1], *(good(name) for name in between)])
    trials["scored"].values[:] &= scored if trials["scored"].ndim == 3 else scored[..., 0]
    trials["learned"].values[:] &= whole


def check_masks(model: Model) -> None:
    """Require that padding, unused entries and unscored trials have no effect, to the last bit."""
    trials = random_trials(model)
    data, params = data_for(model, trials), random_params(model, trials)
    before = log_prob(model, trials, params).values
    assert (before[~data.scored_trials] == 0).all(), f"{model.name}: an unscored trial has a log probability"
    junk = trials.copy(deep=True)
    unused = ~(data.scored_trials | data.masks["learned"] | data.masks["responded"])
    for entry in model.inputs:
        if entry.name in trials and not entry.response and entry.name != "scored":
            junk[entry.name].values[unused] = {"int64": 10**6, "bool": True, "float64": np.nan}[entry.dtype]
    message = f"{model.name}: an entry that is not used changes log_prob"
    assert_array_equal(log_prob(model, junk, params).values, before, err_msg=message)
    longer = trials.pad(trial=(0, 5), mode="edge").assign_coords(trial=np.arange(trials.sizes["trial"] + 5))
    for name in MASKS:
        longer[name].values[:, -5:] = False
    message = f"{model.name}: padding changes log_prob"
    assert_array_equal(log_prob(model, longer, params).values[:, :-5], before, err_msg=message)
    if any(i.name == "scored" for i in model.inputs):
        return  # what is scored tells this model something
    fewer = trials.copy(deep=True)
    fewer["scored"].values[:, ::2] = False
    message = f"{model.name}: scoring a trial or not changes another's log_prob"
    assert_array_equal(log_prob(model, fewer, params).values[:, 1::2], before[:, 1::2], err_msg=message)


def check_likelihood_forms(model: Model) -> None:
    """Require that the forms of the likelihood have one log density, the sum of log_prob."""
    import pymc as pm

    trials = random_trials(model, n_actions=3 if model.conditions else 2)
    params = random_params(model, trials)
    wanted = log_prob(model, trials, params).values.sum()
    forms = ["distribution", "potential"]
    if len(model.responses) == 1 and model.responses[0].dtype == "int64":
        forms += ["categorical"] if model.conditions else ["categorical", "bernoulli"]
    for form in forms:
        with pm.Model() as built:
            values = {k: pm.Flat(f"{k}_", shape=v.shape) for k, v in params.items()}
            getattr(model, form)("choice", trials, **values)
        point = {f"{k}_": v for k, v in params.items()}
        found = float(built.compile_logp(mode=QUICK)(point))
        assert_allclose(found, wanted, rtol=1e-9, err_msg=f"{model.name}: {form} has another log density")


def check_exchange(model: Model) -> None:
    """Require that permuting subjects permutes results, and that a subject alone is the same as among others."""
    trials = random_trials(model)
    params = random_params(model, trials)
    before = log_prob(model, trials, params).values
    order = np.array([2, 0, 3, 1])
    after = log_prob(model, trials.isel(subject=order), {k: v[order] for k, v in params.items()}).values
    assert_allclose(
        after, before[order], rtol=1e-12, atol=1e-12, err_msg=f"{model.name}: subjects are not exchangeable"
    )
    alone = log_prob(model, trials.isel(subject=[1]), {k: v[[1]] for k, v in params.items()}).values
    assert_allclose(alone, before[[1]], rtol=1e-12, atol=1e-12, err_msg=f"{model.name}: a subject depends on others")


def check_special_cases(model: Model) -> None:
    """Require that at the parameters where it says so the model is another one, trial by trial."""
    for name, mapping in model.special_cases.items():
        other = get_model(name)
        trials = random_trials(model)
        theirs = random_params(other, trials, seed=3)
        ours = random_params(model, trials, seed=4) | {k: v for k, v in theirs.items() if k in _names(model)}
        for own, value in mapping.items():
            ours[own] = theirs[value] if isinstance(value, str) else np.full_like(ours[own], value)
        found, wanted = log_prob(model, trials, ours).values, log_prob(other, trials, theirs).values
        assert_allclose(found, wanted, rtol=0, atol=1e-10, err_msg=f"{model.name} is not {name} at {dict(mapping)}")


def _names(model: Model) -> set[str]:
    return {p.name for p in model.parameters}


def check_simulation(model: Model, task: Task | None = None) -> None:
    """Require that a simulation comes with its own log_prob, that a seed settles it, and that its table reads back."""
    task = default_task(model, block_length=15) if task is None else task
    trials = simulate(model, task, plausible_params(model), 3, 40, seed=1)
    found = log_prob(model, trials, plausible_params(model)).values
    message = f"{model.name}: log_prob of a simulation is not the one it was made with"
    assert_allclose(found, trials["log_prob"].values, rtol=0, atol=1e-10, err_msg=message)
    again = simulate(model, task, plausible_params(model), 3, 40, seed=1)
    assert trials.identical(again), f"{model.name}: the same seed gives other trials"
    table = to_table(trials)
    back = read_trials(table, facts=facts(trials))
    assert to_table(back).equals(table), f"{model.name}: the table of a simulation does not read back"
    assert_array_equal(log_prob(model, back, plausible_params(model)).values, found)


def check_mle(model: Model, task: Task | None = None) -> None:
    """Require that on a long run maximum likelihood is as good as the truth, and within 4 standard errors of it.

    At a kink, where there are none, half the interval's distance from the estimate counts as one.
    """
    task = default_task(model) if task is None else task
    trials, truth = simulate(model, task, plausible_params(model), 1, 1500, seed=2), plausible_params(model)
    fit = fit_mle(model, trials, starts=3, progress=False)
    gap = float(fit.log_lik[0]) - float(trials["log_prob"].sum())
    assert gap >= -1e-6, f"{model.name}: the optimum is {-gap:.3g} nats below the truth"
    errors = parameter_arrays(data_for(model, trials), truth)
    for name in (k for k in truth if k in fit.se):  # whole numbers have none
        status = f"{fit.status.item()}: {fit.note.item()}"
        estimate, error = fit.params[name].values, fit.se[name].values
        if fit.status.item() == "at a kink":
            ends = fit.interval[name].transpose("bound", ...).values
            error = np.abs(np.where(errors[name] < estimate, *ends) - estimate) / 2
        assert np.isfinite(error).all(), f"{model.name}: {name} has no standard error; {status}"
        distance = np.abs(estimate - errors[name]) / error
        assert (distance < 4).all(), f"{model.name}: {name} is {np.max(distance):.1f} standard errors from the truth"


def all_checks() -> tuple[Callable[..., None], ...]:
    """Return the checks that need nothing but a model.

    `check_reference` needs a plain loop from the paper beside it.
    """
    return (
        check_card,
        check_probabilities,
        check_backends,
        check_gradient,
        check_does_not_peek,
        check_masks,
        check_likelihood_forms,
        check_exchange,
        check_special_cases,
        check_simulation,
        check_mle,
    )
