"""Predictions from hand-made posteriors: known probabilities, the right law, new people, fits that do not belong."""

import json
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

import rlpymc as rl
from rlpymc.tasks import Bandit, TwoStep
from tests.helpers.messages import assert_says, refusal

ALPHA, BETA = [0.1, 0.4, 0.8], [1.0, 3.0, 2.0]


@cache
def trials() -> xr.Dataset:
    """Return three subjects, 8, 8 and 5 trials long; the first one misses trial 2, trial 3 of the second is forced."""
    made = rl.simulate("delta", Bandit([0.3, 0.7]), {"alpha": 0.3, "beta": 2.0}, 3, 8, 1)
    table = rl.to_table(made.assign_coords(subject=["a", "b", "c"]))[["subject", "action", "reward"]]
    table = table.drop(index=[21, 22, 23]).assign(scored=True, learned=True)
    table["action"] = table["action"].astype(float)
    table.loc[2, ["action", "reward"]] = np.nan
    table.loc[2, ["scored", "learned"]] = False
    table.loc[11, "scored"] = False
    return rl.read_trials(table)


def posterior(n: int = 10, subjects: Any = ("a", "b", "c"), **values: Any) -> xr.DataTree:
    """Return a fit in which all draws are the same; a list is by subject."""
    found = {}
    for name, value in values.items():
        value = np.asarray(value, dtype=float)
        dims = ("chain", "draw", "subject")[: 2 + value.ndim]
        found[name] = (dims, np.broadcast_to(value, (2, n, *value.shape)))
    coords = {"subject": list(subjects)} if any(np.ndim(v) for v in values.values()) else {}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(found, coords=coords)})


def predict(model: Any = None, fit: Any = None, **options: Any) -> xr.Dataset:
    model = rl.build("delta", trials(), pooling="none") if model is None else model
    fit = posterior(alpha=ALPHA, beta=BETA) if fit is None else fit
    return rl.predict(model, fit, **{"draws": 5, "seed": 1, **options})


refused = partial(refusal, predict)


# ---------------------------------------------------------------- one step


def test_one_step_probabilities_are_those_of_latents() -> None:
    found = predict()
    known = rl.latents("delta", trials(), {"alpha": ALPHA, "beta": BETA}, mode="FAST_COMPILE")["action_probs"]
    exists = trials()["exists"].values
    for probs in found["action_probs"].values:
        assert_allclose(probs[exists], known.values[exists], rtol=1e-12)


def test_padding_has_no_probability() -> None:
    probs, exists = predict()["action_probs"].values, trials()["exists"].values
    assert np.isnan(probs[:, ~exists]).all()
    assert np.isfinite(probs[:, exists]).all()


@pytest.mark.parametrize("kind", ["one_step", "yoked"])
def test_only_scored_choices_are_predicted(kind: str) -> None:
    drawn, scored = predict(kind=kind)["action"].values, trials()["scored"].values
    assert (drawn[:, ~scored] == -1).all()
    assert (drawn[:, scored] >= 0).all()


def test_one_step_choices_are_as_frequent_as_their_probabilities() -> None:
    found = predict(draws=2000)
    scored = trials()["scored"].values
    p = found["action_probs"].values[0][scored, 1]
    frequency = (found["action"].values[:, scored] == 1).mean(axis=0)
    assert (abs(frequency - p) < 4.5 * np.sqrt(p * (1 - p) / 2000)).all()


def test_what_was_observed_goes_with_the_predictions() -> None:
    found, responded = predict(), (trials()["action"] >= 0).values
    assert_array_equal(found["observed"].values[responded], trials()["action"].values[responded])
    assert (found["observed"].values[~responded] == -1).all()
    assert {"reward", "exists", "scored", "learned", "reset"} <= set(found.data_vars)
    assert found["action"].dims == ("sample", "subject", "trial")
    assert found.attrs["kind"] == "one_step"


@pytest.mark.parametrize("kind", ["one_step", "yoked"])
def test_the_same_seed_gives_the_same_predictions(kind: str) -> None:
    xr.testing.assert_identical(predict(kind=kind), predict(kind=kind))
    assert not predict(kind=kind).equals(predict(kind=kind, seed=2))


def test_more_draws_than_the_posterior_has() -> None:
    assert predict(draws=50).sizes["sample"] == 50


# ---------------------------------------------------------------- yoked


def test_yoked_choices_follow_from_the_model_s_own() -> None:
    """With alpha = 1 and a large beta, the first, random choice is repeated after rewards and left after losses."""
    table = pd.DataFrame({"subject": "a", "action": [0, 0, 1, 0], "reward": [1.0, 1.0, -1.0, 1.0]})
    data = rl.read_trials(table)
    fit = posterior(subjects=["a"], alpha=[1.0], beta=[500.0])
    drawn = predict(rl.build("delta", data, pooling="none"), fit, kind="yoked", draws=400)["action"].values[:, 0]
    first = drawn[:, 0]
    assert abs(first.mean() - 0.5) < 4 * 0.5 / np.sqrt(400)
    assert_array_equal(drawn[:, 1], first)
    assert_array_equal(drawn[:, 2], first)
    assert_array_equal(drawn[:, 3], 1 - first)


def test_one_step_choices_follow_from_those_observed() -> None:
    table = pd.DataFrame({"subject": "a", "action": [0, 0, 1, 0], "reward": [1.0, 1.0, -1.0, 1.0]})
    fit = posterior(subjects=["a"], alpha=[1.0], beta=[500.0])
    drawn = predict(rl.build("delta", rl.read_trials(table), pooling="none"), fit, draws=50)["action"].values[:, 0]
    assert (drawn[:, 1:] == 0).all()


# ---------------------------------------------------------------- free run


TASK = Bandit([0.1, 0.9])


def free_run(task: Any = TASK, **options: Any) -> xr.Dataset:
    return predict(kind="free_run", task=task, **options)


def test_a_free_run_is_of_as_many_people_and_trials_as_the_data() -> None:
    found = free_run()
    assert found["action"].dims == ("sample", "subject", "trial")
    assert found["action"].shape == (5, 3, 8)
    assert found["subject"].values.tolist() == ["a", "b", "c"]
    assert {"action", "reward", "exists", "scored", "learned", "reset"} <= set(found.data_vars)
    assert not [name for name in found.data_vars if str(name).startswith("true_")]
    assert found.attrs["kind"] == "free_run"
    assert found.attrs["model"] == "delta"
    assert found.attrs["response"] == "action"
    assert found["exists"].values.all()
    assert set(np.unique(found["action"])) == set(np.unique(found["reward"])) == {0, 1}


def test_columns_of_more_dims_and_masks_of_the_task_are_kept() -> None:
    model = rl.build("delta", trials().assign_attrs(facts={"n_actions": 3}), pooling="none")
    task = Bandit([0.1, 0.5, 0.9], on_offer=2, missed=0.3, block_length=4)
    found = free_run(task, model=model)
    assert found["available"].shape == (5, 3, 8, 3)
    assert (found["available"].sum("option") == 2).all()
    missed = found["action"].values == -1
    assert missed.any()
    assert_array_equal(found["scored"].values, ~missed)
    assert found["reset"].values[0, 0].tolist() == [True, False, False, False] * 2
    assert rl.facts(found) == {"n_actions": 3}


def test_a_good_learner_chooses_the_better_action_ever_more_often() -> None:
    fit = posterior(alpha=[0.3, 0.3, 0.3], beta=[8.0, 8.0, 8.0])
    better = (free_run(fit=fit, draws=300)["action"] == 1).mean(("sample", "subject")).values
    assert abs(better[0] - 0.5) < 4.5 * 0.5 / np.sqrt(900)
    assert better[2] > better[0] + 0.1
    assert better[7] > 0.85


def test_each_person_lives_with_parameters_of_their_own() -> None:
    """b alone cares for rewards; c has learned that the first reward was good, and stays."""
    fit = posterior(alpha=[1.0, 1.0, 1.0], beta=[0.0, 500.0, 0.0])
    found = free_run(Bandit(means=[0.0, 1.0], sd=0.0), fit=fit, draws=400)
    late = (found["action"].isel(trial=slice(4, None)) == 1).mean(("sample", "trial")).values
    assert abs(late[0] - 0.5) < 4.5 * 0.5 / np.sqrt(1600)
    assert abs(late[2] - 0.5) < 4.5 * 0.5 / np.sqrt(1600)
    assert late[1] > 0.9


def test_each_draw_lives_with_parameters_of_its_own() -> None:
    fit = posterior(alpha=[1.0] * 3, beta=[0.0] * 3)
    chains = xr.DataArray([0.0, 500.0], dims="chain")
    fit["posterior"]["beta"] = (fit["posterior"]["beta"] + chains).transpose("chain", "draw", "subject")
    found = free_run(Bandit(means=[0.0, 1.0], sd=0.0), fit=fit, draws=20)
    share = (found["action"].isel(trial=slice(5, None)) == 1).mean(("subject", "trial")).values
    assert (share == 1).sum() >= 8
    assert (share < 0.95).sum() >= 5


def test_outcomes_of_a_free_run_follow_from_its_own_choices() -> None:
    found = free_run(Bandit(means=[-3.0, 4.0], sd=0.0))
    assert_array_equal(found["reward"], np.where(found["action"] == 1, 4.0, -3.0))


def test_log_probabilities_of_a_free_run_are_those_of_the_likelihood() -> None:
    found = free_run()
    assert found["log_prob"].shape == (5, 3, 8)
    for k in range(5):
        one = found.isel(sample=k).drop_vars("log_prob").assign_attrs(facts={"n_actions": 2})
        known = rl.log_prob("delta", one, {"alpha": ALPHA, "beta": BETA})
        assert_allclose(found["log_prob"].values[k], known)


def test_the_same_seed_gives_the_same_free_run() -> None:
    xr.testing.assert_identical(free_run(), free_run())
    assert not free_run().equals(free_run(seed=2))


def test_constants_freed_and_fixed_are_those_of_the_model() -> None:
    """A start value that was fixed far above the rewards makes people try both actions first."""
    model = rl.build("delta", trials(), pooling="none", fixed={"q0": 5.0, "alpha": 1.0})
    fit = posterior(beta=[500.0] * 3)
    action = free_run(Bandit(means=[0.0, 1.0], sd=0.0), model=model, fit=fit, draws=50)["action"].values
    assert (action[..., 1] == 1 - action[..., 0]).all()
    assert (action[..., 2:] == 1).all()


def test_new_trials_say_how_long_a_free_run_is_and_of_whom() -> None:
    found = free_run(trials=trials().isel(subject=[2, 0], trial=slice(0, 4)))
    assert found["action"].shape == (5, 2, 4)
    assert found["subject"].values.tolist() == ["c", "a"]


def test_a_free_run_needs_a_task_and_the_others_take_none() -> None:
    assert_says(refused(kind="free_run"), "kind='free_run'", "needs a task", "task=rlpymc.tasks.Bandit")
    for kind in ("one_step", "yoked"):
        assert_says(refused(kind=kind, task=TASK), "the others take none")


def test_tasks_that_do_not_fit_the_model_are_refused() -> None:
    assert_says(refused(kind="free_run", task=TwoStep()), "delta responds with action", "action1, action2")
    assert_says(refused(kind="free_run", task="bandit", error=TypeError), "task", "str", "rlpymc.tasks.Bandit")


def test_a_task_that_is_described_for_some_trials_is_run_for_these() -> None:
    found = predict(kind="free_run", task=Bandit(np.full((4, 2), 0.5)))
    assert found.sizes["trial"] == 4
    assert predict(kind="free_run", task=Bandit([0.5, 0.5])).sizes["trial"] == trials().sizes["trial"]


def test_a_task_of_more_actions_than_a_parameter_is_for_is_refused() -> None:
    model = rl.build("biased_random", trials(), pooling="none")
    fit = posterior(bias=[0.1, 0.2, 0.3])
    fit["posterior"]["bias"] = fit["posterior"]["bias"].expand_dims("bias_dim_0", axis=3)
    text = refused(model, fit, kind="free_run", task=Bandit([0.1, 0.5, 0.9]))
    assert_says(text, "'bias'")


# ---------------------------------------------------------------- whose parameters


def test_subjects_are_found_by_label() -> None:
    turned = posterior(subjects=["c", "a", "b"], alpha=[0.8, 0.1, 0.4], beta=[2.0, 1.0, 3.0])
    assert_array_equal(predict(fit=turned)["action_probs"], predict()["action_probs"])
    some = predict(trials=trials().isel(subject=[2, 0]))
    exists = trials()["exists"].values[[2, 0]]
    assert_allclose(some["action_probs"].values[:, exists], predict()["action_probs"].values[:, [2, 0]][:, exists])


def test_shared_parameters_and_constants() -> None:
    model = rl.build("delta", trials(), pooling="none", shared="beta", fixed={"alpha": 0.3})
    known = rl.latents("delta", trials(), {"alpha": 0.3, "beta": 2.0}, mode="FAST_COMPILE")["action_probs"]
    exists = trials()["exists"].values
    assert_allclose(predict(model, posterior(beta=2.0))["action_probs"].values[0][exists], known.values[exists])


def test_new_people_are_drawn_from_the_population() -> None:
    data = rl.read_trials(pd.DataFrame({"subject": "a", "action": [0, 0], "reward": [1.0, 1.0]}))
    parts = {"alpha_mu": -1.0, "alpha_sigma": 0.5, "beta_mu": 0.0, "beta_sigma": 0.0}
    fit = posterior(n=1000, subjects=["a"], **parts, alpha=[0.4], beta=[1.0])
    both = xr.concat([data, data.assign_coords(subject=["new"])], dim="subject")
    probs = predict(rl.build("delta", data), fit, trials=both, draws=1000)["action_probs"].values[:, :, 1, 0]
    logit_alpha = special.logit(special.logit(probs))  # beta is 1 and the reward was 1: the logits differ by alpha
    assert_allclose(special.expit(logit_alpha[:, 0]), 0.4)
    assert abs(logit_alpha[:, 1].mean() + 1) < 4 * 0.5 / np.sqrt(1000)
    assert abs(logit_alpha[:, 1].std() - 0.5) < 4 * 0.5 / np.sqrt(2000)


def test_new_people_of_whom_nothing_is_known_are_refused() -> None:
    new = trials().assign_coords(subject=["x", "b", "z"])
    assert_says(refused(trials=new), "'x'", "not in the fit", "partial pooling")


@pytest.mark.parametrize("order", [[2], [2, 1, 0]], ids=["one of them", "another order"])
def test_values_fixed_by_subject_are_found_by_label(order: list[int]) -> None:
    model, fit = rl.build("delta", trials(), pooling="none", fixed={"alpha": ALPHA}), posterior(beta=BETA)
    found = predict(model, fit, trials=trials().isel(subject=order))["action_probs"].values
    exists = trials()["exists"].values[order]
    assert_allclose(found[:, exists], predict()["action_probs"].values[:, order][:, exists])


def test_new_trials_of_the_same_people() -> None:
    new = trials().isel(trial=slice(0, 4))
    assert predict(trials=new).sizes["trial"] == 4


# ---------------------------------------------------------------- what does not fit


def test_an_unknown_kind_is_answered_with_those_there_are() -> None:
    assert_says(refused(kind="one_stap"), "'one_stap'", "Did you mean 'one_step'?", "yoked")


def test_a_posterior_of_another_model_is_refused() -> None:
    assert_says(refused(rl.build("wsls", trials())), "epsilon", "wsls")


def test_a_posterior_of_a_larger_model_is_refused() -> None:
    fit = posterior(alpha=ALPHA, beta=BETA, stickiness=[0.5, 0.5, 0.5])
    fit.attrs["rlpymc"] = json.dumps({"spec": {"model": "delta+stickiness"}})
    assert_says(refused(fit=fit), "delta+stickiness")


def test_a_posterior_in_which_a_fixed_parameter_was_free_is_refused() -> None:
    assert_says(refused(rl.build("delta", trials(), pooling="none", fixed={"beta": 1.0})), "beta")


def test_draws_are_a_whole_number_from_one() -> None:
    assert_says(refused(draws=0), "draws", "0", "at least 1")


def test_a_fit_without_posterior_is_refused() -> None:
    assert_says(refused(fit=xr.DataTree()), "posterior")


@pytest.mark.parametrize("model", ["delta", xr.DataTree()], ids=["a name", "a fit"])
def test_predictions_need_a_built_model(model: Any) -> None:
    assert_says(refused(model, error=TypeError), "rlpymc.build", type(model).__name__)


def test_a_table_is_not_trials() -> None:
    assert_says(refused(trials=rl.to_table(trials()), error=TypeError), "read_trials")
