"""Posteriors of populations are calibrated: ranks of true values are uniform."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.helpers.calibration import AGREED, KEPT, RUNS, TABLE, run

AGAIN = 30
ABOUT = ("seed", "longer", "r_hat")


def assert_uniform(ranks: pd.DataFrame, bins: int) -> None:
    """Check ranks from 0 to `KEPT`, by Pearson's statistic over bins and by their distribution function."""
    names = [name for name in ranks if name not in ABOUT]
    least = 0.001 / (2 * len(names))
    for name in names:
        counts = np.bincount(ranks[name] * bins // (KEPT + 1), minlength=bins)
        assert stats.chisquare(counts).pvalue > least, (name, counts)
        spread = ranks[name] + np.random.default_rng(0).uniform(size=len(ranks))
        assert stats.kstest(spread / (KEPT + 1), "uniform").pvalue > least, name


def test_ranks_of_two_hundred_populations_are_uniform() -> None:
    ranks = pd.read_csv(TABLE)
    assert ranks["seed"].tolist() == list(range(RUNS))
    assert (ranks["r_hat"] <= AGREED).all()
    assert_uniform(ranks, bins=10)


def test_ranks_that_are_a_little_off_are_found() -> None:
    """What a posterior that is 40 % too narrow, or half a standard deviation off, would give."""
    truth = np.random.default_rng(1).normal(size=(RUNS, 2))
    draws = np.random.default_rng(2).normal(size=(RUNS, 2, KEPT)) * [[0.6], [1.0]] + [[0.0], [0.5]]
    ranks = (draws < truth[..., None]).sum(axis=2)
    for column in ranks.T:
        with pytest.raises(AssertionError):
            assert_uniform(pd.DataFrame({"alpha_mu": column}), bins=10)


@pytest.mark.slow
def test_populations_simulated_again_have_the_ranks_that_are_kept() -> None:
    """Other processors round otherwise, and chains take another way; ranks then differ as those of 99 draws do."""
    again, kept = pd.DataFrame([run(seed) for seed in range(AGAIN)]), pd.read_csv(TABLE)[:AGAIN]
    assert_uniform(again, bins=5)
    for name in [name for name in kept if name not in ABOUT]:
        assert np.corrcoef(again[name], kept[name])[0, 1] > 0.9
        assert np.abs(again[name] - kept[name]).mean() < 8
