"""Which response each term of a fit's log likelihood is of: a fit says it, or it follows from the mask in the fit.

`rlpymc.sample` writes the labels beside the terms.  PyMC, which samples models of one's own, does not; but the columns
that the model's responses came with are in the fit, and among them the mask of what was scored.
"""

import numpy as np
import xarray as xr

CHOICES = "choice"  # the variable that is meant where there are several


def labelled_terms(fit: xr.DataTree, name: str) -> xr.DataArray:
    """Return the log likelihood of a fit, (chain, draw, term), with coordinates that say which response a term is of.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`, or from `pymc.sample` of a model with the responses of one of ours in it.
    name : str
        How messages call the fit.

    Returns
    -------
    xr.DataArray
        The last dim is ``subject``, where a fit has sums by subject, or one of single responses.  These have no
        coordinates where the fit does not say which they are.

    Raises
    ------
    ValueError
        If there is no log likelihood, there are several, or its terms are in more than one dim.
    """
    if "log_likelihood" not in fit.children:
        raise ValueError(
            f"{name} has no log likelihood; sample with log_likelihood='obs' or 'subject', a PyMC model of your own "
            "with pymc.sample(..., idata_kwargs={'log_likelihood': True})"
        )
    group = fit["log_likelihood"].to_dataset()
    names = [str(k) for k in group.data_vars]
    if not names:
        raise ValueError(
            f"{name} has an empty log likelihood: a potential is added to the density, and is none of its terms. Add "
            "the responses by distribution (terms by subject), or by categorical or bernoulli (by observation)"
        )
    if len(names) > 1 and CHOICES not in names:
        raise ValueError(
            f"{name} has log likelihoods of {', '.join(names)}, expected one. Keep the one that is meant: "
            f"fit['log_likelihood'] = fit['log_likelihood'].to_dataset()[[{names[0]!r}]]"
        )
    variable = CHOICES if CHOICES in names else names[0]
    terms = group[variable].transpose("chain", "draw", ...)
    if terms.ndim != 3:
        raise ValueError(
            f"{name} has its log likelihood with dims {terms.dims}, expected (chain, draw, obs) or (chain, draw, "
            "subject), as the responses of a model have: add them by distribution, categorical or bernoulli"
        )
    if "subject" in terms.coords:
        return terms
    return terms.assign_coords(_labels(fit, variable, terms))


def _labels(fit: xr.DataTree, variable: str, terms: xr.DataArray) -> dict[str, tuple[str, np.ndarray]]:
    """Return subject and trial of each term by the mask of what was scored, none where that is not in the fit."""
    columns = fit["constant_data"].to_dataset() if "constant_data" in fit.children else xr.Dataset()
    mask = next((columns[k] for k in (f"{variable}_scored", "scored") if k in columns), None)
    if mask is None or mask.dims != ("subject", "trial") or int(mask.sum()) != terms.shape[2]:
        return {}
    places = zip(mask.dims, np.nonzero(mask.values), strict=True)
    return {str(dim): (str(terms.dims[2]), mask[dim].values[place]) for dim, place in places}


def unlabelled(terms: xr.DataArray, name: str, label: str) -> ValueError:
    """Return an error that says how to give a fit the subject or the session of each term."""
    dim, scored = terms.dims[2], "trials['scored'].values"
    if label == "session":
        found = f"{name} does not say which session a trial belongs to: its trials have no column 'session' or 'block'"
        mend = "Name it in read_trials(..., columns={'session': ...}), and sample again; in a fit of a PyMC model of "
        values = f"trials['session'].values[{scored}]"
    else:
        found = f"{name} does not say which subject its log likelihoods are of, and no mask 'scored' in it tells"
        mend = "Take rlpymc.sample of a model from rlpymc.build; in a fit of a PyMC model of "
        values = f"trials['subject'].values[{scored}.nonzero()[0]]"
    return ValueError(
        f"{found}. {mend}your own, write it beside the terms: fit['log_likelihood'].coords['{label}'] = "
        f"('{dim}', {values})"
    )
