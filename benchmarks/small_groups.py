"""What is found in simulated groups of usual size: populations by EM, and which of two nested models.

    ./run python -m benchmarks.small_groups [--write]     # a quarter of an hour on two cores

--write puts the tables into benchmarks/README.md.

Numbers in the documentation of `fit_em`, `fit_mle` and `group_bms` are from here.
"""

import argparse
import warnings
from typing import Any

import numpy as np
import xarray as xr

import rlpymc as rl
from benchmarks.measure import Report

N_TRIALS = 100
NAMES = ("alpha_mu", "beta_mu", "alpha_sigma", "beta_sigma")
POPULATIONS = ((-0.5, 1.0, 0.8, 0.5), (-0.5, 1.0, 0.8, 0.8))  # on the unbounded scale
ONE, TWO = "delta", "delta(rates=sign)"
MU = {ONE: {"alpha": 0.0, "beta": 1.0}, TWO: {"alpha_pos": 0.0, "alpha_neg": -1.2, "beta": 1.0}}
SIGMA = {"alpha": 0.7, "alpha_pos": 0.7, "alpha_neg": 0.7, "beta": 0.4}


def simulated(name: str, mu: dict[str, float], sigma: dict[str, float], n: int, arms: Any, seed: int) -> xr.Dataset:
    """Return trials of people from a normal population on the unbounded scale."""
    rng, model = np.random.default_rng(seed), rl.get_model(name)
    params = {k: model.parameter(k).support.constrain(rng.normal(mu[k], sigma[k], n)) for k in mu}
    return rl.simulate(model, rl.tasks.Bandit(arms), params, n, N_TRIALS, seed)


def population(truth: tuple[float, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates and standard errors of one group of 30, in the order of NAMES."""
    alpha, beta, *sigma = truth
    trials = simulated(
        ONE, {"alpha": alpha, "beta": beta}, dict(zip(("alpha", "beta"), sigma, strict=True)), 30, (0.2, 0.8), seed
    )
    em = rl.fit_em(ONE, trials, progress=False)
    found = [*em.mu.data_vars.values(), *em.sigma.data_vars.values()]
    return np.array(found, dtype=float), np.array([em.se[name] for name in NAMES])


def populations(out: Report, n_groups: int) -> None:
    """Report bias, spread and standard errors, and how often 95 % intervals cover the truth."""
    for truth in POPULATIONS:
        found, se = map(np.array, zip(*(population(truth, seed) for seed in range(1, n_groups + 1)), strict=True))
        rows = []
        for k, name in enumerate(NAMES):
            x, error = found[:, k], se[:, k]
            known = np.isfinite(error)
            away = np.abs(x - truth[k]) if k < 2 else x * np.abs(np.log(x / truth[k]))  # of a sigma by its logarithm
            covered = (away < 1.96 * error)[known].mean()
            mean_error = float(x.std(ddof=1) / np.sqrt(n_groups))
            rows.append(
                [
                    name,
                    truth[k],
                    float(x.mean()),
                    mean_error,
                    float(x.std(ddof=1)),
                    float(np.median(error[known])),
                    float(covered),
                    int((~known).sum()),
                ]
            )
        none = int(np.isnan(se).all(axis=1).sum())
        columns = ("", "true", "mean", "± error", "sd", "median se", "covered", "no se")
        title = f"{n_groups} groups of 30 subjects, {N_TRIALS} trials, beta_sigma {truth[3]:g}, delta by fit_em"
        out.table(title, columns, rows)
        out.say(f"Groups without any standard error: {none}.")


def evidences(trials: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return log evidences by subject, by method and model."""
    found: dict[str, dict[str, Any]] = {"-bic / 2 of fit_mle": {}, "log_evidence of fit_em": {}, "loo by subject": {}}
    for name in (ONE, TWO):
        # a bound, since some likelihoods are flat towards an infinite one
        mle = rl.fit_mle(name, trials, starts=3, bounds={"beta": (0, 30)}, progress=False)
        found["-bic / 2 of fit_mle"][name] = -mle.bic / 2
        found["log_evidence of fit_em"][name] = rl.fit_em(name, trials, progress=False).log_evidence
        model = rl.build(name, trials)
        fit = rl.sample(model, draws=500, tune=500, chains=2, seed=1, constants=False, progress=False)
        rl.marginal_log_likelihood(model, fit, draws=500)
        found["loo by subject"][name] = rl.loo(fit, "subject").elpd_i
    return found


def nested(out: Report, n_groups: int) -> None:
    """Report how often the model with two learning rates is found, and how often group_bms is sure of either."""
    for true in (TWO, ONE):
        groups = [evidences(simulated(true, MU[true], SIGMA, 20, (0.3, 0.7), seed)) for seed in range(1, n_groups + 1)]
        rows = []
        for method in groups[0]:
            totals = [float(sum(g[method][TWO].values - g[method][ONE].values)) for g in groups]
            chosen = [rl.group_bms(g[method]) for g in groups]
            sure = [g.protected_exceedance[TWO] for g in chosen]
            rows.append(
                [
                    method,
                    sum(v > 0 for v in totals),
                    sum(g.frequencies[TWO] > 0.5 for g in chosen),
                    sum(v > 0.95 for v in sure),
                    sum(v < 0.05 for v in sure),
                ]
            )
        columns = ("", f"sum prefers {TWO}", f"{TWO} more frequent", f"sure of {TWO}", f"sure of {ONE}")
        out.table(f"{n_groups} groups of 20 subjects, {N_TRIALS} trials, from {true}", columns, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=200, help="groups for populations")
    parser.add_argument("--nested", type=int, default=20, help="groups for nested models")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # of single fits
    out = Report("Small groups")
    if given.groups:
        populations(out, given.groups)
    if given.nested:
        nested(out, given.nested)
    if given.write:
        out.write()


if __name__ == "__main__":
    main()
