"""What trials say of themselves: attributes in JSON, so that a file can hold them."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr


def as_attributes(**values: Any) -> dict[str, str]:
    """Return attributes of a Dataset, each in JSON; empty ones are left out."""
    return {name: json.dumps(value, default=_plain) for name, value in values.items() if value or name == "facts"}


def _plain(value: Any) -> Any:
    """Return what JSON knows in place of a NumPy number or array; anything else as text."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def attribute(trials: xr.Dataset, name: str) -> dict[str, Any]:
    """Return an attribute of trials, or an empty dict if they have none of this name."""
    value = trials.attrs.get(name, {})
    return dict(json.loads(value) if isinstance(value, str) else value)


def facts(trials: xr.Dataset) -> dict[str, Any]:
    """Return what is known before the data: how many actions and states there are, and what was added.

    Parameters
    ----------
    trials : xr.Dataset
        From `read_trials`, `simulate` or `predict`.

    Returns
    -------
    dict
        n_actions, n_states, n_stimuli and n_cues, as far as the trials have such columns, and all that
        ``read_trials(..., facts=...)`` or the task added. Arrays are lists.

    Raises
    ------
    TypeError
        If these are no trials.

    Examples
    --------
    >>> import pandas as pd
    >>> from rlpymc.trials.reading import read_trials
    >>> facts(read_trials(pd.DataFrame({"subject": ["a", "a"], "action": [0, 2]}), facts={"n_actions": 4}))
    {'n_actions': 4}
    """
    if not isinstance(trials, xr.Dataset):
        raise TypeError(f"facts: found {type(trials).__name__}, expected trials from read_trials or simulate")
    return attribute(trials, "facts")


def with_facts(trials: xr.Dataset, known: Mapping[str, Any]) -> xr.Dataset:
    """Return trials that know these facts, and no others."""
    return trials.assign_attrs(as_attributes(facts=dict(known)))
