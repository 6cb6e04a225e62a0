"""What a model and its priors assume of data, held against the data before they are fitted."""

import numpy as np

from rlpymc.model import Model
from rlpymc.model.parameters import Parameter, Support
from rlpymc.model.record import Record
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData

LEAST, MOST = 0.1, 10.0  # spread of outcomes for which priors made for outcomes about 1 apart will do
FAR = 0.5  # ranges beyond all outcomes from which on the start of learning is far: one from the middle of them
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
    found = _expectations(data, population)
    for column, (values, scaled) in _by_column(data).items():
        start = _start(column, values, scaled, population)
        scale = _scale(values, scaled, population) if with_priors else []
        if start and scale:
            found.append(_both(column, values, start, scale, data.model) + _relative(data.model))
        elif start:
            found.append(_far(column, values, start, with_priors))
        elif scale:
            found.append(_spread(column, values, scale) + _relative(data.model))
        if with_priors and not scale:
            found += _out_of_reach(column, values, scaled, population)
    return found


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


def _scale(values: np.ndarray, scaled: list[Parameter], population: Population) -> list[Parameter]:
    """Return the parameters whose priors, the models' own, are made for outcomes on another scale."""
    spread = float(np.ptp(values))
    return _own(scaled, population) if spread > 0 and not LEAST <= spread <= MOST else []


def _start(column: str, values: np.ndarray, scaled: list[Parameter], population: Population) -> Parameter | None:
    """Return the constant at which learning starts if that is far from all outcomes."""
    spread = float(np.ptp(values)) or 2.0  # where all are equal, one away is not far
    for p in scaled:
        held = p.value is not None and not population.is_free(p) and p.name not in population.fixed
        if p.units == column and p.support.link == "identity" and held:
            assert p.value is not None
            if max(float(values.min()) - p.value, p.value - float(values.max())) > FAR * spread:
                return p
    return None


def _found(column: str, values: np.ndarray) -> str:
    return f"column {column!r}: found {values.min():g} to {values.max():g}"


def _made_for(scaled: list[Parameter]) -> str:
    return f"the priors of {', '.join(p.name for p in scaled)} are made for values about 1 apart"


def _spread(column: str, values: np.ndarray, scaled: list[Parameter]) -> str:
    return (
        f"{_found(column, values)}, and {_made_for(scaled)}: divide the column by about {np.ptp(values) / 2:.2g}, or "
        f"pass priors={{{scaled[0].name!r}: ...}} that fit"
    )


def _far(column: str, values: np.ndarray, start: Parameter, with_priors: bool) -> str:
    """The location alone: nobody but the user knows where learning started, so it is best estimated."""
    name, middle, width = start.name, float(np.median(values)), max(float(np.ptp(values)), 1.0)
    mend = f"priors={{{name!r}: Normal({middle:g}, {width:g})}}" if with_priors else f"free=({name!r},)"
    return (
        f"{_found(column, values)}, mostly about {middle:g}, far from {name} = {start.value:g}, where learning starts: "
        f"pass {mend}, which estimates it, or, where it is known, fixed={{{name!r}: {middle:g}}}, say"
    )


def _both(column: str, values: np.ndarray, start: Parameter, scaled: list[Parameter], model: Model) -> str:
    """Location and scale: either mend alone makes the other worse, and both leave open where learning started."""
    middle, half = float(np.median(values)), float(np.ptp(values)) / 2
    alike = [r.name for r in model.responses if isinstance(r.kind, Support) and r.name != column]
    where = f"the column and from {', '.join(map(repr, alike))} alike" if alike else "the column"
    return (
        f"{_found(column, values)}, mostly about {middle:g}, far from {start.name} = {start.value:g}, where learning "
        f"starts, and {_made_for(scaled)}: subtract {middle:g} from {where}, then divide by {half:.2g}, "
        f"and pass free=({start.name!r},), since where learning started is not known"
    )


def _relative(model: Model) -> str:
    """Say which parameters do not follow the scale of a column, since they are in units of another parameter."""
    names = [p.name for p in model.parameters]
    by_unit: dict[str, list[str]] = {}
    for p in model.parameters:
        if p.units in names:
            by_unit.setdefault(p.units, []).append(p.name)
    return "".join(
        f". {' and '.join(own)}: in units of {unit}, held at {held:g}, whatever the column is divided by"
        for unit, own in by_unit.items()
        if (held := model.parameter(unit).value) is not None
    )


def _out_of_reach(column: str, values: np.ndarray, scaled: list[Parameter], population: Population) -> list[str]:
    """Say which of the models' own priors of a level do not reach the outcomes."""
    found, middle = [], float(np.median(values))
    for p in _own(scaled, population):
        if p.units == column and p.support.link == "identity" and (prior := population.prior(p)) is not None:
            least, most = prior.quantile(REACH)
            if not least <= middle <= most:
                found.append(
                    f"column {column!r}: found values about {middle:g}, which the prior of {p.name}, {prior}, does "
                    f"not reach: subtract a constant from the column, or pass priors={{{p.name!r}: ...}} that do"
                )
    return found


def _own(scaled: list[Parameter], population: Population) -> list[Parameter]:
    """Return the parameters that are estimated with the model's own priors."""
    free = [p for p in scaled if population.is_free(p) and p.name not in population.tied]
    return [p for p in free if not {p.name, f"{p.name}_mu"} & {*population.priors}]
