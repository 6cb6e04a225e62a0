"""Simulated studies in short: intervals of what formulas say cover the truth.  The long form is in benchmarks/."""

from pathlib import Path

import numpy as np
import pytest

import rlpymc as rl
from benchmarks import formula_studies as studies

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "n", "least"), [("groups", 6, 4), ("covariate", 4, 3), ("sessions", 2, 1), ("halves", 2, 1)]
)
def test_intervals_cover_the_truth(name: str, n: int, least: int, tmp_path: Path) -> None:
    """Of six intervals of 95 % fewer than four cover the truth in one of 450 tries, and so on."""
    found = studies.study(name, tmp_path, n=n)
    assert sum(result["covered"] for result in found) >= least
    assert max(result["r_hat"] for result in found) < 1.05


def test_both_likelihoods_find_the_slope_of_a_covariate() -> None:
    trials = studies.with_covariate(seed=1, n=8, n_trials=60)
    found = {}
    for backend in ("fused", "scan"):
        model = rl.build("delta", trials, formulas={"alpha": "~ load"}, backend=backend)
        options = {"draws": 500, "tune": 500, "chains": 2, "progress": False, "log_likelihood": False}
        found[backend] = rl.sample(model, seed=1, constants=False, **options)["posterior"]["alpha_load"]
    fused, scan = (draws.values.ravel() for draws in found.values())
    truth = studies.EFFECT * studies.SD["alpha"]
    for draws in (fused, scan):
        assert np.quantile(draws, 0.005) < truth < np.quantile(draws, 0.995)
    assert abs(fused.mean() - scan.mean()) < 0.3 * fused.std()
