"""Value and gradient of every model: compiled loop against scan, and how long each takes to compile.

    ./run python -m benchmarks.likelihood [--subjects 20] [--trials 100] [MODEL ...]

The two run in turn, so that whatever else the machine does disturbs both alike; medians, and their ratio.  Compile
times are CPU seconds of a first call.
"""

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
import pytensor
import pytensor.tensor as pt
from rich.console import Console
from rich.table import Table

import rlpymc as rl
from rlpymc.likelihood import fused, interface, kernel
from rlpymc.likelihood.scan import placeholders
from rlpymc.model import Model
from rlpymc.sequences import sequences
from rlpymc.validate.material import default_task, plausible_params

MODELS = (
    "delta",
    "delta+stickiness+lapse",
    "delta(rates=sign)+choice_kernel",
    "counterfactual",
    "kalman",
    "two_step_hybrid",
    "rlwm",
    "rlwm(interaction=True)",
    "q_mdp",
    "delta_prediction",
    "hmm(delta)",
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--subjects", type=int, default=20)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    columns = (
        "model",
        "loop, us",
        "scan, us",
        "scan / loop",
        "loop, ns a trial",
        "loop compiles, s",
        "scan compiles, s",
    )
    table = Table(*columns, title=f"value and gradient, {options.subjects} subjects x {options.trials} trials")
    for name in options.models:
        loop, scan, seconds = compare(rl.get_model(name), options.subjects, options.trials, options.rounds)
        a_trial = loop / options.subjects / options.trials
        cells = [loop * 1e6, scan * 1e6, scan / loop, a_trial * 1e9, *seconds]
        table.add_row(name, *(f"{v:.3g}" for v in cells))
    Console(width=120).print(f"{os.cpu_count()} cores, numba mode", table)


def compare(model: Model, n_subjects: int, n_trials: int, rounds: int) -> tuple[float, float, tuple[float, float]]:
    """Return the medians of loop and scan in seconds, and the CPU seconds of their first calls."""
    task = default_task(model, block_length=n_trials)
    trials = rl.simulate(model, task, plausible_params(model), n_subjects, n_trials, seed=1)
    data = sequences(model, trials)
    params = {k: trials[f"true_{k}"].values for k in (p.name for p in model.parameters)}
    params = {k: np.ascontiguousarray(v, dtype=float) for k, v in params.items()}
    active = tuple(p.name for p in model.parameters if p.value is None and not p.support.discrete)
    masks = [data.masks[name] for name in interface.MASKS]

    step = fused.find_trace(model, data.facts, data.columns)
    assert step is not None
    started = time.process_time()
    function = fused.jit(kernel.source(step, "gradient", active))
    arguments = [*params.values(), *(data.inputs[k] for k in data.columns), *masks, *fused.layout(data.segments)]
    function(*arguments)
    loop_compiles = time.process_time() - started

    started = time.process_time()
    shapes = {k: v.shape for k, v in params.items()}
    symbols, variables, scored, forward = placeholders(model, data.facts, data.segments, shapes)
    total = forward.terms(scored).sum()
    slopes = pt.grad(total, [variables[k] for k in active])
    scan = pytensor.function(symbols, [total, *slopes], mode="NUMBA", on_unused_input="ignore", trust_input=True)
    values = [*params.values(), *(data.inputs[i.name] for i in model.inputs), *masks]
    scan(*values)
    scan_compiles = time.process_time() - started

    times = np.array([(seconds(lambda: function(*arguments)), seconds(lambda: scan(*values))) for _ in range(rounds)])
    loop_median, scan_median = np.median(times, axis=0)
    return float(loop_median), float(scan_median), (loop_compiles, scan_compiles)


def seconds(function: Callable[[], object], at_least: float = 0.02) -> float:
    """Return the time of a call, the mean over as many as take some while."""
    started, calls = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < at_least:
        function()
        calls += 1
    return elapsed / calls


if __name__ == "__main__":
    main()
