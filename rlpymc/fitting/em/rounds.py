"""The rounds of expectation-maximisation, kept in a folder so that a broken run goes on where it was."""

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track

from rlpymc.fitting.em.e_step import EStep, Modes
from rlpymc.fitting.em.evidence import laplace
from rlpymc.fitting.em.group import Group
from rlpymc.fitting.em.unbounded import Unbounded
from rlpymc.fitting.run_folder import RunFolder

FILE = "rounds.npz"


class Rounds:
    """E steps and M steps in turn.

    Parameters
    ----------
    problem : Unbounded
        The likelihood.
    group : Group
        Where the group starts.
    shared : (entry,)
        Where the search for shared numbers starts, on the unbounded scale.
    variance : {"huys", "conditional"}
        What counts as a subject's uncertainty.
    l2 : float
        Penalty of numbers on the unbounded scale.
    seed : int, optional
        For the points where the first search starts.
    folder : RunFolder, optional
        Where each round is written when it is finished.
    """

    def __init__(
        self,
        problem: Unbounded,
        group: Group,
        shared: np.ndarray,
        variance: str,
        l2: float,
        seed: int | None,
        folder: RunFolder | None,
    ) -> None:
        self.problem, self.group, self.l2, self._seed = problem, group, l2, seed
        self._conditional, self._folder = variance == "conditional", folder
        self._shared = shared
        self._rows: np.ndarray | None = None
        self._curvature: np.ndarray | None = None
        self._shared_inverse: np.ndarray | None = None
        self._history: list[np.ndarray] = []
        own = problem.labels[: problem.n_own]
        columns = [f"{label}_{part}" for label in own for part in ("mu", "sigma")]
        self._columns = [*columns, *problem.labels[problem.n_own :], "objective", "change", "n_failed"]
        if folder is not None:
            folder.read(FILE, self._read)

    def run(self, iterations: int, tol: float | None, progress: bool) -> Modes:
        """Go through rounds until little changes; return the modes under the last group."""
        if len(self._history) > iterations:
            raise ValueError(
                f"the folder holds {len(self._history)} rounds, and iterations={iterations} asks for fewer; give at "
                "least as many, or another folder"
            )
        label = f"{self.problem.data.model.name}: expectation-maximisation"
        for _ in track(range(len(self._history), iterations), label, disable=not progress, transient=True):
            if self.settled(tol):
                break
            self._next()
        modes = self._modes()
        if self.group.flat:
            self.group = self.group.estimated(modes.rows[:, : self.problem.n_own], np.zeros_like(modes.cov))
        return modes

    def settled(self, tol: float | None) -> bool:
        """True if the last round changed neither the group nor the objective by more than a tolerance."""
        if tol is None or len(self._history) < 2:
            return False
        before, last = (dict(zip(self._columns, row, strict=True)) for row in self._history[-2:])
        gain = abs(last["objective"] - before["objective"])
        return bool(last["change"] <= tol and gain <= tol * max(1.0, abs(last["objective"])))

    @property
    def history(self) -> pd.DataFrame:
        """A row for each round."""
        rows = np.array(self._history).reshape(-1, len(self._columns))
        table = pd.DataFrame(rows, columns=self._columns, index=pd.RangeIndex(1, len(rows) + 1, name="round"))
        return table.astype({"n_failed": int})

    def _next(self) -> None:
        modes, before, n_own = self._modes(), self.group, self.problem.n_own
        uncertainty = modes.cov
        if self._conditional:
            diagonal = np.diagonal(np.linalg.inv(modes.cov), axis1=1, axis2=2)
            uncertainty = np.eye(n_own) / diagonal[:, :, None]
        self.group = before.estimated(modes.rows[:, :n_own], uncertainty)
        old_shared = self._shared if self._rows is None else self._rows[0, n_own:]
        shared = modes.rows[0, n_own:]
        changes = [
            *(new - old for new, old in zip(self.group.coefficients, before.coefficients, strict=True)),
            self.group.sigma - before.sigma,
            shared - old_shared,
        ]
        if not self.group.diagonal:
            changes.append((self.group.cov - before.cov).ravel())
        change = max(float(np.abs(c).max(initial=0.0)) for c in changes)
        moments = np.stack([self.group.mu, self.group.sigma], axis=1).ravel()
        objective = laplace(modes, before).sum() - 0.5 * self.l2 * (shared**2).sum()
        n_failed = (~(modes.converged & modes.maximum)).sum()
        self._history.append(np.concatenate([moments, shared, [objective, change, n_failed]]))
        self._rows, self._curvature, self._shared_inverse = modes.rows, modes.curvature, modes.shared_inverse
        if self._folder is not None:
            self._folder.write(FILE, self._save())

    def _modes(self) -> Modes:
        step = EStep(self.problem, self.group, self.l2)
        rows = step.first_rows(self._shared, self._seed) if self._rows is None else self._rows
        return step.search(rows, self._curvature, self._shared_inverse)

    def _save(self) -> bytes:
        state: dict[str, Any] = {
            "coefficients": np.concatenate(self.group.coefficients),
            "cov": self.group.cov,
            "rows": self._rows,
            "curvature": self._curvature,
            "shared_inverse": self._shared_inverse,
            "history": np.array(self._history),
        }
        file = BytesIO()
        np.savez(file, **state)
        return file.getvalue()

    def _read(self, content: bytes) -> None:
        with np.load(BytesIO(content)) as kept:
            state: dict[str, Any] = {name: kept[name] for name in kept.files}
        self.group = self.group.with_values(state["coefficients"], state["cov"])
        self._rows, self._curvature = state["rows"], state["curvature"]
        self._shared_inverse, self._history = state["shared_inverse"], list(state["history"])
