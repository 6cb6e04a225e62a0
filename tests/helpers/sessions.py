"""Six people's choices in two sessions of two blocks each, which they did not all finish."""

from typing import Any

import numpy as np
import pandas as pd

import rlpymc as rl

LENGTHS = np.array([24, 17, 20, 24, 15, 22])
NAMES = ["s4", "s1", "s6", "s2", "s5", "s3"]
GROUPS = ["treated", "control", "treated", "treated", "control", "control"]


def table(*sessions: Any, seed: int = 1) -> pd.DataFrame:
    """Return 15 to 24 trials of each, with groups, sessions of these names, blocks, and a load that is each trial's."""
    params = {"alpha": [0.2, 0.3, 0.5, 0.4, 0.6, 0.7], "beta": 3.0}
    made = rl.to_table(rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), params, 6, 24, seed=seed))
    who, trial = made["subject"].to_numpy(), made["trial"].to_numpy()
    made = made[["trial", "action", "reward"]].assign(
        subject=np.array(NAMES)[who],
        group=np.array(GROUPS)[who],
        session=np.array(sessions, dtype=object if isinstance(sessions[0], str) else int)[trial // 12],
        block=trial // 6,
        load=np.random.default_rng(seed).normal(2.0, 3.0, len(made)),
    )
    return made[trial < LENGTHS[who]]
