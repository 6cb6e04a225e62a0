"""Each promise is broken by a toy model that its check must catch."""

import numpy as np
import pytest

import rlpymc as rl
from rlpymc.math import add_at, stop_gradient, take, where
from rlpymc.model import Parameter, unit
from rlpymc.model.priors import Beta
from rlpymc.model.responses import Categorical
from rlpymc.validation import checks
from rlpymc.validation import examples as material
from tests.reference import delta as reference

delta = rl.get_model("delta")


def broken(**changes):
    return delta.changed(name="broken", special_cases={}, **changes)


def fails(check, model, message, **options):
    with pytest.raises(AssertionError, match=message):
        check(model, **options)


def test_card():
    fails(checks.check_card, broken(reference=" "), "no reference")
    alpha = Parameter("alpha", unit, prior=Beta(1, 1), plausible=0.3, citation="here")
    fails(checks.check_card, broken(parameters=(alpha, delta.parameter("q0"))), "alpha has no meaning")


def test_probabilities():
    def leaky(p, s, x):
        return Categorical(probs=0.9 * Categorical(logits=p.beta * s.q).probs)

    beta = delta.parameter("beta")
    model = broken(policy=leaky, values=None, parameters=(*delta.declared["parameters"], beta))
    fails(checks.check_probabilities, model, "do not sum to one")


def test_reference():
    def too_much(p, s, x):
        return {"q": add_at(s.q, x.action, 1.000001 * p.alpha * (x.reward - take(s.q, x.action)))}

    fails(checks.check_reference, broken(update=too_much), "differs from the reference", reference=reference.log_prob)


def test_reference_off_by_one_trial():
    def late(p, s, x):
        return {"q": add_at(s.q, x.action, p.alpha * (x.reward - take(s.q, x.action)))}

    def before(params, data, n_actions):
        return np.roll(reference.log_prob(params, data, n_actions), 1)

    fails(checks.check_reference, broken(update=late), "differs from the reference", reference=before)


def test_gradient():
    def hidden(p, s, x):
        return {"q": add_at(s.q, x.action, stop_gradient(p.alpha) * (x.reward - take(s.q, x.action)))}

    fails(checks.check_gradient, broken(update=hidden), "the gradient of alpha")


def test_gradient_at_bounds():
    def steep(p, s, x):
        return {"q": add_at(s.q, x.action, p.alpha**0.5 * (x.reward - take(s.q, x.action)))}

    fails(checks.check_gradient, broken(update=steep), "not finite at alpha = 0")


def test_peeking(monkeypatch):
    monkeypatch.setattr(rl.Model, "_before", lambda self, response, x: x)  # else a policy is not shown the outcome

    def knowing(p, s, x):
        return Categorical(logits=where(x.reward > 0, p.beta, 0.0) * s.q)

    model = broken(policy=knowing, values=None, parameters=(*delta.declared["parameters"], delta.parameter("beta")))
    fails(checks.check_does_not_peek, model, "depends on what happens later")


def test_masks(monkeypatch):
    honest = checks.log_prob
    monkeypatch.setattr(checks, "log_prob", lambda *a, **k: honest(*a, **k) - 1e-9)
    fails(checks.check_masks, delta, "unscored trial")


@pytest.mark.parametrize("what", ["value", "derivative"])
def test_backends(monkeypatch, what):
    honest = checks.log_prob

    def off(*arguments, backend, **options):
        value, slopes = honest(*arguments, backend=backend, **options)
        if backend == "scan":
            return value, slopes
        return (value + 1e-6, slopes) if what == "value" else (value, slopes + 1e-6)

    monkeypatch.setattr(checks, "log_prob", off)
    fails(checks.check_backends, delta, "differs from the scan" if what == "value" else "the derivative of")


def test_likelihood_forms(monkeypatch):
    from rlpymc.fitting import pymc_forms as distribution

    honest = distribution._observed

    def shifted(*arguments):
        response, argument, observed = honest(*arguments)
        return response, argument * 0.999, observed

    monkeypatch.setattr(distribution, "_observed", shifted)
    fails(checks.check_likelihood_forms, delta, "categorical has another log density")


def test_exchange(monkeypatch):
    honest = checks.log_prob

    def by_place(model, trials, params, **options):
        found = honest(model, trials, params, **options)
        return found + 1e-6 * np.arange(found.sizes["subject"])[:, None]

    monkeypatch.setattr(checks, "log_prob", by_place)
    fails(checks.check_exchange, delta, "not exchangeable")


def test_special_cases():
    model = rl.get_model("delta(rates=sign)").changed(special_cases={"delta": {"alpha_pos": "alpha"}})
    fails(checks.check_special_cases, model, "is not delta")


def test_simulation(monkeypatch):
    honest = checks.log_prob
    monkeypatch.setattr(checks, "log_prob", lambda *a, **k: honest(*a, **k) * 1.0000001)
    fails(checks.check_simulation, delta, "not the one it was made with")


def test_mle(monkeypatch):
    honest = checks.simulate

    def other_truth(model, task, params, *arguments, **options):
        return honest(model, task, params | {"alpha": 0.9}, *arguments, **options)

    monkeypatch.setattr(checks, "simulate", other_truth)
    fails(checks.check_mle, delta, r"alpha is .* standard errors")


def test_random_trials_have_every_kind_of_trial():
    trials = material.random_trials(rl.get_model("counterfactual"), n_subjects=20, n_trials=60)
    exists, scored, learned = (trials[m].values for m in ("exists", "scored", "learned"))
    made = trials["action"].values >= 0
    assert (~exists).any()
    assert (exists & ~made).any()
    assert (made & ~scored & learned).any()  # forced
    assert (made & scored & ~learned).any()  # without feedback
    assert trials["reset"].values[:, 1:].any()
    assert (trials["available"].values.sum(axis=2) == 2).all()


def test_a_model_of_two_actions_is_checked_on_two():
    coin = rl.get_model("biased_coin")
    assert rl.facts(material.random_trials(coin, n_actions=3)) == {"n_actions": 2}
    assert material.default_task(coin).facts == {"n_actions": 2}


def test_a_model_without_a_bandit_needs_a_task():
    from rlpymc.model import Input, real

    model = broken(inputs=(*delta.declared["inputs"], Input("pupil", real, after="action")))
    with pytest.raises(ValueError, match=r"pupil.*pass a task"):
        material.default_task(model)
