"""What a model and its priors assume of data, held against the data before they are fitted."""

import numpy as np

from rlpymc.model.parameters import Parameter, Support
from rlpymc.model.record import Record
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData

LEAST, MOST = 0.1, 10.0  # spread of outcomes for which priors made for outcomes about 1 apart will do
REACH = (0.001, 0.999)  # quantiles between which a prior of a level should find it

type Columns = dict[str, tuple[np.ndarray, list[Parameter]]]  # values, and the parameters in units of them


def doubts(data: ModelData, population: Population, with_priors: bool = True) -> list[str]:
    """Say where data contradict what a model takes for granted.

    Parameters
    ----------
    data : ModelData
        The data.
    population : Population
        What is estimated, fixed, and given a prior; what the user gave counts as meant.
    with_priors : bool
        Whether the fit uses the models' own priors.

    Returns
    -------
    list of str
        Sentences that name the column, what was found, and what to pass.
    """
    columns = _by_column(data)
    return [
        *_expectations(data, population),
        *(_scales(columns, population) if with_priors else []),
        *_starts(columns, population),
    ]


def _expectations(data: ModelData, population: Population) -> list[str]:
    """Return what the model's own expectations find."""
    learned = data.masks["learned"]
    if not (data.model.expectations and learned.any()):
        return []
    others = {str(k): v.values for k, v in data.trials.data_vars.items() if v.dims[:2] == ("subject", "trial")}
    columns = Record(**{name: values[learned] for name, values in (others | data.inputs).items()})
    found = []
    for expectation in data.model.expectations:
        known = [data.model.parameter(name) for name in expectation.constants]
        if any(population.is_free(p) for p in known):
            continue
        if any(np.ptp(population.constant(p, data)) > 0 for p in known):
            continue  # everybody's own: given by somebody who knows
        constants = {p.name: population.constant(p, data).flat[0] for p in known}
        found.append(expectation.doubt(columns, Record(**constants), data.facts))
    return [text for text in found if text]


def _levels(data: ModelData, column: str) -> np.ndarray:
    """Return a column's values where they are learned from, or scored if it is a response."""
    response = column in [r.name for r in data.model.responses]
    return data.inputs[column][data.scored_trials if response else data.masks["learned"]]


def _by_column(data: ModelData) -> Columns:
    """Return the columns that parameters have the units of, with their values and these parameters."""
    found = {}
    for entry in data.model.inputs:
        unit = entry.name.removesuffix("_other")
        scaled = [p for p in data.model.parameters if p.units.removeprefix("1/") == unit]
        if scaled and isinstance(entry.kind, Support) and (values := _levels(data, entry.name)).size:
            found[entry.name] = values, scaled
    return found


def _scales(columns: Columns, population: Population) -> list[str]:
    """Compare outcomes with the scale that the models' own priors are made for."""
    found = []
    for column, (values, scaled) in columns.items():
        free = [p for p in scaled if population.is_free(p) and p.name not in population.tied]
        own = [p for p in free if not {p.name, f"{p.name}_mu"} & {*population.priors}]
        low, high = float(values.min()), float(values.max())
        if own and not LEAST <= high - low <= MOST and high > low:
            names = ", ".join(p.name for p in own)
            found.append(
                f"column {column!r}: found {low:g} to {high:g}, and the priors of {names} are made for values about 1 "
                f"apart: divide the column by about {(high - low) / 2:.2g}, or pass priors={{{own[0].name!r}: ...}} "
                "that fit"
            )
            continue
        for p in own:
            if p.units == column and p.support.link == "identity" and (prior := population.prior(p)) is not None:
                least, most = prior.quantile(REACH)
                middle = float(np.median(values))
                if not least <= middle <= most:
                    found.append(
                        f"column {column!r}: found values about {middle:g}, which the prior of {p.name}, {prior}, does "
                        f"not reach: subtract a constant from the column, or pass priors={{{p.name!r}: ...}} that do"
                    )
    return found


def _starts(columns: Columns, population: Population) -> list[str]:
    """Compare outcomes with the values that learning starts from, where these are the model's own constants."""
    found = []
    for column, (values, scaled) in columns.items():
        low, high = float(values.min()), float(values.max())
        for p in scaled:
            if p.units != column or p.value is None or population.is_free(p) or p.name in population.fixed:
                continue
            middle, width = float(np.median(values)), max(high - low, 1.0)
            if not low - width <= p.value <= high + width:
                found.append(
                    f"column {column!r}: found {low:g} to {high:g}, far from {p.name} = {p.value:g}, where learning "
                    f"starts: subtract a constant from the column, or pass fixed={{{p.name!r}: {middle:g}}}, or "
                    f"priors={{{p.name!r}: Normal({middle:g}, {width:g})}} to estimate it"
                )
    return found
