"""Two published data sets that ship with the library, read into trials. README.md says where they come from."""

from importlib.resources import files

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.trials.reading import read_trials


def example_data(name: str) -> xr.Dataset:
    """Return trials of a published experiment.

    Parameters
    ----------
    name : str
        "fontanesi2019": 27 people choose between two of a block's four options and see the points of both; three
        blocks of 80 trials. The options give about 36, 40, 50 and 54 points on average, so the scale is chosen with 0
        in the middle: reward = (points - 45) / 10, reward_other likewise for the option not chosen. `available` is the
        pair on offer; the points themselves are `points` and `points_other`.

        "collins2018_rlwm": 40 people learn which of three keys belongs to each picture, with 1 to 6 pictures in a
        block (`set_size`). Where no key was pressed, action is -1, and reward, correct and rt are NaN.

        In both the state starts again with each block, and actions, options and pictures are counted from 0.

    Returns
    -------
    xr.Dataset
        Trials as from `read_trials`; attrs["reward_scale"] says what a reward of 1 is, attrs["note"] how the columns
        were made, attrs["citation"] whom to cite.

    Raises
    ------
    ValueError
        If there is no such data set; the message names those that there are.

    Examples
    --------
    >>> from rlpymc import facts
    >>> trials = example_data("fontanesi2019")
    >>> trials.sizes["subject"], facts(trials)["n_actions"]
    (27, 4)
    """
    readers = {"fontanesi2019": _fontanesi2019, "collins2018_rlwm": _collins2018_rlwm}
    if name not in readers:
        raise unknown("data set", name, readers)
    with (files(__name__) / f"{name}.csv.gz").open("rb") as file:
        return readers[name](pd.read_csv(file, compression="gzip"))


def _fontanesi2019(source: pd.DataFrame) -> xr.Dataset:
    better = source["accuracy"] == 1
    points = source["f_cor"].where(better, source["f_inc"])
    points_other = source["f_inc"].where(better, source["f_cor"])
    table = pd.DataFrame(
        {
            "subject": source["participant"],
            "block": source["block_label"],
            "trial": source["trial_block"],
            "action": source["cor_option"].where(better, source["inc_option"]) - 1,
            "reward": (points - 45) / 10,
            "reward_other": (points_other - 45) / 10,
            "better_option": source["cor_option"] - 1,
            "worse_option": source["inc_option"] - 1,
            "points": points,
            "points_other": points_other,
            "accuracy": source["accuracy"],
            "times_seen": source["times_seen"],
            "rt": source["rt"],
        }
    )
    trials = read_trials(table, {"available": ["better_option", "worse_option"]}, reset="block")
    return trials.assign_attrs(
        reward_scale="reward = (points - 45) / 10: one unit is 10 points, 0 is 45 points",
        note="The options' means are about 36, 40, 50 and 54 points, so that a reward of 0 lies in their middle.",
        citation="Fontanesi, Gluth, Spektor & Rieskamp (2019), Psychonomic Bulletin & Review, "
        "doi 10.3758/s13423-018-1554-2",
    )


def _collins2018_rlwm(source: pd.DataFrame) -> xr.Dataset:
    answered = source["action"] != -1
    table = source.assign(
        stimulus=source["stimulus"] - 1,
        correct_action=source["correct_action"] - 1,
        action=(source["action"] - 1).where(answered, -1),
        **{name: source[name].where(answered, np.nan) for name in ("correct", "reward", "rt")},
    )
    trials = read_trials(table, missing=-1, reset="block")
    return trials.assign_attrs(
        reward_scale="reward = 1 for the right key, 0 for a wrong one",
        note="Trials without an answer have action -1, and NaN in reward, correct and rt.",
        citation="Collins & Frank (2018), PNAS; data from the GitHub repository AnneCollins/WMH",
    )
