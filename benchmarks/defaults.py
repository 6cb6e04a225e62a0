"""Whether what `sample` does unless told otherwise is enough: models and data, each with all defaults.

    ./run python -m benchmarks.defaults [--pairs NAME ...] [--seeds 1 2 3] [--draws 1000] [--tune 1000]
                                        [--target-accept 0.9] [--write]

A pair is enough if the largest r_hat is below 1.01, bulk and tail ESS of all variables are above 400, no transition
diverged, and nothing was warned of.  Simulated people are new ones for each seed.  Unless a pair's name says otherwise,
their parameters are drawn from the model's own priors, which are weak: many are of extremes that no data have.  A
warning that a constant gains says nothing of sampling: it counts apart.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import arviz as az
import numpy as np
import xarray as xr

import rlpymc as rl
from benchmarks.bandit import simulated as bandit
from benchmarks.measure import Report, cost, machine
from rlpymc.population.presets import middle_and_width

R_HAT, ESS = 1.01, 400.0
OF_CONSTANTS = "what else is concluded may rest on it"  # what warnings of constants say


def from_priors(model: str, task: rl.tasks.Task, n_subjects: int, n_trials: int, seed: int) -> xr.Dataset:
    """Return trials of people whose parameters are draws of the model's priors."""
    rng = np.random.default_rng(seed)
    free = [p for p in rl.get_model(model).parameters if p.value is None]
    params = {p.name: p.prior.sample(rng, (n_subjects, *p.shape)) for p in free}
    return rl.simulate(model, task, params, n_subjects, n_trials, seed=seed)


def typical(model: str, task: rl.tasks.Task, n_subjects: int, n_trials: int, seed: int) -> xr.Dataset:
    """Return trials of people around plausible values, who vary half as much as their priors do."""
    rng, params = np.random.default_rng(seed), {}
    for p in rl.get_model(model).parameters:
        if p.value is None:
            assert p.plausible is not None, p.name
            width = middle_and_width(p, p.prior)[1]
            away = width / 2 * rng.standard_normal((n_subjects, *p.shape))
            params[p.name] = p.support.constrain(p.support.unconstrain(np.float64(p.plausible)) + away)
    return rl.simulate(model, task, params, n_subjects, n_trials, seed=seed)


@dataclass(frozen=True)
class Pair:
    """A model, and where its data come from.

    Parameters
    ----------
    model : str
        The model.
    trials : callable
        Data for a seed.
    options : mapping
        Of `build`.
    """

    model: str
    trials: Callable[[int], xr.Dataset]
    options: dict[str, Any] = field(default_factory=dict)


def example(name: str) -> Callable[[int], xr.Dataset]:
    """Return what gives a shipped data set, whatever the seed."""
    return lambda seed: rl.example_data(name)


def by_picture(seed: int) -> xr.Dataset:
    """Return the data of Collins & Frank, whatever the seed, with each picture of a block learned by itself."""
    del seed
    table = rl.to_table(rl.example_data("collins2018_rlwm")).drop(columns="trial")
    table = table.sort_values(["subject", "block", "stimulus"], kind="stable")
    return rl.read_trials(table, missing=-1, reset=["block", "stimulus"])


def of_priors(model: str, task: Callable[[], rl.tasks.Task], n_subjects: int, n_trials: int) -> Pair:
    """Return a pair whose data are simulated with the model."""
    return Pair(model, lambda seed: from_priors(model, task(), n_subjects, n_trials, seed))


def of_typical(model: str, task: Callable[[], rl.tasks.Task], n_subjects: int, n_trials: int) -> Pair:
    """Return a pair whose data are simulated with the model, of typical people."""
    return Pair(model, lambda seed: typical(model, task(), n_subjects, n_trials, seed))


def drifting() -> rl.tasks.Task:
    """Return the bandit of Daw et al. (2006), with payoffs in units of 40 points around their center, 50."""
    return rl.tasks.DriftingBandit(center=0.0, sd_drift=2.8 / 40, sd=4 / 40, limits=None, round_to=None)


def blocks() -> rl.tasks.Task:
    """Return 13 blocks of 2 to 6 pictures, as in published experiments."""
    return rl.tasks.RLWM([2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6])


PAIRS = {
    "fontanesi, delta": Pair("delta", example("fontanesi2019")),
    "fontanesi, rates by sign": Pair("delta(rates=sign)", example("fontanesi2019")),
    "fontanesi, counterfactual": Pair("counterfactual+stickiness", example("fontanesi2019")),
    "README": Pair("counterfactual+stickiness", example("fontanesi2019"), {"shared": ["q0"]}),
    "README, simple": Pair("delta", example("fontanesi2019"), {"shared": ["q0"]}),
    "bandit 20 x 50": Pair("delta", lambda seed: bandit(20, 50, seed)),
    "bandit 20 x 500": Pair("delta", lambda seed: bandit(20, 500, seed)),
    "two-step 20 x 200": of_priors("two_step_hybrid", rl.tasks.TwoStep, 20, 200),
    "two-step, typical people": of_typical("two_step_hybrid", rl.tasks.TwoStep, 20, 200),
    "drifting bandit": of_priors("kalman", drifting, 20, 200),
    "drifting bandit, typical people": of_typical("kalman", drifting, 20, 200),
    "hidden Markov": of_priors("hmm(delta)", lambda: rl.tasks.Bandit([0.2, 0.8]), 20, 200),
    "MDP, q_mdp": of_priors("q_mdp", lambda: rl.tasks.RandomMDP(5, 3), 20, 200),
    "MDP, soft_q": of_priors("soft_q", lambda: rl.tasks.RandomMDP(5, 3), 20, 200),
    "collins, delta": Pair("delta", by_picture),
    "collins, rates by sign": Pair("delta(rates=sign)+stickiness", by_picture),
    "RLWM simulated": of_priors("rlwm", blocks, 10, 663),
    "collins, rlwm": Pair("rlwm", example("collins2018_rlwm")),
    "collins, interaction": Pair("rlwm(interaction=True)", example("collins2018_rlwm")),
}


def extreme(values: xr.Dataset, largest: bool) -> tuple[float, str]:
    """Return the largest or smallest entry of all variables, and which it is; constants (NaN) do not count."""
    found = {}
    for name, v in values.data_vars.items():
        if np.isfinite(v.values).any():
            k = int((np.nanargmax if largest else np.nanargmin)(v.values))
            place = np.unravel_index(k, v.shape) if v.ndim else ()
            labels = [str(v[d].values[i]) for d, i in zip(v.dims, place, strict=True)]
            found[str(name) + (f"[{', '.join(labels)}]" if labels else "")] = float(v.values.flat[k])
    where = (max if largest else min)(found, key=found.__getitem__)
    return found[where], where


def checked(pair: Pair, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what came of a pair: of its draws, and every warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trials = pair.trials(seed)
        run = cost(
            lambda: rl.sample(rl.build(pair.model, trials, **pair.options), seed=seed, progress=False, **settings)
        )
    posterior, stats = run.found["posterior"].to_dataset(), run.found["sample_stats"].to_dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of variables that are constant
        r_hat = extreme(az.rhat(posterior), largest=True)
        bulk, tail = (extreme(az.ess(posterior, method=m), largest=False) for m in ("bulk", "tail"))
    said = [f"{w.category.__name__}: {w.message}" for w in caught if OF_CONSTANTS not in str(w.message)]
    tried = json.loads(run.found.attrs.get("constants", '{"constants": {}}'))["constants"]
    gaining = [name for name, found in tried.items() if found["telling"]]
    divergences = int(stats["diverging"].sum())
    enough = r_hat[0] < R_HAT and min(bulk[0], tail[0]) > ESS and not divergences and not said
    row: list[object] = ["yes" if enough else "NO", f"{r_hat[0]:.4f}", r_hat[1], *bulk, *tail, divergences]
    row += [float(stats["n_steps"].mean()), posterior.attrs["sampling_time"], run.cpu, len(said), " ".join(gaining)]
    return {"row": row, "warnings": said, "enough": enough}


def report(out: Report, names: Sequence[str], seeds: Sequence[int], settings: dict[str, Any]) -> None:
    """Report a row for each pair and seed, and each warning."""
    rows, said = [], list[str]()
    enough = 0
    for name in names:
        for seed in seeds:
            found = checked(PAIRS[name], seed, settings)
            rows.append([name, seed, *found["row"]])
            said += [f"- {name}, seed {seed}: {text}" for text in found["warnings"]]
            enough += found["enough"]
            print(*rows[-1], *found["warnings"], sep=" | ", flush=True)
    columns = ("pair", "seed", "enough", "r_hat", "of", "bulk ESS", "of", "tail ESS", "of", "divergences", "steps")
    columns += ("sampling, s", "CPU s of all", "warnings", "constants that gain")
    told = ", ".join(f"{k}={v}" for k, v in settings.items()) or "all defaults"
    out.table(f"Models and data, {told}", columns, rows)
    left = [name for name in PAIRS if name not in names]
    out.say(f"Not run here: {', '.join(left) or 'none'}.")
    out.say(f"Enough: {enough} of {len(rows)}. Warnings:\n\n" + "\n".join(said or ["none"]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS), metavar="NAME")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    for name, kind in (("draws", int), ("tune", int), ("target_accept", float)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind)
    parser.add_argument("--write", action="store_true")
    given = vars(parser.parse_args())
    settings = {k: given[k] for k in ("draws", "tune", "target_accept") if given[k] is not None}
    out = Report("Defaults")
    out.say(f"Measured on {machine()}, by `./run python -m benchmarks.defaults`.")
    report(out, given["pairs"], given["seeds"], settings)
    if given["write"]:
        out.write()


if __name__ == "__main__":
    main()
