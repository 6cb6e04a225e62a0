"""Latents over the draws of a fit are those of its parameters, draw by draw."""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

CHAINS, DRAWS = 2, 6


@cache
def trials() -> xr.Dataset:
    """Return three people, two blocks; the third lacks the last three trials."""
    made = rl.simulate("delta", rl.tasks.Bandit([0.3, 0.7], block_length=6), {"alpha": 0.3, "beta": 2.0}, 3, 12, seed=1)
    table = rl.to_table(made.assign_coords(subject=["c", "a", "b"])).iloc[:-3]
    return rl.read_trials(table[["subject", "block", "action", "reward"]], reset="block")


def fit(**dims: tuple[str, ...]) -> xr.DataTree:
    """Return a posterior of delta; its parameters differ by subject unless other dims are given."""
    rng, sizes = np.random.default_rng(2), {"chain": CHAINS, "draw": DRAWS, "subject": 3, "block": 2}
    values = {}
    for name, (low, high) in {"alpha": (0.1, 0.9), "beta": (0.5, 5.0)}.items():
        own = ("chain", "draw", *dims.get(name, ("subject",)))
        values[name] = (own, rng.uniform(low, high, [sizes[d] for d in own]))
    coords = {"subject": trials()["subject"].values, "block": np.unique(trials()["block"])}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(values, coords=coords)})


def model(**options: Any) -> rl.RLModel:
    return rl.build("delta", trials(), pooling="none", **options)


def one_by_one(posterior: xr.DataTree) -> xr.Dataset:
    """Return the latents of each draw on its own, in the order of the posterior."""
    draws = posterior["posterior"].to_dataset().stack(sample=("chain", "draw"), create_index=False)
    by_draw = [
        rl.latents("delta", trials(), {k: v.isel(sample=s) for k, v in draws.items()})
        for s in range(draws.sizes["sample"])
    ]
    return xr.concat(by_draw, dim="sample")


@pytest.mark.parametrize(
    "dims", [{}, {"alpha": ("subject", "block")}, {"alpha": ("block",)}], ids=["subject", "subject and block", "block"]
)
def test_latents_of_a_fit_are_those_of_its_draws(dims: dict[str, tuple[str, ...]]) -> None:
    posterior = fit(**dims)
    found, known = rl.latents(model(), posterior, draws=CHAINS * DRAWS, seed=1), one_by_one(posterior)
    assert set(found) == set(known)
    assert found["prediction_error"].dims == ("sample", "subject", "trial")
    for name in known:
        assert found[name].dims == known[name].dims
        assert_allclose(found[name].values, known[name].values, rtol=1e-12, err_msg=str(name))
    for reduced, numpy in ((found.mean("sample"), np.mean), (found.std("sample"), np.std)):
        assert_allclose(reduced["prediction_error"], numpy(known["prediction_error"].values, axis=0), atol=1e-12)
    assert np.isnan(found["q"].values[:, 2, 9:]).all()


def test_shared_parameters_and_constants() -> None:
    posterior = fit(beta=())
    posterior["posterior"] = posterior["posterior"].to_dataset().drop_vars("alpha")
    found = rl.latents(model(shared="beta", fixed={"alpha": [0.1, 0.2, 0.3]}), posterior, draws=CHAINS * DRAWS, seed=1)
    beta = posterior["posterior"]["beta"].values.ravel()
    for s in (0, 7):
        known = rl.latents("delta", trials(), {"alpha": [0.1, 0.2, 0.3], "beta": beta[s]})
        assert_allclose(found["action_probs"][s], known["action_probs"])


def test_what_is_derived_and_where_a_sequence_ends_is_there_for_each_draw() -> None:
    task = rl.tasks.GridWorld(2, 2, goals=[(1, 1)])
    w = np.zeros((1, 30, 1, 4))
    w[..., 3] = np.linspace(0.5, 2, 30)[None, :, None]
    walks = rl.simulate("soft_planner", task, {"w": w[0, 0], "beta": 2.0, "gamma": 0.9}, 1, 6, seed=1)
    planner = rl.build("soft_planner", walks, pooling="none", fixed={"beta": 2.0, "gamma": 0.9})
    posterior = xr.Dataset({"w": (("chain", "draw", "subject", "w_dim_0"), w)}, coords={"subject": [0]})
    found = rl.latents(planner, xr.DataTree.from_dict({"posterior": posterior}), draws=30, seed=3)
    for s in (0, 29):
        known = rl.latents("soft_planner", walks, {"w": w[0, s], "beta": 2.0, "gamma": 0.9})
        assert set(found) == set(known)
        for name in known:
            assert_allclose(found[name][s], known[name], rtol=1e-10, err_msg=str(name))


def test_draws_are_those_of_predictions_with_the_same_seed() -> None:
    one, again = (rl.latents(model(), fit(), draws=5, seed=4) for _ in range(2))
    xr.testing.assert_identical(one, again)
    assert not one.equals(rl.latents(model(), fit(), draws=5, seed=5))
    predicted = rl.predict(model(), fit(), draws=5, seed=4)
    assert_allclose(one["action_probs"], predicted["action_probs"], rtol=1e-12)


def test_what_does_not_go_together_is_refused() -> None:
    refused = partial(refusal, rl.latents, error=TypeError)
    both = ("latents(model, trials, params)", "latents(rl_model, fit, draws=100)")
    assert_says(refused("delta", fit()), *both, "found the model 'delta' and a fit", "give the model that was fitted")
    assert_says(refused("delta", trials()), *both, "without parameters", "params={'name': value}")
    assert_says(refused(model(), trials()), *both, "found RLModel and Dataset")
    assert_says(refused(fit(), model()), *both, "found DataTree and RLModel")
    assert_says(refused(model(), fit(), 50), *both, "params 50", "draws=...")
    assert_says(refused(fit(), fit()), "latents takes a model from rlpymc.build and its fit, found DataTree")
    assert_says(refusal(rl.latents, model(), fit(), draws=0), "draws: found 0")
    assert_says(refusal(rl.latents, model(), fit(), seed=-1), "seed: found -1")
    assert_says(refusal(rl.latents, model(), xr.DataTree()), "latents takes a fit", "'posterior'")
    assert_says(refusal(rl.latents, rl.build("wsls", trials()), fit()), "no 'epsilon'", "wsls")
