"""A description says of each model what is estimated, as it is in PyMC's model and in what NUTS moves in."""

from dataclasses import replace
from html.parser import HTMLParser
from inspect import signature
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import rlpymc as rl
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.likelihood.modes import QUICK
from rlpymc.population.effects import POOLINGS
from rlpymc.population.points import Points
from rlpymc.priors import Exponential, Gamma, LogNormal, Normal, Uniform
from rlpymc.reporting import sampling_time as timing
from rlpymc.validation.examples import random_trials
from tests.helpers.messages import assert_says, refusal

FEW = {"fixed": {"stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05}}  # of rlwm
# options of build, and how many numbers are free of the group and of each of four subjects
CASES = [
    ("delta", {}, 4, 2),
    ("delta", {"pooling": "none"}, 0, 2),
    ("delta", {"pooling": "complete"}, 2, 0),
    ("delta", {"shared": ("beta",)}, 3, 1),
    ("delta", {"fixed": {"alpha": 0.3}, "free": ("q0",)}, 4, 2),
    ("delta", {"priors": "wide", "pooling": {"beta": "none"}}, 2, 2),
    ("delta", {"priors": "gershman2016"}, 4, 2),
    ("delta", {"priors": {"alpha": Uniform(0.1, 0.9), "q0": Normal(0.5, 2.0)}, "pooling": "none"}, 0, 3),
    ("delta", {"priors": {"beta_mu": Gamma(2.0, 1.0), "beta_sigma": Exponential(2.0)}}, 4, 2),
    ("delta(rates=sign)", {"priors": "hbayesdm", "coupled": [("alpha_pos", "alpha_neg")]}, 4, 2),
    ("biased_random", {}, 4, 2),  # a vector of two
    ("rlwm", FEW, 3 * 2 + 3, 3),  # a whole number of four values
    ("rlwm", FEW | {"pooling": "none", "priors": {"beta": LogNormal(2.0, 0.5)}}, 0, 4),
    ("hmm(delta)", {"pooling": "none"}, 0, None),
]


def built(name: str, options: dict[str, Any], **more: Any) -> Any:
    model = rl.get_model(name)
    return rl.build(model, random_trials(model), **options, **more)


def priors(found: rl.Description) -> dict[str, Any]:
    return {name: prior for p in found.parameters for name, prior in p.priors.items()}


def log_prob(prior: Any, value: Any) -> Any:
    """Return the log density by SciPy, of probabilities along the last axis."""
    return stats.dirichlet(prior.a).logpdf(value) if hasattr(prior, "a") else prior.log_prob(value)


class Balanced(HTMLParser):
    """Every tag is closed, by its own, and what stands between them is the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack, self.text = list[str](), ""
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "br":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


# ---------------------------------------------------------------- what is estimated


@pytest.mark.parametrize(("name", "options", "n_group", "n_per_subject"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_priors_and_numbers_are_those_of_the_pymc_model(
    name: str, options: dict[str, Any], n_group: int, n_per_subject: int | None
) -> None:
    model = built(name, options)
    found = rl.describe(model, time=False)
    points = Points(model.spec.population.effects(model.data), 4)
    x = points.start(0)
    natural = {k: v[0] for k, v in points.variables(x[None]).items()}
    variables = [rv.name for rv in model.free_RVs]
    assert [k for k in priors(found) if k != "capacity"] == variables
    shapes = model.initial_point()
    places = zip(points.places.values(), model.value_vars, strict=True)
    values = {v.name: x[place].reshape(shapes[v.name].shape) for place, v in places}
    densities = model.compile_fn(model.logp(model.free_RVs, jacobian=False, sum=False), mode=QUICK)(values)
    for k, density in zip(variables, densities, strict=True):
        assert_allclose(density, log_prob(priors(found)[k], natural[k]), err_msg=k, rtol=1e-6, atol=1e-9)
    n_of_pymc = sum(v.size for v in shapes.values())
    assert found.n_free == n_of_pymc == MachinePosterior(model).density().size
    assert found.n_group == n_group
    assert n_per_subject is None or found.n_per_subject == n_per_subject


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("delta+stickiness", {}),
        ("delta", {"priors": "wide", "pooling": "none"}),
        ("rlwm", FEW | {"pooling": "complete", "fixed": FEW["fixed"] | {"capacity": 3}}),
        ("q_mdp", {"priors": "small_samples"}),
    ],
)
def test_constants_are_described_with_the_priors_that_freeing_them_gives(name: str, options: dict[str, Any]) -> None:
    found = rl.describe(built(name, options), time=False)
    freed = {p.name: p.freed for p in found.parameters if p.freed}
    model = rl.get_model(name)
    assert set(freed) == {p.name for p in model.parameters if p.value is not None}
    for constant, wanted in freed.items():
        free = rl.describe(built(name, options, free=(constant,)), time=False)
        assert priors(free) == priors(found) | dict(wanted)
    assert_says(str(found), *(f"{k} ~ {prior}" for k, prior in freed[constant].items()), "if freed")


def test_what_is_not_estimated_says_why() -> None:
    model = built(
        "delta(rates=sign)+lapse",
        {"priors": "hbayesdm", "coupled": [("alpha_pos", "alpha_neg")], "fixed": {"lapse": [0.0, 0.1, 0.1, 0.2]}},
    )
    found = {p.name: p for p in rl.describe(model, time=False).parameters}
    assert_says(found["alpha_pos"].support, "phi")  # the preset's link, and not the model's
    assert (found["alpha_neg"].fate, found["alpha_neg"].support) == ("equal to alpha_pos", found["alpha_pos"].support)
    assert found["lapse"].fate == "fixed at 0 to 0.2, by subject or entry"
    assert_says(found["q0"].fate, "constant 0", "cannot be freed as it is", "'hbayesdm' has nothing for 'q0'")
    for name in ("q0", "lapse", "alpha_neg"):
        assert found[name].prior == ""


def test_a_kind_of_effect_of_one_s_own_goes_by_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POOLINGS, "twice", POOLINGS["partial"])
    alpha, *_ = rl.describe(built("delta", {"pooling": {"alpha": "twice"}}), time=False).parameters
    assert alpha.fate == "twice pooling"
    assert list(alpha.priors) == ["alpha_mu", "alpha_sigma", "alpha_z"]


def test_whole_numbers_have_probabilities_of_the_group_or_of_the_prior() -> None:
    for pooling, words, name in (("partial", "of the group", "capacity_probs"), ("none", "as the prior", "capacity")):
        (capacity,) = (
            p
            for p in rl.describe(built("rlwm", FEW | {"pooling": pooling}), time=False).parameters
            if p.name == "capacity"
        )
        assert list(capacity.priors) == [name]
        assert_says(capacity.fate, "summed over", words)
    assert capacity.prior == "capacity ~ DiscreteUniform(2, 5)"


@pytest.mark.parametrize("name", ["delta+stickiness", "rlwm"])
def test_without_data_a_model_is_what_build_makes_of_it(name: str) -> None:
    alone, with_data = rl.describe(name), rl.describe(built(name, {}), time=False)
    assert alone.parameters == with_data.parameters
    assert (alone.n_group, alone.n_per_subject) == (with_data.n_group, with_data.n_per_subject)
    assert alone.n_free is alone.data is alone.time is None
    assert rl.describe(rl.get_model(name)) == alone


def test_a_length_that_only_data_tell_is_left_open() -> None:
    found = rl.describe("biased_random")
    assert found.n_group is found.n_per_subject is None
    assert_says(str(found), "n_actions-1 of them", "as many as data say, by n_actions-1")
    assert_says(str(rl.describe(built("biased_random", {}), time=False)), "real, 2 of them", "12 in all")


def test_what_was_added_since_build_is_said() -> None:
    model = built("delta", {})
    assert "added" not in str(rl.describe(model, time=False))
    with model:
        pm.Potential("more", model["alpha"].sum())
    assert "added or taken away since then is not shown" in str(rl.describe(model))


def test_a_formula_is_described_with_the_priors_of_its_coefficients() -> None:
    trials = random_trials(rl.get_model("delta"), n_subjects=7).assign(
        age=("subject", [20.0, 30.0, 50.0, 41.0, 28.0, 33.0, 60.0]), drug=("subject", list("abbcacb"))
    )
    formulas = {"alpha": "~ drug", "beta": "age"}
    model = rl.build("delta", trials, formulas=formulas, priors={"beta_Intercept": Normal(1.0, 0.5)})
    found = rl.describe(model, time=False)
    names = ["alpha_centre", "alpha_drug[b]", "alpha_drug[c]", "alpha_sigma", "alpha_z"]
    assert list(priors(found)) == [*names, "beta_centre", "beta_age", "beta_sigma", "beta_z"]
    assert priors(found)["beta_centre"] == Normal(1.0, 0.5)
    for k, parts in (("alpha_drug", ["alpha_drug[b]", "alpha_drug[c]"]), ("beta_age", ["beta_age"])):
        _, sigma = model[k].owner.op.dist_params(model[k].owner)
        assert_allclose(np.ravel(sigma.eval()), [priors(found)[part].sigma for part in parts])
    assert (found.n_group, found.n_per_subject) == (4 + 3, 2)
    assert found.n_free == MachinePosterior(model).density().size
    assert [p.fate for p in found.parameters if p.priors] == [
        f"partial pooling, link(mean + sigma z), mean ~ {formula}" for formula in ("drug", "age")
    ]


def test_what_varies_within_subjects_is_described_with_all_that_it_follows_from() -> None:
    trials = random_trials(rl.get_model("delta"), n_subjects=6)
    load = np.random.default_rng(0).normal(size=trials["exists"].shape)
    session = np.where(np.arange(load.size).reshape(load.shape) % 2, "first", "second")
    trials = trials.assign(load=(("subject", "trial"), load), session=(("subject", "trial"), session))
    formulas = {"alpha": "~ load + (load | subject)", "beta": "(1 | subject:session)"}
    model = rl.build("delta", trials, formulas=formulas, correlated=True)
    found = rl.describe(model, time=False)
    assert list(priors(found)) == list(MachinePosterior(model).density().places)
    assert found.n_free == MachinePosterior(model).density().size
    assert (found.n_group, found.n_per_subject) == (4 + 4, 2 + 3)
    fates = [p.fate for p in found.parameters if p.priors]
    assert all("correlated" in fate for fate in fates)
    assert [p.support for p in found.parameters if p.priors] == ["unit, logit link", "positive, log link"]


# ---------------------------------------------------------------- columns and data


def test_columns_say_when_they_are_seen() -> None:
    seen = {c.name: (c.kind, c.seen) for c in rl.describe("two_step_hybrid").columns}
    assert seen == {
        "action1": ("index(n_actions)", "response"),
        "state2": ("index(n_states)", "seen after action1"),
        "action2": ("index(n_actions)", "response"),
        "reward": ("real", "seen after action2"),
    }
    first, *_ = rl.describe("counterfactual").columns
    assert (first.kind, first.seen) == ("boolean, n_actions of them", "seen before responding")
    assert first.absent == "True if there is no such column"


def test_data_are_counted() -> None:
    table = pd.DataFrame({"subject": [1] * 5 + [2] * 3, "block": [1, 1, 2, 2, 2, 1, 1, 1]})
    table["action"], table["reward"] = [0, 1, 2, np.nan, 0, 1, 1, 0], 1.0
    table["scored"] = [False, True, True, False, True, True, True, True]  # the first choice was forced
    model = rl.build("delta", rl.read_trials(table, reset="block"))
    found = rl.describe(model, time=False)
    assert found.data is not None
    assert vars(found.data) == {"subjects": 2, "trials": 8, "scored": 6, "segments": 3, "facts": {"n_actions": 3}}
    assert_says(str(found), "2 subjects, 8 trials, 6 of them scored, 3 segments; n_actions = 3", "not in the data")


# ---------------------------------------------------------------- text


@pytest.mark.parametrize("name", [*rl.list_models().index, "delta(rates=sign)+choice_kernel+lapse", "hmm(delta)"])
def test_every_model_prints(name: str) -> None:
    model = rl.get_model(name)
    found = rl.describe(name)
    html = Balanced(found._repr_html_())
    for text in (str(found), repr(found), html.text):
        assert_says(text, name, found.words, model.full_equation, found.reference, *model.departures)
        assert_says(text, *model.confused_with, *(p.meaning for p in model.parameters), *(i.name for i in model.inputs))
        assert_says(text, *(p.prior for p in found.parameters))
    assert f"$${model.full_equation}$$" in html.text
    estimated = [p for p in model.parameters if p.value is None]
    assert [p.name for p in found.parameters if p.priors] == [p.name for p in estimated]
    assert "e-1" not in str(found)  # no rounding errors of a median


def test_a_notebook_shows_texts_as_they_are() -> None:
    delta = rl.get_model("delta")
    alpha, *rest = delta.declared["parameters"]
    odd = delta.changed(name="odd", summary="a < b & <i>c</i>", parameters=(replace(alpha, meaning="<b>rate"), *rest))
    for html in (rl.describe(odd)._repr_html_(), odd._repr_html_()):
        assert_says(Balanced(html).text, "a < b & <i>c</i>", "<b>rate")


# ---------------------------------------------------------------- time


def test_a_gradient_is_timed_where_the_density_is_machine_code() -> None:
    found = rl.describe(built("delta", {}))
    defaults = {k: signature(rl.sample).parameters[k].default for k in ("chains", "tune", "draws")}
    assert found.time is not None
    assert {k: getattr(found.time, k) for k in defaults} == defaults
    assert (found.time.density, found.time.coordinates) == ("machine", "informed")
    assert found.time.gradient > 0
    assert_says(str(found), "gradients a draw", "An estimate within a factor of about two", "machine code")
    no_subject_s = rl.describe(built("delta", {"pooling": "complete"})).time
    assert no_subject_s is not None
    assert no_subject_s.steps == timing.STEPS["of all"] != found.time.steps


def test_the_first_call_is_not_timed_and_pauses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, calls=0)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def function(x: float) -> None:
        clock.now += (1000.0, 1.0, 4.0, 1.0)[clock.calls]
        clock.calls += 1

    assert timing._mean_time(function, 0.0) == 2.0
    assert clock.calls == 1 + timing.FEWEST


def test_chains_that_wait_for_others_take_as_long_again() -> None:
    found = timing.SamplingTime(1e-3, "machine", "informed", (7.0, 16.0), chains=4, tune=1000, draws=500, at_once=3)
    assert_allclose(found.seconds, (2 * 1500 * 7e-3, 2 * 1500 * 16e-3))
    assert_says(str(found), "21 s to 48 s", "4 chains of 1000 + 500 draws, 3 at a time", "7 to 16", "1000 us each")


@pytest.mark.parametrize(
    ("seconds", "words"), [(2e-6, "2 us"), (0.0123, "12 ms"), (2.04, "2 s"), (100, "1.7 min"), (9000, "2.5 hours")]
)
def test_times_are_said_in_a_unit_that_they_are_a_few_of(seconds: float, words: str) -> None:
    assert timing._spoken(seconds) == words


@pytest.mark.parametrize(
    ("name", "options", "time", "why"),
    [
        ("delta", {}, False, "not asked for"),
        ("delta", {"fixed": {"alpha": 0.3, "beta": 2.0}}, None, "nothing to sample"),
        ("delta", {"backend": "scan"}, None, "its likelihood is a scan; describe(..., time=True)"),
        ("soft_planner", {}, None, "derives values from its parameters"),
    ],
)
def test_what_is_not_timed_says_why(name: str, options: dict[str, Any], time: bool | None, why: str) -> None:
    found = rl.describe(built(name, options), time=time)
    assert found.time is None
    assert_says(found.untimed, why)
    assert_says(str(found), found.untimed)


@pytest.mark.slow
def test_a_scan_is_timed_when_asked() -> None:
    found = rl.describe(built("delta", {"backend": "scan"}), time=True).time
    assert found is not None
    assert (found.density, found.coordinates) == ("pytensor", "noncentred")
    assert found.gradient > 0
    assert_says(str(found), "within a factor of about four", "PyTensor")


# ---------------------------------------------------------------- what it does not take


def test_what_is_no_model_is_refused_by_name() -> None:
    assert_says(refusal(rl.describe, 3, error=TypeError), "rlpymc.build", "a name", "found int")
    assert_says(refusal(rl.describe, pm.Model(), error=TypeError), "rlpymc.build", "found Model")
    assert_says(refusal(rl.describe, "dleta"), "Did you mean 'delta'?")
    assert_says(refusal(rl.describe, "delta", time=True), "delta has no data", "rlpymc.build")
