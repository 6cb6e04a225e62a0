"""What is said of a posterior: what is wrong, about whom, and what to do."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import rlpymc as rl
from rlpymc.fitting.held_constants import CONSTANTS
from tests.helpers.chains import APART, moving, switching
from tests.helpers.messages import assert_says

LABELS = {"subject": ["ann", "bob", "cy", "dee"], "action": [0, 1]}
TRIED = {"model": "delta", "n_subjects": 4, "constants": {}}
Q0 = {"value": 0.0, "gain": 40.0, "by_chance": 2.0, "telling": True, "gaining": 4, "n_subjects": 4, "median": 1.0}


def hand_made(
    draws: dict[str, np.ndarray] | None = None, *, subjects: int = 4, spec: dict[str, Any] | None = None, **stats: Any
) -> xr.DataTree:
    """A perfect fit of four chains, but for these draws and statistics, as of a model of one's own unless told."""
    draws = {"x": moving(0.0, 1, draws=500)} | (draws or {})
    shape = draws["x"].shape[:2]
    statistics = {"energy": moving(0.0, 2, draws=shape[1], chains=shape[0]), "diverging": np.zeros(shape, bool)} | stats
    dims = {2: (), 3: ("subject",), 4: ("subject", "action")}
    posterior = {name: (("chain", "draw", *dims[x.ndim]), x) for name, x in draws.items()}
    used = {dim: labels for dim, labels in LABELS.items() if any(dim in of for of, _ in posterior.values())}
    coords = {dim: labels[: subjects if dim == "subject" else 2] for dim, labels in used.items()}
    fit = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(posterior, coords),
            "sample_stats": xr.Dataset({name: (("chain", "draw"), x) for name, x in statistics.items()}),
        }
    )
    if spec is not None:
        fit.attrs |= {"rlpymc": json.dumps({"spec": spec, "sampler": {"target_accept": 0.8}}), "sampled_in": "informed"}
        fit.attrs["why"] = ""
    return fit


def by_subject(*, subjects: int = 4, **bad: np.ndarray) -> np.ndarray:
    """Draws (chain, draw, subject), fine but for those of the subjects that are named."""
    fine = [moving(0.0, 10 + k, draws=500) for k in range(subjects)]
    for label, draws in bad.items():
        fine[LABELS["subject"].index(label)] = draws
    return np.stack(fine, axis=-1)


def only_problem(fit: xr.DataTree) -> str:
    (only,) = rl.diagnose(fit).problems
    return only


def first_problem(fit: xr.DataTree) -> str:
    return rl.diagnose(fit).problems[0]


# ---------------------------------------------------------------- what is fine


def test_a_good_fit_has_no_problems() -> None:
    found = rl.diagnose(hand_made())
    assert found.problems == []
    assert (found.kind, found.variable, dict(found.coords), found.subjects) == ("", "", {}, ())
    assert_says(str(found), "divergences 0", "r_hat 1.0", "ESS", "(x)", "BFMI")


def test_what_is_constant_does_not_count() -> None:
    assert rl.diagnose(hand_made({"constant": np.ones((4, 500))})).problems == []


# ---------------------------------------------------------------- of whom


def test_the_worst_number_is_named_with_its_subject() -> None:
    slow = moving(0.95, 1, draws=500)
    found = rl.diagnose(hand_made({"alpha": by_subject(cy=slow)}))
    assert found.r_hat[1] == found.ess[1] == "alpha of subject 'cy'"
    assert (found.variable, dict(found.coords), found.subjects) == ("alpha", {"subject": "cy"}, ("cy",))
    assert "alpha of subject 'cy'" in found.problems[0]
    q = np.stack([by_subject(), by_subject(ann=slow)], axis=-1)
    assert rl.diagnose(hand_made({"q": q})).r_hat[1] == "q of subject 'ann', action 1"


def test_numbers_without_labels_are_named_as_in_pymc() -> None:
    draws = xr.DataArray(by_subject(cy=moving(0.95, 1, draws=500)), dims=("chain", "draw", "x_dim_0"))
    fit = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": draws})})
    found = rl.diagnose(fit)
    assert found.r_hat[1] == "x[2]"
    assert dict(found.coords) == {"x_dim_0": 2}


def test_it_is_said_how_many_subjects_it_concerns() -> None:
    alpha = by_subject(cy=switching(0.0, 1, draws=500), ann=moving(0.95, 2, draws=500))
    found = rl.diagnose(hand_made({"alpha": alpha, "alpha_mu": moving(0.96, 3, draws=500)}, spec={}))
    assert found.subjects == ("cy", "ann")  # the worst first
    assert_says(found.problems[0], "alpha of subject 'cy' has two modes", "2 of 4 subjects ('cy', 'ann')", "alpha_mu")
    alone = first_problem(hand_made({"alpha": by_subject(cy=switching(0.0, 1, draws=500))}))
    assert "of 4 subjects" not in alone


def test_of_one_subject_nobody_is_counted() -> None:
    alpha = by_subject(subjects=1, ann=switching(0.0, 1, draws=500))
    text = first_problem(hand_made({"alpha": alpha, "beta": moving(0.9, 1, draws=500)}, subjects=1, spec={}))
    assert_says(text, "alpha of subject 'ann' has two modes", "priors={'alpha': ...}")
    assert "1 of 1" not in text
    assert "for all" not in text


def test_deviations_are_not_named_where_the_values_stand_beside_them() -> None:
    bad = switching(0.0, 1, draws=500)
    worse = {"alpha_z": by_subject(bob=bad), "alpha": by_subject(bob=bad + moving(0.0, 3, draws=500))}
    found = rl.diagnose(hand_made(worse))
    assert found.r_hat[1] == "alpha_z of subject 'bob'"
    assert found.variable == "alpha"
    del worse["alpha"]
    assert rl.diagnose(hand_made(worse)).variable == "alpha_z"


# ---------------------------------------------------------------- how chains disagree


def test_two_modes_are_told_with_places_and_chains() -> None:
    found = rl.diagnose(hand_made({"alpha": by_subject(bob=switching(0.0, 1, draws=500))}, spec={}))
    assert (found.kind, found.variable, dict(found.coords)) == ("modes", "alpha", {"subject": "bob"})
    modes, few = found.problems
    assert_says(modes, "r_hat 1.7", "below 1.01", "chains 0, 2 at", f"chains 1, 3 at {APART:.0f}", "No chain changed")
    assert_says(few, "few effective draws")
    assert "Take" not in few  # no more draws of the same


def test_modes_between_which_chains_change_say_how_long_it_would_take() -> None:
    text = first_problem(hand_made({"x": switching(0.005, 1, draws=500)}))
    assert_says(text, "x has two modes", "now at", "They changed", "times in 2000 draws", "times as long")


def test_modes_that_overlap_are_told_by_where_chains_are() -> None:
    found = rl.diagnose(hand_made({"x": moving(0.0, 1, draws=500) + np.array([[0], [0], [1], [0]])}))
    assert found.kind == "modes"
    assert_says(found.problems[0], "chains differ in x", "chain 2 from", "well mixed by itself")


def test_one_chain_may_have_two_modes() -> None:
    found = rl.diagnose(hand_made({"x": switching(0.01, 1, draws=500, chains=1)}))
    assert found.kind == "modes"
    assert_says(found.problems[0], "one chain", "at least 4")
    assert_says(found.problems[1], "x has two modes", "effective draws, should be above 100", "chain 0 now at")


def test_slow_chains_need_so_many_draws() -> None:
    found = rl.diagnose(hand_made({"x": moving(0.9, 1, draws=500)}, spec={}))
    assert found.kind == "slow"
    (times,) = map(int, re.findall(r"Take (\d+) times", found.problems[0]))
    assert_says(found.problems[0], "chains disagree in x", f"sample(..., draws={500 * times})")
    enough = rl.diagnose(hand_made({"x": moving(0.9, 2, draws=500 * times)}))
    assert enough.problems == []


def test_a_stuck_chain_is_told() -> None:
    draws = moving(0.0, 1, draws=500)
    draws[3] = 0.1
    found = rl.diagnose(hand_made({"x": draws}))
    assert found.kind == "stuck"
    assert_says(found.problems[0], "chain 3 hardly moved", "another seed")


def flat() -> dict[str, np.ndarray]:
    slow = moving(0.95, 1, draws=500)
    ends = slow + 0.05 * moving(0.0, 2, draws=500), 0.05 * moving(0.0, 3, draws=500) - slow
    return {"alpha": by_subject(dee=ends[0]), "beta": by_subject(dee=ends[1])}


def test_a_flat_direction_names_both() -> None:
    found = rl.diagnose(hand_made(flat(), spec={}))
    assert found.kind == "flat"
    assert_says(found.problems[0], "alpha of subject 'dee'", "beta of subject 'dee'", "trade off", "'complete'")
    assert_says(first_problem(hand_made(flat())), "Fix one of them")


def test_of_few_draws_no_kind_is_told() -> None:
    assert rl.diagnose(hand_made({"x": switching(0.0, 1, draws=50)})).kind == "slow"
    found = rl.diagnose(hand_made().isel(draw=slice(0, 2)))
    assert any("too few" in p for p in found.problems)


# ---------------------------------------------------------------- what to do


def test_modes_may_come_of_a_constant() -> None:
    fit = hand_made({"alpha": by_subject(bob=switching(0.0, 1, draws=500))}, spec={})
    assert_says(first_problem(fit), "rlpymc.constants", "shared=['alpha']")
    fit.attrs[CONSTANTS] = json.dumps(TRIED)
    assert "rlpymc.constants" not in first_problem(fit)
    fit.attrs[CONSTANTS] = json.dumps(TRIED | {"constants": {"q0": Q0}})
    text = first_problem(fit)
    assert_says(text, "q0 = 0 is held", "gains 40.0 nats", "shared=['q0']")
    assert "shared=['alpha']" not in text


def test_modes_of_a_constant_that_was_freed_by_subject() -> None:
    fit = hand_made({"q0": by_subject(bob=switching(0.0, 1, draws=500))}, spec={"free": ["q0"]})
    assert_says(first_problem(fit), "one value for all", "shared=['q0']", "without free")


def test_modes_of_a_model_of_ones_own() -> None:
    text = first_problem(hand_made({"x": switching(0.0, 1, draws=500)}))
    assert_says(text, "a prior that leaves one of them out")
    assert "rlpymc" not in text
    assert "build" not in text


def test_divergences_are_counted_and_smaller_steps_advised() -> None:
    diverging = np.zeros((4, 500), dtype=bool)
    diverging[0, :7] = True
    assert_says(only_problem(hand_made(diverging=diverging)), "7 of 2000", "diverged", "pm.sample", "z standard normal")
    fit = hand_made(spec={}, diverging=diverging)
    assert_says(only_problem(fit), "7 of 2000", " sample(..., target_accept=0.95)")
    fit.attrs["rlpymc"] = json.dumps({"spec": {}, "sampler": {"target_accept": 0.95}})
    assert_says(only_problem(fit), "target_accept=0.99")


def test_a_low_bfmi_is_named_with_a_cure() -> None:
    energy = np.cumsum(moving(0.0, 1, draws=500), axis=1)
    assert_says(only_problem(hand_made(energy=energy)), "low BFMI", "0.3", "z standard normal")
    assert_says(only_problem(hand_made(energy=energy, spec={})), "low BFMI", "No setting", "another seed")


@pytest.mark.parametrize("coordinates", ["centred", "noncentred"])
def test_coordinates_that_were_asked_for_are_the_first_to_go(coordinates: str) -> None:
    energy = np.cumsum(moving(0.0, 1, draws=500), axis=1)
    fit = hand_made({"x": moving(0.95, 1, draws=500)}, spec={}, energy=energy, diverging=np.ones((4, 500), bool))
    fit.attrs["sampled_in"] = coordinates
    mend = f"Leave out coordinates='{coordinates}'"
    assert sum(mend in p for p in rl.diagnose(fit).problems) == 2 + (coordinates == "centred")
    fit.attrs["why"] = "the density is not made by build alone"  # they were not asked for
    assert not any(mend in p for p in rl.diagnose(fit).problems)


# ---------------------------------------------------------------- fits from elsewhere


def test_one_chain_cannot_agree() -> None:
    one = hand_made().isel(chain=slice(0, 1))
    assert any("one chain" in p and "at least 4" in p for p in rl.diagnose(one).problems)


def test_a_fit_from_a_file_is_told_the_same(tmp_path: Path) -> None:
    fit = hand_made({"alpha": by_subject(bob=switching(0.003, 1, draws=500))}, spec={"free": ["alpha"]})
    rl.save(fit, tmp_path / "fit.nc", log_likelihood=True)
    assert rl.diagnose(rl.load(tmp_path / "fit.nc")) == rl.diagnose(fit)


def test_statistics_may_be_missing() -> None:
    fit = hand_made({"x": switching(0.0, 1, draws=500)})
    del fit["sample_stats"]
    found = rl.diagnose(fit)
    assert found.kind == "modes"
    assert found.divergences == 0


# ---------------------------------------------------------------- what is advised helps


def diagnosed(options: dict[str, Any], **sampling: Any) -> list[rl.Diagnostics]:
    """What is found of some people of whom little is known, without a population."""
    people = {"counterfactual": [16], "delta": [17, 12, 7, 0]}
    name = options["model"]
    trials = rl.example_data("fontanesi2019").isel(subject=people[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        built = rl.build(trials=trials, **{"pooling": "none"} | options)
        fits = [rl.sample(built, seed=seed, progress=False, constants=False, **sampling) for seed in (1, 2, 3)]
    return [rl.diagnose(fit) for fit in fits]


@pytest.mark.slow
@pytest.mark.parametrize(
    "mend", [{"free": [], "fixed": {"q0": -1.0}}, {"priors": {"q0": rl.priors.Normal(-1, 0.5)}}], ids=["fixed", "prior"]
)
def test_what_is_advised_of_two_modes_helps(mend: dict[str, Any]) -> None:
    options = {"model": "counterfactual", "free": ["q0"]}
    before, after = diagnosed(options), diagnosed(options | mend)
    assert "modes" in [found.kind for found in before]
    assert max(found.r_hat[0] for found in after) < 1.015 < max(found.r_hat[0] for found in before)
    assert min(found.ess[0] for found in after) > 4 * min(found.ess[0] for found in before)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mend", [{"fixed": {"beta": 3.0}}, {"pooling": {"alpha": "none", "beta": "complete"}}], ids=["fixed", "one for all"]
)
def test_what_is_advised_of_a_flat_direction_helps(mend: dict[str, Any]) -> None:
    before, after = (diagnosed({"model": "delta"} | own, target_accept=0.8) for own in ({}, mend))
    assert [found.kind for found in before] == ["flat"] * 3
    assert min(found.divergences for found in before) > 0 == max(found.divergences for found in after)
    assert min(found.ess[0] for found in after) > 4 * max(found.ess[0] for found in before)


@pytest.mark.slow
def test_smaller_steps_have_fewer_divergences() -> None:
    before, after = (diagnosed({"model": "delta"}, target_accept=rate) for rate in (0.8, 0.95))
    assert sum(found.divergences for found in after) < sum(found.divergences for found in before) / 5


@pytest.mark.slow
def test_a_model_of_ones_own_without_subjects() -> None:
    def sampled(prior: Any) -> rl.Diagnostics:
        with pm.Model():
            pm.Normal("y", prior("x", sigma=3) ** 2, 0.5, observed=4.0)
            starts = [{"x": start} for start in (2.0, 2.0, -2.0 if prior is pm.Normal else 2.0, 2.0)]
            return rl.diagnose(pm.sample(300, chains=4, cores=1, initvals=starts, random_seed=1, progressbar=False))

    found = sampled(pm.Normal)
    assert (found.kind, found.variable, dict(found.coords), found.subjects) == ("modes", "x", {}, ())
    assert_says(found.problems[0], "x has two modes", "chains 0, 1, 3 at 2", "chain 2 at -2")
    assert sampled(pm.HalfNormal).kind != "modes"
