"""The compiled loop: the scan's numbers, one call for value and gradient, no read outside memory, clear refusals."""

import warnings

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from pytensor.gradient import NullTypeGradError

import rlpymc as rl
from rlpymc.compiler import signature
from rlpymc.compiler.expressions import Graph, constant, is_constant, make, pullback, raw
from rlpymc.likelihood.backends import ScanWarning, find_trace, likelihood_of
from rlpymc.likelihood.blocks import Blocks
from rlpymc.likelihood.loop_op import LoopOp
from rlpymc.likelihood.modes import QUICK
from rlpymc.math import add_at, concatenate, full, log, maximum, put, softmax, sqrt, stack, take, where, zeros
from rlpymc.model import Input, Model, Parameter, index, real, unit
from rlpymc.model.priors import Beta, Normal
from rlpymc.model.responses import Categorical
from rlpymc.trials.model_data import data_for
from rlpymc.validation import checks
from rlpymc.validation.examples import random_params, random_trials
from tests.oracle import printer
from tests.oracle import scalar_kernel as kernel

ACTION = Input("action", index("n_actions"), response=True)
STIMULUS = Input("stimulus", index("n_stimuli"))
REWARD = Input("reward", real, after="action")
ALPHA = Parameter("alpha", unit, prior=Beta(1.1, 1.1), plausible=0.3, meaning="learning rate", citation="none")
SIZE = Parameter("size", real, prior=Normal(0, 1), plausible=0.5, meaning="size", citation="none")


def learner(start, update, policy, inputs=(STIMULUS, ACTION, REWARD), **options):
    """A model for one purpose."""
    return Model(
        name="odd",
        family="test",
        summary="odd",
        reference="none",
        equation="none",
        inputs=inputs,
        parameters=(ALPHA, SIZE),
        start=start,
        update=update,
        policy=policy,
        **options,
    )


def table_start(p, facts):
    return {"q": full((facts.n_stimuli, facts.n_actions), p.size), "other": zeros((facts.n_stimuli, facts.n_actions))}


def table_policy(p, s, x):
    return Categorical(logits=take(s.q, x.stimulus) + take(s.other, x.stimulus))


def write_twice(p, s, x):
    """Two writes, the second with what the first one wrote."""
    once = add_at(s.q, (x.stimulus, x.action), p.alpha * (x.reward - take(s.q, (x.stimulus, x.action))))
    twice = add_at(once, (x.stimulus, 0), 0.1 * take(once, (x.stimulus, x.action)))
    return {"q": put(twice, (0, x.action), take(once, (x.stimulus, 0))), "other": s.q}


def decay_all(p, s, x):
    """The whole table fades, one entry of what is left changes, under a condition."""
    faded = (1 - p.alpha) * s.q + p.alpha * s.other
    changed = put(faded, (x.stimulus, x.action), x.reward + take(faded, (x.stimulus, x.action)))
    return {"q": changed, "other": where(x.reward > 0, s.other, put(s.other, (x.stimulus, x.action), p.size))}


def whole_row(p, s, x):
    """A row is replaced, and another table is read at a position that is not an input."""
    row = softmax(take(s.q, x.stimulus))
    return {"q": put(s.q, x.stimulus, row), "other": add_at(s.other, (x.stimulus, x.action), sqrt(p.alpha))}


def swap(p, s, x):
    """Each table becomes a function of the other."""
    return {"q": s.other + p.alpha * x.reward, "other": put(s.q, (x.stimulus, x.action), x.reward)}


ODD = {f.__name__: learner(table_start, f, table_policy) for f in (write_twice, decay_all, whole_row, swap)}


@pytest.mark.parametrize("name", ODD)
def test_tables_agree_with_the_scan(name):
    """States of 9 entries or more are read and written in memory."""
    model = ODD[name]
    trials = random_trials(model, n_actions=3)
    trace = find_trace(model, data_for(model, trials).facts, ["stimulus", "action", "reward"])
    assert trace.tables == {"q", "other"}
    checks.check_backends(model)
    checks.check_gradient(model)
    checks.check_masks(model)


def test_a_table_that_a_choice_rule_changes_and_the_learner_reads_is_unrolled():
    def remember(p, s, x):
        return {"other": add_at(s.other, (x.stimulus, x.action), p.alpha)}

    def update(p, s, x):
        return {"q": add_at(s.q, (x.stimulus, x.action), take(s.other, (x.stimulus, x.action)) + p.size)}

    model = learner(table_start, update, table_policy, remember=remember)
    trace = find_trace(model, rl.model.Facts(n_stimuli=3, n_actions=3), ["stimulus", "action", "reward"])
    assert not trace.tables
    checks.check_backends(model)


def test_what_remembers_sees_the_state_before_the_learner_changed_it():
    def start(p, facts):
        return {"q": full(facts.n_actions, p.size), "trace": zeros(facts.n_actions)}

    def update(p, s, x):
        return {"q": add_at(s.q, x.action, p.alpha * (x.reward - take(s.q, x.action)) + 0.1 * take(s.trace, x.action))}

    def remember(p, s, x):
        return {"trace": put(s.trace, x.action, take(s.q, x.action))}

    def policy(p, s, x):
        return Categorical(logits=s.q + s.trace)

    model = learner(start, update, policy, inputs=(ACTION, REWARD), remember=remember)
    checks.check_backends(model)
    checks.check_gradient(model)


# ------------------------------------------------------------------------------ positions that are not inputs
def test_a_position_outside_of_a_table_reads_zero_and_writes_nothing():
    """A stimulus kept in a state is -1 before the first trial: the loop must not read there, and must agree."""

    def start(p, facts):
        return {"q": full((facts.n_stimuli, facts.n_actions), p.size), "before": full(1, -1.0)}

    def policy(p, s, x):
        return Categorical(logits=take(s.q, take(s.before, 0)) + take(s.q, x.stimulus))

    def update(p, s, x):
        changed = put(s.q, (take(s.before, 0), x.action), x.reward)
        return {"q": changed, "before": stack([x.stimulus * 1.0])}

    model = learner(start, update, policy)
    trace = find_trace(model, rl.model.Facts(n_stimuli=4, n_actions=3), ["stimulus", "action", "reward"])
    assert trace.tables == {"q"}
    trials = random_trials(model, n_actions=4)
    params = random_params(model, trials)
    (value, found), (wanted, expected) = (
        rl.log_prob(model, trials, params, backend=backend, gradient=True) for backend in ("fused", "scan")
    )
    assert_allclose(value, wanted, atol=1e-12)
    for name in found:
        assert_allclose(found[name], expected[name], atol=1e-10)


def test_an_index_that_was_changed_behind_the_model_s_back_gives_nan_and_no_crash():
    model = rl.get_model("q_mdp")
    trials = random_trials(model, n_actions=4)
    params, data = random_params(model, trials), data_for(model, trials)
    for wrong in (-1, 4, 10**12):
        broken = {**data.inputs, "state": np.where(np.arange(data.shape[1]) == 3, wrong, data.inputs["state"])}
        spoilt = type(data)(model, trials, data.facts, broken, data.masks)
        likelihood = likelihood_of(spoilt)
        assert np.isnan(likelihood.total(params)).all()
        assert np.isnan(likelihood.terms(params)).all()
        said = likelihood.evaluator("value").wrong_index
        assert said == f"column 'state', subject 0, trial 3: found {wrong}, expected an index from 0 to 3"


def test_a_step_with_an_index_out_of_range_is_refused():
    model = rl.get_model("q_mdp")
    data = data_for(model, random_trials(model, 2, n_actions=3))
    params = random_params(model, data.trials)
    learners, yes = likelihood_of(data).stepper(params), np.ones(2, dtype=bool)
    learners.begin(0, yes)
    n = data.facts.n_states
    x = {"state": np.array([0, n]), "action": np.zeros(2, int), "next_state": np.zeros(2, int), "reward": np.ones(2)}
    with pytest.raises(IndexError, match=f"column 'state', subject 1, trial 0: found {n}, expected an index from 0 to"):
        learners.update(x, yes, yes)


def test_an_index_out_of_range_is_refused_before_anything_runs():
    model = rl.get_model("q_mdp")
    trials = random_trials(model, n_actions=3)
    trials["next_state"].values[1, 2] = 3
    trials["learned"].values[1, 2] = True
    with pytest.raises(
        ValueError, match=r"column 'next_state': subject 1, trial 2: found 3, expected an integer from 0"
    ):
        rl.log_prob(model, trials, random_params(model, random_trials(model)))


@pytest.mark.parametrize(("name", "fact"), [("q_mdp", "n_states"), ("rlwm", "n_stimuli")])
@pytest.mark.parametrize("backend", ["fused", "scan"])
def test_a_state_larger_than_memory_is_refused(name, fact, backend):
    model = rl.get_model(name)
    trials = random_trials(model, n_actions=3)
    params = {p.name: p.plausible for p in model.parameters if p.value is None}
    trials.attrs["facts"] = {**rl.facts(trials), fact: 10**10}
    with pytest.raises(ValueError, match=r"\(10000000000, 3\).*would not fit into memory.*facts"):
        rl.log_prob(model, trials, params, backend=backend)


# ------------------------------------------------------------------------------------------- what is refused
def failing(policy):
    return learner(table_start, write_twice, policy)


def with_pytensor(p, s, x):
    return Categorical(logits=pt.gammaln(take(s.q, x.stimulus) ** 2 + 1))


def with_index(p, s, x):
    return Categorical(logits=s.q[x.stimulus])


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        (with_pytensor, ["with_pytensor", "pt.gammaln"]),
        (with_index, ["use take", "with_index", "s.q[x.stimulus]"]),
    ],
)
def test_a_model_that_cannot_be_compiled_says_which_operation_stood_in_the_way(policy, parts):
    model = failing(policy)
    facts = rl.model.Facts(n_stimuli=3, n_actions=3)
    with pytest.warns(ScanWarning) as found:
        assert find_trace(model, facts, ["stimulus", "action", "reward"]) is None
    for part in ["odd runs as a scan", *parts]:
        assert part in str(found[0].message)


def test_a_model_that_cannot_be_compiled_runs_as_a_scan():
    model = failing(with_pytensor)
    trials = random_trials(model)
    params = random_params(model, trials)
    with pytest.warns(ScanWarning):
        value, slopes = rl.log_prob(model, trials, params, gradient=True)
    wanted, wanted_slopes = rl.log_prob(model, trials, params, gradient=True, backend="scan")
    assert_array_equal(value, wanted)
    assert_array_equal(slopes["alpha"], wanted_slopes["alpha"])
    with pytest.warns(ScanWarning):
        built = rl.build(model, trials)
    assert built.spec.backend == "scan"


def test_no_warning_where_the_scan_was_asked_for():
    model = failing(with_pytensor)
    trials = random_trials(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rl.log_prob(model, trials, random_params(model, trials), backend="scan")


def test_second_derivatives_are_refused():
    model, trials = rl.get_model("delta"), random_trials(rl.get_model("delta"))
    with pm.Model() as built:
        alpha, beta = pm.Uniform("alpha"), pm.HalfNormal("beta")
        model.potential("choice", trials, alpha=alpha, beta=beta)
    with pytest.raises(NullTypeGradError, match=r"second derivatives.*backend='scan'"):
        built.compile_d2logp(mode=QUICK)


def small_start(p, facts):
    return {"q": full(facts.n_actions, p.size), "seen": zeros(2)}


def follow(p, s, x):
    return {"q": add_at(s.q, x.action, p.alpha * (x.reward - take(s.q, x.action)))}


def choose(p, s, x):
    return Categorical(logits=s.q)


def branching(p, s, x):
    return {"q": add_at(s.q, x.action, p.alpha if x.action == 1 else p.size)}


def too_small(p, s, x):
    return {**follow(p, s, x), "seen": add_at(s.seen, x.stimulus, 1.0)}


def at_a_number(p, s, x):
    return {"q": add_at(s.q, x.reward, p.alpha)}


def beyond(p, s, x):
    return {"q": put(s.q, 3, p.alpha)}


def assigning(p, s, x):
    s.q = add_at(s.q, x.action, p.alpha)
    return {"q": s.q}


def of_future(p, s, x):
    return Categorical(logits=s.q * x.reward)


@pytest.mark.parametrize("backend", ["fused", "scan"])
@pytest.mark.parametrize(
    ("update", "policy", "parts"),
    [
        (branching, choose, ["branches", "in branching: return", "if x.action == 1"]),
        (too_small, choose, ["'stimulus', which counts to 3, of 2", "in too_small"]),
        (at_a_number, choose, ["'reward', which is no index"]),
        (beyond, choose, ["entry 3 of 3"]),
        (assigning, choose, ["'q' cannot be assigned to", "return the new state"]),
        (follow, of_future, ["there is no 'reward' here", "in of_future"]),
    ],
)
def test_a_step_that_would_give_wrong_numbers_is_an_error_with_its_line(update, policy, parts, backend):
    model = learner(small_start, update, policy)
    trials = random_trials(model, n_actions=3)
    with pytest.raises((ValueError, AttributeError)) as found:
        rl.log_prob(model, trials, {"alpha": 0.3, "size": 0.1}, backend=backend)
    for part in parts:
        assert part in str(found.value)


def test_values_of_a_wrong_length_are_an_error():
    model = rl.get_model("delta").changed(values=lambda p, s, x: take(s.q, 0), options={})
    with pytest.raises(ValueError, match=r"values returns shape \(\), expected one value for each action, \(3,\)"):
        rl.log_prob(model, random_trials(model), {"alpha": 0.3, "beta": 1.0})


@pytest.mark.parametrize(
    "rate",
    [
        lambda p, s, x: where(take(s.q, x.action) > 0, p.alpha / take(s.q, x.action), p.size),
        lambda p, s, x: where(take(s.q, x.action) > 0, take(s.q, x.action) ** p.alpha, p.size),
        lambda p, s, x: where(take(s.q, x.action) > 0, sqrt(take(s.q, x.action)), p.alpha * p.size),
        lambda p, s, x: where(take(s.q, x.action) > 0, log(take(s.q, x.action)), p.alpha * p.size),
    ],
    ids=["division", "power", "square root", "logarithm"],
)
def test_no_gradient_comes_from_the_branch_not_taken(rate):
    """Where a value is 0 or negative, what stands in the other branch has no finite derivative."""

    def start(p, facts):
        return {"q": zeros(facts.n_actions)}

    def update(p, s, x):
        return {"q": put(s.q, x.action, where(x.reward > 0, 0.5, -0.5) * rate(p, s, x))}

    model = learner(start, update, choose)
    trials = random_trials(model, n_actions=3)
    params = random_params(model, trials)
    (_, found), (_, expected) = (
        rl.log_prob(model, trials, params, backend=b, gradient=True) for b in ("fused", "scan")
    )
    for name in found:
        assert np.isfinite(found[name]).all()
        assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-12)


def test_arithmetic_on_true_and_false_is_left_to_the_scan():
    def update(p, s, x):
        return {"q": add_at(s.q, x.action, p.alpha * ((x.reward > 0) + (x.action > 0)))}

    model = learner(small_start, update, choose)
    trials = random_trials(model, n_actions=3)
    with pytest.warns(ScanWarning, match="true or false"):
        rl.log_prob(model, trials, random_params(model, trials))


def test_two_likelihoods_of_single_choices_in_one_model():
    model = rl.get_model("delta")
    long, short = random_trials(model, n_subjects=4, n_actions=2), random_trials(model, n_subjects=3, n_actions=2)
    with pm.Model() as built:
        alpha = pm.Beta("alpha", 1, 1)
        model.categorical("first", long, alpha=alpha, beta=3.0)
        model.categorical("second", short, alpha=alpha, beta=3.0)
    assert built.named_vars_to_dims["second"] == ("obs_second",)
    n = [int(t["scored"].sum()) for t in (long, short)]
    assert [len(built.coords[d]) for d in ("obs", "obs_second")] == n


# ------------------------------------------------------------------------------------- calls of the kernel
def kernels(function):
    return [node.op.mode for node in function.maker.fgraph.apply_nodes if isinstance(node.op, LoopOp)]


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("distribution", ["gradient"]),
        ("potential", ["gradient"]),
        ("categorical", ["arguments", "arguments_pullback"]),
        ("bernoulli", ["arguments", "arguments_pullback"]),
    ],
)
def test_calls_of_the_kernel_for_value_and_gradient(form, wanted):
    model, trials = rl.get_model("delta"), random_trials(rl.get_model("delta"), n_actions=2)
    with pm.Model() as built:
        alpha, beta = pm.Uniform("alpha", shape=4), pm.HalfNormal("beta", shape=4)
        getattr(model, form)("choice", trials, alpha=alpha, beta=beta)
    both = built.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
    assert sorted(kernels(both._pytensor_function)) == wanted
    value_only = built.compile_logp(mode="NUMBA")
    assert kernels(value_only.f) == ["arguments" if len(wanted) == 2 else "value"]


def test_derivatives_of_constants_are_not_computed():
    model, trials = rl.get_model("delta"), random_trials(rl.get_model("delta"), n_actions=2)
    with pm.Model() as built:
        model.potential("choice", trials, alpha=pm.Uniform("alpha"), beta=2.0)
    both = built.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")._pytensor_function
    (op,) = [node.op for node in both.maker.fgraph.apply_nodes if isinstance(node.op, LoopOp)]
    assert op.active == ("alpha",)


def test_a_shared_parameter_and_one_by_trial_in_one_model():
    model, trials = rl.get_model("delta"), random_trials(rl.get_model("delta"), n_actions=2)
    n, t = trials.sizes["subject"], trials.sizes["trial"]
    point = {"alpha": np.linspace(0.1, 0.9, n * t).reshape(n, t), "beta": np.array(2.0), "q0": np.linspace(-1, 1, n)}
    found = {}
    for backend in ("fused", "scan"):
        with pm.Model() as built:
            values = {k: pm.Flat(k, shape=v.shape) for k, v in point.items()}
            model.distribution("choice", trials, backend=backend, **values)
        found[backend] = [built.compile_logp(mode=QUICK)(point), built.compile_dlogp(mode=QUICK)(point)]
    assert_allclose(found["fused"][0], found["scan"][0], rtol=1e-12)
    assert_allclose(found["fused"][1], found["scan"][1], rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------------------------------ numbers
@pytest.mark.slow
@pytest.mark.parametrize("name", ["delta", "delta+lapse", "q_mdp", "kalman"])
def test_a_hundred_thousand_trials_with_large_numbers(name):
    model = rl.get_model(name)
    trials = random_trials(model, n_subjects=2, n_trials=50_000, n_actions=2)
    trials["reward"].values[:] *= 4e3
    params = {**random_params(model, trials), "beta": np.array([1e3, 1e-3])}
    value, slopes = rl.log_prob(model, trials, params, gradient=True)
    wanted, wanted_slopes = rl.log_prob(model, trials, params, gradient=True, backend="scan", mode="JAX")
    total = np.abs(wanted.values).sum(axis=1)
    assert (np.abs(value.values - wanted.values) <= 1e-9 * (1 + total[:, None])).all()
    for key in slopes:
        scale = 1 + total.reshape((-1,) + (1,) * (slopes[key].ndim - 1)) + np.abs(wanted_slopes[key].values)
        assert (np.abs(slopes[key].values - wanted_slopes[key].values) <= 1e-9 * scale).all()


def test_an_impossible_choice_is_minus_infinity_with_a_finite_gradient():
    model = rl.get_model("delta+epsilon_greedy")
    trials = random_trials(model, n_actions=2)
    params = {**random_params(model, trials), "epsilon": np.zeros(4)}
    value, slopes = rl.log_prob(model, trials, params, gradient=True)
    assert np.isneginf(value.values).any()
    assert not np.isnan(value.values).any()
    assert all(np.isfinite(slopes[name].values).all() for name in slopes)
    assert np.isneginf(fused_value(model, trials, params)).all()


def fused_value(model, trials, params):
    data = data_for(model, trials)
    return likelihood_of(data).total(params)


@pytest.mark.parametrize("epsilon", [1e-200, 1e-30, 0.5])
def test_the_product_of_probabilities_neither_underflows_nor_overflows(epsilon):
    """Ten thousand factors of 1e-200 are far below the smallest number there is."""
    n = 10_000
    action, trial = np.ones((1, n), dtype=int), np.arange(n)
    yes = np.ones((1, n), dtype=bool)
    masks = dict.fromkeys(("exists", "scored", "learned"), (("subject", "trial"), yes))
    trials = xr.Dataset(
        {"action": (("subject", "trial"), action), **masks, "reset": (("subject", "trial"), yes & (trial == 0))},
        coords={"subject": [0], "trial": trial},
        attrs={"facts": {"n_actions": 2}},
    )
    bias = np.log(epsilon)
    wanted = n * (bias - np.log1p(epsilon))
    assert_allclose(
        fused_value(rl.get_model("biased_random"), trials, {"bias": np.array([[bias]])}), wanted, rtol=1e-12
    )


def test_ties_share_one_gradient():
    """At the start all values of a state are equal: their maximum passes on its derivative once."""
    model = rl.get_model("q_mdp(terminal=bootstraps)")
    trials = random_trials(model, n_actions=3)
    params = random_params(model, trials) | {"q0": np.zeros((4, 3, 3))}
    found, expected = (
        rl.log_prob(model, trials, params, gradient=True, backend=backend)[1]["q0"] for backend in ("fused", "scan")
    )
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_sources_do_not_depend_on_what_was_traced_before():
    """Names and orders in a kernel come from the model alone, so that compiled code can be found again."""
    from rlpymc.compiler.trace import Trace, Variant

    model, facts = rl.get_model("delta+stickiness+lapse"), rl.model.Facts(n_actions=3)
    first = kernel.source(Trace(Variant(model, facts), 9), "gradient", ("alpha", "beta"))
    Trace(Variant(rl.get_model("rlwm"), rl.model.Facts(n_actions=3, n_stimuli=6)), 9)
    assert kernel.source(Trace(Variant(model, facts), 9), "gradient", ("alpha", "beta")) == first


# ---------------------------------------------------------------------------------------------- expressions
def leaf(name):
    return raw("parameter", value=(name, 0))


def test_expressions_are_shared_and_simplified():
    with Graph().active():
        a, b = leaf("a"), leaf("b")
        assert make("add", a, b) is make("add", b, a)
        assert make("mul", a, constant(1.0)) is a
        assert is_constant(make("mul", a, constant(0.0)), 0.0)
        assert make("sub", a, make("neg", b)) is make("add", a, b)
        assert make("where", constant(True), a, b) is a
        assert make("neg", make("neg", a)) is a
        assert is_constant(make("add", constant(2), constant(3)), 5)
        assert constant(True) is not constant(1)
        assert constant(1) is not constant(1.0)


UNARY = ("neg", "abs", "exp", "log", "log1p", "expm1", "sqrt", "tanh", "sigmoid", "erf")
BINARY = ("add", "sub", "mul", "div", "pow", "max")


@pytest.mark.parametrize("op", [*UNARY, *BINARY])
def test_derivatives_of_operations(op):
    """Compiled derivatives of every operation against central differences."""
    from numba import njit

    with Graph().active():
        a, b = leaf("a"), leaf("b")
        node = make(op, a, b) if op in BINARY else make(op, a)
        one = raw("adjoint", value="1.0")
        slopes = dict(pullback([(node, one)], lambda n: True, 0))
    text = {a: "a", b: "b"}

    def write(n):
        if n.op == "constant":
            return repr(n.value)
        if n.op == "adjoint":
            return n.value
        if n in text:
            return text[n]
        parts = [write(k) for k in n.arguments]
        return printer.INFIX[n.op].format(*parts) if n.op in printer.INFIX else f"{n.op}({parts[0]})"

    space = {}
    head = "from math import exp, log, log1p, expm1, sqrt, tanh, erf\n"
    exec(f"{head}def value(a, b):\n    return {write(node)}\n", space)
    exec(
        f"{head}def slope(a, b):\n    return ({write(slopes[a])}, {write(slopes[b]) if b in slopes else '0.0'})\n",
        space,
    )
    value, slope = njit(space["value"]), njit(space["slope"])
    h = 1e-6
    for x, y in ((0.3, 1.7), (2.5, 0.4), (0.9, 0.8)):
        wanted = [(value(x + h, y) - value(x - h, y)) / (2 * h), (value(x, y + h) - value(x, y - h)) / (2 * h)]
        assert_allclose(slope(x, y), wanted, rtol=1e-7, atol=1e-9)


def test_every_kernel_runs_without_the_compiler_s_warnings_on_a_model_without_states():
    model = rl.get_model("biased_random")
    trials = random_trials(model)
    params, data = random_params(model, trials), data_for(model, trials)
    likelihood = likelihood_of(data)
    assert not likelihood.trace.start
    for mode in ("value", "terms", "arguments", "latents"):
        likelihood.evaluator(mode)(params)
    assert_allclose(likelihood.gradient(params, ["bias"])[0], fused_value(model, trials, params))


def test_concatenated_and_maximal_values_of_large_arrays():
    def policy(p, s, x):
        row = take(s.q, x.stimulus)
        return Categorical(logits=concatenate([maximum(row, 0.0)[:1], row[1:]]))

    model = learner(table_start, decay_all, policy)
    checks.check_backends(model)


def test_kernel_in_a_function_of_one_s_own():
    """The operation works outside of PyMC, and refuses what it does not know."""
    model, trials = rl.get_model("delta"), random_trials(rl.get_model("delta"))
    data = data_for(model, trials)
    trace = find_trace(model, data.facts, data.columns)
    names = signature.arguments(trace, "terms")
    params = random_params(model, trials)
    inputs = [pt.as_tensor(params[p.name]) for p in model.parameters]
    columns = [data.inputs[k] for k in data.columns] + [data.masks[mask.of] for mask in signature.MASKS]
    blocks = Blocks.of(data.segments)
    op = LoopOp(trace, "terms", ("alpha",), blocks.width)
    assert len(names) == len(inputs) + len(columns) + 3
    alpha = pt.vector("alpha")
    terms = op(alpha, *inputs[1:], *columns, *blocks.layout)
    weight = np.random.default_rng(0).normal(size=data.shape)
    slope = pytensor.function([alpha], pt.grad((terms * weight).sum(), alpha), mode=QUICK)(params["alpha"])
    by_trial = [
        rl.log_prob(model, trials, params | {"alpha": params["alpha"] + sign * 1e-6}).values for sign in (1, -1)
    ]
    wanted = ((by_trial[0] - by_trial[1]) / 2e-6 * weight).sum(axis=1)
    assert_allclose(slope, wanted, rtol=1e-5, atol=1e-7)


def test_threads_change_nothing():
    trials = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": 0.3, "beta": 3.0}, 40, 20, seed=1)
    params = {"alpha": np.linspace(0.1, 0.9, 40), "beta": 2.0}
    one, slopes = rl.log_prob("delta", trials, params, gradient=True)
    two, same_slopes = rl.log_prob("delta", trials, params, gradient=True, threads=2)
    xr.testing.assert_allclose(one, two, rtol=1e-12)
    for name in slopes:
        xr.testing.assert_allclose(slopes[name], same_slopes[name], rtol=1e-12)
