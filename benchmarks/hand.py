"""Kernels written by hand: what a model's compiled loop has to be as fast as.

Each is what one would write for one model alone if only speed mattered: value and gradient, one subject after the
other, in plain scalar numba.  They know more than the library does.  All trials are there, scored, and learned from;
there are as many options as in the model's default task; and of the parameters only those that are estimated by
default have a derivative.

What makes them fast:

*Derivatives go forward.*  A trial changes the values of one option, so it changes the derivatives of that option's
values alone.  Carrying them along costs less than a tape and a second sweep back.  Where one pass would keep too many
numbers across calls of `exp`, a first pass writes down what goes into `exp`, and a second one sums up.

*Few exponentials.*  Of two options, one exponential, of the difference.  Of three, two, relative to the first; or one,
where the weight of each option, exp(beta value), is kept in a table and only one of them changes.

*Few logarithms.*  Probabilities are multiplied, and the logarithm is taken when the product grows too large, and at the
end.  That rare branch also deals with exponentials out of range.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import exp, log, sqrt
from typing import Any

import numpy as np
from numba import njit

from rlpymc.model import Facts

type Params = Mapping[str, np.ndarray]  # (subject, *shape) by name
type Inputs = Mapping[str, np.ndarray]  # (subject, trial) by name
type Evaluate = Callable[[], tuple[np.ndarray, dict[str, np.ndarray]]]

_jit = njit(fastmath={"contract", "nsz", "arcp"}, error_model="numpy", nogil=True)


# ------------------------------------------------------------------------------------------------------------ delta
@_jit
def _delta_of_two(
    alpha: np.ndarray, q0: np.ndarray, beta: np.ndarray, action: np.ndarray, reward: np.ndarray
) -> np.ndarray:
    """Return log likelihood, and derivatives by alpha and beta, one in a row."""
    n_subjects, n_trials = action.shape
    out = np.empty((3, n_subjects))
    gaps, slopes = np.empty(n_trials), np.empty(n_trials)
    for i in range(n_subjects):
        a, b = alpha[i], beta[i]
        x = y = q0[i]
        dx = dy = 0.0  # derivatives by alpha
        for t in range(n_trials):
            first = action[i, t] == 0  # selected, not branched on: nobody could predict it
            own = x if first else y
            other = y if first else x
            d_own = dx if first else dy
            d_other = dy if first else dx
            gaps[t] = other - own
            slopes[t] = d_other - d_own
            error = reward[i, t] - own
            own += a * error
            d_own += error - a * d_own
            x = own if first else x
            y = y if first else own
            dx = d_own if first else dx
            dy = dy if first else d_own
        by_alpha = by_beta = logs = 0.0
        down = 1.0
        for t in range(n_trials):
            gap = gaps[t]
            e = exp(b * gap)
            z = 1.0 + e
            p = e / z  # probability of the other option
            new = down * z
            if not new < 1e250:
                logs += log(down)
                new = z
                if z > 1e250:
                    logs += b * gap
                    new = p = 1.0
            down = new
            by_alpha += p * slopes[t]
            by_beta += p * gap
        out[0, i] = -logs - log(down)
        out[1, i] = -b * by_alpha
        out[2, i] = -by_beta
    return out


@_jit
def _delta_back(
    alpha: np.ndarray, q0: np.ndarray, beta: np.ndarray, action: np.ndarray, reward: np.ndarray
) -> np.ndarray:
    """Return the same, with a tape of the way forth and a sweep back."""
    n_subjects, n_trials = action.shape
    out = np.empty((3, n_subjects))
    errors, shares, gaps = np.empty(n_trials), np.empty(n_trials), np.empty(n_trials)
    for i in range(n_subjects):
        a, b = alpha[i], beta[i]
        x = y = q0[i]
        logs, down = 0.0, 1.0
        for t in range(n_trials):
            first = action[i, t] == 0
            own = x if first else y
            gap = y - x if first else x - y
            e = exp(b * gap)
            z = 1.0 + e
            p = e / z
            new = down * z
            if not new < 1e250:
                logs += log(down)
                new = z
                if z > 1e250:
                    logs += b * gap
                    new = p = 1.0
            down = new
            error = reward[i, t] - own
            errors[t], shares[t], gaps[t] = error, p, gap
            own += a * error
            x = own if first else x
            y = y if first else own
        by_alpha = by_beta = by_x = by_y = 0.0
        for t in range(n_trials - 1, -1, -1):
            first = action[i, t] == 0
            by_own = by_x if first else by_y
            by_other = by_y if first else by_x
            by_alpha += by_own * errors[t]
            by_beta -= shares[t] * gaps[t]
            pull = b * shares[t]
            by_own += pull - a * by_own
            by_other -= pull
            by_x = by_own if first else by_other
            by_y = by_other if first else by_own
        out[0, i] = -logs - log(down)
        out[1, i] = by_alpha
        out[2, i] = by_beta
    return out


@lru_cache
def _delta_of(n_actions: int) -> Callable[..., np.ndarray]:
    """Return the kernel for a number of options, which the compiler is to know."""

    @_jit
    def kernel(
        alpha: np.ndarray, q0: np.ndarray, beta: np.ndarray, action: np.ndarray, reward: np.ndarray
    ) -> np.ndarray:
        n_subjects, n_trials = action.shape
        out = np.empty((3, n_subjects))
        q, d, weight = np.empty(n_actions), np.empty(n_actions), np.empty(n_actions)  # d: derivatives by alpha
        for i in range(n_subjects):
            a, b = alpha[i], beta[i]
            base = q0[i]  # weights are exp(beta (q - base))
            q[:] = base
            d[:] = 0.0
            weight[:] = 1.0
            chosen = by_alpha = by_beta = logs = 0.0
            down = 1.0
            for t in range(n_trials):
                z = 0.0
                for j in range(n_actions):
                    z += weight[j]
                new = down * z
                if not 1e-140 < new < 1e140:
                    logs += log(down)
                    base = q.max()
                    z = 0.0
                    for j in range(n_actions):
                        weight[j] = exp(b * (q[j] - base))
                        z += weight[j]
                    new = z
                down = new
                share = 1.0 / z
                mean_q = mean_d = 0.0
                for j in range(n_actions):
                    mean_q += weight[j] * q[j]
                    mean_d += weight[j] * d[j]
                k = action[i, t]
                own, d_own = q[k], d[k]
                chosen += own - base
                by_beta += own - share * mean_q
                by_alpha += d_own - share * mean_d
                error = reward[i, t] - own
                own += a * error
                q[k] = own
                d[k] = d_own + (error - a * d_own)
                weight[k] = exp(b * (own - base))
            out[0, i] = b * chosen - logs - log(down)
            out[1, i] = b * by_alpha
            out[2, i] = by_beta
        return out

    return kernel


def delta(params: Params, inputs: Inputs, facts: Facts) -> Evaluate:
    """Return the evaluation of `delta`."""
    return _delta(_delta_of_two if facts.n_actions == 2 else _delta_of(facts.n_actions), params, inputs)


def delta_back(params: Params, inputs: Inputs, facts: Facts) -> Evaluate:
    """Return the evaluation of `delta` with two options, derivatives going back as the library's do."""
    _expect(facts, n_actions=2)
    return _delta(_delta_back, params, inputs)


def _delta(kernel: Callable[..., np.ndarray], params: Params, inputs: Inputs) -> Evaluate:
    return _bind(kernel, params, ("alpha", "q0", "beta"), inputs, ("action", "reward"), ("alpha", "beta"))


# ----------------------------------------------------------------------------------------------------------- kalman
@lru_cache
def _kalman_with(bonus: bool) -> Callable[..., np.ndarray]:
    """Return the kernel for three arms, with or without a bonus for uncertainty."""

    @_jit
    def kernel(
        decay: np.ndarray,
        center: np.ndarray,
        sd_drift: np.ndarray,
        mu0: np.ndarray,
        sd0: np.ndarray,
        sd_obs: np.ndarray,
        phi: np.ndarray,
        beta: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
    ) -> np.ndarray:
        n_subjects, n_trials = action.shape
        out = np.empty((5, n_subjects))
        # Means are distances from the center, so that drift is one product, and choices do not see the center.
        m, v = np.empty(3), np.empty(3)
        m_decay, m_center, m_drift = np.empty(3), np.empty(3), np.empty(3)  # derivatives of m
        v_decay, v_drift = np.empty(3), np.empty(3)  # of v; "drift" is by sd_drift squared
        sd, value, by_d, by_s = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
        for i in range(n_subjects):
            d, c, s, b, f = decay[i], center[i], sd_drift[i], beta[i], phi[i]
            noise = sd_obs[i] * sd_obs[i]
            dd, d2, ss, per_noise = d * d, 2.0 * d, s * s, 1.0 / noise
            m[:] = mu0[i] - c
            v[:] = sd0[i] * sd0[i]
            m_decay[:] = 0.0
            m_center[:] = -1.0
            m_drift[:] = 0.0
            v_decay[:] = 0.0
            v_drift[:] = 0.0
            chosen = mean = by_decay = by_center = by_drift = logs = 0.0
            down = 1.0
            for t in range(n_trials):
                k = action[i, t]
                # ---- choice
                if bonus:
                    for j in range(3):
                        sd[j] = sqrt(v[j])
                        half = 0.5 * f / sd[j]
                        value[j] = m[j] + f * sd[j]
                        by_d[j] = m_decay[j] + half * v_decay[j]
                        by_s[j] = m_drift[j] + half * v_drift[j]
                    x0, x1, x2, own_x = value[0], value[1], value[2], value[k]
                    d0, d1, d2_, own_d = by_d[0], by_d[1], by_d[2], by_d[k]
                    s0, s1, s2, own_s = by_s[0], by_s[1], by_s[2], by_s[k]
                else:
                    x0, x1, x2, own_x = m[0], m[1], m[2], m[k]
                    d0, d1, d2_, own_d = m_decay[0], m_decay[1], m_decay[2], m_decay[k]
                    s0, s1, s2, own_s = m_drift[0], m_drift[1], m_drift[2], m_drift[k]
                x1 -= x0
                x2 -= x0
                e1, e2 = exp(b * x1), exp(b * x2)
                z = 1.0 + e1 + e2
                new = down * z
                p0 = 1.0 / z
                p1, p2 = e1 * p0, e2 * p0
                if not new < 1e250:
                    logs += log(down)
                    new = z
                    if z > 1e250:
                        top = b * max(x1, x2)
                        e1, e2 = exp(b * x1 - top), exp(b * x2 - top)
                        new = e1 + e2
                        p0, p1, p2 = 0.0, e1 / new, e2 / new
                        logs += top
                down = new
                chosen += own_x - x0
                mean += p1 * x1 + p2 * x2
                by_decay += own_d - (p0 * d0 + p1 * d1 + p2 * d2_)
                by_drift += own_s - (p0 * s0 + p1 * s1 + p2 * s2)
                by_center += m_center[k] - (p0 * m_center[0] + p1 * m_center[1] + p2 * m_center[2])
                # ---- what was seen
                own = m[k]
                gain = v[k] / (v[k] + noise)
                rest = 1.0 - gain
                rest2 = rest * rest
                error = reward[i, t] - c - own
                pull = error * rest2 * per_noise  # of m by v
                own += gain * error
                own_decay = rest * m_decay[k] + pull * v_decay[k]
                own_center = rest * m_center[k] - gain
                own_drift = rest * m_drift[k] + pull * v_drift[k]
                own_v = gain * noise
                own_v_decay = rest2 * v_decay[k]
                own_v_drift = rest2 * v_drift[k]
                # ---- drift: selected, as a number that was just written on its own is slow to read along with others
                for j in range(3):
                    here = j == k
                    mj = own if here else m[j]
                    vj = own_v if here else v[j]
                    m_decay[j] = d * (own_decay if here else m_decay[j]) + mj
                    m_center[j] = d * (own_center if here else m_center[j])
                    m_drift[j] = d * (own_drift if here else m_drift[j])
                    m[j] = d * mj
                    v_decay[j] = dd * (own_v_decay if here else v_decay[j]) + d2 * vj
                    v_drift[j] = dd * (own_v_drift if here else v_drift[j]) + 1.0
                    v[j] = dd * vj + ss
            out[0, i] = b * chosen - logs - log(down)
            out[1, i] = b * by_decay
            out[2, i] = b * by_center
            out[3, i] = b * by_drift * 2.0 * s
            out[4, i] = chosen - mean
        return out

    return kernel


def kalman(params: Params, inputs: Inputs, facts: Facts) -> Evaluate:
    """Return the evaluation of `kalman`; the bonus costs no time where it is 0."""
    _expect(facts, n_actions=3)
    names = ("decay", "center", "sd_drift", "mu0", "sd0", "sd_obs", "phi", "beta")
    active = ("decay", "center", "sd_drift", "beta")
    return _bind(_kalman_with(bool(np.any(params["phi"]))), params, names, inputs, ("action", "reward"), active)


# ------------------------------------------------------------------------------------------------------------ q_mdp
@_jit
def _q_mdp(
    alpha: np.ndarray,
    gamma: np.ndarray,
    q0: np.ndarray,
    beta: np.ndarray,
    state: np.ndarray,
    action: np.ndarray,
    next_state: np.ndarray,
    reward: np.ndarray,
    done: np.ndarray,
) -> np.ndarray:
    """Return log likelihood, and derivatives by alpha, gamma, and beta, one in a row; for three actions."""
    n_subjects, n_trials = action.shape
    n_states = q0.shape[1]
    out = np.empty((4, n_subjects))
    q, weight = np.empty((n_states, 3)), np.empty((n_states, 3))
    qa, qg = np.empty((n_states, 3)), np.empty((n_states, 3))  # derivatives by alpha and gamma
    base = np.empty(n_states)  # weights are exp(beta (q - base))
    for i in range(n_subjects):
        a, g, b = alpha[i], gamma[i], beta[i]
        qa[:] = 0.0
        qg[:] = 0.0
        for s in range(n_states):
            base[s] = q0[i, s, 0]
            for j in range(3):
                q[s, j] = q0[i, s, j]
                weight[s, j] = 1.0 if q[s, j] == base[s] else exp(b * (q[s, j] - base[s]))
        chosen = by_alpha = by_gamma = by_beta = logs = 0.0
        down = 1.0
        for t in range(n_trials):
            s, k = state[i, t], action[i, t]
            z = weight[s, 0] + weight[s, 1] + weight[s, 2]
            new = down * z
            if not 1e-140 < new < 1e140:
                logs += log(down)
                base[s] = max(q[s, 0], q[s, 1], q[s, 2])
                for j in range(3):
                    weight[s, j] = exp(b * (q[s, j] - base[s]))
                new = z = weight[s, 0] + weight[s, 1] + weight[s, 2]
            down = new
            share = 1.0 / z
            e0, e1, e2 = weight[s, 0], weight[s, 1], weight[s, 2]
            own, own_a, own_g = q[s, k], qa[s, k], qg[s, k]
            chosen += own - base[s]
            by_beta += own - share * (e0 * q[s, 0] + e1 * q[s, 1] + e2 * q[s, 2])
            by_alpha += own_a - share * (e0 * qa[s, 0] + e1 * qa[s, 1] + e2 * qa[s, 2])
            by_gamma += own_g - share * (e0 * qg[s, 0] + e1 * qg[s, 1] + e2 * qg[s, 2])
            error = reward[i, t] - own
            error_a, error_g = -own_a, -own_g
            if not done[i, t]:
                s1 = next_state[i, t]
                best, top = 0, q[s1, 0]
                for j in range(1, 3):
                    if q[s1, j] > top:
                        best, top = j, q[s1, j]
                error += g * top
                error_a += g * qa[s1, best]
                error_g += g * qg[s1, best] + top
            own += a * error
            q[s, k] = own
            qa[s, k] = own_a + error + a * error_a
            qg[s, k] = own_g + a * error_g
            weight[s, k] = exp(b * (own - base[s]))
        out[0, i] = b * chosen - logs - log(down)
        out[1, i] = b * by_alpha
        out[2, i] = b * by_gamma
        out[3, i] = by_beta
    return out


def q_mdp(params: Params, inputs: Inputs, facts: Facts) -> Evaluate:
    """Return the evaluation of `q_mdp`."""
    _expect(facts, n_actions=3)
    columns = ("state", "action", "next_state", "reward", "done")
    active = ("alpha", "gamma", "beta")
    return _bind(_q_mdp, params, ("alpha", "gamma", "q0", "beta"), inputs, columns, active)


# -------------------------------------------------------------------------------------------------- two_step_hybrid
@_jit
def _two_step_hybrid(
    alpha1: np.ndarray,
    alpha2: np.ndarray,
    beta1: np.ndarray,
    beta2: np.ndarray,
    lam: np.ndarray,
    w: np.ndarray,
    stickiness: np.ndarray,
    common: np.ndarray,
    action1: np.ndarray,
    state2: np.ndarray,
    action2: np.ndarray,
    reward: np.ndarray,
) -> np.ndarray:
    """Return log likelihood, and derivatives by all parameters but `common`, one in a row."""
    n_subjects, n_trials = action1.shape
    out = np.empty((8, n_subjects))
    # Values of first actions and their derivatives by alpha1, lam, and alpha2; second ones, (state, action) in a row.
    q1, q1_alpha1, q1_lam, q1_alpha2 = np.empty(2), np.empty(2), np.empty(2), np.empty(2)
    q2, q2_alpha2 = np.empty(4), np.empty(4)
    tape = np.empty((n_trials, 8))
    for i in range(n_subjects):
        a1, a2, b1, b2, trace, stick = alpha1[i], alpha2[i], beta1[i], beta2[i], lam[i], stickiness[i]
        apart = 2.0 * common[i] - 1.0  # how much the states that two first actions lead to differ
        model_based, model_free = w[i] * apart, 1.0 - w[i]
        keep1, keep2, second = 1.0 - a1, 1.0 - a2, a1 * (1.0 - trace)
        q1[:] = 0.0
        q1_alpha1[:] = 0.0
        q1_lam[:] = 0.0
        q1_alpha2[:] = 0.0
        q2[:] = 0.0
        q2_alpha2[:] = 0.0
        last = 0.0
        for t in range(n_trials):
            k = action1[i, t]
            here = 2 * state2[i, t] + action2[i, t]
            sign = 1.0 if k == 0 else -1.0
            # ---- by how much the option that was not chosen is better
            top0 = 0 if q2[0] >= q2[1] else 1
            top1 = 2 if q2[2] >= q2[3] else 3
            own1, own1_alpha1, own1_lam, own1_alpha2 = q1[k], q1_alpha1[k], q1_lam[k], q1_alpha2[k]
            own2, own2_alpha2 = q2[here], q2_alpha2[here]
            tape[t, 0] = sign * (q2[top1] - q2[top0])
            tape[t, 1] = q1[k ^ 1] - own1
            tape[t, 2] = -sign * last
            tape[t, 3] = q1_alpha1[k ^ 1] - own1_alpha1
            tape[t, 4] = q1_lam[k ^ 1] - own1_lam
            slope = sign * (q2_alpha2[top1] - q2_alpha2[top0])
            tape[t, 5] = model_based * slope + model_free * (q1_alpha2[k ^ 1] - own1_alpha2)
            tape[t, 6] = q2[here ^ 1] - own2
            tape[t, 7] = q2_alpha2[here ^ 1] - own2_alpha2
            # ---- learning
            error2 = reward[i, t] - own2
            error1 = own2 - own1 + trace * error2
            q1[k] = own1 + a1 * error1
            q1_alpha1[k] = keep1 * own1_alpha1 + error1
            q1_lam[k] = keep1 * own1_lam + a1 * error2
            q1_alpha2[k] = keep1 * own1_alpha2 + second * own2_alpha2
            q2[here] = own2 + a2 * error2
            q2_alpha2[here] = keep2 * own2_alpha2 + error2
            last = sign
        by_mb = by_mf = by_stick = by_alpha1 = by_lam = by_alpha2 = by_beta2 = by_alpha2_second = logs = 0.0
        down = 1.0
        for t in range(n_trials):
            gap_mb, gap_mf, gap_stick, gap2 = tape[t, 0], tape[t, 1], tape[t, 2], tape[t, 6]
            x1 = b1 * (model_based * gap_mb + model_free * gap_mf + stick * gap_stick)
            x2 = b2 * gap2
            e1, e2 = exp(x1), exp(x2)
            z1, z2 = 1.0 + e1, 1.0 + e2
            p1, p2 = e1 / z1, e2 / z2  # probabilities of the options that were not chosen
            new = down * (z1 * z2)
            if not new < 1e250:
                logs += log(down)
                if z1 > 1e250:
                    logs += x1
                    z1 = p1 = 1.0
                if z2 > 1e250:
                    logs += x2
                    z2 = p2 = 1.0
                logs += log(z1)
                new = z2
            down = new
            by_mb += p1 * gap_mb
            by_mf += p1 * gap_mf
            by_stick += p1 * gap_stick
            by_alpha1 += p1 * tape[t, 3]
            by_lam += p1 * tape[t, 4]
            by_alpha2 += p1 * tape[t, 5]
            by_beta2 += p2 * gap2
            by_alpha2_second += p2 * tape[t, 7]
        out[0, i] = -logs - log(down)
        out[1, i] = -b1 * model_free * by_alpha1
        out[2, i] = -b1 * by_alpha2 - b2 * by_alpha2_second
        out[3, i] = -(model_based * by_mb + model_free * by_mf + stick * by_stick)
        out[4, i] = -by_beta2
        out[5, i] = -b1 * model_free * by_lam
        out[6, i] = -b1 * (apart * by_mb - by_mf)
        out[7, i] = -b1 * by_stick
    return out


def two_step_hybrid(params: Params, inputs: Inputs, facts: Facts) -> Evaluate:
    """Return the evaluation of `two_step_hybrid`."""
    _expect(facts, n_actions=2, n_states=2)
    active = ("alpha1", "alpha2", "beta1", "beta2", "lam", "w", "stickiness")
    columns = ("action1", "state2", "action2", "reward")
    return _bind(_two_step_hybrid, params, (*active, "common"), inputs, columns, active)


# --------------------------------------------------------------------------------------------------------- together
def _expect(facts: Facts, **sizes: int) -> None:
    """Raise a ValueError unless sizes are those that a kernel was written for."""
    for name, size in sizes.items():
        if (found := getattr(facts, name)) != size:
            raise ValueError(f"{name}: found {found}, and the kernel was written for {size}")


def _bind(
    kernel: Callable[..., np.ndarray],
    params: Params,
    names: Sequence[str],
    inputs: Inputs,
    columns: Sequence[str],
    active: Sequence[str],
) -> Evaluate:
    """Return a kernel that has its arguments."""
    arguments = [np.ascontiguousarray(params[k], dtype=float) for k in names]
    arguments += [_column(inputs[k]) for k in columns]

    def evaluate() -> tuple[np.ndarray, dict[str, np.ndarray]]:
        out: Any = kernel(*arguments)
        return out[0], dict(zip(active, out[1:], strict=True))

    return evaluate


def _column(values: np.ndarray) -> np.ndarray:
    """Return a column, an index as a number without sign, which numba need not check for counting from the end."""
    return np.ascontiguousarray(values, dtype=np.uint8 if values.dtype.kind == "i" else values.dtype)


type Bind = Callable[[Params, Inputs, Facts], Evaluate]

BACK: dict[str, Bind] = {"delta": delta_back}  # with a sweep back
KERNELS: dict[str, Bind] = {  # the fastest
    "delta": delta,
    "kalman": kalman,
    "q_mdp": q_mdp,
    "two_step_hybrid": two_step_hybrid,
}
