"""A plain NumPy loop over one model's own functions: slow, and easy to believe."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlpymc.likelihood.derived import with_derived
from rlpymc.model.record import Record
from rlpymc.trials.model_data import ModelData


def replay(data: ModelData, params: Mapping[str, Any]) -> np.ndarray:
    """Return the log probability of each trial's responses by stepping through the trials.

    Parameters
    ----------
    data : ModelData
        The data of a model.
    params : mapping
        Every parameter by name, arrays (subject, *shape).

    Returns
    -------
    (subject, trial) ndarray
        0 where not scored.
    """
    data, params = with_derived(data, {name: np.asarray(value, dtype=float) for name, value in params.items()})
    out = np.zeros(data.shape)
    for i in range(data.shape[0]):
        p = Record(**{name: value[i] for name, value in params.items()})
        out[i] = _replay_subject(data, i, p)
    return out


def _replay_subject(data: ModelData, i: int, p: Record) -> np.ndarray:
    model, out, s = data.model, np.zeros(data.shape[1]), Record()
    for t in np.flatnonzero(data.masks["exists"][i]):
        if data.masks["reset"][i, t]:
            s = Record(**model.initial_state(p, data.facts))
        x = Record(**{name: values[i, t] for name, values in data.inputs.items()})
        if data.scored_trials[i, t]:
            scored = np.atleast_1d(data.masks["scored"][i, t])
            for counts, (name, response) in zip(scored, model.respond(p, s, x).items(), strict=True):
                out[t] += response.log_prob(getattr(x, name)) if counts else 0.0
        learner = model.update(p, s, x) if data.masks["learned"][i, t] else {}
        rules = model.after_response(p, s, x) if data.masks["responded"][i, t] else {}
        if more := {*learner, *rules} - {*vars(s)}:
            raise ValueError(f"model {model.name!r}: update returns {more.pop()!r}, which start does not")
        s = s.replace(**learner, **rules)
    return out
