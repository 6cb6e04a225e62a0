"""Segments side by side in vector lanes: the scalar kernel's numbers, whatever the packing, the threads and the data.

The scalar kernel's source is mostly run by Python rather than by numba, which computes the same without compiling.
"""

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.compiler import signature
from rlpymc.compiler.lanes import HEAD, MODES, lane_kernel
from rlpymc.compiler.signature import TERMS, TOTAL, Name
from rlpymc.compiler.trace import Trace, Variant
from rlpymc.likelihood.backends import find_trace, likelihood_of
from rlpymc.likelihood.blocks import COST, Blocks, suitable_width
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.math import abs as absolute
from rlpymc.math import add_at, arange, erf, expm1, full, log1p, maximum, minimum, size, stack, take, tanh, where
from rlpymc.math import sum as total
from rlpymc.model import Facts, Input, boolean, real
from rlpymc.model.responses import Categorical, Normal
from rlpymc.trials.model_data import ModelData, data_for
from rlpymc.trials.segments import Segments
from rlpymc.validation.examples import random_params, random_trials, widen
from tests.likelihood.test_loop import ACTION, ODD, REWARD, STIMULUS, learner
from tests.oracle import scalar_kernel as kernel

WIDTHS = (1, 2, 4, 8, 16)
LEARNERS = (
    "delta",
    "delta(rates=sign)+stickiness",
    "delta+stickiness+lapse",
    "delta(rates=sign)+choice_kernel",
    "counterfactual",
    "kalman",
    "two_step_hybrid",
    "rlwm",
    "rlwm(interaction=True)",
    "q_mdp",
    "delta_prediction",
    "hmm(delta)",
    "wsls",
    "biased_random",
    "choice_kernel",
)
VARIED = ("delta", "delta+stickiness+lapse", "two_step_hybrid", "rlwm", "hmm(delta)", "delta_prediction")


def mix_start(p, facts):
    return {"q": full(facts.n_stimuli, p.size), "before": stack([p.alpha, -1.0])}


def mix_update(p, s, x):
    """Every function there is, whole numbers, conditions, and a table read at a position that a state holds."""
    steps = absolute(x.stimulus - x.action) + minimum(x.stimulus, 2) - maximum(x.action, 1)
    up = where(x.first & ~x.second | (x.first < x.second), tanh(x.reward) ** 2, erf(p.size * x.reward))
    old = take(s.q, take(s.before, 1))
    new = up + 0.1 * steps * log1p(take(s.before, 0) ** p.alpha) - expm1(-old * old) + where(x.first, 0.5, x.stimulus)
    return {"q": add_at(s.q, x.stimulus, p.alpha * (new - take(s.q, x.stimulus))), "before": stack([p.alpha, x.action])}


def mix_policy(p, s, x):
    return Categorical(logits=s.q)


def many_start(p, facts):
    return {"v": p.size}


def many_policy(p, s, x):
    return Normal(s.v + total(where(x.flags, 0.01 * arange(size(x.flags)), 0.0)), p.alpha)


def many_update(p, s, x):
    return {"v": s.v + p.alpha * where(take(x.flags, -1), x.outcome - s.v, 0.1)}


FLAGS = tuple(Input(name, boolean) for name in ("first", "second"))
PREDICTION = (Input("prediction", real, response=True), Input("outcome", real, after="prediction"))
TABLES = {**ODD, "mix": learner(mix_start, mix_update, mix_policy, inputs=(STIMULUS, *FLAGS, ACTION, REWARD))}
OWN = {
    **TABLES,
    "many": learner(
        many_start, many_update, many_policy, inputs=(Input("flags", boolean, shape=("n_actions",)), *PREDICTION)
    ),
}


# -------------------------------------------------------------------------------------------------- material
@dataclass(frozen=True)
class Case:
    """A model's step, data and parameters."""

    trace: Trace
    data: ModelData
    params: dict[str, np.ndarray]
    active: tuple[str, ...]

    def slopes(self, mode: str) -> tuple[str, ...]:
        return self.active if mode == "gradient" or "pullback" in mode else ()

    def evaluator(self, mode: str = "gradient", **options: Any) -> Evaluator:
        return Evaluator(self.trace, mode, self.data, self.slopes(mode), **options)

    def __call__(self, mode: str = "gradient", weights: Any = None, **options: Any) -> dict[Name, np.ndarray]:
        return self.evaluator(mode, **options)(self.params, weights)


@lru_cache(maxsize=64)
def case(
    name: str, by_trial: tuple[str, ...] = (), n_subjects: int = 7, n_trials: int = 24, n_actions: int = 3
) -> Case:
    """Return ragged data of a model with missed and forced trials and resets; ("all",) means all that can vary."""
    model = OWN[name] if name in OWN else rl.get_model(name)
    trials = random_trials(model, n_subjects, n_trials, n_actions)
    data, params = data_for(model, trials), random_params(model, trials)
    active = tuple(p.name for p in model.parameters if not p.support.discrete)
    by_trial = active if by_trial == ("all",) else by_trial
    others, rng = random_params(model, trials, seed=2), np.random.default_rng(3)
    for k in by_trial:
        share = rng.random((*data.shape, *(1,) * (params[k].ndim - 1)))
        params[k] = share * params[k][:, None] + (1 - share) * others[k][:, None]
    return Case(find_trace(model, data.facts, data.columns, by_trial), data, params, active)


def scalar(c: Case, mode: str = "gradient", weights: Any = None, compiled: bool = False) -> dict[Name, np.ndarray]:
    """The scalar kernel's results."""
    active, model = c.slopes(mode), c.trace.variant.model
    function = kernel.jit(kernel.source(c.trace, mode, active))
    arrays = (
        *(np.ascontiguousarray(c.params[p.name], dtype=float) for p in model.parameters),
        *(c.data.inputs[k] for k in c.data.columns),
        *(c.data.masks[mask.of] for mask in signature.MASKS),
        *kernel.layout(c.data.segments),
        *(weights or {}).values(),
    )
    with np.errstate(all="ignore"):
        found = (function if compiled else function.py_func)(*arrays)
    return kernel.named(found, [o.name for o in signature.outputs(c.trace, mode, active)])


def random_weights(c: Case, mode: str) -> dict[Name, np.ndarray]:
    """A pullback's weights beside the arguments; a third of them is 0."""
    rng = np.random.default_rng(4)
    shapes = {w.name: (*c.data.shape, *w.own) for w in signature.weights(c.trace, mode)}
    return {k: rng.normal(size=shape) * (rng.random(shape) < 0.67) for k, shape in shapes.items()}


def assert_agree(found: dict[Name, np.ndarray], wanted: dict[Name, np.ndarray], tolerance: float = 1e-12) -> None:
    assert list(found) == list(wanted)
    for name in wanted:
        assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=str(name))


def assert_same(found: dict[Name, np.ndarray], wanted: dict[Name, np.ndarray]) -> None:
    """Check that numbers are equal, not just close."""
    assert list(found) == list(wanted)
    for name in wanted:
        assert_array_equal(found[name], wanted[name], err_msg=str(name), strict=True)


# ------------------------------------------------------------------------------------------- the same numbers
@pytest.mark.parametrize("name", LEARNERS)
def test_gradient_at_every_width(name):
    c = case(name)
    wanted = scalar(c)
    for width in WIDTHS:
        found = c(width=width)
        assert_agree(found, wanted)
        assert_same(c(width=width, packed=False), found)


@pytest.mark.parametrize("mode", ["gradient", "arguments_pullback"])
def test_the_scalar_kernel_as_numba_compiles_it(mode):
    c = case("delta+stickiness+lapse")
    weights = random_weights(c, mode)
    wanted = scalar(c, mode, weights, compiled=True)
    assert_agree(scalar(c, mode, weights), wanted)
    assert_agree(c(mode, weights), wanted)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", VARIED)
def test_every_mode(name, mode):
    c = case(name)
    weights = random_weights(c, mode)
    wanted = scalar(c, mode, weights)
    found = c(mode, weights, width=8)
    assert_agree(found, wanted)
    assert_same(c(mode, weights, width=8, packed=False), found)


@pytest.mark.parametrize("mode", ["value", "gradient", "terms_pullback", "arguments_pullback"])
@pytest.mark.parametrize(
    ("name", "by_trial"),
    [
        ("delta", ("all",)),
        ("delta", ("q0",)),  # sets the start
        ("delta+stickiness+lapse", ("beta", "lapse")),
        ("q_mdp", ("q0",)),  # sets all entries of a table
        ("rlwm", ("all",)),
        ("hmm(delta)", ("all",)),
    ],
)
def test_parameters_that_vary_by_trial(name, by_trial, mode):
    c = case(name, by_trial)
    weights = random_weights(c, mode)
    wanted = scalar(c, mode, weights)
    assert_agree(c(mode, weights, width=8), wanted)


@pytest.mark.parametrize("name", ["delta", "q_mdp"])
def test_a_start_that_varies_by_trial_is_that_of_a_segment_s_first_trial(name):
    c = case(name, ("q0",))
    found, starts = c(width=8), c.data.masks["reset"]
    assert (found[Name("slope", "q0")][~starts] == 0).all()
    assert (found[Name("slope", "q0")][starts] != 0).any()
    others = {**c.params, "q0": np.where(widen(starts, found[Name("slope", "q0")]), c.params["q0"], 1e3)}
    assert_same(replace(c, params=others)(width=8), found)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "by_block"), [("delta+stickiness", "beta"), ("q_mdp", "q0")])
def test_parameters_that_vary_by_block(name, by_block):
    model = rl.get_model(name)
    trials = random_trials(model)
    trials["block"] = (("subject", "trial"), np.minimum(np.cumsum(trials["reset"].values, axis=1), 3))
    params = random_params(model, trials)
    draws = np.stack([params[by_block], *(random_params(model, trials, seed=k)[by_block] for k in (5, 6))], axis=1)
    own = [f"own_{k}" for k in range(draws.ndim - 2)]
    params[by_block] = xr.DataArray(draws, dims=("subject", "block", *own), coords={"block": [1, 2, 3]})
    (value, slopes), (wanted, wanted_slopes) = (
        rl.log_prob(model, trials, params, backend=b, gradient=True) for b in ("fused", "scan")
    )
    assert slopes[by_block].dims[:2] == ("subject", "trial")
    assert_allclose(value, wanted, rtol=1e-12, atol=1e-12)
    for k in slopes:
        assert_allclose(slopes[k], wanted_slopes[k], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", ["delta+stickiness+lapse", "two_step_hybrid"])
def test_a_part_of_the_gradient(name):
    c = case(name)
    whole = c()
    for active in ((), c.active[1:2], c.active[::-2]):
        found = replace(c, active=active)()
        assert_agree(found, {k: whole[k] for k in (TOTAL, *(Name("slope", n) for n in active))})


@pytest.mark.parametrize("mode", ["gradient", "terms_pullback", "arguments_pullback"])
@pytest.mark.parametrize("name", TABLES)
def test_odd_models(name, mode):
    """Tables that are rewritten, swapped, and read where a state points to; all operations."""
    c = case(name, n_actions=10 if name == "mix" else 3)
    assert c.trace.tables == ({"q"} if name == "mix" else {"q", "other"})
    weights = random_weights(c, mode)
    wanted = scalar(c, mode, weights)
    for width in (1, 8):
        assert_agree(c(mode, weights, width=width), wanted)


@pytest.mark.parametrize("n", [58, 59, 60, 61, 130])
def test_more_conditions_than_a_word_has_bits(n):
    """Three masks and these columns."""
    c = case("many", n_actions=n)
    assert c.data.inputs["flags"].shape[-1] == n
    assert_agree(c(width=4), scalar(c))


# ------------------------------------------------------------------------------------------------------ packing
type Piece = tuple[Case, int, int, int]  # trials of a subject from the first to before the last


def of_pieces(*pieces: Piece) -> Case:
    """Return a case of which each subject is a piece of another's, with rubbish where it has no trials."""
    c, n_trials = pieces[0][0], max(end - first for *_, first, end in pieces)

    def rows(arrays: Sequence[np.ndarray], rubbish: Any) -> np.ndarray:
        out = np.full((len(pieces), n_trials, *arrays[0].shape[1:]), rubbish, dtype=arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return out

    rubbish = {"i": 10**9, "f": np.nan, "b": True}
    inputs = {
        k: rows([o.data.inputs[k][i, first:end] for o, i, first, end in pieces], rubbish[v.dtype.kind])
        for k, v in c.data.inputs.items()
    }
    masks = {k: rows([o.data.masks[k][i, first:end] for o, i, first, end in pieces], False) for k in c.data.masks}
    masks["reset"][:, 0] = True
    data = ModelData(c.data.model, c.data.trials, c.data.facts, inputs, masks)
    return replace(c, data=data, params={k: np.stack([o.params[k][i] for o, i, *_ in pieces]) for k in c.params})


def subjects(c: Case) -> list[Piece]:
    return [(c, i, 0, int(n)) for i, n in enumerate(c.data.masks["exists"].sum(axis=1))]


PACKED = ("delta(rates=sign)+choice_kernel", "q_mdp", "hmm(delta)")


@pytest.mark.parametrize("width", [2, 8])
@pytest.mark.parametrize("name", PACKED)
def test_results_do_not_depend_on_the_other_subjects(name, width):
    """At one width numbers are equal, not just close, wherever a subject's segments stand."""
    c, rng = case(name, n_subjects=17), np.random.default_rng(5)
    pieces, wanted = subjects(c), c(width=width)
    for order in (rng.permutation(17), rng.integers(0, 17, 40), *(np.arange(n)[::-1] for n in range(1, 18))):
        found = of_pieces(*(pieces[i] for i in order))(width=width)
        assert_same(found, {k: v[order] for k, v in wanted.items()})


@pytest.mark.parametrize("name", PACKED)
def test_results_do_not_depend_on_a_very_long_subject(name):
    few, long = case(name), case(name, n_subjects=1, n_trials=2000)
    both = of_pieces(*subjects(few), *subjects(long))
    assert both.data.shape == (8, 2000)
    wanted, alone = few(width=8), long(width=8)
    assert_same(both(width=8), {k: np.concatenate([wanted[k], alone[k]]) for k in wanted})


@pytest.mark.parametrize("name", PACKED)
def test_subjects_cut_at_resets(name):
    c = case(name, n_subjects=17)
    layout = zip(*kernel.layout(c.data.segments), strict=True)
    cut = of_pieces(*((c, int(i), int(first), int(end)) for i, first, end in layout))
    assert len(cut.data.masks["exists"]) == len(c.data.segments.subject) > 17
    for width in (1, 8):
        found = {k: np.zeros_like(v) for k, v in c(width=width).items()}
        for k, v in cut(width=width).items():
            np.add.at(found[k], c.data.segments.subject, v)
        assert_agree(found, c(width=width))


@pytest.mark.parametrize("n_subjects", range(1, 18))
def test_any_number_of_subjects(n_subjects):
    c = case("delta", n_subjects=17)
    few = of_pieces(*subjects(c)[:n_subjects])
    assert_agree(few(), scalar(few))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("name", ["delta+stickiness+lapse", "q_mdp"])
def test_what_goes_wrong_in_one_lane_stays_there(name, wrong):
    c = case(name)
    wanted = c(width=8)
    for parameter in c.active:
        spoilt = c.params[parameter].copy()
        spoilt[2] = wrong
        found = replace(c, params={**c.params, parameter: spoilt})(width=8)
        others = np.arange(7) != 2
        assert_same({k: v[others] for k, v in found.items()}, {k: v[others] for k, v in wanted.items()})


# ------------------------------------------------------------------------------------------------------ threads
@pytest.mark.parametrize(("name", "by_trial"), [("delta+stickiness", ()), ("q_mdp", ("q0",))])
@pytest.mark.parametrize("mode", ["gradient", "terms_pullback"])
def test_threads(name, by_trial, mode):
    c = case(name, by_trial, n_subjects=17)
    weights = random_weights(c, mode)
    for packed in (True, False):
        wanted = c(mode, weights, width=4, packed=packed)
        for threads in (2, 3, 100):
            evaluator = c.evaluator(mode, width=4, packed=packed, threads=threads)
            assert len(evaluator.addresses) == min(threads, evaluator.blocks.count)
            for _ in range(3):
                assert_same(evaluator(c.params, weights), wanted)


def test_all_blocks_are_computed_by_one_thread_each():
    for n_subjects in (1, 2, 7, 17):
        c = case("delta", n_subjects=n_subjects)
        for threads in range(1, 9):
            evaluator = c.evaluator(width=2, threads=threads)
            assert HEAD[:2] == ("first_block", "end_block")
            limits = [(ctypes.c_int64 * 2).from_address(a) for a in evaluator.addresses]
            assert [b for first, end in limits for b in range(first, end)] == list(range(evaluator.blocks.count))


def at_once(evaluators: Sequence[Evaluator], cases: Sequence[Case]) -> list[list[dict[str, np.ndarray]]]:
    """Return many results of each evaluator, each in a thread of Python's."""
    start = threading.Barrier(len(cases))

    def repeat(evaluator: Evaluator, c: Case) -> list[dict[str, np.ndarray]]:
        start.wait()
        return [evaluator(c.params) for _ in range(200)]

    with ThreadPoolExecutor(len(cases)) as pool:
        return list(pool.map(repeat, evaluators, cases))


def test_evaluators_in_threads_of_python():
    cases = [case(name, n_subjects=17) for name in ("delta", "q_mdp", "delta")]
    evaluators = [cases[0].evaluator(), cases[1].evaluator("arguments"), cases[2].evaluator(packed=False)]
    wanted = [e(c.params) for e, c in zip(evaluators, cases, strict=True)]
    for found, one in zip(at_once(evaluators, cases), wanted, strict=True):
        for results in found:
            assert_same(results, one)


@pytest.mark.parametrize("options", [{}, {"packed": False}, {"threads": 2}])
def test_twins_work_at_the_same_time_on_the_same_data(options):
    c = case("q_mdp", n_subjects=17)
    other = replace(c, params=random_params(c.data.model, c.data.trials, seed=7))
    wanted, first = [c(), other()], c.evaluator(**options)
    for found, one in zip(at_once([first, first.twin()], [c, other]), wanted, strict=True):
        for results in found:
            assert_same(results, one)


def test_python_goes_on_while_a_kernel_runs():
    """Python takes its lock away from nobody here, so that the other thread can run only while a kernel does."""
    c = case("delta", n_subjects=50, n_trials=1000)
    evaluator = c.evaluator()
    kept = evaluator(c.params)
    holding = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(evaluator.start("compute"))  # does not let go of the lock
    ticks, stop = [0], threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks[0] += 1
            time.sleep(1e-5)

    usual = sys.getswitchinterval()
    other = threading.Thread(target=tick)
    try:
        sys.setswitchinterval(1000)
        other.start()
        before = ticks[0]
        for _ in range(20):
            holding(evaluator.addresses[0])
        assert ticks[0] == before
        for _ in range(10_000):
            evaluator(c.params)
            if ticks[0] > before:
                break
        assert ticks[0] > before
    finally:
        sys.setswitchinterval(usual)
        stop.set()
        other.join()
    assert_same(evaluator(c.params), kept)


# ----------------------------------------------------------------------------------------------------- extremes
def assert_agrees_with_the_scan(c: Case, tolerance: float = 1e-10) -> None:
    """Check value and gradient, where the scan has one: minus infinity too, and no NaN that it has not."""
    scan = likelihood_of(c.data, "scan")
    (total, wanted), terms = scan.gradient(c.params, c.active), scan.terms(c.params)
    assert not np.isnan(total).any()
    for width in (1, 8):
        found = c(width=width)
        assert_allclose(found[TOTAL], total, rtol=1e-12, atol=1e-12)
        assert_allclose(c("terms", width=width)[TERMS], terms, rtol=1e-12, atol=1e-12)
        for name in c.active:
            slope, other = found[Name("slope", name)], wanted[name]
            known = np.isfinite(other)
            scale = np.maximum(1, np.abs(np.where(np.isfinite(total), total, 0)))
            scale = scale.reshape(-1, *[1] * (slope.ndim - 1)) + np.abs(np.where(known, other, 0))
            assert (np.abs(slope - other) <= tolerance * scale)[known].all(), name


def changed(c: Case, inputs: Any = (), masks: Any = (), **params: Any) -> Case:
    """Return a case with other columns, masks or parameters, numbers for all subjects or (subject,)."""
    given = {
        k: np.broadcast_to(widen(np.asarray(v, dtype=float), c.params[k]), c.params[k].shape).copy()
        for k, v in params.items()
    }
    data = replace(c.data, inputs={**c.data.inputs, **dict(inputs)}, masks={**c.data.masks, **dict(masks)})
    return replace(c, data=data, params={**c.params, **given})


@pytest.mark.parametrize("beta", [0.0, 1e-300, 1e3, [0.0, 1e3, 1.0, 1e-5, 50.0, 1e4, 3.0]])
def test_extreme_temperatures(beta):
    assert_agrees_with_the_scan(changed(case("delta+stickiness+lapse"), beta=beta))
    assert_agrees_with_the_scan(changed(case("delta", n_actions=2), beta=beta))


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 1.0, [0.0, 1.0, 0.5, 0.0, 1e-300, 1.0, 1.0]])
def test_learning_rates_of_0_and_1(alpha):
    for name in ("delta", "q_mdp"):
        assert_agrees_with_the_scan(changed(case(name), alpha=alpha))


@pytest.mark.parametrize(
    ("name", "n_actions"),
    [
        ("delta", 2),
        ("delta", 3),
        ("delta+stickiness+lapse", 3),
        pytest.param("hmm(delta)", 3, marks=pytest.mark.slow),
        ("choice_kernel", 3),
    ],
)
def test_options_that_are_not_on_offer(name, n_actions):
    """Down to the one that was chosen."""
    c = case(name, n_actions=n_actions)
    available = c.data.inputs["available"].copy()
    rng = np.random.default_rng(6)
    available &= rng.random(available.shape) < 0.4
    np.put_along_axis(available, c.data.inputs["action"][..., None], True, axis=2)
    assert (available.sum(axis=2) == 1).any()
    assert_agrees_with_the_scan(changed(c, {"available": available}))


@pytest.mark.parametrize("n_actions", [2, 3])
def test_choices_that_were_not_on_offer_are_impossible(n_actions):
    c = case("delta", n_actions=n_actions)
    available = c.data.inputs["available"].copy()
    for i in (0, 4):
        trials = np.flatnonzero(c.data.masks["scored"][i])[2:5]
        available[i, trials] = ~(np.arange(n_actions) == c.data.inputs["action"][i, trials, None])
    spoilt = changed(c, {"available": available})
    assert_array_equal(np.isneginf(spoilt()[TOTAL]), np.isin(np.arange(7), (0, 4)))
    assert_agrees_with_the_scan(spoilt)


@pytest.mark.parametrize("name", ["delta+epsilon_greedy", "wsls"])
def test_impossible_choices_in_some_lanes(name):
    c = changed(case(name), epsilon=[0.0, 0.1, 0.0, 1e-10, 1.0, 0.5, 0.0])
    total = c()[TOTAL]
    assert np.isneginf(total[[0, 2, 6]]).any()
    assert np.isfinite(total[[1, 3, 4, 5]]).all()
    assert all(np.isfinite(v).all() for k, v in c().items() if k != TOTAL)
    assert_agrees_with_the_scan(c)


def test_products_that_underflow_often_in_some_lanes():
    c = case("delta+epsilon_greedy", n_trials=400)
    c = changed(c, epsilon=[1e-300, 0.5, 1e-200, 1.0, 1e-30, 1e-308, 1e-3])
    assert c()[TOTAL].min() < 50 * np.log(1e-250), "several products' worth"
    assert_agree(c(width=8), scalar(c))
    assert_agree(c(width=1), scalar(c))


def test_five_thousand_trials_between_resets():
    c = case("delta+stickiness", n_subjects=3, n_trials=5000)
    reset = np.zeros(c.data.shape, dtype=bool)
    reset[:, 0] = True
    c = changed(c, masks={"reset": reset})
    assert c.evaluator().blocks.longest == 5000
    for mode in ("gradient", "terms_pullback"):
        weights = random_weights(c, mode)
        wanted = scalar(c, mode, weights)
        for width in (1, 4):
            assert_agree(c(mode, weights, width=width), wanted)


@pytest.mark.parametrize("mode", MODES)
def test_subjects_of_one_trial(mode):
    c = case("delta+stickiness+lapse", n_subjects=9)
    single = of_pieces(*((c, i, 0, 1 if i % 2 else 9) for i in range(9)), *((c, i, 1, 2) for i in range(9)))
    weights = random_weights(single, mode)
    assert_agree(single(mode, weights), scalar(single, mode, weights))
    one = of_pieces((c, 3, 2, 3))
    weights = random_weights(one, mode)
    assert_agree(one(mode, weights), scalar(one, mode, weights))


@pytest.mark.parametrize("name", ["delta", "two_step_hybrid", "q_mdp"])
def test_subjects_without_a_scored_trial(name):
    c = case(name)
    scored = c.data.masks["scored"].copy()
    scored[[1, 5]] = False
    c = changed(c, masks={"scored": scored})
    for width in (1, 8):
        found = c(width=width)
        assert_agree(found, scalar(c))
        assert all((v[[1, 5]] == 0).all() for v in found.values())
    nothing = changed(c, masks={"scored": np.zeros_like(scored)})
    assert all((v == 0).all() for v in nothing().values())


# -------------------------------------------------------------------------------------------------- wrong indices
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "column"), [("q_mdp", "state"), ("q_mdp", "next_state"), ("rlwm", "stimulus")])
def test_an_index_changed_behind_the_model_s_back_gives_nan_and_no_crash(name, column, mode):
    c = case(name, n_actions=4)
    weights = random_weights(c, mode)
    wanted = c(mode, weights, width=8)
    for wrong in (-1, 4, 10**12, -(2**63)):
        array = c.data.inputs[column].copy()
        array[-1, np.flatnonzero(c.data.masks["learned"][-1])[-1]] = wrong
        spoilt = changed(c, {column: array})
        for options in ({}, {"packed": False}, {"threads": 2}, {"threads": 2, "packed": False}):
            evaluator = spoilt.evaluator(mode, width=8, **options)
            for _ in range(2):
                assert all(np.isnan(v).all() for v in evaluator(c.params, weights).values())
    assert_same(c(mode, weights, width=8), wanted)


@pytest.mark.parametrize("packed", [True, False])
def test_twins_know_of_an_index_out_of_range(packed):
    c = case("q_mdp", n_actions=4)
    spoilt = changed(c, {"state": np.where(np.arange(24) == 3, 4, c.data.inputs["state"])})
    first = spoilt.evaluator(packed=packed)
    for evaluator in (first, first.twin(), first.twin().twin(), first):
        assert all(np.isnan(v).all() for v in evaluator(c.params).values())


# ---------------------------------------------------------------------------------------------------- many calls
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("mode", ["gradient", "terms", "arguments_pullback"])
def test_many_calls(mode, packed, threads):
    """Nothing is left of a call before, nor is what it returned changed, nor what it was given."""
    c = case("q_mdp")
    draws = [random_params(c.data.model, c.data.trials, seed=k) for k in range(4)]
    weights = [{k: v * (n + 1) for k, v in random_weights(c, mode).items()} for n in range(4)]
    wanted = [replace(c, params=p)(mode, w) for p, w in zip(draws, weights, strict=True)]
    evaluator = c.evaluator(mode, packed=packed, threads=threads)
    kept, given = [], [{k: v.copy() for k, v in (p | w).items()} for p, w in zip(draws, weights, strict=True)]
    for n in (0, 1, 2, 3, 2, 0, 0):
        kept.append((n, evaluator(draws[n], weights[n])))
    for n, found in kept:
        assert_same(found, wanted[n])
    for before, p, w in zip(given, draws, weights, strict=True):
        assert_same(p | w, before)


def test_a_nan_is_forgotten():
    c = case("hmm(delta)")
    evaluator = c.evaluator()
    wanted = evaluator(c.params)
    spoilt = evaluator({k: np.full_like(v, np.nan) for k, v in c.params.items()})
    assert np.isnan(spoilt[TOTAL]).all()
    assert_same(evaluator(c.params), wanted)


def test_parameters_in_any_layout():
    c = case("q_mdp")
    wanted, evaluator = c(), c.evaluator()
    assert_same(evaluator({k: np.asfortranarray(v) for k, v in c.params.items()}), wanted)
    assert_same(evaluator({k: np.repeat(v, 2, axis=0)[::2] for k, v in c.params.items()}), wanted)
    assert_same(evaluator({k: v.tolist() for k, v in c.params.items()}), wanted)
    with pytest.raises(KeyError):
        evaluator({})


@pytest.mark.parametrize("packed", [True, False])
def test_a_caller_may_run_the_functions_itself(packed):
    c = case("q_mdp")
    evaluator = c.evaluator(packed=packed)
    results = evaluator.hold()
    for params in (random_params(c.data.model, c.data.trials, seed=8), c.params):
        for name, held in evaluator.params.items():
            held[...] = params[name]
        for v in results.values():
            v[...] = 0.0
        for function in ("compute", "collect"):
            ctypes.CFUNCTYPE(None, ctypes.c_void_p)(evaluator.start(function))(evaluator.addresses[0])
        assert_same(results, replace(c, params=params)())


# --------------------------------------------------------------------------------------------------------- texts
def texts(name: str, modes: Sequence[str] = MODES, by_trial: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the printed kernels of a model traced anew."""
    model, facts = rl.get_model(name), Facts(n_actions=3, n_states=3, n_stimuli=3)
    active = tuple(p.name for p in model.parameters if not p.support.discrete)
    trace = Trace(Variant(model, facts, frozenset(), frozenset(by_trial)), 9)
    slopes = {mode: active if mode == "gradient" or "pullback" in mode else () for mode in modes}
    return {mode: lane_kernel(trace, mode, slopes[mode], 4).text for mode in modes}


def printed() -> str:
    names, modes = ("delta+stickiness+lapse", "rlwm", "hmm(delta)"), ("gradient", "arguments_pullback")
    found = [*(texts(name, modes) for name in names), texts("q_mdp", modes, ("q0", "beta"))]
    return sha256(repr(found).encode()).hexdigest()


def test_texts_do_not_depend_on_the_order_of_sets():
    """What was compiled is found again on disk by the text."""
    command = [sys.executable, "-c", "from tests.compiler.test_lanes import printed; print(printed())"]
    started = [
        subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    found = {process.communicate()[0].strip() for process in started}
    assert found == {printed()}


@pytest.mark.parametrize("name", ["delta+stickiness+lapse", "kalman", "two_step_hybrid", "hmm(delta)"])
def test_texts_do_not_depend_on_what_was_printed_before(name):
    first, second = texts(name), texts(name, MODES[::-1])
    for mode in MODES:
        assert sha256(first[mode].encode()).digest() == sha256(second[mode].encode()).digest(), mode


def test_texts_differ_by_what_they_compute():
    found = {*texts("delta").values(), *texts("delta", by_trial=("q0",)).values(), *texts("delta+lapse").values()}
    assert len(found) == 3 * len(MODES)


# -------------------------------------------------------------------------------------------------------- blocks
def segments(lengths: Sequence[int]) -> Segments:
    """Return segments of these lengths, four to a subject."""
    whole = [lengths[k : k + 4] for k in range(0, len(lengths), 4)]
    shape = len(whole), max(map(sum, whole)) + 2
    exists, reset = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for i, own in enumerate(whole):
        exists[i, : sum(own)] = True
        reset[i, np.cumsum([0, *own[:-1]])] = True
    return Segments.from_masks(exists, reset)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 17])
def test_blocks(n, width):
    lengths = np.random.default_rng(n).integers(1, 6, n).tolist()
    blocks = Blocks.of(segments(lengths), width)
    assert blocks.width == width
    assert blocks.count == -(-n // width)
    assert len(blocks.subject) == len(blocks.first) == len(blocks.end) == blocks.count * width
    assert {v.dtype for v in (*blocks.layout, blocks.offset)} == {np.dtype(np.int64)}
    found = blocks.end - blocks.first
    assert_array_equal(found[:n], sorted(lengths, reverse=True))
    assert (found[n:] == 0).all()  # spare lanes repeat the last segment, without trials
    assert (blocks.subject[n:] == blocks.subject[n - 1]).all()
    assert (blocks.first[n:] == blocks.first[n - 1]).all()
    order = np.argsort(-np.array(lengths), kind="stable")
    assert_array_equal(blocks.subject[:n], order // 4)
    assert_array_equal(blocks.first[:n], [sum(lengths[k - k % 4 : k]) for k in order])
    assert blocks.offset[0] == 0
    assert_array_equal(np.diff(blocks.offset), found.reshape(-1, width).max(axis=1))
    assert blocks.longest == max(lengths)


@pytest.mark.parametrize(
    ("lengths", "width"), [([5], 1), ([9] * 2, 2), ([9] * 4, 4), ([9] * 1000, 8), ([1000, 1, 1, 1], 1)]
)
def test_suitable_width(lengths, width):
    """As many lanes as cost least, by rows."""
    own = segments(lengths)
    assert suitable_width(np.array(lengths)) == width == Blocks.of(own).width
    cost = {w: COST[w] * Blocks.of(own, w).offset[-1] for w in COST}
    assert cost[width] == min(cost.values())


def test_an_evaluator_chooses_a_suitable_width():
    c = case("delta", n_subjects=17)
    lengths = np.sort(c.data.segments.exists.sum(axis=1))[::-1]
    assert c.evaluator().kernel.width == suitable_width(lengths)
    assert c.evaluator(width=2).kernel.width == 2
