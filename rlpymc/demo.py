"""A study from data to model comparison, on the people of Fontanesi et al. (2019)."""

import time
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import xarray as xr
from rich.console import Console

from rlpymc import plots
from rlpymc.comparison.marginal import marginal_log_likelihood
from rlpymc.comparison.table import compare
from rlpymc.data import example_data
from rlpymc.fitting.factory import RLModel, build
from rlpymc.fitting.files import save
from rlpymc.fitting.mle import MLE, fit_mle
from rlpymc.fitting.nuts.diagnostics import diagnose
from rlpymc.fitting.nuts.sampling import sample
from rlpymc.model.registry import get_model
from rlpymc.simulation.prediction import predict
from rlpymc.terminal import comparison, summary, table, text

MODELS = ("counterfactual+stickiness", "counterfactual", "delta", "choice_kernel")  # three learners, one baseline
START = "q0"  # where values start: held at the models' 0, it would decide the comparison (`rlpymc.constants`)


def run(folder: Path, draws: int = 1000, tune: int = 500, seed: int = 1, console: Console | None = None) -> None:
    """Fit three learners and a baseline hierarchically, check and compare them, and write figures and results.

    Parameters
    ----------
    folder : path
        Where figures (png) and fits (netCDF) go.
    draws, tune : int
        Draws of each of the four chains, and draws for tuning.
    seed : int
        The same seed gives the same results.
    console : rich.console.Console, optional
        Where to print.
    """
    began, console = time.monotonic(), console or Console()
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    trials = example_data("fontanesi2019")
    n_subjects, n_trials = trials.sizes["subject"], int(trials["scored"].sum())
    console.print(
        f"[bold]Fontanesi et al. (2019)[/bold]: {n_subjects} people, {n_trials} choices. {trials.attrs['reward_scale']}"
    )
    built: dict[str, RLModel] = {}
    fits: dict[str, xr.DataTree] = {}
    for name in MODELS:
        console.rule(name)
        console.print(get_model(name).card["summary"])
        learns = START in [p.name for p in get_model(name).parameters]
        built[name] = build(name, trials, shared=[START] if learns else [])
        fits[name] = sample(built[name], draws=draws, tune=tune, seed=seed)
        console.print(text(str(diagnose(fits[name])).splitlines()[0]))
        console.print(table(summary(fits[name], "_group"), "the group"))
        marginal_log_likelihood(built[name], fits[name], draws=250)  # for leaving out people
        save(fits[name], folder / f"{name.replace('+', '_')}.nc")
    console.rule("NUTS against maximum likelihood")
    best = MODELS[1]
    common = float(fits[best]["posterior"][START].mean())
    mle = fit_mle(best, trials, starts=5, fixed={START: common})
    console.print(
        table(
            against_mle(fits[best], mle),
            f"{best}, by person: posterior mean ± sd, and MLE given {START} = {common:.2f}",
        )
    )
    console.print(
        "Where the data say little, partial pooling draws a person to the group and maximum likelihood runs away; "
        "`status` says where it is not to be trusted."
    )
    console.rule("which model?")
    tables = {unit: compare(fits, unit=unit) for unit in ("trial", "subject")}
    for unit, found in tables.items():
        console.print(comparison(found, unit))
    console.rule("figures")
    for file, figure in figures(built, fits, tables["trial"]).items():
        figure.savefig(folder / file, dpi=120, bbox_inches="tight")
        console.print(text(f"  {folder / file}"))
    console.print(text(f"Fits and figures are in {folder}; {time.monotonic() - began:.0f} s in all."))


def against_mle(fit: xr.DataTree, mle: MLE) -> pd.DataFrame:
    """Return posterior means and standard deviations beside maximum likelihood, by person."""
    posterior = fit["posterior"].to_dataset()
    columns: dict[str, Any] = {}
    for k, name in enumerate(map(str, mle.se)):
        draws = posterior[name]
        means, spreads = draws.mean(("chain", "draw")).values, draws.std(("chain", "draw")).values
        columns[name] = [f"{mean:.2f}±{sd:.2f}" for mean, sd in zip(means, spreads, strict=True)]
        columns["MLE" + " " * k] = mle.params[name].values  # one column after each parameter, all with one heading
    people = pd.Index(mle.params["subject"].values, name="person")
    return pd.DataFrame(columns, index=people).assign(status=mle.status.values)


def figures(
    built: dict[str, RLModel], fits: dict[str, xr.DataTree], found: pd.DataFrame
) -> dict[str, "matplotlib.figure.Figure"]:
    """Return the figures of the study, by file name."""
    best = MODELS[0]
    trials = built[best].trials
    posterior = fits[best]["posterior"].to_dataset().mean(("chain", "draw"))
    params = {p.name: posterior[p.name] for p in built[best].spec.model.parameters if p.name in posterior}
    prediction = predict(built[best], fits[best], kind="one_step", seed=1)
    return {
        "posteriors.png": plots.posterior(fits[best]),
        "people.png": plots.population(fits[best]),
        "learning_curves.png": plots.learning_curve(prediction, target="better_option"),
        "one_person.png": plots.trial_values(best, trials, params),
        "comparison.png": plots.comparison(found),
    }
