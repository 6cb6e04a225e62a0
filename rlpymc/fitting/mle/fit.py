"""Maximum likelihood, one subject at a time or all at once, with SciPy and the exact gradient."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr
from threadpoolctl import threadpool_limits

from rlpymc.checks import check_seed, check_whole
from rlpymc.fitting.assumptions import doubts
from rlpymc.fitting.mle.bounds import check_bounds
from rlpymc.fitting.mle.estimates import MLE, estimates
from rlpymc.fitting.mle.monitoring import Progress, Watch
from rlpymc.fitting.mle.problem import Problem
from rlpymc.fitting.penalty import check_weight
from rlpymc.likelihood.backends import check_backend
from rlpymc.model import Model
from rlpymc.model.priors import Prior
from rlpymc.model.registry import get_model
from rlpymc.population.population import Population
from rlpymc.trials.doubts import say
from rlpymc.trials.model_data import data_for, require_scored

__all__ = ["MLE", "fit_mle"]


def fit_mle(
    model: Model | str,
    trials: xr.Dataset,
    *,
    fixed: Mapping[str, Any] | None = None,
    free: Sequence[str] = (),
    shared: Sequence[str] = (),
    coupled: Sequence[Sequence[str]] = (),
    formulas: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    l2: float = 0.0,
    priors: bool | Mapping[str, Prior] | None = None,
    starts: int = 10,
    method: str | None = None,
    seed: int | None = 0,
    test: xr.Dataset | None = None,
    callback: Callable[[Progress], Any] | None = None,
    backend: str = "fused",
    mode: str = "NUMBA",
    progress: bool = True,
) -> MLE:
    """Fit by maximum likelihood: each subject, or all at once where they share parameters or coefficients.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    fixed : mapping, optional
        Parameters to hold at a value: numbers, or arrays (subject, *shape).
    free : sequence of str
        Parameters to estimate that the model holds constant.
    shared : sequence of str
        Parameters with one value for all subjects, estimated together with everybody's own.
    coupled : sequence of sequences of str
        Groups of parameters that are equal, such as ``[("bias_wm", "bias_rl")]``: estimated as one.
    formulas : mapping, optional
        By parameter, what it depends on, as in `build`: ``{"alpha": "~ drug * age"}``.  On the unbounded scale (the
        links of the supports) everybody's value is the sum of coefficients times the columns of the formula.  Subjects
        do not deviate from it: coefficients are the same for all, and estimated together with everybody's other
        parameters.  A shared parameter is one with an intercept alone, ``"1"``.  Each entry of a vector has
        coefficients of its own.  Columns may vary within subjects, by session, block or trial.
    bounds : mapping, optional
        Lower and upper bounds of estimates on the natural scale, within those of the supports: ``{"beta": (0, 30)}``.
    l2 : float
        Half of this, times the sum of squares of the estimates on the unbounded scale (the links of the supports), is
        taken off the log likelihood: up to a constant, priors Normal(0, 1 / sqrt(l2)) there.  A shared parameter
        counts once.  Whole numbers do not count.  Of a formula, the intercept at the means of columns and the other
        coefficients count, each times the standard deviation of its column (the root mean square, without an
        intercept; levels of a factor in its place as they are): so units do not matter.
    priors : bool or mapping, optional
        With True, the mode of the posterior density on the natural scale is found instead, with the model's own
        priors, independent between subjects; a mapping replaces some of them.  What is shared has its prior once.  Not
        with formulas: coefficients have priors in `build` alone.
    starts : int
        Number of starting points of each subject: the best of a hundred times as many, which fill the priors evenly,
        bounds included.  Where parameters are shared or have formulas, of all subjects.
    method : str, optional
        A method of `scipy.optimize.minimize` that takes bounds, or "differential_evolution" or "dual_annealing",
        which search everywhere at once.  Unless told, L-BFGS-B with the exact gradient; for choice rules that make
        the likelihood a staircase (epsilon_greedy), Nelder-Mead.  Where a method raises an exception, or ends worse
        than it started, the first of these that does not takes over: L-BFGS-B, TNC, SLSQP, trust-constr, and, the
        only ones for a staircase, Nelder-Mead, Powell, COBYQA; the note says so.
    seed : int, optional
        For the starting points, and for methods that draw.
    test : xr.Dataset, optional
        Further trials of the same subjects, on which the estimates are evaluated, while fitting and in the end.
    callback : callable, optional
        Is given a `Progress` after each iteration of the optimiser: subject, search, iteration, log_lik,
        test_log_lik, params.  If it returns True, the subject's fit (where parameters are shared or have formulas,
        everybody's) ends with the best point until then.
    backend : {"fused", "scan"}
        What computes the likelihood.
    mode : {"NUMBA", "JAX", "quick", ...}
        How a scan is compiled; see `log_prob`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    MLE
        Estimates on the natural scale, within the supports' bounds, standard errors, criteria, and a status.  Where
        the likelihood has a kink, an interval of the profile likelihood takes the place of a standard error.
        Parameters that are whole numbers are profiled: each value is tried, and the best is kept.

    Raises
    ------
    ValueError
        If trials, test trials, parameters, formulas or bounds do not fit the model, or a subject has no scored trial.

    Warns
    -----
    TrialsWarning
        If the data contradict what the model takes for granted: where learning starts, a known world.

    Notes
    -----
    BIC is not made for choosing between nested models person by person: it charges everybody for each parameter as if
    nothing were known of the others, and misses what all of them have.  20 groups of 20 people with 100 trials were
    simulated from `delta(rates=sign)`, with learning rates around 0.5 after good news and 0.23 after bad.  The sum of
    BIC preferred `delta`, with one rate, in all 20, and `group_bms` of ``-bic / 2`` was sure of it (with a protected
    exceedance above 0.95) in 19.  Evidence integrated over people's own parameters preferred two rates in all 20: that
    is ``loo(fit, unit="subject")`` of fits from `sample`, after `marginal_log_likelihood`, and
    ``fit_em(...).log_evidence``.  In 20 groups from `delta` they preferred two rates in 4 and in 8, and were never sure
    of it; the latter is of the data that its group was fitted to, which `EM.bic_int` allows for.
    ``benchmarks/small_groups.py`` does it again.
    """
    check_backend(backend)
    data = data_for(get_model(model), trials)
    require_scored(data)
    check_whole(1, starts=starts)
    check_seed(seed)
    check_weight(l2)
    if not (callback is None or callable(callback)):
        raise TypeError(f"callback: found {callback!r}, expected a function of a Progress")
    if not (priors is None or isinstance(priors, bool | Mapping)):
        raise TypeError(f"priors: found {priors!r}, expected True, or priors by parameter: {{'alpha': Beta(2, 2)}}")
    with_priors = priors is not None and priors is not False
    if l2 and with_priors:
        raise ValueError("l2 is itself a prior, Normal on the unbounded scale: give l2 or priors, not both")
    if formulas and with_priors:
        raise ValueError(
            "priors: a mode depends on the scale of the density, and coefficients of formulas lie on another one than "
            "parameters; give l2 instead, or sample rlpymc.build(..., formulas=...), where coefficients have priors"
        )
    given = priors if isinstance(priors, Mapping) else {}
    by_name = {} if formulas is None else formulas
    population = Population("none", given, fixed or {}, free, shared, coupled, formulas=by_name)
    population.check(data, deviations=False)
    say(doubts(data, population, with_priors))
    within = check_bounds(population.estimated(data.model), bounds, population.formulas)
    problem = Problem(data, population, l2, with_priors, backend, mode, test, within)
    search = problem.search(problem.coordinates, method, starts, seed)
    watch = None if test is None and callback is None else Watch(callback, problem.coordinates.labels)
    with threadpool_limits(1):  # the optimiser's matrices are too small to be shared out
        together = population.shared or population.formulas
        fit = (problem.jointly if together else problem.singly)(search, watch, progress)
    history = None if watch is None else watch.history()
    return estimates(data, problem.coordinates, fit, with_priors, problem.test_log_lik(fit), history)
