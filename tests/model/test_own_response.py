"""A response that the library does not know: one class of somebody else's, and all that the library does follows."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats

import rlpymc as rl
from rlpymc.math import abs as absolute
from rlpymc.math import equal, erf, log, stack, where
from rlpymc.model import Input, Model, Parameter, index, positive, real, unit
from rlpymc.model.priors import Beta, HalfNormal, Normal
from rlpymc.model.responses import Response
from rlpymc.tasks import Bandit, Prediction
from rlpymc.trials.model_data import data_for
from rlpymc.validation import checks
from rlpymc.validation.examples import random_params, random_trials
from rlpymc.validation.replay import replay


class Laplace(Response):
    """A number with errors that have heavy tails."""

    discrete = False

    def __init__(self, center, scale):
        self.arguments = {"center": center, "scale": scale}

    def log_prob(self, response):
        a = self.arguments
        return -absolute(response - a["center"]) / a["scale"] - log(2 * a["scale"])

    def sample(self, rng):
        return rng.laplace(self.arguments["center"], self.arguments["scale"])


class Probit(Response):
    """Action 1 where normal noise of standard deviation 1 stays below x."""

    def __init__(self, x):
        self.arguments = {"x": x}

    @property
    def probs(self):
        p = 0.5 * (1 + erf(self.arguments["x"] / np.sqrt(2)))
        return stack([1 - p, p])

    def log_prob(self, response):
        return log(0.5 * (1 + erf(where(equal(response, 1), 1.0, -1.0) * self.arguments["x"] / np.sqrt(2))))

    def sample(self, rng):
        return (rng.normal(size=np.shape(self.arguments["x"])) < self.arguments["x"]).astype(int)


ALPHA = Parameter("alpha", unit, prior=Beta(2, 2), plausible=0.3)


def predictor():
    return Model(
        name="laplace_learner",
        family="test",
        summary="A response of one's own.",
        reference="none",
        inputs=(Input("prediction", real, response=True), Input("outcome", real, after="prediction")),
        parameters=(ALPHA, Parameter("scale", positive, prior=HalfNormal(2), plausible=0.5)),
        start=lambda p, facts: {"v": 0.0},
        update=lambda p, s, x: {"v": s.v + p.alpha * (x.outcome - s.v)},
        policy=lambda p, s, x: Laplace(s.v, p.scale),
    )


def chooser():
    return Model(
        name="probit_learner",
        family="test",
        summary="A response of one's own.",
        reference="none",
        inputs=(Input("action", index("n_actions"), response=True), Input("reward", real, after="action")),
        parameters=(ALPHA, Parameter("slope", real, prior=Normal(0, 2), plausible=1.5)),
        start=lambda p, facts: {"v": 0.0},
        update=lambda p, s, x: {"v": s.v + p.alpha * (x.reward * where(equal(x.action, 1), 1.0, -1.0) - s.v)},
        policy=lambda p, s, x: Probit(p.slope * s.v),
    )


TASKS = {"laplace_learner": Prediction(sd=1.0, bounds=(-3.0, 3.0)), "probit_learner": Bandit([0.2, 0.8])}


@pytest.mark.parametrize("model", [predictor(), chooser()], ids=lambda m: m.name)
def test_likelihoods_latents_and_simulations_follow_from_the_class(model):
    trials = random_trials(model, n_actions=2)
    params = random_params(model, trials)
    value, slopes = rl.log_prob(model, trials, params, gradient=True)
    wanted, wanted_slopes = rl.log_prob(model, trials, params, backend="scan", gradient=True)
    xr.testing.assert_allclose(value, wanted, rtol=1e-12)
    xr.testing.assert_allclose(slopes, wanted_slopes, rtol=1e-9)
    assert_allclose(value, replay(data_for(model, trials), params), rtol=1e-12)
    checks.check_masks(model)
    for backend in ("fused", "scan"):
        found = rl.latents(model, trials, params, backend=backend)
        assert (f"{model.responses[0].name}_probs" in found) == (model.name == "probit_learner")
        simulated = rl.simulate(
            model, TASKS[model.name], {"alpha": 0.4, **other(model)}, 3, 20, seed=1, backend=backend
        )
        again = rl.log_prob(model, simulated, {"alpha": 0.4, **other(model)}, backend="scan")
        assert_allclose(simulated["log_prob"], again, rtol=1e-12)


def other(model):
    return {p.name: p.plausible for p in model.parameters if p.name != "alpha"}


def test_its_numbers_are_right():
    x = np.linspace(-3, 3, 7)
    assert_allclose(Probit(x).log_prob(np.ones(7, int)), stats.norm.logcdf(x), rtol=1e-12)
    assert_allclose(Laplace(0.5, 2.0).log_prob(x), stats.laplace(0.5, 2.0).logpdf(x), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::rlpymc.fitting.nuts.diagnostics.SamplingWarning")
def test_fits_and_predictions_follow_from_the_class():
    model, truth = predictor(), {"alpha": 0.35, "scale": 0.4}
    trials = rl.simulate(model, TASKS[model.name], truth, 4, 150, seed=2)
    estimates = rl.fit_mle(model, trials, seed=1).params
    for name, value in truth.items():
        assert_allclose(estimates[name].mean(), value, rtol=0.2)
    built = rl.build(model, trials)
    fit = rl.sample(built, draws=20, tune=50, chains=1, seed=1, log_likelihood="obs", progress=False)
    assert fit.attrs["sampled_by"] == "machine"
    predicted = rl.predict(built, fit, kind="one_step", draws=10, seed=1)
    assert "prediction_probs" not in predicted
    assert np.isfinite(predicted["prediction"]).all()


def test_what_a_class_does_not_say_is_asked_for():
    class Nothing(Response):
        pass

    with pytest.raises(NotImplementedError, match="Nothing has no probabilities; say discrete = False"):
        _ = Nothing().probs
    with pytest.raises(NotImplementedError, match="Nothing has no log_prob"):
        Nothing().log_prob(0)
    with pytest.raises(NotImplementedError, match="Nothing has no sample, and cannot be simulated"):
        Nothing().sample(np.random.default_rng(0))
