"""Simulated studies: how often intervals of what differs between people and sessions cover the truth.

    ./run python -m benchmarks.formula_studies FOLDER [--studies groups ...] [--workers 2] [--write]

Each study has new people for each seed, whose parameters are normal on the unbounded scale.  Results are kept in the
folder, and a broken run goes on from there.  --write puts the table into benchmarks/README.md.
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

import rlpymc as rl
from benchmarks.measure import Report
from rlpymc.validation.sweep import sweep

PROB = 0.95
MEAN, SD = {"alpha": -0.5, "beta": 1.0}, {"alpha": 0.8, "beta": 0.4}  # on the unbounded scale
EFFECT = 0.5  # in standard deviations of people
RELIABILITY = 0.7
SETTINGS: dict[str, Any] = {
    "draws": 1000,
    "tune": 500,
    "chains": 4,
    "cores": 1,
    "target_accept": 0.8,
    "progress": False,
    "log_likelihood": False,
    "constants": False,
}


def _trials(alpha: Any, beta: Any, n: int, n_trials: int, seed: int) -> xr.Dataset:
    """Return trials of people with these numbers on the unbounded scale."""
    delta = rl.get_model("delta")
    params = {"alpha": delta.parameter("alpha").support.constrain(alpha), "beta": np.exp(beta)}
    params = {k: xr.DataArray(v, dims=("subject", "trial")[: v.ndim]) for k, v in params.items()}
    return rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), params, n, n_trials, seed=seed)


def _found(trials: xr.Dataset, formula: str, name: str, truth: float, seed: int) -> dict[str, Any]:
    """Return the interval of a variable, and whether it covers the truth."""
    model = rl.build("delta", trials, formulas={"alpha": formula})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", rl.SamplingWarning)
        fit = rl.sample(model, seed=seed, **SETTINGS)
    draws = fit["posterior"].to_dataset()[name]
    low, high = draws.quantile([(1 - PROB) / 2, (1 + PROB) / 2]).values.tolist()
    sampling = sum(issubclass(w.category, rl.SamplingWarning) for w in said)
    return {
        "truth": truth,
        "median": float(draws.median()),
        "low": low,
        "high": high,
        "covered": bool(low < truth < high),
        "r_hat": float(az.rhat(draws.to_dataset(name="x"))["x"].max()),
        "warned": sampling,
    }


def groups(effect: float, seed: int) -> dict[str, Any]:
    """Two groups of 30 people, 100 trials each, who differ in alpha."""
    rng, n = np.random.default_rng(seed), 60
    group = np.repeat(["control", "patient"], n // 2)
    truth = effect * SD["alpha"]
    alpha = rng.normal(MEAN["alpha"] + truth * (group == "patient"), SD["alpha"])
    trials = _trials(alpha, rng.normal(MEAN["beta"], SD["beta"], n), n, 100, seed)
    return _found(trials.assign(group=("subject", group)), "~ group", "alpha_group", truth, seed)


def covariate(seed: int) -> dict[str, Any]:
    """20 people with 100 trials, on each of which a number changes alpha."""
    return _found(with_covariate(seed), "~ load", "alpha_load", EFFECT * SD["alpha"], seed)


def with_covariate(seed: int, n: int = 20, n_trials: int = 100) -> xr.Dataset:
    """Return trials of people, and on each of them a number that changes alpha."""
    rng = np.random.default_rng(seed)
    load = rng.normal(size=(n, n_trials))
    alpha = rng.normal(MEAN["alpha"], SD["alpha"], n)[:, None] + EFFECT * SD["alpha"] * load
    trials = _trials(alpha, rng.normal(MEAN["beta"], SD["beta"], n), n, n_trials, seed)
    return trials.assign(load=(("subject", "trial"), load))


def sessions(halves: bool, seed: int) -> dict[str, Any]:
    """40 people in two sessions of 200 trials, or in four blocks of 100 of which every other has another alpha."""
    rng, n, n_trials = np.random.default_rng(seed), 40, 400
    block = np.arange(n_trials) // (100 if halves else 200)
    own = rng.normal(MEAN["alpha"], SD["alpha"] * np.sqrt(RELIABILITY), n)
    anew = rng.normal(0.0, SD["alpha"] * np.sqrt(1 - RELIABILITY), (n, 2))
    delta, beta = rl.get_model("delta"), np.exp(rng.normal(MEAN["beta"], SD["beta"], n))
    alpha = delta.parameter("alpha").support.constrain(own[:, None] + anew[:, block % 2])
    parts = []
    for k in range(block.max() + 1):  # learning starts anew in each
        params = {"alpha": alpha[:, block == k][:, 0], "beta": beta}
        part = rl.simulate(
            "delta", rl.tasks.Bandit([0.2, 0.8]), params, n, int((block == k).sum()), seed=1000 * seed + k
        )
        parts.append(rl.to_table(part).assign(block=k))
    table = pd.concat(parts).sort_values(["subject", "block", "trial"], kind="stable")
    trials = rl.read_trials(table if halves else table.rename(columns={"block": "session"}))
    trials = rl.split_half(trials) if halves else trials
    return _found(trials, "~ (1 | subject:session)", "alpha_reliability", RELIABILITY, seed)


STUDIES: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "groups": (
        "2 groups x 30 people x 100 trials, effect 0.5 sd on alpha",
        "groups",
        [{"effect": EFFECT, "seed": seed} for seed in range(100)],
    ),
    "no effect": (
        "the same without an effect",
        "groups",
        [{"effect": 0.0, "seed": seed} for seed in range(100)],
    ),
    "sessions": (
        "40 people x 2 sessions x 200 trials, reliability 0.7",
        "sessions",
        [{"halves": False, "seed": seed} for seed in range(20)],
    ),
    "halves": (
        "40 people x 4 blocks x 100 trials, reliability of halves 0.7",
        "sessions",
        [{"halves": True, "seed": seed} for seed in range(20)],
    ),
    "covariate": (
        "20 people x 100 trials, a number that changes alpha by 0.5 sd on each trial",
        "covariate",
        [{"seed": seed} for seed in range(20)],
    ),
}


def study(name: str, folder: str | Path, *, n: int | None = None, workers: int | None = None) -> list[dict[str, Any]]:
    """Return the results of a study, or of the first so many of its data sets."""
    _, function, units = STUDIES[name]
    return sweep(
        f"benchmarks.formula_studies:{function}", units[:n], Path(folder) / name.replace(" ", "_"), workers=workers
    )


def main() -> None:
    """Run studies, and report how often the truth was covered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--studies", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--write", action="store_true")
    chosen, rows = parser.parse_args(), []
    out = Report("Simulated studies")
    for name in chosen.studies:
        found = study(name, chosen.folder, workers=chosen.workers)
        covered, n = sum(r["covered"] for r in found), len(found)
        likely = stats.binom(n, PROB).ppf([0.005, 0.995]).astype(int)
        error = np.mean([r["median"] - r["truth"] for r in found])
        excluded = sum(not r["low"] < 0 < r["high"] for r in found)
        rows.append(
            [
                STUDIES[name][0],
                n,
                covered,
                f"{likely[0]} to {likely[1]}",
                float(error),
                float(np.median([r["high"] - r["low"] for r in found])),
                excluded,
                sum(r["warned"] > 0 for r in found),
            ]
        )
    columns = (
        "study",
        "data sets",
        "covered",
        "99 % likely",
        "median - truth, mean",
        "width, median",
        "0 outside",
        "warned",
    )
    out.say(
        "By `./run python -m benchmarks.formula_studies FOLDER`. 0 outside: of how many intervals. Warned: of how many "
        "fits `sample` had something to say. The first two studies have the same people but for the effect."
    )
    out.table("Intervals of 95 %", columns, rows)
    if chosen.write:
        out.write()


if __name__ == "__main__":
    main()
