"""Pooling parameter by parameter, and parameters that are equal."""

import json
import warnings
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.comparison.own_parameters import OwnParameters
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.fitting.own_terms import origin
from rlpymc.fitting.posterior import origin_of, parameter_draws
from rlpymc.model.priors import Beta, Normal
from rlpymc.trials.model_data import data_for
from rlpymc.validation.examples import random_trials
from tests.helpers.densities import assert_one_density
from tests.helpers.messages import assert_says, refusal

RATES = "delta(rates=sign)"
PAIR = [("alpha_pos", "alpha_neg")]
FEW = {"fixed": {"stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05}}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("delta", {"pooling": {"alpha": "none"}}),
    ("delta", {"pooling": {"alpha": "none", "beta": "complete"}}),
    ("delta", {"pooling": {"alpha": "complete", "beta": "partial"}, "free": "q0"}),
    (RATES, {"coupled": PAIR}),
    (RATES, {"coupled": PAIR, "pooling": "none"}),
    (RATES, {"coupled": PAIR, "shared": ("alpha_pos", "alpha_neg")}),
    (RATES, {"coupled": PAIR, "pooling": {"alpha_pos": "none"}}),
    ("rlwm", {"coupled": [("bias_wm", "bias_rl")], "pooling": {"capacity": "none", "alpha": "complete"}, **FEW}),
    ("delta(rates=sign,forgetting=True)", {"coupled": [("alpha_neg", "forgetting", "alpha_pos")], "pooling": "none"}),
]


def built(name: str, **options: Any) -> rl.RLModel:
    model = rl.get_model(name)
    return rl.build(model, random_trials(model, n_actions=2), **options)


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n} {o}" for n, o in CASES])
def test_machine_code_and_pymc_have_one_density(name: str, options: dict[str, Any]) -> None:
    assert_one_density(built(name, **options), (0.0, 1.0, 2.0))


def test_each_parameter_has_the_variables_of_its_word() -> None:
    model = built("delta+lapse", pooling={"alpha": "none", "beta": "complete"})
    assert [v.name for v in model.free_RVs] == ["alpha", "beta", "lapse_mu", "lapse_sigma", "lapse_z"]
    assert model.named_vars_to_dims["alpha"] == ("subject",)
    assert model["beta"].ndim == 0


def test_whole_numbers_have_words_of_their_own() -> None:
    assert "capacity_probs" not in built("rlwm", pooling={"capacity": "none"}).named_vars
    assert "capacity_probs" in built("rlwm", pooling={"alpha": "none"}).named_vars


def test_printing_says_which_are_pooled_how() -> None:
    assert_says(str(built("delta", pooling={"alpha": "none"})), "partial pooling", "none of alpha")


def test_coupled_parameters_are_the_model_with_one() -> None:
    """Two learning rates that are equal have the density, and the gradient, of the model with one."""
    one = built("delta", pooling="none")
    trials = one.trials
    two = rl.build(RATES, trials, pooling="none", coupled=PAIR)
    x = np.random.default_rng(2).normal(size=2 * trials.sizes["subject"])
    (value, slopes), (wanted, gradient) = (MachinePosterior(m).density()(x) for m in (two, one))
    assert_allclose(value, wanted, rtol=1e-12)
    assert_allclose(slopes, gradient, rtol=1e-10, atol=1e-10)


def test_copies_are_deterministic_in_pymc() -> None:
    model = built(RATES, coupled=PAIR)
    assert "alpha_neg" in [v.name for v in model.deterministics]
    assert model.named_vars_to_dims["alpha_neg"] == ("subject",)
    first, copy = pm.draw([model["alpha_pos"], model["alpha_neg"]], random_seed=1, mode="FAST_COMPILE")
    assert_array_equal(first, copy)


@pytest.fixture(scope="module")
def fit() -> xr.DataTree:
    model = rl.build(RATES, trials_of_two(), coupled=PAIR, pooling={"beta": "none"}, priors="wide")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, draws=20, tune=30, chains=2, seed=3, progress=False)


def trials_of_two() -> xr.Dataset:
    return rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": 0.4, "beta": 2.0}, 3, 20, seed=3)


def test_results_hold_the_copies(fit: xr.DataTree) -> None:
    assert fit.attrs["sampled_by"] == "machine"
    assert_array_equal(fit["posterior"]["alpha_neg"], fit["posterior"]["alpha_pos"])
    assert fit["posterior"]["alpha_neg"].std() > 0


def test_a_fit_says_what_it_was_made_from(fit: xr.DataTree) -> None:
    population = origin(fit).spec.population
    assert population.tied == {"alpha_neg": "alpha_pos"}
    assert population.pooling == {"beta": "none"}
    assert population.preset == "wide"
    effects = population.effects(data_for(rl.get_model(RATES), trials_of_two()))
    assert [[*e.named] for e in effects] == [["alpha_pos_mu", "alpha_pos_sigma", "alpha_pos_z"], ["beta"]]


def test_its_terms_are_those_of_equal_parameters(fit: xr.DataTree) -> None:
    draw = fit["posterior"].to_dataset().isel(chain=1, draw=-1)
    rates = dict.fromkeys(("alpha_pos", "alpha_neg"), draw["alpha_pos"].values)
    wanted = rl.log_prob(RATES, trials_of_two(), {**rates, "beta": draw["beta"].values})
    found = fit["log_likelihood"]["choice"].isel(chain=1, draw=-1)
    assert_allclose(found.values, wanted.values.ravel(), rtol=1e-9)


def test_a_fit_of_another_population_is_refused(fit: xr.DataTree) -> None:
    options = {"coupled": PAIR, "pooling": {"beta": "none"}, "priors": "wide"}
    assert origin_of(fit, rl.build(RATES, trials_of_two(), **options))
    for other in ({"coupled": ()}, {"pooling": "partial"}, {"priors": "matched"}):
        model = rl.build(RATES, trials_of_two(), **{**options, **other})
        assert_says(refusal(origin_of, fit, model), "the fit is of", "'wide'", "alpha_neg")


def test_fits_of_before_said_nothing_of_either(fit: xr.DataTree) -> None:
    """They are read with what they were made with, where the links are the same."""
    record = json.loads(fit.attrs["rlpymc"])
    for key in ("preset", "coupled"):
        del record["spec"][key]
    old = fit.copy()
    old.attrs["rlpymc"] = json.dumps(record)
    assert origin(old).spec.population.tied == {}
    options: dict[str, Any] = {"pooling": {"beta": "none"}}
    for preset in ("matched", "wide"):
        assert origin_of(old, rl.build(RATES, trials_of_two(), priors=preset, **options))
    assert_says(refusal(origin_of, old, rl.build(RATES, trials_of_two(), priors="hbayesdm", **options)), "'hbayesdm'")


def test_new_people_have_equal_values() -> None:
    model = built(RATES, coupled=PAIR, fixed={"beta": 2.0})
    n = model.data.shape[0]
    draws = xr.Dataset({f"alpha_pos_{k}": ("sample", np.full(6, v)) for k, v in (("mu", 0.1), ("sigma", 1.0))})
    for name in PAIR[0]:
        draws[name] = ("sample", "subject"), np.zeros((6, n))
    draws = draws.assign_coords(subject=model.data.subjects)
    others = model.data.trials.assign_coords(subject=["new", *model.data.subjects[1:]])
    found = parameter_draws(model, draws, data_for(model.spec.model, others), np.random.default_rng(1))
    assert_array_equal(found["alpha_neg"], found["alpha_pos"])
    assert found["alpha_neg"][:, 0].std() > 0


def test_likelihoods_are_integrated_over_equal_parameters() -> None:
    model = built(RATES, coupled=PAIR, fixed={"beta": 2.0})
    own = OwnParameters(model, model.data)
    vectors = np.random.default_rng(1).normal(size=(1, 2, model.data.shape[0], 1))
    group = xr.Dataset({"alpha_pos_mu": ("sample", [0.0]), "alpha_pos_sigma": ("sample", [1.0])})
    found = own.log_lik(vectors, group)[0, 0]
    for k in range(2):
        rate = 1 / (1 + np.exp(-vectors[0, k, :, 0]))
        params = {"alpha_pos": rate, "alpha_neg": rate, "beta": 2.0}
        assert_allclose(found[k], rl.log_prob(RATES, model.trials, params).sum("trial"), rtol=1e-9)


def test_refits_keep_all_of_it() -> None:
    model = built(RATES, coupled=PAIR, pooling={"beta": "none"}, priors="wide")
    again = rl.build(RATES, model.trials, **model.spec.population.options)
    assert json.loads(again.spec.to_json()) == json.loads(model.spec.to_json())


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (
            {"pooling": {"alfa_pos": "none"}},
            ("parameter of delta", "in pooling 'alfa_pos'", "Did you mean 'alpha_pos'?"),
        ),
        ({"pooling": {"beta": "part"}}, ("pooling of 'beta' 'part'", "Did you mean 'partial'?", "complete")),
        ({"pooling": {"q0": "none"}}, ("pooling of 'q0'", "not estimated", "free=['q0']")),
        ({"pooling": {"beta": "none"}, "fixed": {"beta": 1.0}}, ("pooling of 'beta'", "not estimated")),
        ({"pooling": {"beta": "none"}, "shared": "beta"}, ("'beta'", "shared", "'none'", "choose one")),
        ({"coupled": [("alpha_pos",)]}, ("('alpha_pos',)", "two or more")),
        ({"coupled": 3}, ("coupled: found 3", "groups")),
        ({"coupled": [("alpha_pos", "alpha")]}, ("in coupled 'alpha'", "alpha_neg")),
        ({"coupled": [*PAIR, ("alpha_neg", "alpha_pos")]}, ("'alpha_neg'", "twice", "one group")),
        ({"coupled": [("alpha_pos", "alpha_pos")]}, ("'alpha_pos'", "twice")),
        ({"coupled": PAIR, "fixed": {"alpha_neg": 0.2}}, ("'alpha_neg'", "is fixed", "or none")),
        ({"coupled": [("alpha_pos", "q0")]}, ("'q0'", "not estimated", "free it")),
        ({"coupled": [("alpha_pos", "beta")]}, ("'beta'", "'alpha_pos'", "support")),
        ({"coupled": PAIR, "shared": "alpha_neg"}, ("'alpha_neg'", "share both")),
        ({"coupled": PAIR, "pooling": {"alpha_neg": "none"}}, ("'alpha_pos' stands for 'alpha_neg'", "how to pool it")),
        ({"coupled": PAIR, "priors": {"alpha_neg": Beta(2, 2)}}, ("'alpha_pos' stands for", "'alpha_pos' the prior")),
        ({"coupled": PAIR, "priors": {"alpha_neg_mu": Normal()}}, ("'alpha_pos' stands for", "'alpha_pos' the prior")),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_what_does_not_fit_is_named(options: dict[str, Any], parts: tuple[str, ...]) -> None:
    assert_says(refusal(built, RATES, **options), *parts)


def test_what_is_no_pooling_is_named() -> None:
    assert_says(refusal(built, "delta", pooling=3, error=TypeError), "pooling: found 3", "{'alpha': 'none'}")


def test_a_constant_without_a_prior_of_its_own_asks_for_one() -> None:
    one = rl.Parameter("alpha", rl.get_model("delta").parameter("alpha").support, value=0.3)
    model = rl.get_model("delta").changed(
        parameters=(one, *(p for p in rl.get_model("delta").declared["parameters"] if p.name != "alpha"))
    )
    message = refusal(rl.build, model, random_trials(model, n_actions=2), free="alpha")
    assert_says(message, "'alpha' has no prior", "priors={'alpha': ...}")


def test_a_whole_number_is_not_one_for_all() -> None:
    assert_says(refusal(built, "rlwm", pooling={"capacity": "complete"}), "'capacity'", "whole number", "differ")
