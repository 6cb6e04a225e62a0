"""Constants that decide are found, at the price that was agreed on, and chance is not taken for a finding."""

import itertools
import json
import logging
import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rlpymc as rl
from rlpymc.fitting import constant_refits
from rlpymc.fitting.budget import Budget, OutOfTime
from rlpymc.fitting.held_constants import CONSTANTS, can_be_freed, constants_within, telling
from rlpymc.fitting.mle.objective import Objective
from rlpymc.fitting.mle.search import Optimum, Search
from rlpymc.fitting.nuts import constants_in_passing as passing
from rlpymc.fitting.nuts import sampling
from rlpymc.model.parameters import integer
from rlpymc.population.population import Population
from rlpymc.priors import Gamma
from rlpymc.tasks import Bandit
from rlpymc.trials.model_data import data_for
from tests.helpers.messages import assert_says, refusal

P = {"alpha": 0.3, "beta": 4.0}


def trials(q0: float = 0.0, n_subjects: int = 6, seed: int = 1) -> xr.Dataset:
    return rl.simulate("delta", Bandit([0.2, 0.8]), {**P, "q0": q0}, n_subjects, 60, seed)


def constants(model: Any, data: xr.Dataset, *args: Any, **options: Any) -> Any:
    return rl.constants(model, data, *args, progress=False, **{"starts": 2, **options})


def refits(data: xr.Dataset, budget: Budget) -> list[constant_refits.Refit]:
    population = Population("none")
    found = data_for(rl.get_model("delta"), data)
    freed = {"q0": population.freeing("q0")}
    return list(constant_refits.refits(found, population, freed, 1, 0, "fused", budget))


# ---------------------------------------------------------------- what is gained


@pytest.mark.parametrize(
    ("model", "held", "freed", "median"),
    [
        ("delta", -2884.7, -2585.4, -1.198),
        pytest.param("counterfactual", -2569.4, -2485.6, -0.128, marks=pytest.mark.slow),
    ],
)
def test_the_start_of_values_decides_how_well_people_of_fontanesi_are_described(
    model: str, held: float, freed: float, median: float
) -> None:
    found = constants(model, rl.example_data("fontanesi2019"), starts=10 if model == "counterfactual" else 2)
    row = found.to_dataframe().loc["q0"]
    assert float(found.log_lik.sum()) == pytest.approx(held, abs=0.1)
    assert row["gain"] + float(found.log_lik.sum()) == pytest.approx(freed, abs=0.1)
    assert row["by_chance"] == 13.5
    assert row["telling"]
    assert row["median"] == pytest.approx(median, abs=0.01)
    assert found.by_subject()["q0_gain"].sum() == pytest.approx(row["gain"])
    parts = "q0 = 0 is held", f"gains {row['gain']:.1f} nats", "chance gains 13.5"
    assert_says(str(found), f"{model}, 27 of 27", *parts)


def test_gains_are_those_of_maximum_likelihood() -> None:
    data = trials(q0=1.5)
    found = constants("delta", data)
    for free, log_lik in (((), found.log_lik), (("q0",), found.log_lik + found.gains.sel(constant="q0"))):
        mle = rl.fit_mle("delta", data, free=free, progress=False)
        np.testing.assert_allclose(log_lik, mle.log_lik, atol=1e-4)
    np.testing.assert_allclose(found.estimates["q0"], mle.params["q0"], atol=1e-3)


def test_what_chance_gains_is_not_telling_and_what_matters_is() -> None:
    for seed in (1, 2):  # the first of these gains more than large samples would
        assert not constants("delta", trials(n_subjects=10, seed=seed), starts=1).to_dataframe()["telling"].any()
    row = constants("delta", trials(q0=1.5)).to_dataframe().loc["q0"]
    assert row["telling"]
    assert row["gaining"] >= 4
    assert row["median"] > 0.5


def test_the_search_with_a_constant_freed_goes_on_from_where_it_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    gains = constants("delta", trials(q0=1.5)).gains
    best = Search.best

    def lost(self: Search, targets: Any, follower: Any = None) -> Optimum:
        if "q0" not in self.coordinates.entries.places:
            return best(self, targets, follower)
        return Optimum(self.points[0], targets[0].function(self.points[0])[0], targets[0])

    monkeypatch.setattr(Search, "best", lost)
    led_on = constants("delta", trials(q0=1.5)).gains
    assert (led_on >= 0).all()
    assert float(led_on.sum()) > float(gains.sum()) / 3  # to optima nearby, at least


def test_what_a_fit_has_freed_stays_free_whatever_is_pooled() -> None:
    data, held = trials(n_subjects=2), {"decay": 0.9, "center": 0.3, "sd_drift": 0.5}
    shared = Population("partial", {"sd0": Gamma(2, 1)}, held, shared=["mu0"])
    found = constants_within(data_for(rl.get_model("kalman"), data), shared, Budget(), most=1, starts=2)
    alone = constants("kalman", data, "sd_obs", fixed=held, free=["mu0", "sd0"])
    assert list(found.held) == ["sd_obs"]
    np.testing.assert_allclose(found.log_lik, alone.log_lik, atol=1e-6)


def test_every_constant_is_tried_alone() -> None:
    data, held = trials(n_subjects=1), {"fixed": {"decay": 0.9, "center": 0.3}, "starts": 1}
    found = constants("kalman", data, **held)
    assert list(found.to_dataframe().index) == ["mu0", "sd0", "sd_obs", "phi"]
    alone = constants("kalman", data, "phi", **held)
    assert list(alone.to_dataframe().index) == ["phi"]
    assert float(alone.gains[0, 0]) == float(found.gains.sel(constant="phi")[0])


def test_each_number_of_an_array_counts() -> None:
    walk = rl.simulate("q_mdp", rl.tasks.RandomMDP(2, 2), {"alpha": 0.3, "gamma": 0.5, "beta": 2.0}, 1, 30, seed=1)
    found = constants("q_mdp", walk, fixed={"alpha": 0.3, "gamma": 0.5}, starts=1)
    assert found.to_dataframe().loc["q0", "by_chance"] == 2.0  # four numbers, half a nat each
    assert found.by_subject().shape == (1, 3)


# ---------------------------------------------------------------- what cannot be tried


def test_a_model_without_constants_is_refused_and_so_is_what_is_no_constant() -> None:
    assert_says(refusal(constants, "wsls", trials()), "wsls", "no such constant", "nothing to try")
    assert_says(refusal(constants, "delta", trials(), fixed={"q0": 0.5}), "delta", "no such constant")
    assert_says(refusal(constants, "delta", trials(), free=["q0"]), "delta", "no such constant")
    assert_says(refusal(constants, "delta", trials(), "alpha"), "in names 'alpha'", "There is: q0")
    assert_says(refusal(constants, "delta", trials(), priors={"beta": rl.priors.Gamma(2, 1)}), "in priors 'beta'")


def test_a_constant_without_a_prior_is_named_with_the_mend_and_the_mend_works() -> None:
    delta = rl.get_model("delta")
    alpha, q0 = (delta.parameter(name) for name in ("alpha", "q0"))
    bare = delta.changed(name="bare", parameters=(alpha, rl.Parameter("q0", q0.support, value=0.0)))
    assert_says(refusal(constants, bare, trials()), "bare", "q0 has no prior", "priors={'q0': ...}")
    assert_says(refusal(constants, bare, trials(), "q0"), "bare", "q0 has no prior", "priors={'q0': ...}")
    mended = constants(bare, trials(), priors={"q0": rl.priors.Normal(0, 1)})
    assert float(mended.gains.sum()) == pytest.approx(float(constants("delta", trials()).gains.sum()), abs=1e-3)
    two = delta.changed(name="two", parameters=(alpha, q0, rl.Parameter("lag", integer(0, 3), value=0)))
    assert_says(str(constants(two, trials())), "q0", "lag is a whole number", "fixed={'lag': ...}")
    assert [p.name for p in can_be_freed(two, Population())] == ["q0"]
    assert not can_be_freed(two, Population(fixed={"q0": 0.3}))


# ---------------------------------------------------------------- what it may take


class Clock:
    """Time that passes by one whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> float:
        self.now += 1
        return float(self.now)


def test_nothing_is_evaluated_after_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = itertools.count()
    of_subject = Objective._of_subject

    def counted(self: Any, i: int) -> Any:
        inner = of_subject(self, i)
        return lambda values: (next(evaluated), inner(values))[1]

    monkeypatch.setattr(Objective, "_of_subject", counted)
    plenty = Clock()
    everybody = refits(trials(), Budget(1e9, plenty))
    assert len(everybody) == 6
    most, time = next(evaluated), plenty.now // 2
    some = refits(trials(), Budget(time, Clock()))
    assert 0 < len(some) < 6  # those that were finished
    done = next(evaluated) - most
    assert done < most
    assert done <= time * (1 + constant_refits.PART)
    for one, other in zip(some, everybody, strict=False):
        assert (one.subject, one.log_lik, one.gains.tolist()) == (other.subject, other.log_lik, other.gains.tolist())
    assert not refits(trials(), Budget(0.0, Clock()))
    assert next(evaluated) == most + done + 1  # the count itself


def test_a_budget_is_kept_between_calls() -> None:
    now = [0.0]
    budget = Budget(10.0, lambda: now[0])
    double = budget.within(lambda x: 2 * x)
    assert double(3) == 6
    now[0] = 9.0
    assert budget.left == 1.0
    assert double(4) == 8
    now[0] = 10.0
    with pytest.raises(OutOfTime):
        double(5)


def test_no_more_kernels_are_compiled_than_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = rl.build("kalman", trials(n_subjects=2))
    asked: list[tuple[float, int]] = []

    def within(data: Any, population: Any, budget: Budget, most: int) -> Any:
        asked.append((budget.left, most))
        return constants("delta", trials(), starts=1)

    monkeypatch.setattr(passing, "constants_within", within)
    monkeypatch.setattr(passing, "seconds_to_compile", lambda *_: 2.0)
    for seconds in (0.0, 19.0, 39.0):
        assert passing.constants_in_passing(model, seconds, clock=lambda: 0.0) is None
    assert not asked
    with caplog.at_level(logging.INFO, "rlpymc"):
        assert passing.constants_in_passing(model, 39.0, clock=lambda: 0.0) is None
    assert_says(caplog.text, "mu0, sd0, sd_obs, phi", "not tried", "too short", "rlpymc.constants")
    for seconds in (40.0, 80.0):  # one kernel is that of the model itself
        passing.constants_in_passing(model, seconds, clock=lambda: 0.0)
    assert asked == [(4.0, 1), (8.0, 3)]
    assert passing.constants_in_passing(rl.build("delta", trials(), fixed={"q0": 0.0}), 1e6) is None
    scan = rl.build("delta", trials(n_subjects=1), backend="scan")
    assert passing.constants_in_passing(scan, 1e6) is None
    assert len(asked) == 2


def test_the_time_to_compile_is_told_from_the_kernel() -> None:
    data = data_for(rl.get_model("delta"), trials())
    small = passing.seconds_to_compile(data, ["alpha"])
    assert 0.01 < small < passing.seconds_to_compile(data, ["alpha", "beta"])


# ---------------------------------------------------------------- in passing


def sampled(monkeypatch: pytest.MonkeyPatch, seconds: float, **options: Any) -> tuple[xr.DataTree, list[str]]:
    """A fit with a constant that decides, sampled as if it had taken so long, and the warnings of constants."""
    in_passing = sampling.constants_in_passing
    took = lambda model, _: in_passing(model, seconds)  # noqa: E731
    monkeypatch.setattr(sampling, "constants_in_passing", took)
    model = rl.build("delta", trials(q0=1.5), priors={"alpha": rl.priors.Beta(2, 2)}, shared=["beta"])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit = rl.sample(model, draws=20, tune=20, chains=2, seed=1, progress=False, **options)
    return fit, [str(w.message) for w in said if "q0" in str(w.message)]


def test_sampling_says_which_constant_decides_and_comparisons_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[bool] = []
    diagnose = sampling.diagnose
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "diagnose", lambda fit: known.append(CONSTANTS in fit.attrs) or diagnose(fit))
        fit, said = sampled(patch, 1e3)
    assert known == [True]  # two modes may come of a constant
    row = json.loads(fit.attrs[CONSTANTS])["constants"]["q0"]
    assert row["telling"]
    gain = constants("delta", trials(q0=1.5)).to_dataframe().loc["q0", "gain"]
    assert row["gain"] == pytest.approx(gain, abs=1.0)  # of everybody alone, whatever is shared
    assert len(said) == 1
    assert_says(said[0], "q0 = 0 is held", f"gains {row['gain']:.1f} nats", "6 of 6 subjects", "shared=('beta', 'q0')")
    with warnings.catch_warnings(record=True) as repeated:
        warnings.simplefilter("always")
        other = xr.DataTree.from_dict({name: group.to_dataset() for name, group in fit.children.items()})
        rl.compare({"one": fit, "other": other})
    notes = [str(w.message) for w in repeated if "q0" in str(w.message)]
    assert len(notes) == 1
    assert_says(notes[0], "fit 'one'", telling(fit.attrs[CONSTANTS])["q0"])


@pytest.mark.parametrize(("seconds", "options"), [(1e3, {"constants": False}), (1e-6, {})])
def test_constants_are_not_tried_where_that_is_not_wanted_or_would_take_too_long(
    monkeypatch: pytest.MonkeyPatch, seconds: float, options: dict[str, Any]
) -> None:
    with monkeypatch.context() as patch:
        fit, said = sampled(patch, seconds, **options)
    assert CONSTANTS not in fit.attrs
    assert not said
