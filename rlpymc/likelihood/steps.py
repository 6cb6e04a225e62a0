"""Learners in mid-course, who take a trial at a time: what simulations are made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from rlpymc.likelihood.parameter_arrays import varying
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData

type Arrays = Mapping[str, np.ndarray]


class Stepper(ABC):
    """Subjects as learners: their parameters on the trial at hand, and their state before it.

    Parameters
    ----------
    data : ModelData
        The model, what is known before the data, the subjects, and which columns there are.
    params : dict of (subject, *shape) or (subject, trial, *shape)
        Every parameter.

    Attributes
    ----------
    p : dict of (subject, *shape)
        Parameters on the trial at hand.
    responses : list of str
        Names of the responses, in order.
    """

    def __init__(self, data: ModelData, params: Arrays) -> None:
        self.n, self._given = data.shape[0], params
        self.responses = [r.name for r in data.model.responses]
        self._moving = varying(data, params)
        self.p = {k: v[:, 0] if k in self._moving else v for k, v in params.items()}

    def begin(self, t: int, reset: np.ndarray) -> None:
        """Go on to trial t, where some subjects (subject,) start again; all do on the first."""
        self.p |= {k: self._given[k][:, t] for k in self._moving}
        if not t or reset.any():
            self._restart(reset if t else np.ones(self.n, dtype=bool))

    @abstractmethod
    def _restart(self, where: np.ndarray) -> None:
        """Set the state of some subjects to that before the first trial."""

    @property
    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """The state before the trial at hand, (subject, *shape)."""

    @abstractmethod
    def respond(self, name: str, x: Arrays) -> Response:
        """Return the distribution of one response, its arguments with a leading axis over subjects.

        Parameters
        ----------
        name : str
            The response.
        x : dict of (subject, *shape)
            What the trial has shown yet.
        """

    @abstractmethod
    def update(self, x: Arrays, learned: np.ndarray, responded: np.ndarray) -> None:
        """Change the state after a trial, given which subjects learned, and which made the first response."""


def yoked(step: Stepper, inputs: Arrays, masks: Arrays, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw responses in order, given outcomes and later inputs as recorded.

    Responses that are not scored (forced, missed) stay as recorded.  This is the law whose density is the likelihood.

    Parameters
    ----------
    step : Stepper
        The learners, with parameters of their own.
    inputs : dict of (subject, trial, *shape)
        The recorded columns, responses included.
    masks : dict of (subject, trial) bool
        scored ((subject, trial, response) where there are several), learned, responded, reset.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of (subject, trial)
        Each response.
    """
    n, n_trials = masks["learned"].shape
    drawn = {name: np.array(inputs[name]) for name in step.responses}
    scored = masks["scored"].reshape((n, n_trials, len(drawn)))
    for t in range(n_trials):
        step.begin(t, masks["reset"][:, t])
        x = {k: v[:, t] for k, v in inputs.items()}
        for k, (name, column) in enumerate(drawn.items()):
            fresh = step.respond(name, x).sample(rng)
            column[:, t] = x[name] = np.where(scored[:, t, k], fresh, column[:, t])
        step.update(x, masks["learned"][:, t], masks["responded"][:, t])
    return drawn
