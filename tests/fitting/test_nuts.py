"""Posteriors by NUTS: one tiny model sampled for real; the rest on hand-made fits."""

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.fitting.nuts import sampling as nuts
from rlpymc.tasks import Bandit
from tests.helpers.messages import assert_says, refusal

SETTINGS: dict[str, Any] = {"draws": 200, "tune": 200, "chains": 2, "seed": 1, "progress": False}


def trials(seed: int = 3) -> xr.Dataset:
    return rl.simulate("delta", Bandit([0.2, 0.8]), {"alpha": 0.3, "beta": 2.0}, 2, 20, seed)


def sample(model: rl.RLModel, **options: Any) -> xr.DataTree:
    """Sample; what so few draws are warned of is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        warnings.filterwarnings("ignore", module="jax|numpyro|pymc")
        return rl.sample(model, **{**SETTINGS, **options})


@pytest.fixture(scope="module")
def model() -> rl.RLModel:
    """The only model that this file samples."""
    return rl.build("delta", trials(), pooling="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fit's chains lie; tests work on copies."""
    return tmp_path_factory.mktemp("nuts") / "run"


@pytest.fixture(scope="module")
def fit(model: rl.RLModel, folder: Path) -> xr.DataTree:
    return sample(model, folder=folder)


@pytest.fixture(scope="module", autouse=True)
def compile_once() -> Iterator[None]:
    """Compile a model for nutpie once: that takes most of the time, and is not what is tested here."""
    import nutpie

    compiled: dict[int, Any] = {}
    compile_model = nutpie.compile_pymc_model

    def remember(model: Any, **options: Any) -> Any:
        if id(model) not in compiled:
            compiled[id(model)] = compile_model(model, **options)
        return compiled[id(model)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nutpie, "compile_pymc_model", remember)
        yield


def no_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make whatever samples raise, so that what comes before it can be seen."""

    def stop(*_: Any, **__: Any) -> Any:
        raise RuntimeError("sampling begins")

    monkeypatch.setattr(nuts, "_sample_nutpie", stop)
    monkeypatch.setattr(nuts, "_sample_pymc", stop)


refused = partial(refusal, sample)


def assert_same_draws(one: xr.DataTree, other: xr.DataTree) -> None:
    for name, values in one["posterior"].data_vars.items():
        assert_array_equal(other["posterior"][name].values, values.values)


# ---------------------------------------------------------------- draws


def test_a_fit_says_what_sampled_it(fit: xr.DataTree) -> None:
    assert [fit.attrs[k] for k in ("sampled_by", "sampled_in", "why")] == ["machine", "informed", ""]


def test_data_are_checked_once_for_a_model(model: rl.RLModel) -> None:
    assert model.data is model.data
    again = rl.build("delta", trials(), pooling="none")
    again.set_trials(trials(seed=4))
    assert again.data is not model.data
    assert_array_equal(again.data.inputs["reward"], trials(seed=4)["reward"])


def test_what_a_fit_holds(fit: xr.DataTree) -> None:
    groups = {"posterior", "sample_stats", "observed_data", "constant_data", "log_prior", "log_likelihood"}
    assert set(fit.children) == groups
    assert dict(fit["posterior"]["alpha"].sizes) == {"chain": 2, "draw": 200, "subject": 2}
    record = json.loads(fit.attrs["rlpymc"])
    assert record["spec"]["model"] == "delta"
    assert record["sampler"]["seed"] == 1


def test_steps_are_as_small_as_the_acceptance_rate_that_is_aimed_at_says(model: rl.RLModel, fit: xr.DataTree) -> None:
    assert json.loads(fit.attrs["rlpymc"])["sampler"]["target_accept"] == nuts.TARGET_ACCEPT
    steps = [float(f["sample_stats"]["step_size_bar"].mean()) for f in (sample(model, target_accept=0.5), fit)]
    assert steps[0] > 1.5 * steps[1]
    assert_same_draws(fit, sample(model, target_accept=nuts.TARGET_ACCEPT))
    assert signature(rl.leave_future_out).parameters["target_accept"].default == nuts.TARGET_ACCEPT


def test_the_same_seed_gives_the_same_draws(model: rl.RLModel, fit: xr.DataTree) -> None:
    assert_same_draws(fit, sample(model, log_likelihood=False))


def test_numpy_s_whole_numbers_are_written_with_the_fit(model: rl.RLModel) -> None:
    with pytest.MonkeyPatch.context() as patch:
        no_sampler(patch)
        for name, value in {"seed": -1, "draws": "many", "tune": 0, "chains": 1.5}.items():
            assert_says(refused(model, **{name: value}), f"{name}: found {value!r}")
    found = sample(model, seed=np.int64(3), draws=np.int32(30), tune=30, chains=1, log_likelihood=False)
    assert json.loads(found.attrs["rlpymc"])["sampler"]["seed"] == 3


def test_chains_differ(fit: xr.DataTree) -> None:
    first, second = fit["posterior"]["alpha"].values
    assert not np.isclose(first, second).all()


@pytest.mark.slow
def test_numpyro_samples_the_same_posterior(model: rl.RLModel, fit: xr.DataTree) -> None:
    with pytest.raises(ValueError, match=r"runs in JAX.*backend='scan'"):
        sample(model, sampler="numpyro")
    other = sample(rl.build("delta", trials(), pooling="none", backend="scan"), sampler="numpyro")
    assert {"posterior", "sample_stats", "log_likelihood"} <= set(other.children)
    for name in ("alpha", "beta"):
        one, two = (f["posterior"][name].values.reshape(-1, 2) for f in (fit, other))
        assert (abs(one.mean(0) - two.mean(0)) < 0.5 * one.std(0)).all()


# ---------------------------------------------------------------- log likelihood


def test_the_log_likelihood_by_observation_is_that_of_log_prob(fit: xr.DataTree) -> None:
    terms = fit["log_likelihood"].to_dataset()["choice"]
    assert terms.dims == ("chain", "draw", "obs")
    assert terms["subject"].values.tolist() == [0] * 20 + [1] * 20
    assert terms["trial"].values.tolist() == [*range(20), *range(20)]
    draw = fit["posterior"].to_dataset().isel(chain=1, draw=17)
    known = rl.log_prob("delta", trials(), {k: draw[k].values for k in ("alpha", "beta")}, mode="FAST_COMPILE")
    assert_allclose(terms.values[1, 17], known.values.ravel(), rtol=1e-10)


def test_by_subject_it_is_the_sum(model: rl.RLModel, fit: xr.DataTree) -> None:
    summed = nuts.pointwise(model, fit["posterior"].to_dataset(), "subject")["choice"]
    assert summed.dims == ("chain", "draw", "subject")
    terms = fit["log_likelihood"]["choice"].values
    assert_allclose(summed.values[..., 1], terms[..., 20:].sum(axis=2), rtol=1e-12)


def test_false_leaves_it_out(model: rl.RLModel) -> None:
    assert "log_likelihood" not in sample(model, draws=20, tune=20, log_likelihood=False).children


def test_auto_says_when_it_sums_by_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nuts._unit("auto", 1000) == "obs"
    monkeypatch.setattr(nuts, "MOST_BYTES", 100)
    with pytest.warns(rl.SamplingWarning, match=r"by subject.*log_likelihood='obs'"):
        assert nuts._unit("auto", 1000) == "subject"


# ---------------------------------------------------------------- files


def test_a_missing_chain_is_sampled_again_with_the_same_draws(
    model: rl.RLModel, fit: xr.DataTree, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "chain_1.nc").unlink()
    resumed = sample(model, folder=tmp_path / "run")
    assert_same_draws(fit, resumed)
    assert_array_equal(resumed["log_likelihood"]["choice"], fit["log_likelihood"]["choice"])


def test_a_finished_run_is_read_without_sampling(
    model: rl.RLModel, fit: xr.DataTree, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nutpie

    monkeypatch.setattr(nutpie, "sample", None)
    assert_same_draws(fit, sample(model, folder=folder))


@pytest.mark.usefixtures("fit")
def test_a_folder_of_other_data_or_settings_is_refused(model: rl.RLModel, folder: Path) -> None:
    other = rl.build("delta", trials(seed=4), pooling="none")
    assert_says(refused(other, folder=folder), str(folder), "another", "data")
    assert_says(refused(model, folder=folder, seed=2), str(folder), "seed")
    assert_says(refused(model, folder=folder, draws=300), str(folder), "draws")


def test_a_folder_is_for_nutpie(model: rl.RLModel, tmp_path: Path) -> None:
    assert_says(refused(model, folder=tmp_path, sampler="pymc"), "folder", "nutpie")


def test_a_fit_is_saved_and_read_as_it_was(fit: xr.DataTree, tmp_path: Path) -> None:
    rl.save(fit, tmp_path / "fit.nc")
    again = rl.load(tmp_path / "fit.nc")
    xr.testing.assert_identical(again, fit)
    assert again.attrs == fit.attrs
    assert_same_draws(fit, again)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "fit.nc"))):
        rl.load(tmp_path / "fit.nc")


# ---------------------------------------------------------------- before sampling


def test_rewards_on_another_scale_are_warned_of_before_sampling() -> None:
    data = trials()
    with pytest.warns(rl.TrialsWarning, match=r"found 26 to 64.*beta.*divide the column by about 19"):
        rl.build("delta", data.assign(reward=26 + 38 * data["reward"]), fixed={"q0": 45.0})


def test_rewards_far_from_the_start_are_warned_of_before_sampling() -> None:
    data = trials()
    with pytest.warns(rl.TrialsWarning, match=r"q0 = 0, where learning starts: pass priors="):
        rl.build("delta", data.assign(reward=40 + data["reward"]))


def test_epsilon_greedy_is_warned_of_before_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    no_sampler(monkeypatch)
    steps = rl.build("delta+epsilon_greedy", trials())
    with (
        pytest.warns(rl.SamplingWarning, match=r"epsilon_greedy.*staircase.*softmax\+lapse"),
        pytest.raises(RuntimeError),
    ):
        rl.sample(steps)


def test_usual_rewards_and_priors_of_one_s_own_are_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    no_sampler(monkeypatch)
    data = trials()
    own = {"beta": rl.priors.Gamma(2.0, 20.0)}
    scaled = rl.build("delta", data.assign(reward=38 * (data["reward"] - 0.5)), priors=own)
    for built in (rl.build("delta", data), scaled):
        with pytest.raises(RuntimeError, match="sampling begins"):
            rl.sample(built)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"sampler": "nutpy"}, ("sampler 'nutpy'", "Did you mean 'nutpie'?")),
        ({"log_likelihood": "trial"}, ("log_likelihood 'trial'", "obs")),
        ({"log_likelihood": True}, ("log_likelihood True", "obs")),
        ({"draws": 0}, ("draws",)),
        ({"chains": 0}, ("chains",)),
    ],
    ids=str,
)
def test_wrong_options_are_refused_before_sampling(
    model: rl.RLModel, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    no_sampler(monkeypatch)
    assert_says(refused(model, **options), *parts)


def test_a_model_with_nothing_free_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    no_sampler(monkeypatch)
    assert_says(refused(rl.build("delta", trials(), fixed={"alpha": 0.3, "beta": 2.0})), "fixed")


@pytest.mark.parametrize("model", ["delta", None], ids=str)
def test_only_built_models_are_sampled(model: Any) -> None:
    assert_says(refused(model, error=TypeError), "rlpymc.build", type(model).__name__)
