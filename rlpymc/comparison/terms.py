"""The log likelihoods that a fit carries, summed to the units that are left out."""

import json

import numpy as np
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.comparison.labels import labelled_terms, unlabelled

UNITS = ("trial", "session", "subject")
FORMS = ("conditional", "integrated")
SESSIONS = ("session", "block")  # columns that say which session a trial belongs to, the first that is there
WHICH = ("subject", "trial", "response", "cut", *SESSIONS)  # coordinates that say what a unit is
INTEGRATED = "marginal_log_likelihood"  # group of a fit


def form_of(unit: str, form: str | None) -> str:
    """Return the form that is meant, unless told "integrated" for subjects; a ValueError if there is no such thing."""
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    if form is None:
        return "integrated" if unit == "subject" else "conditional"
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    if form == "integrated" and unit != "subject":
        raise ValueError(f"form='integrated' is for unit='subject': a {unit} has no parameters of its own")
    return form


def terms_of(fit: xr.DataTree, unit: str, form: str, name: str) -> xr.DataArray:
    """Return the log likelihood of each draw and unit, (chain, draw, unit), with coordinates that say which it is.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.
    unit, form : str
        As for `loo`, the form told.
    name : str
        How messages call the fit.
    """
    if form == "integrated":
        if lacks_integral(fit):
            raise ValueError(
                f"{name} has no likelihood integrated over each subject's own parameters, by which subjects are left "
                "out; compute it once: rlpymc.marginal_log_likelihood(rl_model, fit), where the model is from "
                "rlpymc.build. Or take form='conditional', which was the default before, and is the one form for a "
                "PyMC model of your own"
            )
        terms = fit[INTEGRATED].to_dataset()["choice"] if INTEGRATED in fit.children else labelled_terms(fit, name)
    else:
        terms = labelled_terms(fit, name)
        if unit != "subject" and "subject" in terms.dims:
            raise ValueError(
                f"{name} has its log likelihood by subject, unit={unit!r} needs it by observation: sample a model from "
                "rlpymc.build with log_likelihood='obs'; in a PyMC model of your own, add choices by categorical or "
                "bernoulli instead of distribution (several responses in a trial, and numbers, need rlpymc.build)"
            )
    _check_finite(terms, name)
    if unit == "session":
        return _by_session(terms, name)
    if unit == "subject":
        return _by_subject(terms, name)
    return terms


def lacks_integral(fit: xr.DataTree) -> bool:
    """Whether a likelihood has to be integrated first: not if no parameter is a subject's own, which a fit can tell."""
    if INTEGRATED in fit.children:
        return False
    if "rlpymc" not in fit.attrs or "posterior" not in fit.children:
        return True
    return any("subject" in v.dims for v in fit["posterior"].to_dataset().data_vars.values())


def _by_subject(terms: xr.DataArray, name: str) -> xr.DataArray:
    if "subject" not in terms.coords:
        raise unlabelled(terms, name, "subject")
    labels, number = np.unique(terms["subject"].values, return_inverse=True)
    return _summed(terms, number).rename(unit="subject").assign_coords(subject=labels)


def _by_session(terms: xr.DataArray, name: str) -> xr.DataArray:
    column = next((c for c in SESSIONS if c in terms.coords), None)
    if column is None:
        raise unlabelled(terms, name, "session")
    if "subject" not in terms.coords:
        raise unlabelled(terms, name, "subject")
    _, person = np.unique(terms["subject"].values, return_inverse=True)
    _, session = np.unique(terms[column].values, return_inverse=True)
    _, first, number = np.unique(person * (session.max() + 1) + session, return_index=True, return_inverse=True)
    labels = {c: ("unit", terms[c].values[first]) for c in ("subject", column)}
    return _summed(terms, number).assign_coords(labels)


def _summed(terms: xr.DataArray, number: np.ndarray) -> xr.DataArray:
    """Return the sums of the terms that have the same number, on a dim ``unit``."""
    values = terms.transpose("chain", "draw", ...).values
    summed = [values[:, :, number == k].sum(axis=2) for k in range(number.max() + 1)]
    return xr.DataArray(np.stack(summed, axis=2), dims=("chain", "draw", "unit"))


def _check_finite(terms: xr.DataArray, name: str) -> None:
    wrong = ~np.isfinite(terms.transpose("chain", "draw", ...).values)
    if wrong.any():
        chain, draw, k = (int(v) for v in np.argwhere(wrong)[0])
        where = [f"{c} {terms[c].values[k].item()!r}" for c in ("subject", "trial") if c in terms.coords]
        raise ValueError(
            f"{name}: the log likelihood of {', '.join(where) or f'term {k}'} is {terms.values[chain, draw, k]} in "
            f"draw {draw} of chain {chain}; expected numbers. Such a draw makes what was observed impossible: look at "
            "its parameters, and at the trials before"
        )


def labels_of(terms: xr.DataArray) -> dict[str, tuple[str, np.ndarray]]:
    """Return the coordinates that say which unit a term is of."""
    return {str(c): (str(terms.dims[-1]), v.values) for c, v in terms.coords.items() if c in WHICH}


def which_unit(terms: xr.DataArray, k: int) -> dict[str, object]:
    """Return by coordinate which unit a term is of."""
    return {name: values[k].item() for name, (_, values) in labels_of(terms).items()}


def responses_of(fit: xr.DataTree) -> str:
    """Return the fingerprint of the scored responses that a fit is of, "" where it does not say."""
    return str(json.loads(fit.attrs["rlpymc"])["responses"]) if "rlpymc" in fit.attrs else ""
