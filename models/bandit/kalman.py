"""Kalman filter: a mean and an uncertainty for each arm of a restless bandit.

    k = sd[a]^2 / (sd[a]^2 + sd_obs^2)                              gain            Daw et al. (2006), supplement
    mu[a] <- mu[a] + k (r - mu[a]),   var[a] <- (1 - k) var[a]      what was seen
    mu <- decay mu + (1 - decay) center,   var <- decay^2 var + sd_drift^2      all arms drift, until the next trial
    P(a) = softmax(beta (mu + phi sd))[a]                           phi: bonus for uncertainty

For payoffs that drift. Only ratios of sd0, sd_drift and sd_obs show in choices unless phi is freed, so sd_obs is held
at 1 and is their unit, whatever payoffs are divided by: in the paper's task, where payoffs scatter by 4 points, a
drift of 2.8 points is an sd_drift of 0.7.
Departs from its source: arms drift on trials that are learned from, and not while a response is missed.
"""

from rlpymc.math import full, put, sqrt, take
from rlpymc.model import Input, Model, Parameter, index, positive, real, unit
from rlpymc.model.usual_parameters import start_value
from rlpymc.priors import Beta, Gamma, Normal

OWN = "prior: rlpymc, weak for rewards about 1 apart"


def start(p, facts):
    return {
        "mu": full(facts.n_actions, p.mu0),  # (n_actions,) mean of the belief about each arm
        "var": full(facts.n_actions, p.sd0 * p.sd0),  # (n_actions,) its variance
    }


def values(p, s, x):
    return s.mu + p.phi * sqrt(s.var)


def signals(p, s, x):
    var = take(s.var, x.action)
    return {
        "prediction_error": x.reward - take(s.mu, x.action),
        "gain": var / (var + p.sd_obs * p.sd_obs),
    }


def update(p, s, x):
    seen = signals(p, s, x)
    mu = put(s.mu, x.action, take(s.mu, x.action) + seen["gain"] * seen["prediction_error"])
    var = put(s.var, x.action, (1 - seen["gain"]) * take(s.var, x.action))
    return {
        "mu": p.decay * mu + (1 - p.decay) * p.center,
        "var": p.decay * p.decay * var + p.sd_drift * p.sd_drift,
    }


kalman = Model(
    name="kalman",
    family="bandit",
    summary="mean and uncertainty of each arm, by a Kalman filter",
    reference="Daw, O'Doherty, Dayan, Seymour & Dolan 2006",
    equation=(
        r"\mu_a \leftarrow \mu_a + \kappa (r - \mu_a),\quad \kappa = \sigma_a^2 / (\sigma_a^2 + \sigma_o^2),\quad "
        r"\sigma_a^2 \leftarrow (1 - \kappa) \sigma_a^2;\quad \mu \leftarrow \lambda \mu + (1 - \lambda) \theta,\quad "
        r"\sigma^2 \leftarrow \lambda^2 \sigma^2 + \sigma_d^2"
    ),
    inputs=(Input("action", index("n_actions"), response=True), Input("reward", real, after="action")),
    parameters=(
        Parameter(
            "decay",
            unit,
            prior=Beta(5.0, 1.1),
            plausible=0.9,
            meaning="share of an arm's distance from the center that is left after a trial (lambda in the paper)",
            citation=OWN,
        ),
        Parameter(
            "center",
            real,
            prior=Normal(0.0, 1.0),
            plausible=0.3,
            meaning="what all arms go back to (theta in the paper)",
            citation=OWN,
            units="reward",
        ),
        Parameter(
            "sd_drift",
            positive,
            prior=Gamma(2.0, 2.0),
            plausible=0.7,
            meaning="standard deviation of an arm's drift in a trial, in units of sd_obs",
            citation="prior: rlpymc, weak for drifts of about sd_obs",
            units="sd_obs",
        ),
        start_value("mu0", "mean of the belief before the first trial", citation=OWN),
        Parameter(
            "sd0",
            positive,
            prior=Gamma(2.0, 1.0),
            value=1.0,
            meaning="standard deviation of the belief before the first trial, in units of sd_obs",
            citation="prior: rlpymc, weak for beliefs of about sd_obs",
            units="sd_obs",
        ),
        Parameter(
            "sd_obs",
            positive,
            prior=Gamma(2.0, 2.0),
            value=1.0,
            meaning="standard deviation of a payoff around its arm's mean: the unit of sd_drift and sd0",
            citation="prior: rlpymc, weak",
            units="reward",
        ),
        Parameter(
            "phi",
            real,
            prior=Normal(0.0, 1.0),
            value=0.0,
            meaning="bonus for an arm's uncertainty",
            citation="prior: rlpymc, weak",
        ),
    ),
    start=start,
    values=values,
    signals=signals,
    update=update,
    policy="softmax",
    departures=("arms drift on trials that are learned from only", "mu0 and sd0 are constants until freed"),
    confused_with=("delta",),
)
