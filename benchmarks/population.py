"""Expectation-maximisation of a population: 50 000 subjects of 100 trials, ten rounds.

    ./run python -m benchmarks.population [--subjects N] [--threads 2]

In a process of its own, whose peak memory holds the simulated trials, too.  Compilation is counted.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

import rlpymc as rl
from benchmarks.measure import Report

N_TRIALS, ROUNDS = 100, 10
MU, SIGMA = {"alpha": -0.8, "beta": 1.0}, {"alpha": 0.7, "beta": 0.4}  # on the unbounded scale


def measure(n_subjects: int, threads: int) -> None:
    """Print seconds, peak memory in GB, and the means and standard deviations found."""
    rng, model = np.random.default_rng(1), rl.get_model("delta")
    params = {k: model.parameter(k).support.constrain(rng.normal(MU[k], SIGMA[k], n_subjects)) for k in MU}
    trials = rl.simulate(model, rl.tasks.Bandit([0.3, 0.7]), params, n_subjects, N_TRIALS, seed=1)
    started = time.perf_counter()
    em = rl.fit_em(model, trials, iterations=ROUNDS, tol=None, threads=threads, progress=False)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(seconds, peak, *(float(moments[k]) for k in MU for moments in (em.mu, em.sigma)))


def report(out: Report, sizes: tuple[int, ...], threads: int) -> None:
    """Report the time and memory of some numbers of subjects."""
    rows = []
    for n in sizes:
        command = [sys.executable, "-m", "benchmarks.population", "--subjects", str(n), "--threads", str(threads)]
        run = subprocess.run([*command, "--measure"], capture_output=True, text=True, check=True)
        rows.append([n, *map(float, run.stdout.split())])
    columns = ("subjects", "seconds", "peak, GB", "alpha_mu", "alpha_sigma", "beta_mu", "beta_sigma")
    title = f"Expectation-maximisation of delta, {N_TRIALS} trials each, {ROUNDS} rounds, {threads} threads"
    out.table(title, columns, rows)
    truth = ", ".join(f"{k} {MU[k]:g} and {SIGMA[k]:g}" for k in MU)
    out.say(f"True means and standard deviations: {truth}.")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.subjects, given.threads)
    else:
        report(Report("Population"), (given.subjects,), given.threads)


if __name__ == "__main__":
    main()
