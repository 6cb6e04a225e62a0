"""Models: what a declaration must hold, how variants are made and found, and what a card says."""

import json
from collections.abc import Iterator
from functools import partial
from html import unescape
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from rlpymc.likelihood.scan import core
from rlpymc.math import full, zeros
from rlpymc.model import (
    Facts,
    Input,
    Model,
    Parameter,
    Record,
    index,
    integer,
    interval,
    positive,
    priors,
    real,
    registry,
    softplus,
    unit,
)
from rlpymc.model.priors import Beta, Normal
from rlpymc.model.registry import get_model, list_models, register
from rlpymc.model.responses import Categorical
from tests.helpers.messages import assert_says, refusal
from tests.helpers.registering import forgetting

ACTION = Input("action", index("n_actions"), response=True)
ALPHA = Parameter("alpha", unit, prior=Beta(1.1, 1.1))


def toy(**changes: Any) -> Model:
    """Return a small learner, with some of its arguments changed."""
    declared: dict[str, Any] = {
        "name": "toy",
        "family": "test",
        "summary": "a toy",
        "reference": "nobody 2000",
        "inputs": (ACTION, Input("reward", real, after="action")),
        "parameters": (ALPHA,),
        "start": lambda p, facts: {"q": zeros(facts.n_actions)},
        "values": lambda p, s, x: s.q,
        "update": lambda p, s, x: {"q": s.q},
        "policy": "softmax",
    }
    return Model(**{**declared, **changes})


refused = partial(refusal, toy)


def message(function: Any, *args: Any, error: type[Exception] = ValueError, **options: Any) -> str:
    with pytest.raises(error) as info:
        function(*args, **options)
    return str(info.value)


# ---------------------------------------------------------------- declarations


def test_a_parameter_may_be_there_once() -> None:
    assert_says(refused(parameters=(ALPHA, ALPHA)), "'toy'", "'alpha'", "twice")


def test_a_parameter_may_not_clash_with_that_of_a_choice_rule() -> None:
    assert_says(refused(parameters=(Parameter("beta", real, value=0.0),)), "'beta'", "twice")


def test_a_model_needs_a_response() -> None:
    assert_says(refused(inputs=(Input("reward", real),)), "no input is a response", "response=True")


def test_a_model_has_a_policy_or_policies() -> None:
    choose = {"action": lambda p, s, x: Categorical(logits=s.q)}
    assert_says(refused(policies=choose), "policy, or policies")
    assert_says(refused(policy=None), "policy, or policies")


def test_policies_are_for_the_responses_in_order() -> None:
    two = tuple(Input(name, index("n_actions"), response=True) for name in ("action1", "action2"))
    choose = {name: lambda p, s, x: Categorical(logits=s.q) for name in ("action2", "action1")}
    assert_says(refused(inputs=two, policies=choose, policy=None), "['action2', 'action1']", "order of the responses")


def test_an_input_comes_after_a_response_before_it() -> None:
    late = Input("reward", real, after="action")
    assert_says(refused(inputs=(late, ACTION)), "'reward'", "'action'", "no response")
    assert_says(refused(inputs=(ACTION, Input("rt", real, after="cue"))), "'rt'", "'cue'")


def test_a_state_may_not_clash_with_that_of_a_choice_rule() -> None:
    model = toy(start=lambda p, facts: {"last": zeros(2)}, policy="softmax+stickiness")
    assert_says(message(core, model, Facts(n_actions=2)), "'last'", "clashes", "stickiness")


def test_update_returns_states_that_start_gave() -> None:
    model = toy(update=lambda p, s, x: {"v": s.q})
    assert_says(message(core, model, Facts(n_actions=2)), "'v'", "start does not", "['q']")


def test_update_keeps_the_shape_of_a_state() -> None:
    model = toy(update=lambda p, s, x: {"q": full(3, p.alpha)})
    assert_says(message(core, model, Facts(n_actions=2)), "'q'", "(3,)", "(2,)")


def test_what_a_model_reads_by_a_wrong_name_is_answered_with_the_right_ones() -> None:
    assert_says(message(lambda: Record(alpha=1, beta=2).alfa, error=AttributeError), "'alfa'", "alpha, beta")


def test_a_parameter_needs_a_prior_or_a_value_inside_its_support() -> None:
    assert_says(message(Parameter, "alpha", unit), "'alpha'", "prior", "value")
    assert_says(message(Parameter, "alpha", unit, value=2.0), "'alpha'", "value=2.0", "unit")
    assert_says(message(Parameter, "alpha", unit, prior=Beta(1, 1), plausible=-0.1), "plausible=-0.1")


# ---------------------------------------------------------------- composition


def test_choice_rules_bring_their_parameters_and_their_name() -> None:
    model = get_model("delta", policy="stickiness")
    assert model.name == "delta+stickiness"
    assert [p.name for p in model.parameters] == ["alpha", "q0", "beta", "stickiness"]


def test_the_order_of_rules_is_normalised() -> None:
    model = get_model("delta+lapse+choice_kernel+stickiness")
    assert model.name == "delta+stickiness+choice_kernel+lapse"
    assert [r.name for r in model.rules] == ["softmax", "stickiness", "choice_kernel", "lapse"]


def test_a_rule_for_values_replaces_the_model_s_own() -> None:
    model = get_model("delta", policy="epsilon_greedy")
    assert model.name == "delta+epsilon_greedy"
    assert [p.name for p in model.parameters] == ["alpha", "q0", "epsilon"]


def test_rules_can_be_added_one_after_the_other() -> None:
    model = get_model(get_model("delta+lapse"), policy="stickiness")
    assert [p.name for p in model.parameters] == ["alpha", "q0", "beta", "stickiness", "lapse"]
    assert model.name == "delta+stickiness+lapse"


def test_stickiness_adds_to_logits_and_epsilon_greedy_has_none() -> None:
    assert_says(message(get_model, "delta+epsilon_greedy+stickiness"), "stickiness", "epsilon_greedy", "use softmax")
    assert_says(message(get_model, get_model("delta+stickiness"), "epsilon_greedy"), "stickiness", "epsilon_greedy")


def test_a_rule_may_be_asked_for_once() -> None:
    assert_says(message(get_model, "delta+lapse+lapse"), "lapse is there twice")


def test_two_rules_for_values_are_refused() -> None:
    assert_says(message(get_model, "delta+softmax+epsilon_greedy"), "softmax and epsilon_greedy", "keep one")


def test_a_model_with_its_own_policy_takes_no_rules() -> None:
    assert_says(message(get_model, "wsls+stickiness"), "'wsls'", "own policy")


def test_a_model_without_values_takes_no_softmax() -> None:
    assert_says(message(get_model, "choice_kernel+softmax"), "'choice_kernel'", "no values")


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        ("detla", ("model 'detla'", "Did you mean 'delta'?")),
        ("delta+stikiness", ("choice rule 'stikiness'", "Did you mean 'stickiness'?")),
        ("delta(rate=sign)", ("option of delta 'rate'", "Did you mean 'rates'?")),
        ("delta(rates=sing)", ("option rates 'sing'", "Did you mean 'sign'?")),
        ("", ("cannot read", "delta(rates=sign)+stickiness")),
        ("delta+", ("'delta+'", "a + without a choice rule")),
        ("delta++lapse", ("'delta++lapse'", "a + without a choice rule")),
        ("delta(rates=sign,rates=one)", ("'rates'", "twice")),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_the_nearest(wrong: str, parts: tuple[str, ...]) -> None:
    assert_says(message(get_model, wrong), *parts)


@pytest.mark.parametrize("wrong", [None, 3, ["delta"]])
def test_what_is_no_name_and_no_model_is_refused(wrong: Any) -> None:
    assert_says(message(get_model, wrong, error=TypeError), type(wrong).__name__)


def test_one_variant_is_one_object() -> None:
    assert get_model("delta") is get_model("delta")
    assert get_model("delta+stickiness") is get_model("delta", policy="stickiness")
    assert get_model("delta(rates=sign)+lapse") is get_model("delta", policy="lapse", rates="sign")
    assert get_model("delta", forgetting=True) is get_model("delta(forgetting=True)")
    assert get_model(get_model("delta+stickiness")) is get_model("delta+stickiness")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("delta+lapse+stickiness", "delta+stickiness+lapse"),
        ("delta(rates=sign,forgetting=True)", "delta(forgetting=True,rates=sign)"),
        ("delta+softmax", "delta"),
        ("delta(rates=one)+lapse", "delta+lapse"),
    ],
)
def test_one_variant_is_one_object_however_it_is_written(one: str, other: str) -> None:
    assert get_model(one).name == get_model(other).name
    assert get_model(one) is get_model(other)


@pytest.mark.parametrize(
    "model",
    [
        lambda: get_model("delta", "stickiness+lapse", rates="sign", forgetting=True),
        lambda: get_model(get_model("delta(rates=sign)"), "stickiness"),
        lambda: get_model("counterfactual", "epsilon_greedy"),
    ],
    ids=["at once", "rule on option", "other policy"],
)
def test_a_variant_is_found_again_by_its_name(model: Any) -> None:
    variant = model()
    again = get_model(variant.name)
    assert [p.name for p in again.parameters] == [p.name for p in variant.parameters]
    assert again.name == variant.name


@pytest.mark.parametrize("variant", ["delta(rates=sign)", "delta+stickiness"])
def test_options_are_given_with_the_learner(variant: str) -> None:
    assert_says(message(get_model, get_model(variant), forgetting=True), variant, "learner's name")


def test_options_bring_their_parameters() -> None:
    two = get_model("delta", rates="sign")
    assert two.name == "delta(rates=sign)"
    assert [p.name for p in two.parameters] == ["alpha_pos", "alpha_neg", "q0", "beta"]
    assert two.special_cases == {"delta": {"alpha_pos": "alpha", "alpha_neg": "alpha"}}


# ---------------------------------------------------------------- what a model says of itself

CARD = {"name", "family", "summary", "reference", "equation", "inputs", "parameters", "options", "special_cases"}


@pytest.mark.parametrize("name", ["delta", "delta(rates=sign,forgetting=True)+stickiness+lapse", "biased_random"])
def test_a_card_is_plain_data_and_complete(name: str) -> None:
    model = get_model(name)
    card = json.loads(json.dumps(model.card))
    assert card == model.card
    assert set(card) >= CARD | {"departures", "confused_with"}
    assert [p["name"] for p in card["parameters"]] == [p.name for p in model.parameters]
    assert [i["name"] for i in card["inputs"]] == [i.name for i in model.inputs]
    assert all(p["meaning"] and p["support"] for p in card["parameters"])
    assert all(rule.equation in card["equation"] for rule in model.rules)


def test_printing_says_the_essentials() -> None:
    model = get_model("delta+stickiness")
    for text in (str(model), repr(model), unescape(model._repr_html_())):
        assert_says(text, "delta+stickiness", "alpha", "unit", "Beta(1.1, 1.1)", "learning rate", "Sutton & Barto 2018")
        assert_says(text, "q0", "constant 0", "stickiness", "Gershman, Pesaran & Daw 2009", model.full_equation)


# ---------------------------------------------------------------- the registry


@pytest.fixture
def clean_registry() -> Iterator[None]:
    """Forget at the end what a test registered."""
    with forgetting():
        yield


@pytest.mark.usefixtures("clean_registry")
class TestRegister:
    def test_a_registered_model_is_found_by_name_with_its_variants(self) -> None:
        model = register(toy())
        assert get_model("toy") is model
        assert get_model("toy+stickiness").name == "toy+stickiness"
        assert "toy" in list_models().index

    def test_registering_the_same_model_again_changes_nothing(self) -> None:
        model = toy()
        assert register(register(model)) is model

    def test_a_name_that_is_taken_is_refused(self) -> None:
        register(toy())
        for taken in ("toy", "delta"):
            assert_says(message(register, toy(name=taken)), repr(taken), "another name")

    @pytest.mark.parametrize("name", ["my model", "a+b", "a(b)", ""])
    def test_a_name_that_could_not_be_asked_for_is_refused(self, name: str) -> None:
        assert_says(message(register, toy(name=name)), repr(name))

    def test_only_models_can_be_registered(self) -> None:
        assert_says(message(register, "delta", error=TypeError), "Model", "str")

    def test_other_packages_bring_models_by_entry_point(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = toy(name="theirs")
        self.install(monkeypatch, model)
        assert get_model("theirs") is model

    def test_two_packages_may_not_bring_one_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, toy(name="delta"))
        assert_says(message(get_model, "delta"), "'delta'", "their.models:model")

    def test_an_entry_point_that_is_no_model_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, "not a model")
        with pytest.raises((TypeError, ValueError), match=r"their\.models:model"):
            get_model("delta")

    @staticmethod
    def install(monkeypatch: pytest.MonkeyPatch, thing: Any) -> None:
        entry = SimpleNamespace(value="their.models:model", load=lambda: thing)
        monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == "rlpymc.models" else [])
        registry._models.cache_clear()


def test_list_models_takes_wildcards_and_a_family() -> None:
    table = list_models()
    assert {"delta", "counterfactual", "wsls", "choice_kernel", "biased_random"} <= set(table.index)
    assert list_models("*kernel*").index.tolist() == ["choice_kernel"]
    assert set(list_models(family="bandit")["family"]) == {"bandit"}
    assert len(list_models("nothing like it")) == 0
    assert table.loc["delta", "parameters"] == "alpha, beta"
    assert_says(table.loc["delta", "options"], "rates=one|sign|outcome", "forgetting=False|True")


# ---------------------------------------------------------------- supports and priors

LINKED = [real, positive, softplus, unit, interval(-2.0, 3.0)]


@pytest.mark.parametrize("support", LINKED, ids=str)
@settings(max_examples=25, deadline=None)
@given(st.floats(-15, 15))
def test_constrain_and_unconstrain_undo_each_other(support: Any, unbounded: float) -> None:
    value = support.constrain(unbounded)
    assert support.contains(value)
    assert_allclose(support.unconstrain(value), unbounded, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("support", LINKED, ids=str)
def test_the_log_slope_is_that_of_constrain(support: Any) -> None:
    v, step = np.linspace(-8, 8, 33), 1e-5
    slope = (support.constrain(v + step) - support.constrain(v - step)) / (2 * step)
    assert_allclose(support.log_slope(v), np.log(slope), atol=1e-6)


def test_bounds_belong_to_a_support_and_what_is_not_finite_does_not() -> None:
    assert unit.contains([0.0, 1.0, -0.1, 1.1, np.nan, np.inf]).tolist() == [True, True, False, False, False, False]
    assert positive.contains([0.0, 1e300, -1e-300, np.inf]).tolist() == [True, True, False, False]
    assert real.contains([0.0, np.nan, np.inf]).tolist() == [True, False, False]
    assert interval(-1, 2).contains([-1, 2, 2.1]).tolist() == [True, True, False]
    assert integer(1, 3).contains([1, 3, 2.5, 4]).tolist() == [True, True, False, False]


def test_whole_numbers_have_no_link() -> None:
    assert_says(message(integer(1, 3).constrain, 0.0), "integer(1, 3)", "no link")


PRIORS = [
    (priors.Normal(1.0, 2.0), stats.norm(1, 2), 0.7),
    (priors.HalfNormal(2.0), stats.halfnorm(scale=2), 0.7),
    (priors.LogNormal(0.5, 0.7), stats.lognorm(0.7, scale=np.exp(0.5)), 0.7),
    (priors.Beta(1.1, 1.3), stats.beta(1.1, 1.3), 0.7),
    (priors.Gamma(2.0, 0.5), stats.gamma(2, scale=2), 0.7),
    (priors.Exponential(3.0), stats.expon(scale=1 / 3), 0.7),
    (priors.Uniform(-1.0, 2.0), stats.uniform(-1, 3), 0.7),
]


@pytest.mark.parametrize(("prior", "scipy", "at"), PRIORS, ids=[str(p) for p, _, _ in PRIORS])
def test_a_prior_is_the_distribution_it_is_called_after(prior: Any, scipy: Any, at: float) -> None:
    assert_allclose(prior.log_prob(at), scipy.logpdf(at))
    assert_allclose(prior.quantile([0.1, 0.5]), scipy.ppf([0.1, 0.5]))
    with pm.Model():
        assert_allclose(pm.logp(prior.pymc("x"), np.float64(at)).eval(mode="FAST_COMPILE"), scipy.logpdf(at), rtol=1e-6)


def test_a_prior_s_samples_are_its_own_and_repeat() -> None:
    draws = [Normal(3.0, 0.1).sample(np.random.default_rng(1), (1000,)) for _ in range(2)]
    assert (draws[0] == draws[1]).all()
    assert abs(draws[0].mean() - 3) < 0.02


def test_the_base_class_is_no_distribution() -> None:
    assert_says(message(priors.Prior().quantile, 0.5, error=TypeError), "Prior", "Normal(0, 1)")
