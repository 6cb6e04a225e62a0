"""Learners as plain loops over the rows of a table, in its order: what each row adds to the log likelihood.

A row is a dict of what its cells mean: subject, starts (learning starts again before it), the responses as numbers from
0 or None where none was made, outcomes, and scored and learned as the table has them, None where it has no such column.
Rows of several people may stand in any order; each person has a memory of their own.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from math import exp, log, pi
from typing import Any

type Row = dict[str, Any]
type Memory = dict[str, Any]


@dataclass(frozen=True)
class Loop:
    """A learner: how it starts, what a response's log probability is, what it learns, what it remembers."""

    start: Callable[[dict[str, float], dict[str, int]], Memory]
    chance: Callable[[Memory, Row, dict[str, float]], list[float]]  # log probability of each response that was made
    learn: Callable[[Memory, Row, dict[str, float]], None]
    responses: tuple[str, ...] = ("action",)
    parameters: dict[str, tuple[float, ...]] = field(default_factory=dict)  # values to draw from


def log_prob_of_rows(
    loop: Loop, rows: list[Row], params: dict[Hashable, dict[str, float]], sizes: dict[str, int]
) -> list[float]:
    """The log probability of each row, with the parameters of its person."""
    memories: dict[Hashable, Memory] = {}
    found = []
    for row in rows:
        who = row["subject"]
        p = params[who]
        if who not in memories or row["starts"]:
            memories[who] = loop.start(p, sizes)
        memory = memories[who]
        made = [row[name] is not None for name in loop.responses]
        scored = row["scored"]
        if scored is None:
            scored = made
        elif not isinstance(scored, list):
            scored = [scored] * len(made)
        if row.get("outside"):  # a response time that is too fast or too slow
            scored = [False] * len(made)
        total = 0.0
        for k, one in enumerate(loop.chance(memory, row, p)):
            if scored[k]:
                total += one
        found.append(total)
        if all(made) if row["learned"] is None else row["learned"]:
            loop.learn(memory, row, p)
        if made[0]:
            memory["last"] = row[loop.responses[0]]
    return found


def softmax_at(logits: list[float], place: int, offered: list[bool] | None = None) -> float:
    """The probability of one option among those on offer."""
    on_offer = [k for k in range(len(logits)) if offered is None or offered[k]]
    high = max(logits[k] for k in on_offer)
    return exp(logits[place] - high) / sum(exp(logits[k] - high) for k in on_offer)


# ---------------------------------------------------------------- one value per action


def start_values(p: dict[str, float], sizes: dict[str, int]) -> Memory:
    return {"q": [p["q0"]] * sizes["n_actions"], "last": None}


def choose_by_value(memory: Memory, row: Row, p: dict[str, float]) -> list[float]:
    if row["action"] is None:
        return [0.0]
    logits = [p["beta"] * q for q in memory["q"]]
    if "stickiness" in p and memory["last"] is not None:
        logits[memory["last"]] += p["stickiness"]
    return [log(softmax_at(logits, row["action"], row["offered"]))]


def learn_delta(memory: Memory, row: Row, p: dict[str, float]) -> None:
    q, a = memory["q"], row["action"]
    error = row["reward"] - q[a]
    own = "alpha_pos" if error >= 0 else "alpha_neg"
    q[a] += p.get(own, p.get("alpha", 0.0)) * error


def learn_both(memory: Memory, row: Row, p: dict[str, float]) -> None:
    q, chosen = memory["q"], row["action"]
    (other,) = [k for k in range(len(q)) if k != chosen and (row["offered"] is None or row["offered"][k])]
    q[chosen] += p["alpha"] * (row["reward"] - q[chosen])
    q[other] += p["alpha_other"] * (row["reward_other"] - q[other])


# ---------------------------------------------------------------- win-stay, lose-shift


def start_wsls(p: dict[str, float], sizes: dict[str, int]) -> Memory:
    return {"n": sizes["n_actions"], "before": None}


def choose_wsls(memory: Memory, row: Row, p: dict[str, float]) -> list[float]:
    n, a, epsilon = memory["n"], row["action"], p["epsilon"]
    if a is None:
        return [0.0]
    if memory["before"] is None:
        return [log(1 / n)]
    before, won = memory["before"]
    if won:
        return [log((1 - epsilon if a == before else 0) + epsilon / n)]
    return [log((0 if a == before else (1 - epsilon) / (n - 1)) + epsilon / n)]


def learn_wsls(memory: Memory, row: Row, p: dict[str, float]) -> None:
    memory["before"] = row["action"], row["reward"] > 0


# ---------------------------------------------------------------- learning and working memory


def start_rlwm(p: dict[str, float], sizes: dict[str, int]) -> Memory:
    n, n_stimuli = sizes["n_actions"], sizes["n_stimuli"]
    return {name: [[1 / n] * n for _ in range(n_stimuli)] for name in ("q", "wm")} | {"last": None}


def choose_rlwm(memory: Memory, row: Row, p: dict[str, float]) -> list[float]:
    a, s = row["action"], row["stimulus"]
    if a is None:
        return [0.0]
    n = len(memory["q"][0])

    def share(values: list[float]) -> float:
        logits = [25.0 * (v + p["stick"] * (k == memory["last"])) for k, v in enumerate(values)]
        return p["epsilon"] / n + (1 - p["epsilon"]) * softmax_at(logits, a)

    w = p["rho"] * min(1.0, p["capacity"] / row["set_size"])
    return [log(w * share(memory["wm"][s]) + (1 - w) * share(memory["q"][s]))]


def learn_rlwm(memory: Memory, row: Row, p: dict[str, float]) -> None:
    s, a, r, n = row["stimulus"], row["action"], row["reward"], len(memory["q"][0])
    for values in memory["wm"]:
        for k in range(n):
            values[k] += p["forget"] * (1 / n - values[k])
    q, wm = memory["q"][s], memory["wm"][s]
    if r == 0:
        q[a] += p["alpha"] * p["bias_rl"] * (0 - q[a])
        wm[a] += p["bias_wm"] * (0 - wm[a])
    else:
        q[a] += p["alpha"] * (1 - q[a])
        wm[a] = r


# ---------------------------------------------------------------- two steps, and states


def start_two_step(p: dict[str, float], sizes: dict[str, int]) -> Memory:
    n, n_states = sizes["n_actions"], sizes["n_states"]
    return {"q1": [0.0] * n, "q2": [[0.0] * n for _ in range(n_states)], "last": None}


def choose_two_step(memory: Memory, row: Row, p: dict[str, float]) -> list[float]:
    found = [0.0, 0.0]
    q1, q2 = memory["q1"], memory["q2"]
    if row["action1"] is not None:
        best = [max(values) for values in q2]
        logits = []
        for a in range(len(q1)):
            planned = sum((0.7 if s == a else 0.3 / (len(q2) - 1)) * best[s] for s in range(len(q2)))
            repeated = p["stickiness"] if a == memory["last"] else 0.0
            logits.append(p["beta1"] * (p["w"] * planned + (1 - p["w"]) * q1[a] + repeated))
        found[0] = log(softmax_at(logits, row["action1"]))
    if row["action2"] is not None:
        found[1] = log(softmax_at([p["beta2"] * q for q in q2[row["state2"]]], row["action2"]))
    return found


def learn_two_step(memory: Memory, row: Row, p: dict[str, float]) -> None:
    q1, reached = memory["q1"], memory["q2"][row["state2"]]
    a1, a2 = row["action1"], row["action2"]
    first, second = reached[a2] - q1[a1], row["reward"] - reached[a2]
    q1[a1] += p["alpha1"] * (first + p["lam"] * second)
    reached[a2] += p["alpha2"] * second


def start_q(p: dict[str, float], sizes: dict[str, int]) -> Memory:
    return {"q": [[0.0] * sizes["n_actions"] for _ in range(sizes["n_states"])]}


def choose_q(memory: Memory, row: Row, p: dict[str, float]) -> list[float]:
    if row["action"] is None:
        return [0.0]
    return [log(softmax_at([p["beta"] * q for q in memory["q"][row["state"]]], row["action"], row["offered"]))]


def learn_q(memory: Memory, row: Row, p: dict[str, float]) -> None:
    q = memory["q"]
    future = 0.0 if row["done"] else max(q[row["next_state"]])
    s, a = row["state"], row["action"]
    q[s][a] += p["alpha"] * (row["reward"] + p["gamma"] * future - q[s][a])


# ---------------------------------------------------------------- predictions


def start_prediction(p: dict[str, float], sizes: dict[str, int]) -> Memory:
    return {"v": 0.0}


def predict(memory: Memory, row: Row, p: dict[str, float]) -> list[float]:
    if row["prediction"] is None:
        return [0.0]
    distance = (row["prediction"] - memory["v"]) / p["sigma"]
    return [-0.5 * distance**2 - log(p["sigma"]) - 0.5 * log(2 * pi)]


def learn_outcome(memory: Memory, row: Row, p: dict[str, float]) -> None:
    memory["v"] += p["alpha"] * (row["outcome"] - memory["v"])


RATES, TEMPERATURES, SHARES, STARTS = (0.1, 0.35, 0.8), (0.5, 2.0, 5.0), (0.05, 0.3, 0.7), (0.0, 0.5)
BY_VALUE = {"beta": TEMPERATURES, "q0": STARTS}
DELTA = Loop(start_values, choose_by_value, learn_delta, parameters={"alpha": RATES} | BY_VALUE)

LOOPS = {
    "delta": DELTA,
    "delta(rates=sign)": replace(DELTA, parameters={"alpha_pos": RATES, "alpha_neg": RATES} | BY_VALUE),
    "delta+stickiness": replace(DELTA, parameters={"alpha": RATES, "stickiness": (-0.5, 0.0, 1.5)} | BY_VALUE),
    "counterfactual": replace(DELTA, learn=learn_both, parameters={"alpha": RATES, "alpha_other": RATES} | BY_VALUE),
    "wsls": Loop(start_wsls, choose_wsls, learn_wsls, parameters={"epsilon": SHARES}),
    "rlwm": Loop(
        start_rlwm,
        choose_rlwm,
        learn_rlwm,
        parameters=dict.fromkeys(("alpha", "rho", "forget", "epsilon", "bias_wm", "bias_rl"), SHARES)
        | {"stick": (-0.2, 0.0, 0.2), "capacity": (2, 3, 5)},
    ),
    "two_step_hybrid": Loop(
        start_two_step,
        choose_two_step,
        learn_two_step,
        responses=("action1", "action2"),
        parameters=dict.fromkeys(("alpha1", "alpha2", "lam", "w"), SHARES)
        | {"beta1": TEMPERATURES, "beta2": TEMPERATURES, "stickiness": (-0.3, 0.0, 0.4)},
    ),
    "q_mdp": Loop(
        start_q, choose_q, learn_q, parameters={"alpha": RATES, "gamma": (0.0, 0.5, 0.9), "beta": TEMPERATURES}
    ),
    "delta_prediction": Loop(
        start_prediction,
        predict,
        learn_outcome,
        responses=("prediction",),
        parameters={"alpha": RATES, "sigma": (0.3, 1.0, 4.0)},
    ),
}
