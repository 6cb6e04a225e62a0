"""Leave one out: PSIS-LOO by trial, session or subject, with exact refits where it fails."""

import warnings
from pathlib import Path

import arviz as az
import numpy as np
import xarray as xr
from scipy.special import logsumexp

from rlpymc.checks import check_type
from rlpymc.comparison.elpd import Elpd
from rlpymc.comparison.exact import leave_out
from rlpymc.comparison.marginal import marginal_log_likelihood
from rlpymc.comparison.refits import LEFT_OUT_ALONE
from rlpymc.comparison.terms import form_of, labels_of, lacks_integral, responses_of, terms_of
from rlpymc.fitting.factory import RLModel

FEWEST = 25  # draws from which importance sampling has a tail to smooth
ROUNDING = 1e-10  # range over draws below which a log likelihood is the same in all of them


def loo(
    fit: xr.DataTree,
    unit: str = "trial",
    *,
    form: str | None = None,
    refit: RLModel | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Elpd:
    """Return the log predictive density of each unit, given all others.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`; or from ``pymc.sample(..., idata_kwargs={"log_likelihood": True})``, of a PyMC model with the
        responses in it by `Model.distribution` (by subject), `Model.categorical` or `Model.bernoulli` (all units).
    unit : {"trial", "session", "subject"}
        What is left out.  "trial": one response; its action still drives later values, so this is how well single
        responses are predicted given all others.  "session": a person's responses in a session (column ``session``
        of the trials, or ``block``).  "subject": all responses of a person, which the group alone predicts.
    form : {"conditional", "integrated"}, optional
        For subjects, two ways to the same number.  "integrated", which is taken unless told, reweights the draws of the
        group alone, after `marginal_log_likelihood` has integrated over the person's own parameters; where nobody has
        any, there is nothing to integrate over, and the log likelihood serves as it is.  "conditional" reweights the
        draws of the person's own, to which these responses led; Pareto k above the threshold are the rule.
    refit : RLModel, optional
        The model that was fitted: the units on which PSIS is not reliable are left out in earnest, one refit each,
        with the settings of the fit.  Integrals that are not in the fit are computed and kept there first.
    folder : path, optional
        Where refits are kept; calling again takes up the missing ones.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Elpd
        By unit; ``.elpd_i`` by subject are log evidences for `group_bms`.

    Raises
    ------
    ValueError
        If the fit has no log likelihood for the unit, integrated for subjects, one that is not a number, or is not of
        this model.
    """
    found = elpd_of("the fit", fit, unit, form, refit, folder, progress)
    warn_of_bad_k("the fit", found, stacklevel=2)
    return found


def elpd_of(
    name: str,
    fit: xr.DataTree,
    unit: str,
    form: str | None,
    refit: RLModel | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Elpd:
    """Return the same for a fit that messages call by this name."""
    form = form_of(unit, form)
    if folder is not None and refit is None:
        raise ValueError("folder is where refits are kept: pass the model, too, refit=rl_model")
    check_type(fit, xr.DataTree, f"{name} to be one from rlpymc.sample")
    if form == "integrated" and refit is not None and lacks_integral(fit):
        marginal_log_likelihood(refit, fit)
    terms = terms_of(fit, unit, form, name)
    elpd_i, k, good_k = _psis_loo(terms, name)
    refitted = np.zeros(elpd_i.size, dtype=bool)
    if refit is not None:
        bad = np.flatnonzero(~(k <= good_k))
        elpd_i[bad] = leave_out(refit, fit, terms, bad, folder, progress)
        refitted[bad] = True
    within = float(logsumexp(terms.values, axis=(0, 1)).sum()) - elpd_i.size * np.log(terms[..., 0].size)
    dims, coords = terms.dims[-1:], labels_of(terms)
    what = f"subject, {form}" if unit == "subject" else unit
    return Elpd(
        elpd_i=xr.DataArray(elpd_i, dims=dims, coords=coords),
        pareto_k=xr.DataArray(k, dims=dims, coords=coords),
        refitted=xr.DataArray(refitted, dims=dims, coords=coords),
        p=within - float(elpd_i.sum()),
        good_k=good_k,
        unit=what,
        responses=responses_of(fit),
    )


def warn_of_bad_k(name: str, elpd: Elpd, stacklevel: int) -> None:
    """Warn of units on which importance sampling is not reliable and that were not refitted."""
    bad = elpd.bad & ~elpd.refitted.values
    if bad.any():
        usual = "refitting without those units, refit=..., mends it"
        warnings.warn(
            f"Pareto k is above {elpd.good_k:.2f} for {bad.sum()} of {elpd.n} {elpd.unit.split(',')[0]}s in {name}: "
            f"its elpd is not reliable there. See k_max and k_bad; {usual if elpd.n > 1 else LEFT_OUT_ALONE}.",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def check_draws(n: int, name: str) -> None:
    """Raise a ValueError where there are too few draws for importance sampling."""
    if n < FEWEST:
        raise ValueError(f"{name}: found {n} draws in all chains, expected at least {FEWEST}; take more")


def _psis_loo(terms: xr.DataArray, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return PSIS-LOO and Pareto k, (unit,), and the threshold for it.

    A term that is the same in all draws (a first choice among equal values) is left out exactly by itself, and has
    no tail to smooth: it is put to the others' result as it stands.
    """
    constant = np.ptp(terms.values, axis=(0, 1)) <= ROUNDING
    elpd, k = terms.values[0, 0].copy(), np.full(constant.size, -np.inf)
    if constant.all():  # chance, with nothing estimated
        return elpd, k, 0.7
    check_draws(terms[..., 0].size, name)
    varying = xr.DataArray(terms.values[:, :, ~constant], dims=("chain", "draw", "unit"))
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"_": (("chain", "draw"), np.zeros(terms.shape[:2]))}),
            "log_likelihood": xr.Dataset({"choice": varying}),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about Pareto k, which the table reports
        found = az.loo(tree, pointwise=True, var_name="choice", reff=relative_efficiency(varying))
    elpd[~constant], k[~constant] = found.elpd_i.values, found.pareto_k.values
    return elpd, k, float(found.good_k)


def relative_efficiency(terms: xr.DataArray) -> float:
    """Return the effective share of independent draws, from some hundred of the likelihood terms themselves."""
    if terms.sizes["chain"] == 1:
        return 1.0
    terms = terms.isel(unit=slice(None, None, max(1, terms.sizes["unit"] // 200)))
    likelihood = xr.Dataset({"choice": np.exp(terms - terms.max(("chain", "draw")))})
    ess = az.ess(likelihood, method="mean")
    return float(min(1.0, np.nanmean(ess["choice"].values) / (terms.sizes["chain"] * terms.sizes["draw"])))
