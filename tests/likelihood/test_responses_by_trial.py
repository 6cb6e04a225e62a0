"""Two responses in a trial: a second one may be missing, each is scored by itself, nothing is out of order."""

import json
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.math import onehot, size, zeros
from rlpymc.model import Input, Model, Parameter, index, real
from rlpymc.model.priors import Normal
from rlpymc.model.responses import Categorical
from rlpymc.tasks import TwoStep
from rlpymc.trials.model_data import data_for
from tests.helpers.messages import assert_says, refusal
from tests.reference import two_step_hybrid as reference

NAN = float("nan")
NAME = "two_step_hybrid"
PARAMS = {"alpha1": 0.5, "alpha2": 0.6, "beta1": 3.0, "beta2": 2.0, "lam": 0.4, "w": 0.3, "stickiness": 0.4}
# Whether action1 and action2 were made in each row of `table`.
FIRST = [True, True, True, True, True, True, False, True]
SECOND = [True, False, True, True, True, False, False, True]


def table(**columns: Any) -> pd.DataFrame:
    """Return two subjects: a misses a second response, b a second one and a whole trial."""
    made = {
        "subject": ["a"] * 4 + ["b"] * 4,
        "action1": [0, 1, 0, 1, 1, 0, NAN, 0],
        "state2": [0, 1, 1, 1, 1, 0, NAN, 1],
        "action2": [0, NAN, 1, 0, 1, NAN, NAN, 0],
        "reward": [1.0, NAN, 0.0, 1.0, 1.0, NAN, NAN, 1.0],
    }
    return pd.DataFrame(made | columns)


def trials(**columns: Any) -> xr.Dataset:
    return rl.read_trials(table(**columns))


def rows(mask: list[Any]) -> list[Any]:
    """Return a mask of the table's rows by subject and trial."""
    return np.array(mask).reshape((2, 4, *np.shape(mask)[1:])).tolist()


def not_read(options: dict[str, Any] | None = None, **columns: Any) -> str:
    with pytest.raises(ValueError) as info:  # noqa: PT011 (the message is looked at)
        rl.read_trials(table(**columns), **(options or {}))
    return str(info.value)


def refused(data: xr.Dataset, model: Any = NAME, params: Any = PARAMS) -> str:
    return refusal(rl.log_prob, model, data, params)


def loop(data: xr.Dataset, params: dict[str, Any]) -> np.ndarray:
    """Return log probabilities by the plain loop; it gets numbers out of range where nothing may be read."""
    scored = data["scored"].values
    scored = np.repeat(scored[..., None], 2, axis=2) if scored.ndim == 2 else scored
    names = ("action1", "state2", "action2", "reward")
    out = np.zeros(data["exists"].shape)
    for i, n in enumerate(data["exists"].values.sum(axis=1)):
        columns = {k: data[k].values[i, :n] for k in (*names, "learned", "reset")}
        columns |= {k: np.where(columns[k] < 0, 99, columns[k]) for k in ("state2", "action2")}
        columns |= {"scored": scored[i, :n], "responded": columns["action1"] >= 0}
        out[i, :n] = reference.log_prob({"common": 0.7, **params}, columns, {"n_actions": 2, "n_states": 2})
    return out


# ---------------------------------------------------------------- reading


def test_a_missing_second_response_is_not_scored_and_the_first_one_is() -> None:
    data = trials()
    assert data["scored"].dims == ("subject", "trial", "response")
    assert data["response"].values.tolist() == ["action1", "action2"]
    assert data["scored"].values.tolist() == rows(list(zip(FIRST, SECOND, strict=True)))
    assert data["learned"].values.tolist() == rows(SECOND)
    assert data["action2"].values.tolist() == [[0, -1, 1, 0], [1, -1, -1, 0]]


def test_where_all_responses_are_made_one_mask_is_enough() -> None:
    data = trials(action2=[0, 1, 1, 0, 1, 0, NAN, 0], reward=[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, NAN, 1.0])
    assert data["scored"].dims == ("subject", "trial")
    assert data["scored"].values.tolist() == rows(FIRST)
    assert "response" not in data.coords


def test_the_table_comes_back_as_it_was() -> None:
    pd.testing.assert_frame_equal(rl.to_table(trials()), table())


def test_another_code_of_no_response() -> None:
    coded = table(action1=[0, 1, 0, 1, 1, 0, 9, 0], action2=[0, 9, 1, 0, 1, 9, 9, 0])
    data = rl.read_trials(coded, missing=9)
    assert_array_equal(data["scored"], trials()["scored"])
    pd.testing.assert_frame_equal(rl.to_table(data), coded)


def test_a_second_response_without_the_first_is_refused_in_a_table() -> None:
    text = not_read(action1=[0, 1, NAN, 1, 1, 0, NAN, 0])
    assert_says(text, "column 'action2'", "subject 'a'", "trial 2", "found 1", "action1 is missing", "give both")


def test_a_second_response_without_the_first_is_refused_in_the_likelihood() -> None:
    data = trials()
    data["action1"][1, 3] = -1
    assert_says(refused(data), "column 'action2'", "subject 'b'", "trial 3", "found 0", "action1", "leave both empty")


def test_a_table_scores_each_response_by_itself() -> None:
    first = [True, False, True, True, False, True, False, False]
    second = [True, False, False, True, True, False, False, False]
    wanted = rows(list(zip(first, second, strict=True)))
    for data in (
        trials(scored_0=first, scored_1=second),
        rl.read_trials(table(one=first, two=second), {"scored": ["one", "two"]}),
    ):
        assert data["scored"].dims == ("subject", "trial", "response")
        assert data["scored"].values.tolist() == wanted
        assert data["response"].values.tolist() == ["action1", "action2"]
        assert data["learned"].values.tolist() == rows(SECOND)
        assert_allclose(rl.log_prob(NAME, data, PARAMS), loop(data, PARAMS), atol=1e-12)
    marked = table(scored_0=first, scored_1=second)
    pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(marked)), marked)


def test_responses_that_were_not_made_cannot_be_scored() -> None:
    text = not_read(scored_0=FIRST, scored_1=FIRST)
    assert_says(text, "column 'scored_1'", "subject 'a'", "trial 1", "found True", "no response was made")
    text = not_read(scored_0=[True] * 8, scored_1=SECOND)
    assert_says(text, "column 'scored_0'", "subject 'b'", "trial 2", "found True", "no response was made")
    assert_says(not_read(scored=FIRST), "column 'scored'", "subject 'a'", "trial 1", "found True")
    text = refusal(data_for, rl.get_model(NAME), trials(learned=FIRST))
    assert_says(text, "column 'action2'", "subject 'a'", "trial 1", "no response", "named scored and learned")


@pytest.mark.parametrize("n", [1, 3])
def test_there_is_a_column_of_scores_for_each_response(n: int) -> None:
    text = not_read(**{f"scored_{k}": SECOND for k in range(n)})
    assert_says(text, f"scored: found {n} column", "one for each action column", "action1", "action2")


def test_one_mask_is_that_of_both_responses() -> None:
    data = trials(scored=SECOND)
    assert data["scored"].dims == ("subject", "trial")
    known = data_for(rl.get_model(NAME), data).masks["scored"]
    assert known.tolist() == rows([[s, s] for s in SECOND])
    assert_allclose(rl.log_prob(NAME, data, PARAMS), loop(data, PARAMS), atol=1e-12)


def test_one_mask_that_scores_a_missing_second_response_is_refused_in_the_likelihood() -> None:
    data = trials().drop_vars(["scored", "response"]).assign(scored=trials()["exists"])
    data["scored"][1, 2] = False
    assert_says(refused(data), "column 'action2'", "subject 'a'", "trial 1", "no response")


def test_masks_are_found_by_the_label_of_the_response() -> None:
    turned = trials().isel(response=[1, 0])
    assert turned["scored"].values.tolist() != trials()["scored"].values.tolist()
    assert_array_equal(rl.log_prob(NAME, turned, PARAMS), rl.log_prob(NAME, trials(), PARAMS))
    other = trials().transpose("response", "trial", "subject")
    assert_array_equal(rl.log_prob(NAME, other, PARAMS), rl.log_prob(NAME, trials(), PARAMS))
    assert_says(refused(trials().isel(response=[0])), "'scored'", "no entry for 'action2'", NAME)
    assert_says(refused(trials().drop_vars("response").isel(response=[0])), "'scored'", NAME, "2 responses")


# ---------------------------------------------------------------- the likelihood


@pytest.mark.parametrize("backend", ["fused", "scan"])
def test_log_probabilities_are_those_of_the_plain_loop(backend: str) -> None:
    data = trials()
    wanted = loop(data, PARAMS)
    assert (wanted < 0).sum() == 7
    assert_allclose(rl.log_prob(NAME, data, PARAMS, backend=backend), wanted, rtol=0, atol=1e-12)


def test_nothing_is_learned_from_a_trial_without_second_response_and_its_first_is_remembered() -> None:
    found = rl.latents(NAME, trials(), PARAMS)
    for name in ("q1", "q2"):
        assert_array_equal(found[name].values[0, 2], found[name].values[0, 1])
        assert (found[name].values[0, 1] != found[name].values[0, 0]).any()
    assert found["last"].values[0, 2].tolist() == [0, 1]
    assert found["last"].values[1, 2].tolist() == found["last"].values[1, 3].tolist() == [1, 0]
    assert np.isnan(found["prediction_error2"].values[0, 1])


def test_a_simulation_that_breaks_off_has_the_plain_loop_s_log_probabilities() -> None:
    data = rl.simulate(NAME, TwoStep(missed=0.3, forced=0.1, no_feedback=0.1), PARAMS, 4, 40, 1)
    assert_allclose(data["log_prob"], loop(data, PARAMS), rtol=0, atol=1e-10)


def test_the_first_response_alone_is_a_likelihood() -> None:
    data = trials(scored_0=FIRST, scored_1=[False] * 8)
    found = rl.latents(NAME, data, PARAMS)["action1_probs"].values
    for i, t in np.argwhere(np.array(rows(FIRST))):
        wanted = np.log(found[i, t, data["action1"].values[i, t]])
        assert_allclose(rl.log_prob(NAME, data, PARAMS).values[i, t], wanted, rtol=1e-10)


def repeats() -> Model:
    """A model of the first response alone: it repeats itself."""
    return Model(
        name="repeats",
        family="test",
        summary="repeats",
        reference="none",
        equation="none",
        inputs=(Input("action1", index("n_actions"), response=True),),
        parameters=(Parameter("stick", real, prior=Normal(0.0, 1.0), meaning="stick", citation="none"),),
        start=lambda p, facts: {"last": zeros(facts.n_actions)},
        policy=lambda p, s, x: Categorical(logits=p.stick * s.last),
        remember=lambda p, s, x: {"last": onehot(x.action1, size(s.last))},
    )


def test_a_model_of_the_first_response_reads_the_same_table() -> None:
    data, p = trials(), 1 / (1 + np.exp(-0.8))
    found = rl.log_prob(repeats(), data, {"stick": 0.8}).values
    other = np.log(1 - p)
    assert_allclose(found, [[np.log(0.5), other, other, other], [np.log(0.5), other, 0, np.log(p)]])
    assert rl.fit_mle(repeats(), data, progress=False).log_lik.dims == ("subject",)


def test_scoring_by_response_is_followed_by_a_model_of_the_first() -> None:
    first = [True, False, True, True, False, True, False, False]
    found = rl.log_prob(repeats(), trials(scored_0=first, scored_1=SECOND), {"stick": 0.8}).values
    assert (found != 0).tolist() == rows(first)


# ---------------------------------------------------------------- facts


def test_actions_beyond_the_facts_are_refused() -> None:
    text = not_read({"facts": {"n_actions": 2}}, action2=[0, NAN, 2, 0, 1, NAN, NAN, 0])
    assert_says(text, "column 'action2'", "subject 'a'", "trial 2", "found 2", "from 0 to 1")
    data = trials()
    data["action2"][0, 2] = 2
    assert_says(refused(data), "column 'action2'", "subject 'a'", "trial 2", "found 2", "from 0 to 1")


def test_states_beyond_the_facts_are_refused() -> None:
    text = not_read({"facts": {"n_states": 2}}, state2=[0, 1, 1, 2, 1, 0, NAN, 1])
    assert_says(text, "column 'state2'", "subject 'a'", "trial 3", "found 2", "from 0 to 1", "n_states")


@pytest.mark.parametrize(
    "columns",
    [
        {"state2": [0, 1, 2, 1, 1, 0, NAN, 1]},
        {"state2": [0] * 6 + [NAN, 0]},
        {"action2": [0, NAN, 2, 0, 1, NAN, NAN, 0]},
    ],
    ids=["three states", "one state", "three actions"],
)
def test_the_hybrid_needs_as_many_states_as_actions(columns: dict[str, Any]) -> None:
    data = trials(**columns)
    facts = rl.facts(data)
    parts = f"n_states={facts['n_states']}", f"n_actions={facts['n_actions']}"
    assert facts["n_states"] != facts["n_actions"]
    assert_says(refused(data), NAME, *parts)
    for use in (rl.build, rl.fit_mle, lambda model, data: rl.latents(model, data, PARAMS)):
        with pytest.raises(ValueError, match="as many second states") as info:
            use(NAME, data)
        assert_says(str(info.value), *parts)


def test_a_state_that_never_comes_is_told_by_the_facts() -> None:
    rare = table(state2=[0] * 6 + [NAN, 0])
    data = rl.read_trials(rare, facts={"n_states": 2})
    assert_allclose(rl.log_prob(NAME, data, PARAMS), loop(data, PARAMS), atol=1e-12)


# ---------------------------------------------------------------- inside PyMC

FREE = ("beta1", "beta2")
FIXED = {k: v for k, v in PARAMS.items() if k not in FREE}


@cache
def more() -> xr.Dataset:
    data = rl.simulate(NAME, TwoStep(missed=0.25), PARAMS, 2, 12, 3).assign_coords(subject=["a", "b"])
    return rl.read_trials(rl.to_table(data))


def density(form: str, data: xr.Dataset, **params: Any) -> float:
    with pm.Model() as model:
        getattr(rl.get_model(NAME), form)("choice", data, **params)
    return float(model.compile_logp(mode="FAST_COMPILE")({}))


@pytest.mark.parametrize("backend", ["fused", "scan"])
def test_distribution_and_potential_are_the_log_likelihood(backend: str) -> None:
    wanted = loop(more(), PARAMS).sum()
    for form in ("distribution", "potential"):
        assert_allclose(density(form, more(), **PARAMS, backend=backend), wanted, rtol=1e-10)


def test_distribution_and_potential_have_one_gradient() -> None:
    found = []
    for form in ("distribution", "potential"):
        model = rl.build(NAME, more(), likelihood=form, pooling="none")
        rng = np.random.default_rng(1)
        point = {k: v + 0.3 * rng.normal(size=v.shape) for k, v in model.initial_point().items()}
        found.append(model.compile_dlogp(mode="FAST_COMPILE")(point))
    assert np.isfinite(found[0]).all()
    assert_allclose(found[0], found[1], rtol=1e-10)
    assert (found[0] != 0).all()


@pytest.mark.parametrize("form", ["categorical", "bernoulli"])
def test_forms_of_one_response_are_refused(form: str) -> None:
    with pytest.raises(ValueError, match="2 responses in a trial") as info:
        rl.build(NAME, more(), likelihood=form)
    assert_says(str(info.value), NAME, "distribution or potential")


def test_dims_of_the_variable() -> None:
    model = rl.build(NAME, more(), fixed=FIXED)
    assert model.named_vars_to_dims["choice"] == ("subject", "trial", "response")
    assert list(model.coords["response"]) == ["action1", "action2"]
    assert list(model.coords["subject"]) == ["a", "b"]


@pytest.mark.filterwarnings("ignore:Numba will use object mode")
def test_random_draws_are_of_both_responses_and_leave_alone_what_is_not_scored() -> None:
    data = more()
    model = rl.build(NAME, data, fixed=PARAMS)
    drawn = pm.draw(model["choice"], draws=20, random_seed=1, mode="FAST_COMPILE")
    scored = data["scored"].values
    assert drawn.shape == (20, 2, 12, 2)
    recorded = np.stack([model.data.inputs[k] for k in ("action1", "action2")], axis=-1)
    assert (drawn[:, ~scored] == recorded[~scored]).all()
    assert (drawn[:, scored].std(axis=0) > 0).mean() > 0.9
    assert set(np.unique(drawn)) <= {0, 1}


def test_set_trials_takes_masks_by_response() -> None:
    data = more()
    other = data.assign(action1=data["action1"].where(data["action1"] < 0, 1 - data["action1"]))
    for form in ("distribution", "potential"):
        model = rl.build(NAME, data, likelihood=form, fixed=PARAMS)
        logp = model.compile_logp(mode="FAST_COMPILE")
        assert_allclose(logp({}), loop(data, PARAMS).sum(), rtol=1e-10)
        model.set_trials(other)
        assert_allclose(logp({}), loop(other, PARAMS).sum(), rtol=1e-10)


# ---------------------------------------------------------------- sampling and comparing


def sample(model: rl.RLModel, **options: Any) -> xr.DataTree:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, 50, 50, 2, seed=1, progress=False, **options)


@pytest.fixture(scope="module")
def model() -> rl.RLModel:
    return rl.build(NAME, more(), pooling="none", fixed=FIXED)


@pytest.fixture(scope="module")
def fit(model: rl.RLModel) -> xr.DataTree:
    return sample(model)


def test_the_log_likelihood_is_by_response(fit: xr.DataTree) -> None:
    terms = fit["log_likelihood"].to_dataset()["choice"]
    scored = more()["scored"].values
    subject, trial, response = np.nonzero(scored)
    assert terms["subject"].values.tolist() == np.array(["a", "b"])[subject].tolist()
    assert terms["trial"].values.tolist() == trial.tolist()
    assert terms["response"].values.tolist() == np.array(["action1", "action2"])[response].tolist()
    draw = fit["posterior"].to_dataset().isel(chain=1, draw=17)
    params = {**FIXED, **{k: draw[k].values for k in FREE}}
    found = rl.latents(NAME, more(), params)
    for k in range(0, terms.sizes["obs"], 3):
        i, t, name = subject[k], trial[k], str(terms["response"].values[k])
        made = more()[name].values[i, t]
        assert_allclose(terms.values[1, 17, k], np.log(found[f"{name}_probs"].values[i, t, made]), rtol=1e-9)
    assert_allclose(terms.values[1, 17].sum(), rl.log_prob(NAME, more(), params).sum(), rtol=1e-10)


def test_what_was_observed_is_kept_by_response(fit: xr.DataTree) -> None:
    kept = fit["constant_data"].to_dataset()["scored"]
    assert kept.dims == ("subject", "trial", "response")
    assert_array_equal(kept, more()["scored"])
    assert set(fit["observed_data"].data_vars) == {"action1", "action2"}


def test_fits_are_compared_by_response_and_by_subject(model: rl.RLModel, fit: xr.DataTree) -> None:
    from rlpymc.fitting.nuts.sampling import pointwise

    other = fit.copy(deep=True)
    other["posterior"] = xr.DataTree(fit["posterior"].to_dataset() * 1e-4)  # temperatures near 0: choices at random
    other["log_likelihood"] = xr.DataTree(pointwise(model, other["posterior"].to_dataset(), "obs"))
    for unit, n in (("trial", int(more()["scored"].sum())), ("subject", 2)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = rl.compare({"random": other, "learner": fit}, unit, form="conditional")
        assert (found["n"] == n).all()
        assert list(found.index) == ["learner", "random"]
        assert_allclose(found.loc["random", "elpd"], more()["scored"].values.sum() * np.log(0.5), rtol=1e-2)


def test_fits_of_other_responses_are_not_compared(model: rl.RLModel, fit: xr.DataTree) -> None:
    from rlpymc.fitting.nuts.sampling import pointwise

    turned = fit.copy(deep=True)
    terms = pointwise(model, fit["posterior"].to_dataset(), "obs")
    turned["log_likelihood"] = xr.DataTree(terms.assign_coords(response=("obs", terms["response"].values[::-1])))
    with pytest.raises(ValueError, match="differ in response"):
        rl.compare({"one": fit, "two": turned})
    assert json.loads(fit.attrs["rlpymc"])["responses"]


# ---------------------------------------------------------------- predictions


def posterior(**values: float) -> xr.DataTree:
    found = {k: (("chain", "draw", "subject"), np.full((2, 5, 2), v)) for k, v in values.items()}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(found, coords={"subject": ["a", "b"]})})


def predict(data: xr.Dataset | None = None, kind: str = "one_step", draws: int = 10, **options: Any) -> xr.Dataset:
    data = more() if data is None else data
    params = {**PARAMS, **options}
    built = rl.build(NAME, data, pooling="none", fixed={k: v for k, v in params.items() if k != "beta1"})
    return rl.predict(built, posterior(beta1=params["beta1"]), kind, draws=draws, seed=1)


@pytest.mark.parametrize("kind", ["one_step", "yoked"])
def test_predictions_are_of_both_responses_where_they_are_scored(kind: str) -> None:
    found, scored = predict(kind=kind), more()["scored"].values
    for k, name in enumerate(("action1", "action2")):
        assert found[name].dims == ("sample", "subject", "trial")
        drawn = found[name].values
        assert (drawn[:, ~scored[..., k]] == -1).all()
        assert set(np.unique(drawn[:, scored[..., k]])) == {0, 1}
        assert_array_equal(found[f"observed_{name}"], more()[name])
    assert found.attrs["kind"] == kind
    assert found.attrs["response"] == "action1"


def test_one_step_probabilities_are_those_of_latents() -> None:
    found, known = predict(), rl.latents(NAME, more(), PARAMS)
    for name in ("action1_probs", "action2_probs"):
        assert_allclose(found[name].values[3], known[name].values, rtol=1e-10)


def test_one_step_choices_are_as_frequent_as_their_probabilities() -> None:
    found, scored = predict(draws=1500), more()["scored"].values
    for k, name in enumerate(("action1", "action2")):
        p = found[f"{name}_probs"].values[0, ..., 1][scored[..., k]]
        frequency = (found[name].values[:, scored[..., k]] == 1).mean(axis=0)
        assert (abs(frequency - p) < 4.5 * np.sqrt(p * (1 - p) / 1500)).all()


def test_yoked_choices_follow_the_model_s_own_first_and_second_ones() -> None:
    """State 0 always comes; whatever was chosen is rewarded once, and chosen ever after; then it fails."""
    rewarded = pd.DataFrame(
        {"subject": list("aaabbb"), "action1": 0, "state2": 0, "action2": 0, "reward": [1.0, 0.0, 0.0] * 2}
    )
    data = rl.read_trials(rewarded, facts={"n_actions": 2, "n_states": 2})
    certain = {"alpha1": 0.5, "alpha2": 0.5, "beta1": 500.0, "beta2": 500.0, "lam": 1.0, "w": 0.0, "stickiness": 0.0}
    found = predict(data, "yoked", 300, **certain)
    for name in ("action1", "action2"):
        drawn = found[name].values.reshape(-1, 3)
        assert abs(drawn[:, 0].mean() - 0.5) < 4.5 * 0.5 / np.sqrt(len(drawn))
        assert_array_equal(drawn[:, 1], drawn[:, 0])
        assert_array_equal(drawn[:, 2], drawn[:, 0])
    assert abs((found["action1"] == found["action2"]).values[..., 0].mean() - 0.5) < 4.5 * 0.5 / np.sqrt(600)


def test_a_free_run_is_of_both_responses() -> None:
    built = rl.build(NAME, more(), pooling="none", fixed={k: v for k, v in PARAMS.items() if k != "beta1"})
    found = rl.predict(built, posterior(beta1=3.0), "free_run", task=TwoStep(missed=0.3), draws=4, seed=1)
    assert found["action2"].dims == ("sample", "subject", "trial")
    assert found["scored"].shape == (4, 2, 12, 2)
    assert_array_equal(found["scored"].values[..., 1], found["action2"].values >= 0)
    assert found["reward"].shape == (4, 2, 12)
