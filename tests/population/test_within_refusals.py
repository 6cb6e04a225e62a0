"""Formulas within subjects that make no sense, or data that do not fit them: each is refused with the mend."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal
from tests.helpers.sessions import table

BY_SESSION = "(1 | subject:session)"


def read(rows: pd.DataFrame) -> xr.Dataset:
    return rl.read_trials(rows, reset="block")


@cache
def trials() -> xr.Dataset:
    return read(table("early", "late"))


@cache
def numbered() -> xr.Dataset:
    """Return the same of subjects whose labels are numbers, which a formula could read as such."""
    rows = table("early", "late")
    return read(rows.assign(subject=rows["subject"].str[1:].astype(int)))


def said(formula: str, data: xr.Dataset | None = None, **options: Any) -> str:
    return refusal(rl.build, "delta", trials() if data is None else data, formulas={"alpha": formula}, **options)


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("(1 | subject)", ["(1|subject)", "alpha_sigma", "leave it out"]),
        ("load + (1 | subject)", ["(1|subject)", "leave it out"]),
        ("(1 | block)", ["(1|block)", "expected (x | subject)", "(1 | subject:session)"]),
        ("(load | group)", ["(load|group)", "expected (x | subject)"]),
        ("(load | subject:session)", ["(load|subject:session)", "expected"]),
        ("(1 | subject:session:block)", ["(1|subject:session:block)", "expected"]),
        (f"{BY_SESSION} + (1 | subject:block)", ["by session and by block", "one level"]),
        ("((1 | subject:session))", ["a bar", "((1 | subject:session))", "beside each other"]),
        ("(load + (load | subject))", ["a bar", "(load + (load | subject))", "beside each other"]),
        ("1 | subject:session", ["a bar", "no brackets of its own", "x + (x | subject)"]),
        ("load + (load | subject) + (load | subject)", ["(load | subject) is there twice", "leave one out"]),
        ("group + (group | subject)", ["group[treated] does not vary within subjects", "leave (group[treated] |"]),
        ("session + C(block)", ["a column follows from the others", "session[late]", "leave a term out"]),
        ("load + I(2 * load)", ["a column follows from the others", "leave a term out"]),
        ("(lead | subject)", ["'lead'", "'load'", "'alpha'"]),
        ("(1 | subject:sesion)", ["'sesion'", "Did you mean 'session'?"]),
        ("np.log(load)", ["np.log(load) is nan for subject 's4', trial", "give it a number"]),
        ("(1 | subject:action)", ["'action' means something else", "trials.assign", "trials['action']"]),
        ("(1 | subject:block)", ["subject 's1' has no trials in block 3", "leave that subject out"]),
    ],
)
def test_a_formula_that_makes_no_sense_is_refused(formula: str, parts: list[str]) -> None:
    for data in (trials(), numbered()) if "'s" not in "".join(parts) else (trials(),):
        assert_says(said(formula, data), "'alpha'", *parts)


def at_one_trial(name: str, value: Any) -> xr.Dataset:
    """Return trials with one value of a column changed, that of subject s6 at trial 5."""
    column = trials()[name].astype(float if name == "load" else object)
    there = (trials()["subject"] == "s6") & (trials()["trial"] == 5)
    return trials().assign({name: xr.where(there, value, column)})


@pytest.mark.parametrize(
    ("formula", "name", "value", "parts"),
    [
        ("load", "load", np.nan, ["'load' is missing for subject 's6', trial 5", "leave the subject out"]),
        ("(load | subject)", "load", np.inf, ["load is inf for subject 's6', trial 5", "give it a number"]),
        ("session", "session", None, ["'session' is missing for subject 's6', trial 5"]),
        (BY_SESSION, "session", "", ["'session' is missing for subject 's6', trial 5"]),
        ("session", "session", "odd", ["session is 'odd' for subject 's6', trial 5 alone", "join it"]),
        (BY_SESSION, "session", "odd", ["subject 's4' has no trials in session 'odd'", "everybody has all"]),
    ],
)
def test_a_value_at_one_trial_is_found(formula: str, name: str, value: Any, parts: list[str]) -> None:
    assert_says(said(formula, at_one_trial(name, value)), "'alpha'", *parts)


def test_sessions_and_levels_that_not_everybody_has_are_named() -> None:
    rows = table("early", "late")
    message = said(BY_SESSION, read(rows[(rows["subject"] != "s3") | (rows["session"] == "early")]))
    assert_says(message, "subject 's3' has no trials in session 'late'", "leave that subject out")
    alone = read(rows.assign(group=np.where(rows["subject"] == "s3", "third", rows["group"])))
    for formula in ("group", "session * group"):
        assert_says(said(formula, alone), "group is 'third' for subject 's3' alone", "join it with another level")
    assert_says(said(BY_SESSION, trials().isel(trial=slice(12))), "session is 'early' on all trials", "two at least")
    mixed = trials().assign(session=trials()["session"].where(trials()["session"] == "early", 2).astype(object))
    assert_says(said(BY_SESSION, mixed), "several kinds (int, str)", "texts")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"fixed": {"alpha": 0.3}}, ["'alpha' is not estimated", "leave the formula out"]),
        ({"shared": ["alpha"]}, ["complete pooling", "pool it partially"]),
        ({"pooling": "none"}, ["none pooling", "pool it partially"]),
        ({"fixed": {"beta": 3.0}, "correlated": True}, ["correlated=True", "fewer than two parameters"]),
        ({"priors": {"alpha_load|subject_sd": rl.priors.HalfNormal()}}, ["'alpha_load|subject_sd'"]),
        (
            {"priors": {"alpha_load|subject_sigma": rl.priors.Normal()}},
            ["Normal(0, 1)", "alpha_load|subject_sigma", "not below 0"],
        ),
    ],
)
def test_options_that_contradict_a_formula_are_refused(options: dict[str, Any], parts: list[str]) -> None:
    for formula in ("load + (load | subject)", f"load + {BY_SESSION}"):
        assert_says(said(formula, **options), *parts)
        if "priors" in options:
            return


def test_correlations_are_of_parameters_of_one_value_around_a_group() -> None:
    assert_says(refusal(rl.build, "delta", trials(), pooling="none", correlated=True), "fewer than two parameters")
    message = refusal(rl.build, "delta", trials(), correlated="yes", error=TypeError)
    assert_says(message, "correlated: found 'yes'", "True or False")
    vector = refusal(rl.build, "biased_random", trials(), correlated=True)
    assert_says(vector, "'bias' has several values", "pooling={'bias': 'none'}")
    within = refusal(rl.build, "biased_random", trials(), formulas={"bias": "load"})
    assert_says(within, "'bias' has several values", "varies within subjects")
    both = {"alpha": BY_SESSION, "beta": "(1 | subject:half)"}
    halves = trials().assign(half=trials()["block"] % 2)
    message = refusal(rl.build, "delta", halves, formulas=both, correlated=True)
    assert_says(message, "by half and by session", "expected one column")


def test_equal_parameters_take_the_formula_of_the_first() -> None:
    coupled = [("alpha_pos", "alpha_neg")]
    for formulas in ({"alpha_pos": "load", "alpha_neg": "load"}, {"alpha_neg": "load"}):
        message = refusal(rl.build, "delta(rates=sign)", trials(), formulas=formulas, coupled=coupled)
        assert_says(message, "'alpha_neg' is equal to 'alpha_pos'", "give that one the formula")


@pytest.mark.parametrize("name", ["z", "sigma", "mu", "centre", "reliability", "Intercept"])
def test_columns_whose_names_are_taken_are_refused(name: str) -> None:
    assert_says(said(name, trials().assign({name: trials()["load"]})), "has a meaning already", "rename the column")


@pytest.mark.parametrize("name", ["my load", "a.b", "größe", "alpha", "u", "own", "trial_", "1"])
def test_any_other_name_is_taken_as_it_is(name: str) -> None:
    data = trials().assign({name: trials()["load"]})
    model = rl.build("delta", data, formulas={"alpha": f"`{name}` + (`{name}` | subject)"})
    assert {f"alpha_{name}", f"alpha_{name}|subject"} <= set(model.named_vars)


def test_large_numbers_far_from_0_are_no_reason_to_refuse() -> None:
    """Seconds since 1970 differ little as a share of what they are; whatever the unit, it is a covariate."""
    for x in (trials()["load"] + 1e9, 1e15 * trials()["load"], 1e-15 * trials()["load"]):
        model = rl.build("delta", trials().assign(x=x), formulas={"alpha": "x + block"})
        effects = {e.name: e for e in model.spec.population.effects(model.data)}
        here = x.values[trials()["exists"].values]
        found = effects["alpha_x"].variables[0].prior.sigma * here.std(ddof=1)
        assert_allclose(found, effects["alpha"].variables[0].prior.sigma, rtol=1e-6)


def test_without_an_intercept_one_factor_gives_means_and_the_next_differences() -> None:
    """`0 + session + group`: a mean for each session, and what the treated differ by, around 0."""
    model = rl.build("delta", trials(), formulas={"beta": "0 + session + group"})
    prior = {k: v.prior for e in model.spec.population.effects(model.data) for k, v in e.named.items()}
    mean = rl.build("delta", trials()).spec.population.effects(model.data)[1].variables[0].prior
    assert prior["beta_session[early]"] == prior["beta_session[late]"] == mean
    assert prior["beta_group[treated]"].mu == 0.0
    sd = np.std(trials()["group"].values[:, 0] == "treated", ddof=1)
    assert_allclose(prior["beta_group[treated]"].sigma, mean.sigma / sd)


def test_data_are_not_replaced_by_ones_with_other_covariates() -> None:
    model = rl.build("delta", trials(), formulas={"alpha": "load"})
    model.set_trials(trials().assign(group=trials()["session"]))
    other = trials().assign(load=2 * trials()["load"])
    assert_says(refusal(model.set_trials, other), "the formula of 'alpha'", "build a new model")
