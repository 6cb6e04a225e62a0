"""Soft values of states as an operation of PyTensor, with derivatives by the implicit function theorem."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key

MOST_STEPS = 1000  # of Newton's method, which takes some ten; each is an improvement, so that it cannot run in circles
PRECISE = 1e-14  # change of the largest value, relative to it, at which values are exact


@numba.njit(nogil=True)
def solve(system: np.ndarray, x: np.ndarray) -> None:
    """Replace x by the solution y of ``system y = x``, by elimination, which uses up the system.

    The system is diagonally dominant, as identity minus discounted probabilities is, so that no rows are exchanged.
    """
    n = len(x)
    for i in range(n):
        for j in range(i + 1, n):
            factor = system[j, i] / system[i, i]
            if factor != 0:
                for k in range(i + 1, n):
                    system[j, k] -= factor * system[i, k]
                x[j] -= factor * x[i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= system[i, k] * x[k]
        x[i] /= system[i, i]


@numba.njit(nogil=True)
def soft_values(reward: np.ndarray, transition: np.ndarray, discount: float) -> np.ndarray:
    """Return the soft values of states, (n_states,), by Newton's method."""
    n_states, n_actions = reward.shape
    v, gain, q = np.zeros(n_states), np.empty(n_states), np.empty(n_actions)
    system = np.empty((n_states, n_states))
    for _ in range(MOST_STEPS):
        largest, change = 1.0, 0.0
        for s in range(n_states):
            best = -np.inf
            for a in range(n_actions):
                q[a] = reward[s, a]
                for k in range(n_states):
                    q[a] += discount * transition[s, a, k] * v[k]
                best = max(best, q[a])
            total = 0.0
            for a in range(n_actions):
                q[a] = np.exp(q[a] - best)
                total += q[a]
            gain[s] = best + np.log(total) - v[s]
            for k in range(n_states):
                system[s, k] = 1.0 if k == s else 0.0
                for a in range(n_actions):
                    system[s, k] -= discount * q[a] / total * transition[s, a, k]
            largest, change = max(largest, abs(v[s])), max(change, abs(gain[s]))
        if not np.isfinite(change) or not 0 <= discount < 1:
            return np.full(n_states, np.nan)
        if change <= PRECISE * largest:
            break
        solve(system, gain)
        v += gain
    return v


@numba.njit(nogil=True)
def soft_slopes(
    reward: np.ndarray, transition: np.ndarray, discount: float, v: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of ``sum(weight * v)`` with respect to rewards and the discount (an array ()).

    With ``v = F(v)`` they are x' dF/d(reward, discount), where (I - dF/dv)' x = weight; dF/dv is the discount times the
    transitions under the soft policy, and dF/dreward that policy.
    """
    n_states, n_actions = reward.shape
    slopes, after = np.empty((n_states, n_actions)), np.zeros((n_states, n_actions))
    system, x = np.zeros((n_states, n_states)), weight.copy()
    for s in range(n_states):
        for a in range(n_actions):
            for k in range(n_states):
                after[s, a] += transition[s, a, k] * v[k]
            slopes[s, a] = np.exp(reward[s, a] + discount * after[s, a] - v[s])  # the policy
        for k in range(n_states):
            for a in range(n_actions):
                system[k, s] -= discount * slopes[s, a] * transition[s, a, k]
        system[s, s] += 1.0
    solve(system, x)
    by_discount = np.zeros(())
    for s in range(n_states):
        for a in range(n_actions):
            slopes[s, a] *= x[s]
            by_discount[()] += slopes[s, a] * after[s, a]
    return slopes, by_discount


class SoftValues(Op):
    """The soft values of states (n_states,), given rewards, transitions and the discount."""

    __props__ = ()
    gufunc_signature = "(s,a),(s,a,t),()->(s)"

    def make_node(self, reward: Any, transition: Any, discount: Any) -> Apply:
        """Return the node of these inputs."""
        inputs = [pt.as_tensor(k).astype("float64") for k in (reward, transition, discount)]
        return Apply(self, inputs, [pt.vector(dtype="float64", shape=inputs[0].type.shape[:1])])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: list[list[Any]]) -> None:
        """Compute it."""
        reward, transition, discount = inputs
        output_storage[0][0] = soft_values(reward, transition, discount.item())

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        """Return the shape of the output."""
        return [shapes[0][:1]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Return on which inputs the output depends differentiably."""
        return [[True], [False], [True]]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], cotangents: Sequence[Variable]) -> Any:
        """Return the derivatives with respect to rewards and the discount."""
        by_reward, by_discount = SoftSlopes()(*inputs, outputs[0], cotangents[0])
        return [by_reward, disconnected_type(), by_discount]


class SoftSlopes(Op):
    """The derivatives of weighted soft values with respect to rewards and the discount, see `soft_slopes`."""

    __props__ = ()
    gufunc_signature = "(s,a),(s,a,t),(),(s),(s)->(s,a),()"

    def make_node(self, *given: Any) -> Apply:
        """Return the node of rewards, transitions, discount, values and weights."""
        inputs = [pt.as_tensor(k).astype("float64") for k in given]
        return Apply(self, inputs, [inputs[0].type(), inputs[2].type()])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: list[list[Any]]) -> None:
        """Compute it."""
        reward, transition, discount, v, weight = inputs
        found = soft_slopes(reward, transition, discount.item(), v, weight)
        for storage, slopes in zip(output_storage, found, strict=True):
            storage[0] = slopes

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        """Return the shapes of the outputs."""
        return [shapes[0], ()]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], cotangents: Sequence[Variable]) -> Any:
        """Say that second derivatives are not available."""
        why = "second derivatives of soft values are not available"
        return [grad_not_implemented(self, k, value, why) for k, value in enumerate(inputs)]


@register_funcify_default_op_cache_key(SoftValues)  # type: ignore[untyped-decorator]
def _compile_values(op: SoftValues, node: Apply | None = None, **options: Any) -> Any:
    """Return the function, and the version of it for PyTensor's cache on disk."""

    @numba.njit
    def values(reward: Any, transition: Any, discount: Any) -> Any:
        return soft_values(reward, transition, discount.item())

    return values, 1


@register_funcify_default_op_cache_key(SoftSlopes)  # type: ignore[untyped-decorator]
def _compile_slopes(op: SoftSlopes, node: Apply | None = None, **options: Any) -> Any:
    """Return the function, and the version of it for PyTensor's cache on disk."""

    @numba.njit
    def slopes(reward: Any, transition: Any, discount: Any, v: Any, weight: Any) -> Any:
        return soft_slopes(reward, transition, discount.item(), v, weight)

    return slopes, 1
