"""What a policy returns: the distribution of one response, given the state and what was seen.

A choice with a response time is two responses in a trial, the action and then the time given the action, with masks of
their own: ``policies={"action": action, "rt": time}``.  For a diffusion with drift v, boundary a, bias z and delay t0,
``action`` returns `Bernoulli` with the closed-form probability of the upper boundary, and ``time`` a class of this
module with these four and the action as arguments, whose `log_prob` is the log density of the first passage less the
log probability of the action, and whose `sample` draws from it.  The density is a series, and so a primitive of
`rlpymc.math` with derivatives of its own: an entry in the tables of `rlpymc.compiler.expressions`, which the kernel
prints as a call, and an operation on tensors.  Inputs, masks, likelihoods and simulation stay as they are.
"""

from itertools import accumulate
from typing import Any

import numpy as np

from rlpymc import math


class Response:
    """The distribution of one response; each kind of it is a class that derives from this one.

    Written with `rlpymc.math`, it serves arrays, PyTensor's tensors and symbols of the compiler alike.

    Attributes
    ----------
    arguments : dict
        What the constructor takes, by name.
    discrete : bool
        Whether responses are numbered, and `probs` says how probable each is.
    """

    arguments: dict[str, Any]
    discrete = True

    @property
    def probs(self) -> Any:
        """Probability of each response, where there are finitely many."""
        raise NotImplementedError(f"{type(self).__name__} has no probabilities; say discrete = False")

    def log_prob(self, response: Any) -> Any:
        """Return the log probability, or log density, of one response."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random response for each leading index of NumPy arrays."""
        raise NotImplementedError(f"{type(self).__name__} has no sample, and cannot be simulated")


class Categorical(Response):
    """A choice among n actions.

    Parameters
    ----------
    logits : (n_actions,), optional
        Unnormalised log probabilities; -inf for what cannot be chosen.
    probs : (n_actions,), optional
        Probabilities; for mixtures, which are no softmax.  Give one of the two.
    """

    def __init__(self, logits: Any = None, probs: Any = None) -> None:
        if (logits is None) == (probs is None):
            raise ValueError("Categorical takes logits or probs, one of them")
        self.arguments = {"logits": logits} if probs is None else {"probs": probs}

    @property
    def probs(self) -> Any:
        """Probability of each action."""
        return self.arguments["probs"] if "probs" in self.arguments else math.softmax(self.arguments["logits"])

    @property
    def log_probs(self) -> Any:
        """Log probability of each action; -inf for what cannot be chosen."""
        if "probs" in self.arguments:
            return math.log(self.arguments["probs"])
        return math.log_softmax(self.arguments["logits"])

    def log_prob(self, action: Any) -> Any:
        """Return the log probability of one action."""
        if "probs" in self.arguments:
            return math.log(math.take(self.arguments["probs"], action))
        logits = self.arguments["logits"]
        if math.size(logits) == 2:  # one exponential will do
            sign = math.where(math.equal(action, 1), 1.0, -1.0)
            return -math.softplus(sign * (logits[..., 0] - logits[..., 1]))
        return math.log_softmax(logits, action)

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random action for each leading index of NumPy arrays; one uniform number is used for each."""
        ((name, values),) = self.arguments.items()
        weights = np.ascontiguousarray(np.moveaxis(values, -1, 0))  # action by action, which is faster
        with np.errstate(invalid="ignore", over="ignore"):
            *edges, total = accumulate(np.exp(weights - weights.max(axis=0)) if name == "logits" else weights)
        if not np.isfinite(total).all():
            raise ValueError("choice probabilities are not finite: the parameters make values overflow")
        uniform, chosen = rng.random(total.shape), np.zeros(total.shape, dtype=int)
        for edge in edges:
            chosen += edge / total <= uniform
        return chosen[()]  # a number for one row


class Bernoulli(Response):
    """A response that is 0 or 1.

    Parameters
    ----------
    logit : number
        Log odds of 1.
    """

    def __init__(self, logit: Any) -> None:
        self.arguments = {"logit": logit}

    @property
    def probs(self) -> Any:
        """Probability of 0 and of 1."""
        p = math.sigmoid(self.arguments["logit"])
        return math.stack([1 - p, p])

    def log_prob(self, response: Any) -> Any:
        """Return the log probability of one response."""
        logit = self.arguments["logit"]
        return -math.softplus(math.where(math.equal(response, 1), -logit, logit))

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random response for each entry of NumPy arrays."""
        logit = np.asarray(self.arguments["logit"])
        return (rng.random(logit.shape) < math.sigmoid(logit)).astype(int)


class Normal(Response):
    """A continuous response with normal noise.

    Parameters
    ----------
    mu : number
        Mean.
    sigma : number
        Standard deviation.
    """

    discrete = False

    def __init__(self, mu: Any, sigma: Any) -> None:
        self.arguments = {"mu": mu, "sigma": sigma}

    def log_prob(self, response: Any) -> Any:
        """Return the log density of one response; -inf without noise (sigma of 0)."""
        possible = self.arguments["sigma"] > 0
        sigma = math.where(possible, self.arguments["sigma"], 1.0)
        z = (response - self.arguments["mu"]) / sigma
        density = -0.5 * z * z - math.log(sigma) - 0.5 * float(np.log(2 * np.pi))
        return math.where(possible, density, -float("inf"))

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random response for each entry of NumPy arrays."""
        return rng.normal(self.arguments["mu"], self.arguments["sigma"])
