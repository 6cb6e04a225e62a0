"""Steps with very many operations: no walk ends at Python's limit of calls, and what no loop can hold says so."""

import sys
import warnings
from math import log

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import rlpymc as rl
from rlpymc.compiler import symbols
from rlpymc.compiler.expressions import (
    SEGMENT,
    TRIAL,
    Graph,
    Node,
    Unsupported,
    ancestors,
    constant,
    make,
    pullback,
    raw,
)
from rlpymc.compiler.lanes import lane_kernel
from rlpymc.compiler.plan import factors
from rlpymc.compiler.symbols import LARGE, Symbol
from rlpymc.compiler.trace import MOST_OPERATIONS, Variant, trace
from rlpymc.compiler.vector import Code, ir
from rlpymc.compiler.writer import INLINE, Writer
from rlpymc.likelihood.backends import ScanWarning, find_trace
from rlpymc.math import add_at, full, take
from rlpymc.model import Facts, Input, real
from rlpymc.model.responses import Categorical, Normal
from rlpymc.trials.model_data import data_for
from rlpymc.validation.examples import random_trials
from tests.likelihood.test_loop import ACTION, REWARD, learner

DEEP = 20_000
PARAMS = {"alpha": 0.3, "q0": 0.1, "beta": 2.0}


@pytest.fixture
def usual_limit():
    """Python's own limit of calls within calls, which PyTensor raises when it is imported."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


deep = pytest.mark.usefixtures("usual_limit")


# ------------------------------------------------------------------------------------------------ many actions
def plain(trials, alpha, q0, beta):
    """Log probabilities of the delta rule, and each subject's gradient, carried along by hand."""
    data = data_for(rl.get_model("delta"), trials)
    terms, slopes = np.zeros(data.shape), {k: np.zeros(data.shape[0]) for k in PARAMS}
    for i, t in np.ndindex(data.shape):
        x, mask = ({k: v[i, t] for k, v in part.items()} for part in (data.inputs, data.masks))
        if t == 0 or mask["reset"]:
            q = np.full(data.facts.n_actions, q0)
            by_alpha, by_q0 = np.zeros_like(q), np.ones_like(q)
        a = x["action"]
        if mask["scored"]:
            weights = np.exp(np.where(x.get("available", True), beta * q, -np.inf))
            terms[i, t] = log(weights[a] / weights.sum())
            to_logits = -weights / weights.sum()
            to_logits[a] += 1
            for k, by in (("alpha", beta * by_alpha), ("q0", beta * by_q0), ("beta", q)):
                slopes[k][i] += to_logits @ by
        if mask["learned"]:
            error = x["reward"] - q[a]
            q[a] += alpha * error
            by_alpha[a] += error - alpha * by_alpha[a]
            by_q0[a] -= alpha * by_q0[a]
    return terms, slopes


def of_actions(n_actions):
    rng = np.random.default_rng(1)
    rows = {"subject": np.repeat([0, 1], 15), "action": rng.integers(n_actions, size=30), "reward": rng.random(30)}
    return rl.read_trials(pd.DataFrame(rows), facts={"n_actions": n_actions})


def assert_plain(trials):
    terms, slopes = rl.log_prob("delta", trials, PARAMS, gradient=True)
    wanted, wanted_slopes = plain(trials, **PARAMS)
    assert_allclose(terms, wanted, rtol=1e-12)
    for k in PARAMS:
        assert_allclose(slopes[k], wanted_slopes[k], rtol=1e-10, err_msg=k)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make_trials", [of_actions, lambda n: random_trials(rl.get_model("delta"), 3, 12, n)])
def test_more_functions_than_are_written_inline(make_trials):
    n_actions = 150
    assert n_actions > INLINE
    assert_plain(make_trials(n_actions))


def test_too_many_actions_for_a_loop_run_as_a_scan():
    trials = of_actions(1000)
    data = data_for(rl.get_model("delta"), trials)
    with pytest.warns(ScanWarning) as found:
        assert_plain(trials)
    message = str(*(w.message for w in found if w.category is ScanWarning))
    for part in ("delta runs as a scan", f"a loop may have {MOST_OPERATIONS}", "fewer actions", "backend='scan'"):
        assert part in message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_trace(data.model, data.facts, data.columns, backend="scan") is None


# ------------------------------------------------------------------------------------------------- deep steps
def state(k):
    return raw("state", value=("v", k))


def chain(n):
    """A sum of a parameter and n states, one after the other."""
    node = raw("parameter", value=("alpha", 0))
    for k in range(n):
        node = make("sub" if k % 2 else "add", node, state(k))
    return node


class Printed(Writer):
    """Writes expressions of variables."""

    def __init__(self):
        function = ir.Function(ir.Module("rlpymc"), ir.FunctionType(ir.VoidType(), []), "f")
        self.code, self.values = Code(function, 1), {}

    def known(self, n: Node):
        return self.values

    def leaf(self, n: Node):
        return self.code.variable() if n.op in ("parameter", "state") else None


@deep
def test_walks_through_a_deep_graph():
    with Graph().active():
        end = chain(DEEP)
        assert len(ancestors([end])) == 2 * DEEP + 1
        assert len(repr(end)) < 50
        found = {n.value: g.value for n, g in pullback([(end, constant(1.0))], lambda n: True, SEGMENT)}
        assert found == {("alpha", 0): 1.0} | {("v", k): -1.0 if k % 2 else 1.0 for k in range(DEEP)}
        written = Printed()
        written.value(end)
    lines = str(written.code.function).splitlines()
    signs = [sign for line in lines for sign in ("fadd", "fsub") if f"= {sign} " in line]
    assert signs == ["fadd", "fsub"] * (DEEP // 2)


@deep
def test_a_deep_log_probability():
    with Graph().active():
        term, total = constant(0.0), constant(1.0)
        for k in range(DEEP):
            term = make("sub" if k % 3 else "add", term, make("log", state(k)))
            total = make("add", total, make("exp", state(k)))
        rest, up, down = factors(make("neg", term))
        places = [[n.value[1] for n in nodes] for nodes in (up, down)]
        assert rest.value == 0
        assert places == [[k for k in range(DEEP) if k % 3], [k for k in range(DEEP) if k % 3 == 0]]
        slopes = pullback([(make("log", total), constant(1.0))], lambda n: n.stage == TRIAL, SEGMENT)
        assert len(slopes) == DEEP
        assert not [n for n in ancestors(g for _, g in slopes) if n.op == "where"]  # a sum known not to be 0


@deep
def test_a_table_all_of_whose_entries_change_in_a_deep_way():
    def changed(node):
        for k in range(DEEP // 10):
            node = make("add", make("mul", node, raw("parameter", value=("alpha", 0))), constant(float(k)))
        return node

    with Graph().active():
        table, at = raw("table", value="q"), raw("input", value=("action", 0, LARGE), kind="i")
        nodes = np.array([changed(raw("read", table, constant(k))) for k in range(LARGE)], dtype=object)
        assert symbols.take(Symbol(nodes), (Symbol(at),)).node() is changed(raw("read", table, at))


# ---------------------------------------------------------------------------------------------- models of them
def policy(p, s, x):
    return Normal(s.v, 1.0)


def long_model(n):
    """One value, to which an update does 2 n things in a row."""

    def update(p, s, x):
        v = s.v
        for k in range(n):
            v = p.alpha * v + x.outcome / (k + 1)
        return {"v": v}

    inputs = (Input("prediction", real, response=True), Input("outcome", real, after="prediction"))
    return learner(lambda p, facts: {"v": p.size}, update, policy, inputs=inputs)


@deep
def test_a_step_with_a_long_chain_is_a_loop():
    n, params = 500, {"alpha": 0.9, "size": 0.2}
    rng = np.random.default_rng(2)
    rows = {"subject": 0, "prediction": rng.normal(size=6), "outcome": rng.normal(size=6)}
    value, slopes = rl.log_prob(long_model(n), rl.read_trials(pd.DataFrame(rows)), params, gradient=True)
    (alpha, v), by_alpha, by_size, wanted = params.values(), 0.0, 1.0, []
    for prediction, outcome in zip(rows["prediction"], rows["outcome"], strict=True):
        error = prediction - v
        wanted.append((-0.5 * error**2 - 0.5 * log(2 * np.pi), error * by_alpha, error * by_size))
        for k in range(n):
            v, by_alpha, by_size = alpha * v + outcome / (k + 1), v + alpha * by_alpha, alpha * by_size
    found = [value.sum(), slopes["alpha"].sum(), slopes["size"].sum()]
    assert_allclose(found, np.sum(wanted, axis=0), rtol=1e-10)


@deep
def test_a_step_that_is_too_long_says_by_how_much():
    facts = Facts()
    step = trace(Variant(long_model(MOST_OPERATIONS // 4), facts))
    model = long_model(MOST_OPERATIONS)
    assert len(step.fingerprint) == 64
    assert MOST_OPERATIONS // 2 < step.operations < MOST_OPERATIONS
    with pytest.raises(Unsupported, match=rf"has \d{{5}} operations, and .* {MOST_OPERATIONS}"):
        trace(Variant(model, facts))


@deep
def test_reads_at_what_was_read():
    def update(p, s, x):
        at = x.action
        for _ in range(400):
            at = take(s.q, at)
        return {"q": add_at(s.q, x.action, p.alpha * (x.reward - at))}

    model = learner(
        lambda p, facts: {"q": full(facts.n_actions, p.size)},
        update,
        lambda p, s, x: Categorical(logits=s.q),
        inputs=(ACTION, REWARD),
    )
    step = trace(Variant(model, Facts(n_actions=LARGE)))
    assert step.tables == {"q"}
    assert [n.stage for n in step.updates["learned"].nodes] == [TRIAL] * 2
    assert '@"compute"' in lane_kernel(step, "gradient", ("alpha", "size"), 1).text
