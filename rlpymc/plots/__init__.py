"""Figures: values along the trials, learning curves, two-step and set-size plots, posteriors, comparison of models.

Every function returns a matplotlib figure and shows nothing; in a notebook, end the line with a semicolon.
"""

from rlpymc.plots.calibrations import calibration
from rlpymc.plots.comparisons import comparison, elpd_by_unit, future, group_bms, pareto_k
from rlpymc.plots.differences import contrast, effects
from rlpymc.plots.learning import learning_curve, trial_values
from rlpymc.plots.look import COLOURS, INTERVAL
from rlpymc.plots.posteriors import population, posterior, traces
from rlpymc.plots.prior_behaviours import prior_predictive
from rlpymc.plots.tasks import grid_maps, set_size_curves, stay_probabilities

__all__ = [
    "COLOURS",
    "INTERVAL",
    "calibration",
    "comparison",
    "contrast",
    "effects",
    "elpd_by_unit",
    "future",
    "grid_maps",
    "group_bms",
    "learning_curve",
    "pareto_k",
    "population",
    "posterior",
    "prior_predictive",
    "set_size_curves",
    "stay_probabilities",
    "traces",
    "trial_values",
]
