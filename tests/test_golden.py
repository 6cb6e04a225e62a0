"""Numbers of the PyMC notebook on bandits, and exact ones for its data, that this library reproduces."""

import arviz as az
import numpy as np
import pytest
from numpy.testing import assert_allclose

import rlpymc as rl
from rlpymc.model.priors import Beta, HalfNormal
from tests.reference import bandit_notebook

TRUTH = {"alpha": 0.5, "beta": 5.0, "q0": 0.5}
PRIORS = {"alpha": Beta(1, 1), "beta": HalfNormal(10)}
EXACT = {"alpha": (0.50839, 0.08843), "beta": (5.84946, 0.96688)}  # posterior mean and sd by quadrature


@pytest.fixture(scope="module")
def trials():
    """The notebook's data, by our own simulator."""
    return rl.simulate("delta", rl.tasks.Bandit(probs=(0.4, 0.6)), TRUTH, n_subjects=1, n_trials=150, seed=598)


@pytest.fixture(scope="module")
def without_first(trials):
    """The same with the first choice not scored, as in the notebook."""
    scored = trials["scored"].copy()
    scored[:, 0] = False
    return trials.assign(scored=scored)


@pytest.fixture(scope="module")
def fits(trials):
    """Posteriors of two forms of the likelihood."""
    return {
        form: rl.sample(
            rl.build("delta", trials, likelihood=form, pooling="none", fixed={"q0": 0.5}, priors=PRIORS),
            seed=1,
            progress=False,
        )
        for form in ("potential", "bernoulli")
    }


def test_ban_1_data(trials):
    action, reward = trials["action"].values[0], trials["reward"].values[0]
    assert (action.sum(), reward.sum()) == (87, 77)
    assert (reward[action == 1].sum(), reward[action == 0].sum()) == (46, 31)
    assert "".join(map(str, action[:10])) == "1000001111"
    assert "".join(f"{r:.0f}" for r in reward[:10]) == "0111001111"
    final = rl.latents("delta", trials, TRUTH)["q_final"].values[0]
    assert_allclose(final, [0.15889369, 0.85228351], atol=1e-8)
    theirs = bandit_notebook.generate(598)
    assert np.array_equal(action, theirs[0])
    assert np.array_equal(reward, theirs[1])


def test_ban_2_likelihood(trials, without_first):
    assert_allclose(-rl.log_prob("delta", without_first, TRUTH).sum(), 47.418936097207016, rtol=1e-14)
    assert_allclose(-rl.log_prob("delta", trials, TRUTH).sum(), 48.112083277767, atol=1e-11)


def test_ban_4_and_6_maximum_likelihood(without_first):
    fit = rl.fit_mle("delta", without_first, fixed={"q0": 0.5}, starts=9, mode="JAX", progress=False)
    assert_allclose(fit.params["alpha"], 0.5047312, atol=2e-7)
    assert_allclose(fit.params["beta"], 5.7073857, atol=2e-6)
    assert_allclose(-fit.log_lik, 47.0508145411028, atol=1e-11)
    assert_allclose([fit.aic.item(), fit.bic.item()], [98.10163, 104.10952], atol=1e-5)
    assert_allclose(fit.pseudo_r2, 0.54443, atol=1e-5)


def test_ban_7_exact_posterior(trials):
    alpha, beta = (np.arange(400) + 0.5) / 400, (np.arange(400) + 0.5) * 30 / 400
    grid = {"alpha": np.repeat(alpha, 400), "beta": np.tile(beta, 400), "q0": np.full(160_000, 0.5)}
    log_lik = np.concatenate([_log_lik(trials, grid, k) for k in np.array_split(np.arange(160_000), 8)])
    log_prior = Beta(1, 1).log_prob(grid["alpha"]) + HalfNormal(10).log_prob(grid["beta"])
    weight = np.exp(log_lik + log_prior) * (1 / 400) * (30 / 400)
    assert_allclose(np.log(weight.sum()), -51.14996, atol=1e-5)
    weight /= weight.sum()
    mean = {k: weight @ grid[k] for k in EXACT}
    sd = {k: np.sqrt(weight @ (grid[k] - mean[k]) ** 2) for k in EXACT}
    for name, (wanted_mean, wanted_sd) in EXACT.items():
        assert_allclose([mean[name], sd[name]], [wanted_mean, wanted_sd], atol=5e-6)  # all digits listed
    correlation = (
        weight @ ((grid["alpha"] - mean["alpha"]) * (grid["beta"] - mean["beta"])) / (sd["alpha"] * sd["beta"])
    )
    assert_allclose(correlation, -0.32396, atol=1e-5)


def _log_lik(trials, grid, k):
    """Log likelihoods for many parameters: a subject each, all with the same trials."""
    many = trials.isel(subject=np.zeros(len(k), dtype=int)).assign_coords(subject=np.arange(len(k)))
    return rl.log_prob("delta", many, {name: values[k] for name, values in grid.items()}).sum("trial").values


@pytest.mark.parametrize("form", ["potential", "bernoulli"])
def test_ban_8_nuts(fits, form):
    fit = fits[form]
    diagnostics = rl.diagnose(fit)
    assert diagnostics.divergences == 0
    assert diagnostics.r_hat[0] < 1.01
    posterior = fit["posterior"].to_dataset()
    for name, (mean, sd) in EXACT.items():
        draws = posterior[name].isel(subject=0)
        error = float(az.mcse(draws.to_dataset(name=name))[name])
        assert abs(float(draws.mean()) - mean) < 4 * error
        assert_allclose(float(draws.std()), sd, rtol=0.05)


def test_ban_9_loo(fits, trials):
    other = rl.sample(rl.build("choice_kernel", trials, pooling="none"), 500, 500, seed=2, progress=False)
    table = rl.compare({"delta": fits["bernoulli"], "choice_kernel": other})
    assert table.index[0] == "delta"
    assert abs(table.loc["delta", "elpd"] - (-49.3007 + np.log(0.5))) < 0.15  # the first choice is scored here
    assert abs(table.loc["delta", "p"] - 2.298) < 0.15
    assert table.loc["delta", "k_max"] < 0.7


def test_ban_12_recovery():
    """200 new data sets: means within three standard errors of the listed ones; beta is biased upwards."""
    task = rl.tasks.Bandit(probs=(0.4, 0.6))
    trials = rl.simulate("delta", task, TRUTH, n_subjects=200, n_trials=150, seed=12)
    fit = rl.fit_mle("delta", trials, fixed={"q0": 0.5}, starts=3, mode="JAX", progress=False)
    alpha, beta = fit.params["alpha"].values, fit.params["beta"].values
    assert abs(alpha.mean() - 0.505) < 3 * 0.105 / np.sqrt(200)
    assert abs(beta.mean() - 5.38) < 3 * 1.28 / np.sqrt(200)
    assert abs(np.median(beta) - 5.14) < 3 * 1.28 / np.sqrt(200)
    assert beta.mean() > TRUTH["beta"]
    assert 0.07 < alpha.std() < 0.14


def test_ban_13_three_forms_agree(trials):
    action, reward = trials["action"].values[0], trials["reward"].values[0]
    for alpha, beta in ((0.5, 5.0), (0.1, 0.5), (0.9, 15.0)):
        loop = bandit_notebook.negative_log_likelihood(alpha, beta, action, reward)
        vectorised = bandit_notebook.negative_log_likelihood_vectorised(alpha, beta, action, reward)
        terms = rl.log_prob("delta", trials, {"alpha": alpha, "beta": beta, "q0": 0.5})
        assert_allclose([vectorised, -terms[:, 1:].sum()], loop, rtol=1e-12)
        assert_allclose(terms.sum(), -loop + np.log(0.5), rtol=1e-12)
