"""Nine working-memory models of 40 people by maximum likelihood, beside the published fits.

    ./run python -m benchmarks.published_fits

Collins & Frank 2018, data set 3 of AnneCollins/WMH (see tests/golden/README.md): capacities 2 to 5, ten starts each.
"""

import time
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

import rlpymc as rl
from benchmarks.measure import Report

PUBLISHED = Path(__file__).parents[1] / "tests" / "golden" / "rlwm_collins2018_fits.csv"
CONSTANT: dict[str, dict[str, Any]] = {
    "WM0 RL0 0": {"fixed": {"bias_wm": 0, "bias_rl": 0}},
    "WM RL0 0": {"fixed": {"bias_rl": 0}},
    "WM0 RL 0": {"fixed": {"bias_wm": 0}},
    "WM=RL 0": {"coupled": [("bias_wm", "bias_rl")]},
    "WM RL 0": {},
    "WM0 RL1 0": {"fixed": {"bias_wm": 0, "bias_rl": 1}},
}
VARIANTS = {name: ("rlwm", options) for name, options in CONSTANT.items()} | {
    f"int {name}": ("rlwm(interaction=True)", CONSTANT[name]) for name in ("WM0 RL 0", "WM RL 0", "WM0 RL1 0")
}
NESTED = (
    ("WM0 RL0 0", "WM RL0 0"),
    ("WM0 RL0 0", "WM0 RL 0"),
    ("WM0 RL1 0", "WM0 RL 0"),
    ("WM0 RL0 0", "WM=RL 0"),
    ("WM RL0 0", "WM RL 0"),
    ("WM0 RL 0", "WM RL 0"),
    ("WM=RL 0", "WM RL 0"),
    ("int WM0 RL1 0", "int WM0 RL 0"),
    ("int WM0 RL 0", "int WM RL 0"),
)


def answered_trials() -> xr.Dataset:
    """Return the trials that the published fits are of: answered later than 150 ms, put next to each other."""
    table = rl.to_table(rl.example_data("collins2018_rlwm"))
    return rl.read_trials(table[(table["rt"] > 0.15) & table["action"].notna()], reset="block")


def report(out: Report) -> None:
    """Report each variant, and how nested ones compare."""
    trials, published, rows, found = answered_trials(), pd.read_csv(PUBLISHED), [], {}
    began = time.process_time()
    for name, (model, options) in VARIANTS.items():
        started = time.process_time()
        found[name] = rl.fit_mle(model, trials, starts=10, progress=False, **options).log_lik.values
        spent = time.process_time() - started
        known = published[published["variant"] == name].set_index("subject")["log_lik"]
        gap = found[name] - known.loc[trials["subject"].values].to_numpy()
        rows.append(
            [name, f"{found[name].sum():.3f}", f"{known.sum():.3f}", float(gap.min()), int((gap > 1e-4).sum()), spent]
        )
    columns = ("variant", "sum of log likelihoods", "published", "smallest gain", "people gained", "CPU s")
    out.table("Nine working-memory models, 40 people", columns, rows)
    worst = min(float((found[b] - found[a]).min()) for a, b in NESTED)
    spent = time.process_time() - began
    out.say(f"All nine: {spent:.0f} CPU seconds. Smallest gain of a variant over one nested in it: {worst:.2g}.")


if __name__ == "__main__":
    report(Report("Published fits"))
