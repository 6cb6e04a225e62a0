"""A trace compares by content: what was compiled for a model serves another that does the same."""

from pathlib import Path
from runpy import run_path

import pytest

import rlpymc as rl
import rlpymc.models
from rlpymc.compiler.lanes import lane_kernel
from rlpymc.compiler.trace import Trace
from rlpymc.likelihood.backends import find_trace
from rlpymc.math import put, take, zeros
from rlpymc.model.responses import Categorical
from rlpymc.trials.model_data import data_for
from rlpymc.validation.examples import random_trials
from tests.likelihood.test_loop import ACTION, REWARD, learner
from tests.test_every_model import NAMES

FOLDER = Path(rlpymc.models.__file__).parent


def traced(model, **facts) -> Trace:
    data = data_for(model, random_trials(model, **facts))
    return find_trace(model, data.facts, data.columns)


@pytest.mark.parametrize("name", ["bandit/delta", "working_memory/rlwm", "two_step/two_step_hybrid"])
def test_a_model_made_anew_finds_what_was_compiled(name):
    first, second = (traced(run_path(str(FOLDER / f"{name}.py"))[name.split("/")[1]]) for _ in range(2))
    assert first.variant.model is not second.variant.model
    assert first == second
    assert hash(first) == hash(second)
    assert lane_kernel(first, "terms", (), 4) is lane_kernel(second, "terms", (), 4)


def test_another_number_in_a_step_is_another_trace():
    def update(by):
        return lambda p, s, x: {"q": put(s.q, x.action, take(s.q, x.action) + by * p.alpha * x.reward)}

    def start(p, facts):
        return {"q": zeros(facts.n_actions)}

    def policy(p, s, x):
        return Categorical(logits=s.q)

    first, second, again = (
        traced(learner(start, update(by), policy, inputs=(ACTION, REWARD))) for by in (1.0, 1.5, 1.0)
    )
    assert first == again
    assert first != second
    assert lane_kernel(first, "terms", (), 4).text != lane_kernel(second, "terms", (), 4).text


def test_facts_tell_traces_apart():
    model = rl.get_model("delta")
    assert traced(model, n_actions=2) != traced(model, n_actions=3)


def test_no_two_models_have_one_trace():
    found = [traced(rl.get_model(name)).fingerprint for name in NAMES]
    assert len(set(found)) == len(NAMES)
