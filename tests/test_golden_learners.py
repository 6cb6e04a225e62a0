"""Published numbers of the working-memory learner and of the Q-learner, that this library reproduces."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import rlpymc as rl
from benchmarks.published_fits import NESTED, VARIANTS, answered_trials

FITS = pd.read_csv(Path(__file__).parent / "golden" / "rlwm_collins2018_fits.csv")
SUMS = {  # of the log likelihoods over 40 people, as printed
    "WM0 RL0 0": -14489.758036,
    "WM RL0 0": -13840.734172,
    "WM0 RL 0": -14253.360537,
    "WM=RL 0": -13886.607074,
    "WM RL 0": -13956.912330,
    "WM0 RL1 0": -14293.843211,
    "int WM0 RL 0": -14270.365963,
    "int WM RL 0": -13996.085199,
    "int WM0 RL1 0": -14304.451041,
}


@pytest.fixture(scope="module")
def answered():
    """The trials that the published fits are of."""
    return answered_trials()


@pytest.mark.parametrize("variant", SUMS)
def test_rlwm_published_log_likelihoods(answered, variant):
    rows = FITS[FITS["variant"] == variant].set_index("subject")
    rows = rows.loc[answered["subject"].values]
    model = f"rlwm(interaction={bool(rows['interaction'].iloc[0])})"
    names = [p.name for p in rl.get_model(model).parameters if p.name != "beta"]
    params = {name: rows[name].to_numpy(dtype=float) for name in names}
    found = rl.log_prob(model, answered, params).sum("trial").values
    assert_allclose(found, rows["log_lik"], rtol=0, atol=1e-5)
    assert_allclose(found.sum(), SUMS[variant], rtol=0, atol=1e-4)
    assert len(found) == 40


@pytest.mark.slow
def test_rlwm_maximum_likelihood_is_no_worse_than_published(answered):
    """For people whose likelihoods have the most hidden optima; `benchmarks.published_fits` is of all of them."""
    some, found = answered.isel(subject=[8, 14, 24, 29, 33, 35]), {}
    for variant, (model, options) in VARIANTS.items():
        rows = FITS[FITS["variant"] == variant].set_index("subject").loc[some["subject"].values]
        found[variant] = rl.fit_mle(model, some, progress=False, **options).log_lik.values
        assert (found[variant] >= rows["log_lik"] - 1e-4).all(), variant
    for small, large in NESTED:
        assert (found[large] >= found[small] - 1e-4).all(), (small, large)


# ------------------------------------------------------------------------------ the Q-learner in a 10 x 3 world
SOURCE = "q_mdp(terminal=bootstraps)"
GENERATING = {"alpha": 0.15, "beta": np.log1p(np.exp(1.6)), "gamma": 1 / (1 + np.exp(-1.8))}


def rows(*steps):
    """Trials from (state, action, next state, reward), counted from 1."""
    state, action, next_state, reward = zip(*steps, strict=True)
    table = pd.DataFrame({"state": state, "action": action, "next_state": next_state}) - 1
    facts = {"n_states": 10, "n_actions": 3}
    return rl.read_trials(table.assign(subject=0, reward=reward, done=table["next_state"] == 9), facts=facts)


def test_lem_1_defaults_are_chance():
    task = rl.tasks.RandomMDP()
    first = rows((1, 1, 1, 0.0))
    first = first.isel(subject=np.zeros(100, dtype=int)).assign_coords(subject=np.arange(100))
    trials = rl.simulate(SOURCE, task, GENERATING, 100, 200, seed=17, first_rows=first)
    assert trials["scored"].sum() == 20100
    defaults = {"alpha": 0.0, "beta": np.log1p(np.exp(1.0)), "gamma": 1 / (1 + np.exp(-10.0))}
    assert_allclose(rl.log_prob(SOURCE, trials, defaults).sum(), -22082.10700222901, rtol=0, atol=1e-8)


@pytest.mark.parametrize("backend", ["fused", pytest.param("scan", marks=pytest.mark.slow)])
def test_lem_10_micro_fixture(backend):
    trials = rows(
        (1, 1, 3, 0.5),
        (3, 2, 3, -1.0),
        (3, 2, 1, 2.0),
        (1, 3, 10, 1.0),
        (7, 1, 1, 0.0),
        (1, 3, 3, -0.5),
        (3, 1, 10, 0.25),
    )
    terms, slopes = rl.log_prob(SOURCE, trials, GENERATING, backend=backend, gradient=True)
    assert_allclose(terms.sum(), -7.915593997813434, rtol=0, atol=1e-12)
    by_row = [-1.09861229, -1.09861229, -1.28470719, -1.14522728, -1.09861229, -0.97077767, -1.21904499]
    assert_allclose(terms[0], by_row, rtol=0, atol=1e-8)
    sigma = GENERATING["gamma"]
    found = [
        float(slopes["alpha"][0]),
        float(slopes["beta"][0]) / (1 + np.exp(-1.6)),  # d softplus
        float(slopes["gamma"][0]) * sigma * (1 - sigma),  # d logistic
    ]
    assert_allclose(found, [-1.8443646539, -0.1180915827, -0.0009991159], rtol=0, atol=1e-9)
    final = rl.latents(SOURCE, trials, GENERATING, backend=backend)["q_final"].values[0]
    assert_allclose(final[0], [0.075, 0.0, 0.07594731], rtol=0, atol=1e-8)
    assert_allclose(final[2], [0.0375, 0.18215418, 0.0], rtol=0, atol=1e-8)
    assert_allclose(final[6], [0.01930835, 0.0, 0.0], rtol=0, atol=1e-8)
    assert np.count_nonzero(final) == 5


@pytest.mark.parametrize(
    ("sampler", "generating", "at_one"),
    [(dict, (-17267, 200), None), (rl.tasks.without_beta, (-20967, 110), (-20243, 96))],
    ids=["right", "the source's, which ignores beta"],
)
def test_lem_5_and_7_replicates(sampler, generating, at_one):
    """Log likelihoods of 100 subjects x 200 steps, within three of the listed standard deviations."""
    trials = rl.simulate(SOURCE, rl.tasks.RandomMDP(), sampler(GENERATING), 100, 200, seed=5)
    for params, wanted in ((GENERATING, generating), ({**GENERATING, "beta": 1.0}, at_one)):
        if wanted is not None:
            mean, sd = wanted
            assert abs(float(rl.log_prob(SOURCE, trials, params).sum()) - mean) < 3 * sd
