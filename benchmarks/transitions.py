"""Transition models: a posterior of W beside one with a naive integral, and agents that plan.

    ./run python -m benchmarks.transitions [--rounds 5]

The naive posterior sums the integral of each transition over 201 points in PyTensor, as one would without the library.
Both are sampled by nutpie, four chains on all cores, compilation not counted; since the naive one is slow, it makes
fewer draws.  What it takes is compared by draw, and by gradient, which is the fairer measure.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

import rlpymc as rl
from benchmarks.measure import Report
from rlpymc import transitions

FAMILY = transitions.CustomSin(1.7, 4.0)
N = 1000  # transitions
NODES = np.linspace(-10.0, 10.0, 201)
DRAWS, NAIVE_DRAWS = 1000, 100  # of each chain, after as many for tuning
AGENTS = {
    "truth, score matching, Gaussian": ("truth", "score_matching", "gaussian"),
    "score matching, likelihood, Gaussian": ("score_matching", "mle", "gaussian"),
}


def example(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features and next states of the source's example."""
    rng = np.random.default_rng(seed)
    phi = transitions.features.linear(rng.uniform(-1, 1, (N, 1)), rng.choice([-1.0, 1.0], N))
    return phi, FAMILY.sample(phi.sum(axis=1), rng)


def naive(phi: np.ndarray, x: np.ndarray) -> pm.Model:
    """Return the same posterior, with log Z of each transition from the trapezoid rule."""
    log_step = np.log(NODES[1] - NODES[0])
    with pm.Model() as model:
        W = pm.Normal("W", 0.0, 10.0, shape=(1, 2))
        v = pt.dot(phi, W[0])
        log_z = pt.logsumexp(v[:, None] * FAMILY.psi(NODES) + FAMILY.log_base(NODES), axis=1) + log_step
        pm.Potential("next_state", (v * FAMILY.psi(x) + FAMILY.log_base(x) - log_z).sum())
    return model


def differ_by(phi: np.ndarray, x: np.ndarray) -> float:
    """Return how far the log densities of both are apart, at twenty points."""
    models = (transitions.build(FAMILY, phi, x), naive(phi, x))
    own, other = (model.compile_logp(mode="FAST_COMPILE") for model in models)
    points = np.random.default_rng(1).normal(size=(20, 1, 2))
    return float(np.max(np.abs([own({"W": W}) - other({"W": W}) for W in points])))


def timed(function: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return seconds and CPU seconds of a call, and what it returned."""
    started, busy = time.perf_counter(), time.process_time()
    found = function()
    return time.perf_counter() - started, time.process_time() - busy, found


def posteriors(out: Report, rounds: int) -> None:
    """Report both posteriors, in turn."""
    import nutpie

    phi, x = example(0)
    compiled = {
        "rlpymc": (nutpie.compile_pymc_model(transitions.build(FAMILY, phi, x)), DRAWS),
        "naive": (nutpie.compile_pymc_model(naive(phi, x)), NAIVE_DRAWS),
    }
    times: dict[str, list[list[float]]] = {name: [] for name in compiled}
    for seed in range(-1, rounds):  # the first one warms up
        for name, (model, draws) in compiled.items():
            settings = {"draws": draws, "tune": draws, "chains": 4, "seed": seed + 1}
            wall, cpu, fit = timed(partial(nutpie.sample, model, **settings, progress_bar=False))
            steps = sum(float(fit[group]["n_steps"].sum()) for group in ("sample_stats", "warmup_sample_stats"))
            if seed >= 0:
                times[name].append([wall, cpu, cpu / (8 * draws), cpu / steps])
    middle = {name: np.median(found, axis=0) for name, found in times.items()}
    rows = [
        [name, f"4 x ({draws} + {draws})", *middle[name][:2].tolist(), *(1e6 * middle[name][2:]).tolist()]
        for name, (_, draws) in compiled.items()
    ]
    columns = ("", "draws", "sampling, s", "CPU s", "CPU us / draw", "CPU us / gradient")
    out.table(f"Posterior of W, {N} transitions", columns, rows)
    own, other = (np.array(times[name]) for name in ("rlpymc", "naive"))
    ratio = np.median(own / other, axis=0)
    out.say(
        f"Their log densities differ by {differ_by(phi, x):.1e} at most, the error of the naive integral. Medians of "
        f"ratios: {ratio[2]:.3g} of the naive one's CPU time a draw, {ratio[3]:.3g} a gradient."
    )


def episodes(out: Report, rounds: int) -> None:
    """Report 50 episodes of ten seeds of three agents."""
    rows = []
    for title, methods in AGENTS.items():
        live = partial(transitions.run_episodes, rl.tasks.SinMDP(), methods, episodes=50, seeds=10, evaluations=0)
        wall, cpu = np.median([timed(live)[:2] for _ in range(rounds)], axis=0).tolist()
        rows.append([title, wall, cpu])
    out.table("50 episodes x 10 seeds", ("agents", "s", "CPU s"), rows)


def report(out: Report, rounds: int) -> None:
    """Report both."""
    posteriors(out, rounds)
    episodes(out, rounds)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    report(Report("Transition models"), parser.parse_args().rounds)


if __name__ == "__main__":
    main()
