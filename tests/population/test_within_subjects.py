"""Parameters that vary within subjects, and correlated deviations, beside models that are written out in PyMC."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import special

import rlpymc as rl
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.likelihood.modes import QUICK
from tests.helpers.densities import assert_one_density
from tests.helpers.sessions import NAMES, table


@cache
def trials() -> xr.Dataset:
    """Return six people's choices, out of order; what they learn is lost at each of four blocks."""
    rows = table("early", "late").sample(frac=1.0, random_state=1).sort_values("trial", kind="stable")
    found = rl.read_trials(rows, reset="block")
    assert found["subject"].values.tolist() != sorted(NAMES)
    return found


def column(name: str, level: Any = None) -> np.ndarray:
    """Return a column as numbers, or whether it is at this level, (subject, trial); 0 where there is no trial."""
    values = trials()[name].values
    values = values.astype(float) if level is None else (values == level).astype(float)
    return np.where(trials()["exists"].values, values, 0.0)


def over_trials(x: np.ndarray) -> np.ndarray:
    return x[trials()["exists"].values]


def over_subjects(x: np.ndarray) -> np.ndarray:
    return x[:, 0]


def places() -> np.ndarray:
    """Return which session each trial is of."""
    return column("session", "late").astype(int)


# ---------------------------------------------------------------------------------------------- models by hand


def widths(name: str) -> tuple[float, float]:
    """Return middle and half width of a parameter's own prior on the unbounded scale."""
    parameter = rl.get_model("delta").parameter(name)
    low, middle, high = parameter.support.unconstrain(parameter.prior.quantile(np.array([0.16, 0.5, 0.84])))
    return float(middle), float(high - low) / 2


def centre(name: str) -> Any:
    middle, s = widths(name)
    return pm.Normal(f"{name}_centre", middle, 0.8 * s)


def mean(name: str) -> Any:
    middle, s = widths(name)
    return pm.Normal(f"{name}_mu", middle, 0.8 * s)


def coefficient(name: str, term: str, x: np.ndarray, over: Callable[[np.ndarray], np.ndarray], factor: bool) -> Any:
    """Return what a column adds to the mean: its coefficient's prior knows its spread, and it is centred."""
    s = 0.8 * widths(name)[1] / over(x).std(ddof=1)
    b = pm.Normal(f"{name}_{term}", 0.0, s, shape=1 if factor else ())
    return (b[0] if factor else b) * (x - over(x).mean())


def spread(name: str, part: str = "sigma", sd: float = 1.0) -> Any:
    return pm.HalfNormal(f"{name}_{part}", 0.6 * widths(name)[1] / sd)


def normals(name: str, *shape: int) -> Any:
    return pm.Normal(f"{name}_z", shape=shape)


def deviations(name: str) -> Any:
    """Return each subject's deviation as a column, beside (subject, trial)."""
    return (spread(name) * normals(name, 6))[:, None]


def usual_beta() -> Any:
    return pt.exp(mean("beta") + deviations("beta"))


def respond(**params: Any) -> None:
    whole = {name: value + np.zeros((6, 24)) for name, value in params.items()}
    rl.get_model("delta").potential("choice", trials(), **whole)


def lkj(name: str, n: int, eta: float = 2.0) -> Any:
    """Return correlations with their LKJ density: Lewandowski, Kurowicka & Joe (2009), equations 16 and 17."""
    r = pm.Flat(f"{name}_r", shape=n * (n - 1) // 2)
    matrix = pt.eye(n)
    for value, (i, j) in zip(r, pairs(n), strict=True):  # type: ignore[call-overload]
        matrix = pt.set_subtensor(matrix[[i, j], [j, i]], value)
    k = np.arange(1, n)
    log_integral = np.log(2) * ((2 * eta - 2 + n - k) * (n - k)).sum()
    a = eta + (n - k - 1) / 2
    log_integral += ((n - k) * special.betaln(a, a)).sum()
    pm.Potential(f"{name}_lkj", (eta - 1) * pt.log(pt.linalg.det(matrix)) - log_integral)
    return pt.linalg.cholesky(matrix)


def pairs(n: int) -> list[tuple[int, int]]:
    """Return (row, column) below the diagonal, row by row."""
    return [(i, j) for i in range(n) for j in range(i)]


def two_groups() -> None:
    group = coefficient("alpha", "group", column("group", "treated"), over_subjects, True)
    respond(alpha=pt.sigmoid(centre("alpha") + group + deviations("alpha")), beta=usual_beta())


def within_and_between() -> None:
    """The difference between sessions differs between groups."""
    late, treated = column("session", "late"), column("group", "treated")
    eta = centre("alpha") + coefficient("alpha", "session", late, over_trials, True)
    eta += coefficient("alpha", "group", treated, over_subjects, True)
    eta += coefficient("alpha", "session:group", late * treated, over_trials, True)
    respond(alpha=pt.sigmoid(eta + deviations("alpha")), beta=usual_beta())


def by_trial() -> None:
    load = coefficient("beta", "load", column("load"), over_trials, False)
    alpha = pt.sigmoid(mean("alpha") + deviations("alpha"))
    respond(alpha=alpha, beta=pt.exp(centre("beta") + load + deviations("beta")))


def slopes() -> None:
    x = column("load")
    eta = centre("alpha") + coefficient("alpha", "load", x, over_trials, False) + deviations("alpha")
    sigma = spread("alpha", "load|subject_sigma", over_trials(x).std(ddof=1))
    slope = sigma * normals("alpha_load|subject", 6)
    respond(alpha=pt.sigmoid(eta + slope[:, None] * x), beta=usual_beta())


def in_sessions(name: str, z: Any) -> Any:
    """Return deviations by session, (subject, trial), of normal numbers (subject, session)."""
    sigma = spread(name, "1|subject:session_sigma")
    return sigma * z[np.arange(6)[:, None], places()]


def sessions() -> None:
    eta = {"alpha": centre("alpha"), "beta": centre("beta")}
    for name in eta:
        eta[name] += coefficient(name, "session", column("session", "late"), over_trials, True)
        eta[name] += deviations(name) + in_sessions(name, normals(f"{name}_1|subject:session", 6, 2))
    respond(alpha=pt.sigmoid(eta["alpha"]), beta=pt.exp(eta["beta"]))


def three_correlated() -> None:
    """Of alpha, the mean depends on the group; values before the first trial are free."""
    names = ["alpha", "q0", "beta"]
    eta = {"alpha": centre("alpha"), "q0": mean("q0"), "beta": mean("beta")}
    eta["alpha"] += coefficient("alpha", "group", column("group", "treated"), over_subjects, True)
    z = pt.stack([normals(name, 6) for name in names])
    together = lkj("effects", 3) @ z
    for k, name in enumerate(names):
        eta[name] += (spread(name) * together[k])[:, None]
    respond(alpha=pt.sigmoid(eta["alpha"]), q0=eta["q0"], beta=pt.exp(eta["beta"]))


def correlated_sessions() -> None:
    """Deviations of two parameters go together, over subjects and again over sessions."""
    names = ["alpha", "beta"]
    eta = {name: centre(name) for name in names}
    eta["alpha"] += coefficient("alpha", "session", column("session", "late"), over_trials, True)
    together = lkj("effects", 2) @ pt.stack([normals(name, 6) for name in names])
    anew = pt.stack([normals(f"{name}_1|subject:session", 6, 2) for name in names])
    anew = pt.tensordot(lkj("session", 2), anew, axes=1)
    for k, name in enumerate(names):
        eta[name] += (spread(name) * together[k])[:, None] + in_sessions(name, anew[k])
    respond(alpha=pt.sigmoid(eta["alpha"]), beta=pt.exp(eta["beta"]))


BY_SESSION = "(1 | subject:session)"
DESIGNS: dict[str, tuple[Callable[[], None], dict[str, Any]]] = {
    "two groups": (two_groups, {"formulas": {"alpha": "~ group"}}),
    "within and between": (within_and_between, {"formulas": {"alpha": "~ session * group"}}),
    "by trial": (by_trial, {"formulas": {"beta": "load"}}),
    "slopes": (slopes, {"formulas": {"alpha": "load + (load | subject)"}}),
    "sessions": (sessions, {"formulas": dict.fromkeys(("alpha", "beta"), f"~ session + {BY_SESSION}")}),
    "three correlated": (three_correlated, {"formulas": {"alpha": "group"}, "free": ["q0"], "correlated": True}),
    "correlated sessions": (
        correlated_sessions,
        {"formulas": {"alpha": f"session + {BY_SESSION}", "beta": BY_SESSION}, "correlated": True},
    ),
}
CORRELATIONS = {
    "three correlated": {"effects": ["q0_u[alpha]", "beta_u[alpha]", "beta_u[q0]"]},
    "correlated sessions": {
        "effects": ["beta_u[alpha]"],
        "session": ["beta_1|subject:session_u[alpha_1|subject:session]"],
    },
}


@cache
def built(design: str) -> rl.RLModel:
    return rl.build("delta", trials(), **DESIGNS[design][1])


@cache
def log_density(design: str) -> Any:
    return built(design).compile_logp(jacobian=False, mode=QUICK.excluding("fusion"))


@cache
def by_hand(design: str) -> tuple[pm.Model, Any]:
    with pm.Model() as model:
        DESIGNS[design][0]()
    return model, model.compile_logp(jacobian=False, mode=QUICK.excluding("fusion"))


def some_point(model: pm.Model, seed: int, scale: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: scale * rng.normal(size=np.shape(v)) for name, v in model.initial_point().items()}


def to_correlations(partial: np.ndarray) -> np.ndarray:
    """Return correlations from those that remain when all earlier variables are held: each is undone in turn."""
    if len(partial) == 1:
        return partial
    one, other, given = partial
    return np.array([one, other, given * np.sqrt((1 - one**2) * (1 - other**2)) + one * other])


def log_jacobian(partial: np.ndarray) -> float:
    """Return the logarithm of the volume that correlations take for that of partial ones."""
    steps = 1e-30j * np.eye(len(partial))
    found = np.stack([to_correlations(partial + step).imag / 1e-30 for step in steps])
    return float(np.linalg.slogdet(found)[1])


# ------------------------------------------------------------------------------------------------------ densities


@pytest.mark.parametrize("scale", [0.3, 1.0])
@pytest.mark.parametrize("design", DESIGNS)
def test_the_density_is_that_of_a_model_by_hand(design: str, scale: float) -> None:
    """At natural values; where there are correlations, times the volume that they take for u."""
    model, wanted = by_hand(design)
    point = some_point(built(design), 1, scale)
    there, volume = dict(point), 0.0
    for name, variables in CORRELATIONS.get(design, {}).items():
        u = special.expit(np.array([there.pop(f"{v}_logodds__") for v in variables]))
        there[f"{name}_r"] = to_correlations(2 * u - 1)
        volume += log_jacobian(2 * u - 1) + len(u) * np.log(2)
    assert set(there) == {v.name for v in model.value_vars}
    assert_allclose(log_density(design)(point), wanted(there) + volume, rtol=1e-12, atol=1e-10)


def test_the_lkj_density_is_normalised() -> None:
    """Of three variables: the integral of det(R) over all matrices R that are positive definite is known."""
    with pm.Model() as model:
        lkj("some", 3)
    r = to_correlations(np.array([0.3, -0.5, 0.7]))
    R = np.eye(3)
    for value, (i, j) in zip(r, pairs(3), strict=True):
        R[i, j] = R[j, i] = value
    nodes, weights = np.polynomial.legendre.leggauss(200)
    one, other = np.meshgrid(nodes, nodes)  # det(R) = (1 - r21²)(1 - r31²) - (r32 - r21 r31)², over r32 by hand
    integral = weights @ (4 / 3 * ((1 - one**2) * (1 - other**2)) ** 1.5) @ weights
    wanted = np.log(np.linalg.det(R) / integral)
    assert_allclose(model.compile_logp(mode=QUICK)({"some_r": r}), wanted, rtol=1e-6)


@pytest.mark.parametrize("design", CORRELATIONS)
def test_correlations_of_a_fit_are_those_of_deviations(design: str) -> None:
    """The matrices that are reported are those with which deviations are drawn: they follow from u in one way."""
    model, point = built(design), some_point(built(design), 2, 1.0)
    for name, variables in CORRELATIONS[design].items():
        u = special.expit(np.array([point[f"{v}_logodds__"] for v in variables]))
        found = reported(model, f"{name}_corr", point)
        n = len(found)
        assert_allclose([found[i, j] for i, j in pairs(n)], to_correlations(2 * u - 1), rtol=1e-12)
        assert_allclose(found, found.T)
        assert_allclose(np.diag(found), 1.0)


def reported(model: pm.Model, name: str, point: dict[str, np.ndarray]) -> np.ndarray:
    """Return what a model reports at a point."""
    (value,) = model.replace_rvs_by_values([model[name]])
    given = [v for v in model.value_vars if v.name in point]
    return np.asarray(model.compile_fn(value, inputs=given, mode=QUICK, on_unused_input="ignore")(point))


def test_what_is_reported_follows_from_the_variables() -> None:
    """Parameters by session, intercepts where columns are 0, reliabilities."""
    model, point = built("sessions"), some_point(built("sessions"), 3, 0.7)
    late = column("session", "late")
    for name, link in (("alpha", special.expit), ("beta", np.exp)):
        v = {k.removeprefix(f"{name}_"): x for k, x in point.items() if k.startswith(name)}
        own, anew = np.exp(v["sigma_log__"]), np.exp(v["1|subject:session_sigma_log__"])
        intercept = v["centre"] - v["session"][0] * over_trials(late).mean()
        eta = intercept + np.outer(np.ones(6), [0, 1]) * v["session"][0] + own * v["z"][:, None]
        assert_allclose(reported(model, name, point), link(eta + anew * v["1|subject:session_z"]), rtol=1e-12)
        assert_allclose(reported(model, f"{name}_Intercept", point), intercept, rtol=1e-12)
        assert_allclose(reported(model, f"{name}_reliability", point), own**2 / (own**2 + anew**2), rtol=1e-12)
    assert model.coords["session"] == ("early", "late")


# ------------------------------------------------------------------------------------------------ further models


@cache
def blocks_of_stimuli() -> xr.Dataset:
    """Return three people's choices in a task of memory, with capacities of 2, 3 and 5."""
    params = {**MEMORY, "alpha": 0.1, "capacity": [2, 3, 5]}
    return rl.simulate("rlwm", rl.tasks.RLWM((2, 3, 4), presentations=3), params, 3, 27, seed=5)


MEMORY = {"stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}
FURTHER: dict[str, tuple[str, Callable[[], xr.Dataset], dict[str, Any]]] = {
    "equal": (
        "delta(rates=sign)",
        trials,
        {"formulas": {"alpha_pos": f"load + {BY_SESSION}"}, "coupled": [("alpha_pos", "alpha_neg")]},
    ),
    "equal and correlated": (
        "delta(rates=sign)",
        trials,
        {
            "formulas": {"alpha_pos": "load + (load | subject)"},
            "coupled": [("alpha_pos", "alpha_neg")],
            "correlated": True,
        },
    ),
    "whole numbers": (
        "rlwm",
        blocks_of_stimuli,
        {"formulas": {"alpha": "set_size"}, "fixed": MEMORY, "priors": {"capacity": rl.priors.DiscreteUniform(2, 3)}},
    ),
    "means of levels": ("delta", trials, {"formulas": {"alpha": "0 + session", "beta": "group"}, "priors": "wide"}),
    "nothing in common": ("delta", trials, {"formulas": {"alpha": f"0 + load + {BY_SESSION}"}, "correlated": True}),
    "starts that vary": ("delta", trials, {"formulas": {"q0": "~ load + C(block)"}, "free": ["q0"]}),
}


@cache
def further(case: str) -> rl.RLModel:
    if case in DESIGNS:
        return built(case)
    model, data, options = FURTHER[case]
    return rl.build(model, data(), **options)


@pytest.mark.parametrize("case", [*DESIGNS, *FURTHER])
def test_machine_code_and_pymc_have_one_density(case: str) -> None:
    assert_one_density(further(case), [0.3, 1.0])


def by_differences(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Return derivatives by each number, (number, ...), of fourth order in the step."""
    found = []
    for at in step * np.eye(len(x)):
        near, far = (function(x + k * at) - function(x - k * at) for k in (1, 2))
        found.append((8 * near - far) / (12 * step))
    return np.stack(found)


@pytest.mark.parametrize("kind", ["informed", "centred"])
@pytest.mark.parametrize("case", [*DESIGNS, *FURTHER])
def test_coordinates_are_an_exact_change_of_variables(case: str, kind: str) -> None:
    plain, posterior = MachinePosterior(further(case)).density(), MachinePosterior(further(case), kind)
    density, found = posterior.density(), posterior.coordinates
    assert found.form.kind == kind
    x = 0.5 * np.random.default_rng(2).normal(size=density.size)
    jacobian = by_differences(lambda y: found.noncentred(y[None])[0], x).T
    value, slopes = density(x)
    wanted, _ = plain(found.noncentred(x[None])[0])
    assert_allclose(value, wanted + np.linalg.slogdet(jacobian)[1], rtol=1e-9)
    wanted_slopes = by_differences(lambda y: np.asarray(density(y)[0]), x)
    assert_allclose(slopes, wanted_slopes, rtol=1e-6, atol=1e-7 * np.abs(slopes).max())


@pytest.mark.parametrize("case", ["sessions", "correlated sessions", "equal"])
def test_both_ways_to_compute_a_likelihood_agree(case: str) -> None:
    """The scan, which is the reference, and a compiled loop; responses as a distribution and as a potential."""
    name, data, options = FURTHER.get(case) or ("delta", trials, DESIGNS[case][1])
    scan = rl.build(name, data(), backend="scan", likelihood="potential", **options)
    point = some_point(scan, 4, 0.5)
    mode = QUICK.excluding("fusion")
    wanted, found = (m.compile_logp(mode=mode)(point) for m in (scan, further(case)))
    assert_allclose(found, wanted, rtol=1e-11)


def test_a_segment_starts_with_the_value_of_its_first_trial() -> None:
    """By a plain loop: at each reset the values of options become q0 as it is there, and q0 matters nowhere else."""
    model, point = further("starts that vary"), some_point(further("starts that vary"), 5, 0.5)
    v, blocks = point, [column("block", k) for k in (1, 2, 3)]
    q0 = v["q0_centre"] + v["q0_load"] * (column("load") - over_trials(column("load")).mean())
    for b, x in zip(v["q0_C(block)"], blocks, strict=True):
        q0 = q0 + b * (x - over_trials(x).mean())
    q0 = q0 + (np.exp(v["q0_sigma_log__"]) * v["q0_z"])[:, None]
    alpha = special.expit(v["alpha_mu"] + np.exp(v["alpha_sigma_log__"]) * v["alpha_z"])
    beta = np.exp(v["beta_mu"] + np.exp(v["beta_sigma_log__"]) * v["beta_z"])
    data, total = trials(), 0.0
    action, reward, reset = (data[k].values for k in ("action", "reward", "reset"))
    for i, length in enumerate(data["exists"].values.sum(axis=1)):
        q = np.zeros(2)
        for t in range(length):
            q = np.full(2, q0[i, t]) if reset[i, t] else q
            a, r = action[i, t], reward[i, t]
            total += beta[i] * q[a] - np.logaddexp(*(beta[i] * q))
            q[a] += alpha[i] * (r - q[a])
    found = model.compile_logp(vars=model.observed_RVs, mode=QUICK.excluding("fusion"))(point)
    assert_allclose(found, total, rtol=1e-11)


# --------------------------------------------------------------------------------------------- what is kept by session


def test_what_changes_with_sessions_alone_is_kept_by_session() -> None:
    drug = column("session", "late")
    own = trials().assign(drug=(("subject", "trial"), drug))
    model = rl.build("delta", own, formulas={"alpha": "~ drug", "beta": "~ load"})
    assert model.named_vars_to_dims["alpha"] == ("subject", "session")
    assert model.coords["session"] == ("early", "late")
    assert "beta" not in model.named_vars
    point = some_point(model, 3, 0.7)
    base = point["alpha_centre"] + np.exp(point["alpha_sigma_log__"]) * point["alpha_z"]
    eta = base[:, None] + point["alpha_drug"] * (np.array([0.0, 1.0]) - over_trials(drug).mean())
    assert_allclose(reported(model, "alpha", point), special.expit(eta), rtol=1e-12)


@pytest.mark.parametrize("labels", [("a", 1), ("a", "")])
def test_sessions_that_have_no_order_do_not_matter_where_nobody_asks_for_them(labels: tuple[Any, Any]) -> None:
    session = np.array(labels, dtype=object)[places()]
    own = trials().assign(session=(("subject", "trial"), session))
    model = rl.build("delta", own, formulas={"alpha": "~ load"})
    assert "alpha" not in model.named_vars
