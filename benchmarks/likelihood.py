"""Value and gradient of every model: lanes, the scalar loop, scans, and kernels written by hand.

    ./run python -m benchmarks.likelihood [--quick] [MODEL ...]

Nanoseconds a trial, medians of rounds in turn.  "lanes" is what the library runs, on data packed before; "scalar" the
same step printed as one numba loop over one subject after the other, which is the lanes' reference in the tests; "scan"
PyTensor's, the reference of both.  --quick leaves out the scans, whose compilation takes most of the time.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import xarray as xr

import rlpymc as rl
from benchmarks import hand
from benchmarks.measure import Report, in_turn
from rlpymc.compiler import signature
from rlpymc.likelihood.backends import find_trace
from rlpymc.likelihood.derived import with_derived
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.scan import placeholders
from rlpymc.model import Model
from rlpymc.trials.model_data import data_for
from rlpymc.validation.examples import default_task, plausible_params
from tests.oracle import scalar_kernel as kernel

COMBINATIONS = (
    "delta+stickiness+lapse",
    "delta(rates=sign)+choice_kernel",
    "rlwm(interaction=True)",
    "hmm(delta)",
)
MODELS = (*rl.list_models().index, *COMBINATIONS)
SIZES = ((1, 150), (20, 100), (208, 200), (2000, 200))
SESSIONS = (300, 300)  # of one subject
MIDDLE = (208, 200)


@dataclass
class Case:
    """A model with simulated data.

    Parameters
    ----------
    learner : Model
        The model.
    trials : xr.Dataset
        Its data.

    Attributes
    ----------
    model, data, params
        What kernels and scans work on; what the model derives from its parameters are parameters here.
    """

    learner: Model
    trials: xr.Dataset

    def __post_init__(self) -> None:
        names = [p.name for p in self.learner.parameters]
        true = {k: np.ascontiguousarray(self.trials[f"true_{k}"].values, dtype=float) for k in names}
        self.data, self.params = with_derived(data_for(self.learner, self.trials), true)
        model = self.model = self.data.model
        varies = [p for p in model.parameters if p.value is None or p.name not in names]
        self.active = tuple(p.name for p in varies if not p.support.discrete)
        self.n_trials = int(self.data.masks["exists"].sum())
        trace = find_trace(model, self.data.facts, self.data.columns)
        assert trace is not None
        self.trace = trace

    def lanes(self, packed: bool = True) -> Callable[[], Any]:
        """Return the library's own way, as the optimiser and the sampler run it."""
        evaluator = Evaluator(self.trace, "gradient", self.data, self.active, packed)
        for name, read in evaluator.params.items():
            read[...] = self.params[name]
        evaluator.hold()
        return evaluator.again

    def scalar(self) -> Callable[[], Any]:
        """Return the scalar loop."""
        data, function = self.data, kernel.jit(kernel.source(self.trace, "gradient", self.active))
        masks = [data.masks[mask.of] for mask in signature.MASKS]
        arguments = [*self.params.values(), *(data.inputs[k] for k in data.columns), *masks]
        arguments += kernel.layout(data.segments)
        return lambda: function(*arguments)

    def scan(self, mode: str) -> Callable[[], Any]:
        """Return the scan, compiled by numba or JAX."""
        data, shapes = self.data, {k: v.shape for k, v in self.params.items()}
        symbols, variables, scored, forward = placeholders(self.model, data.facts, data.segments, shapes)
        total = forward.terms(scored).sum()
        slopes = pt.grad(total, [variables[k] for k in self.active], disconnected_inputs="ignore")
        function = pytensor.function(symbols, [total, *slopes], mode=mode, on_unused_input="ignore", trust_input=True)
        masks = [data.masks[mask.of] for mask in signature.MASKS]
        values = [*self.params.values(), *(data.inputs[i.name] for i in self.model.inputs), *masks]
        return lambda: [np.asarray(v) for v in function(*values)]


def simulated(name: str, n_subjects: int, n_trials: int) -> Case:
    """Return a model with simulated data."""
    model = rl.get_model(name)
    # two arms, as in most uses of the delta rule
    task = rl.tasks.Bandit([0.2, 0.8]) if name == "delta" else default_task(model, block_length=n_trials)
    trials = rl.simulate(model, task, plausible_params(model), n_subjects, n_trials, seed=1)
    return Case(model, trials)


def put_end_to_end(case: Case) -> Case:
    """Return the same data as those of one subject, whose sessions the subjects are."""
    trials = case.trials
    merged = {
        name: (v.dims, v.values.reshape(1, -1, *v.shape[2:]) if v.dims[:2] == ("subject", "trial") else v.values[:1])
        for name, v in trials.data_vars.items()
    }
    one = xr.Dataset(merged, {"subject": [0], "trial": np.arange(trials["exists"].size)}, trials.attrs)
    return Case(case.learner, one)


def sizes(report: Report, models: tuple[str, ...]) -> None:
    """Report nanoseconds a trial over sizes."""
    rows = []
    for name in models:
        for size in (*SIZES, SESSIONS):
            case = simulated(name, *size)
            if size == SESSIONS:
                case = put_end_to_end(case)
            functions = {"lanes": case.lanes(), "not packed": case.lanes(packed=False), "scalar": case.scalar()}
            for label, kernels in (("hand", hand.KERNELS), ("hand, back", hand.BACK)):
                if name in kernels and size != SESSIONS:
                    functions[label] = kernels[name](case.params, case.data.inputs, case.data.facts)
            found = {k: v / case.n_trials * 1e9 for k, v in in_turn(functions).items()}
            label = f"{size[0]} x {size[1]}" if size != SESSIONS else f"1 x ({size[0]} x {size[1]})"
            row: list[object] = [name, label, found["lanes"], found["not packed"]]
            for other in ("scalar", "hand", "hand, back"):
                row += [found[other], found["lanes"] / found[other]] if other in found else ["", ""]
            rows.append(row)
    columns = ("model", "subjects x trials", "lanes", "not packed", "scalar", "lanes / it", "hand", "lanes / it")
    report.table("Value and gradient, ns a trial", (*columns, "hand, back", "lanes / it"), rows)


def scans(report: Report, models: tuple[str, ...]) -> None:
    """Report the scans at one size."""
    rows = []
    for name in models:
        case = simulated(name, *MIDDLE)
        functions = {"lanes": case.lanes()}
        for mode in ("NUMBA", "JAX"):
            try:
                function = case.scan(mode)
                function()
            except (NotImplementedError, TypeError):  # what PyTensor cannot put into JAX, as a split at computed places
                continue
            functions[mode] = function
        found = {k: v / case.n_trials * 1e9 for k, v in in_turn(functions, rounds=5).items()}
        row: list[object] = [name, found["lanes"]]
        for mode in ("NUMBA", "JAX"):
            row += [found[mode], found["lanes"] / found[mode]] if mode in found else ["", ""]
        rows.append(row)
    columns = ("model", "lanes", "scan, numba", "lanes / it", "scan, JAX", "lanes / it")
    report.table(f"Against the scans, {MIDDLE[0]} x {MIDDLE[1]}, ns a trial", columns, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    report = Report("Likelihood")
    sizes(report, tuple(options.models))
    if not options.quick:
        scans(report, tuple(options.models))


if __name__ == "__main__":
    main()
