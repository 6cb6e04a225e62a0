"""How chains disagree, on chains whose kind is known."""

from collections.abc import Callable

import arviz as az
import numpy as np
import pytest
from scipy import stats

from rlpymc.fitting.nuts.modes import gap, kind_of, stay_apart, stuck, tie
from tests.helpers.chains import APART, moving, rng, switching

SEEDS = range(5)


def one_stuck(seed: int) -> np.ndarray:
    draws = moving(0.3, seed)
    draws[2] = draws[2, 0]
    return draws


def one_elsewhere(seed: int) -> np.ndarray:
    """Two places that overlap."""
    return moving(0.3, seed) + np.array([[0], [0], [1.5], [0]])


def one_wider(seed: int) -> np.ndarray:
    return moving(0.3, seed) * np.array([[4], [1], [1], [1]])


def four_places(seed: int) -> np.ndarray:
    return moving(0.3, seed) + APART * np.arange(4)[:, None]


KINDS: dict[str, tuple[str, Callable[[int], np.ndarray]]] = {
    "without memory": ("slow", lambda seed: moving(0.0, seed)),
    "slow": ("slow", lambda seed: moving(0.95, seed)),
    "very slow": ("slow", lambda seed: moving(0.99, seed)),
    "hardly anywhere yet": ("slow", lambda seed: moving(0.999, seed)),
    "slow and few": ("slow", lambda seed: moving(0.95, seed, draws=200)),
    "slow, two chains": ("slow", lambda seed: moving(0.95, seed, chains=2)),
    "two modes": ("modes", lambda seed: switching(0.0, seed)),
    "two modes, two chains": ("modes", lambda seed: switching(0.0, seed, chains=2)),
    "two modes, seldom changed": ("modes", lambda seed: switching(0.003, seed)),
    "two modes, changed now and then": ("modes", lambda seed: switching(0.01, seed)),
    "two modes in one chain": ("modes", lambda seed: switching(0.01, seed, chains=1)),
    "modes that overlap": ("modes", one_elsewhere),
    "one chain wider": ("modes", one_wider),
    "four places": ("modes", four_places),
    "one stuck": ("stuck", one_stuck),
    "all stuck": ("stuck", lambda seed: np.repeat(np.arange(4.0)[:, None], 100, axis=1)),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_is_told(name: str) -> None:
    kind, make = KINDS[name]
    assert [kind_of(make(seed)) for seed in SEEDS] == [kind] * len(SEEDS)


@pytest.mark.parametrize("scale", [np.exp, np.cbrt, lambda x: -x], ids=["exp", "cbrt", "negative"])
def test_the_kind_is_the_same_on_every_scale(scale: Callable[[np.ndarray], np.ndarray]) -> None:
    for name, (kind, make) in KINDS.items():
        assert kind_of(scale(make(0))) == kind, name


def test_slow_chains_and_two_modes_look_alike_to_r_hat() -> None:
    """So that r_hat alone would not do."""
    slow, modes = (float(az.rhat(draws)) for draws in (moving(0.99, 1), switching(0.003, 1)))
    assert min(slow, modes) > 1.05


def test_where_chains_are_and_how_often_they_change() -> None:
    found = gap(switching(0.0, 1))
    assert found is not None
    assert found.places == pytest.approx((0.0, APART), abs=0.2)
    assert found.chains == ([0, 2], [1, 3], [])
    assert found.changes == 0
    assert found.longer == np.inf
    rarely = switching(0.003, 1)
    found = gap(rarely)
    assert found is not None
    assert found.chains[2]
    assert found.changes == (np.diff(rarely > APART / 2, axis=1) != 0).sum()


def test_how_much_longer_chains_must_be() -> None:
    """Chains of that length have the effective draws that are asked for, of which side they are on."""
    short = gap(switching(0.003, 2, draws=10_000))
    assert short is not None
    assert short.longer > 2
    long = switching(0.003, 3, draws=int(10_000 * short.longer)) > APART / 2
    assert float(az.ess(long.astype(float), method="mean")) == pytest.approx(100 * len(long), rel=0.3)


def test_a_chain_is_stuck_in_comparison_with_the_others() -> None:
    assert stuck(one_stuck(1)) == [2]
    assert stuck(moving(0.3, 1).round()) == []  # numbers that are whole stay as they are often enough
    assert stuck(np.ones((4, 100))) == [0, 1, 2, 3]


def test_chains_that_agree_do_not_stay_apart() -> None:
    assert not any(stay_apart(moving(memory, seed)) for memory in (0.0, 0.9) for seed in SEEDS)


def banana(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers of which only the product is known where the first is small, and both where it is not."""
    first, noise = np.exp(-np.abs(moving(0.99, seed)) * 3), rng(seed + 1)
    return first, 0.3 * np.exp(0.02 * noise.normal(size=first.shape)) / first + noise.gamma(3, size=first.shape)


def test_a_flat_direction_is_a_number_that_follows_another() -> None:
    for seed in SEEDS:
        first, second = banana(seed)
        assert tie(first, second) < -0.9
        assert kind_of(first, [moving(0.99, seed + 10), second]) == "flat"
        assert kind_of(first, [moving(0.99, seed + 10)]) == "slow"
        assert kind_of(first, [np.log(first)]) == "slow"  # itself, on another scale


def test_a_flat_direction_may_begin_where_a_number_is_small() -> None:
    over_all = [stats.spearmanr(*(x.ravel() for x in banana(seed))).statistic for seed in SEEDS]
    assert min(over_all) > -0.9


def test_what_goes_along_with_another_number_is_not_flat() -> None:
    for seed in SEEDS:
        first = moving(0.95, seed)
        assert 0.5 < tie(first, first + moving(0.95, seed + 10)) < 0.9
        assert kind_of(first, [first + moving(0.95, seed + 10)]) == "slow"


def test_what_follows_nothing_is_not_flat() -> None:
    assert max(abs(tie(moving(0.99, seed), moving(0.99, seed + 10))) for seed in SEEDS) < 0.8
    assert tie(moving(0.5, 1), np.ones((4, 1000))) == 0
