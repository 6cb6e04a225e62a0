"""Units: a subject's trials over which no parameter changes, laid out as if each were a subject.

Given the parameters, what lies between resets is independent.  Where parameters that vary within subjects change at
resets alone, a kernel that knows nothing of trials does for them, with a row for each unit.
"""

from collections.abc import Sequence

import numpy as np

from rlpymc.population.predictors import Predictor, cells_of
from rlpymc.trials.model_data import ModelData


def units_of(data: ModelData, predictors: Sequence[Predictor]) -> tuple[ModelData, list[np.ndarray]] | None:
    """Return data with a row for each unit, and of each predictor the cell of each unit, (subject, unit).

    There are as many units of each subject; those that somebody lacks have no trials.  None if something changes where
    nothing is reset.
    """
    exists, reset = data.masks["exists"], data.masks["reset"]
    unit = cells_of(np.stack([p.cell for p in predictors], axis=-1), exists)
    changes = (unit[:, 1:] != unit[:, :-1]) & exists[:, 1:]
    if (changes & ~reset[:, 1:]).any():
        return None
    n_units = int(unit.max()) + 1
    members = exists[:, None] & (unit[:, None] == np.arange(n_units)[:, None])  # (subject, unit, trial)
    counts = members.sum(axis=2)
    subject, which, trial = np.nonzero(members)
    order = (np.cumsum(members, axis=2) - 1)[subject, which, trial]

    def laid_out(values: np.ndarray) -> np.ndarray:
        found = np.zeros((len(values), n_units, int(counts.max()), *values.shape[2:]), dtype=values.dtype)
        found[subject, which, order] = values[subject, trial]
        return found.reshape((-1, *found.shape[2:]))

    inputs, masks = ({k: laid_out(v) for k, v in of.items()} for of in (data.inputs, data.masks))
    first = members.argmax(axis=2)
    of_units = [np.take_along_axis(p.cell, first, axis=1) for p in predictors]
    return ModelData(data.model, data.trials, data.facts, inputs, masks), of_units
