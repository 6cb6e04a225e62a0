"""How chains disagree, told from the draws of one number, (chain, draw).

Chains agree in one way.  They disagree in several, and what helps against one does nothing against another:

"stuck"
    A chain hardly moves, whatever the others do.
"modes"
    Draws gather in two places, or more, and chains seldom or never go from one to the other.  Within a place they move
    about freely: longer chains are more of the same.  A place where no chain has been leaves no trace.
"flat"
    Chains move slowly along with another number, of which they are all but a function: data know one of the two if they
    are told the other, and little else.
"slow"
    Chains wander over one range, and each takes long for it: longer chains help.

r_hat and the effective sample size tell that something is wrong, and look alike in all of these (Vehtari et al. 2021,
Rank-normalization, folding, and localization).  What tells them apart is how often chains cross a level.  Of draws
without memory, with a share p above the level, 2 p (1 - p) of the steps cross it; chains cross it less often, and the
ratio of the two is called flow here: 1 without memory, 0 if no chain ever crosses, and the same on every scale.  Chains
that move slowly over one range have a low flow at all levels.  Where there are two places, the flow at one level is far
below that within either place: a bottleneck, whose conductance says how long a Markov chain takes (Mangoubi, Pillai and
Smith 2018, Simple conditions for metastability of continuous Markov chains).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import arviz as az
import numpy as np
from scipy.stats import rankdata

LEVELS = np.linspace(0.02, 0.98, 97)  # shares of draws below the levels that are tried
# Flow between two places, in units of the geometric mean of those within them.  Of one normal distribution it is above
# 0.2, but for draws that `FREELY` leaves out; two that are less than four standard deviations apart count as one.
RARE = 0.1
FREELY = 0.2  # flow within a place of chains that know it; slower ones may just not have been elsewhere yet
FEW_STEPS = 20  # tell nothing of a flow
STUCK = 0.1  # share of steps that lead anywhere, in units of the other chains'
MIXED = 50.0  # effective draws of one chain that show where it is
APART = 20.0  # variance of where chains are, in units of what chains of this length would have by chance
ALL_BUT_FEW = 0.95  # share of its draws in one place of a chain that stays there
TIED = 0.9  # rank correlation of numbers of which data know one combination
END = 0.25  # share of draws at one end of a number's range
ONE = 1 - 1e-9  # rank correlation from which on one is the other on another scale


@dataclass(frozen=True)
class Gap:
    """A level that chains seldom cross, and what lies on either side.

    Parameters
    ----------
    places : tuple of float
        Medians of what lies below and above.
    above : (chain, draw)
        Which draws lie above.
    changes : int
        How often chains go from one median to the other; what turns round in between is no change.
    expected : float
        How often draws without memory cross the level.
    """

    places: tuple[float, float]
    above: np.ndarray
    changes: int
    expected: float

    @property
    def flow(self) -> float:
        """The ratio of both."""
        return self.changes / self.expected

    @property
    def longer(self) -> float:
        """How many times as long chains must be to be worth 100 effective draws each of which side they are on.

        A chain of two states that forgets a share f of where it was at each step has f / (2 - f) effective draws for
        each draw.
        """
        return np.inf if self.changes == 0 else 100 * (2 - self.flow) / (self.flow * self.above.shape[1])

    @property
    def chains(self) -> tuple[list[int], list[int], list[int]]:
        """Which chains stay below, stay above, and go to and fro."""
        share = self.above.mean(axis=1)
        below, above = share <= 1 - ALL_BUT_FEW, share >= ALL_BUT_FEW
        return tuple(np.flatnonzero(which).tolist() for which in (below, above, ~below & ~above))  # type: ignore[return-value]


def kind_of(draws: np.ndarray, others: Sequence[np.ndarray] = ()) -> str:
    """Return how chains that are known to disagree do so: "stuck", "modes", "flat" or "slow".

    Parameters
    ----------
    draws : (chain, draw)
        Draws of one number.
    others : sequence of (chain, draw)
        Draws of numbers that it may trade off against.
    """
    if stuck(draws):
        return "stuck"
    if gap(draws) is not None or stay_apart(draws):
        return "modes"
    return "flat" if any(abs(tie(draws, other)) >= TIED for other in others) else "slow"


def stuck(draws: np.ndarray) -> list[int]:
    """Return the chains that take less than a tenth of the steps that the others take; all, if none takes any."""
    moving = (np.diff(draws, axis=1) != 0).mean(axis=1)
    return np.flatnonzero(moving <= STUCK * np.median(moving)).tolist()


def gap(draws: np.ndarray) -> Gap | None:
    """Return the level that chains cross most seldom, if they move freely on either side of it, or None.

    Parameters
    ----------
    draws : (chain, draw)
        Draws of one number.
    """
    above = rankdata(draws).reshape(draws.shape) > LEVELS[:, None, None] * draws.size
    changes = (above[..., 1:] != above[..., :-1]).sum(axis=(1, 2))
    share = above.mean(axis=(1, 2))
    expected = 2 * share * (1 - share) * (draws.size - len(draws))
    if not expected.any():
        return None
    # Half a change more: of several levels that nobody crosses, the one in the middle
    flow = np.divide(changes + 0.5, expected, out=np.full(len(LEVELS), np.inf), where=expected > 0)
    k = int(flow.argmin())
    sides = [_flow_within(draws, held) for held in (~above[k], above[k])]
    if min(sides) < FREELY or changes[k] >= RARE * np.sqrt(np.prod(sides)) * expected[k]:
        return None
    places = float(np.median(draws[~above[k]])), float(np.median(draws[above[k]]))
    return Gap(places, above[k], _changes(draws, places), float(expected[k]))


def _changes(draws: np.ndarray, places: tuple[float, float]) -> int:
    where = (draws >= places[1]).astype(int) - (draws <= places[0])
    return sum(int((np.diff(chain[chain != 0]) != 0).sum()) for chain in where)


def _flow_within(draws: np.ndarray, held: np.ndarray) -> float:
    """Return how freely chains move about on one side, each around a median of its own; 0 if that cannot be told."""
    changes = steps = 0
    for chain, here in zip(draws, held, strict=True):
        both = here[1:] & here[:-1]
        if both.sum() >= FEW_STEPS:
            above = chain > np.median(chain[here])
            changes += int((above[1:] != above[:-1])[both].sum())
            steps += int(both.sum())
    return 2 * changes / steps if steps else 0.0


def stay_apart(draws: np.ndarray) -> bool:
    """Whether chains differ in where they are, or in how wide they move, though each is well mixed by itself.

    Places that overlap in one number leave no gap in it.
    """
    ranks = rankdata(draws).reshape(draws.shape) / draws.size
    return any(_apart(one) for one in (ranks, np.abs(ranks - 0.5)))


def _apart(draws: np.ndarray) -> bool:
    size = np.array([float(az.ess(chain[None], method="mean")) for chain in draws])
    if len(draws) < 2 or not (size >= MIXED).all():
        return False
    by_chance = (draws.var(axis=1, ddof=1) / size).mean()
    return bool(draws.mean(axis=1).var(ddof=1) > APART * by_chance)


def tie(draws: np.ndarray, other: np.ndarray) -> float:
    """Return how nearly one number is a function of another: the largest rank correlation, with its sign.

    It is that of all draws, or of those in the lowest or the highest quarter of either: flat directions bend, and many
    begin where one number is small.  0 if one is the other on another scale.
    """
    if abs(_rank_correlation(draws.ravel(), other.ravel())) > ONE:
        return 0.0
    ranks = [rankdata(x) / x.size for x in (draws, other)]
    parts = [np.ones(draws.size, bool), *(part for r in ranks for part in (r <= END, r >= 1 - END))]
    return max((_rank_correlation(draws.ravel()[part], other.ravel()[part]) for part in parts), key=abs)


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    ranks = [rankdata(x) for x in (a, b)]
    return float(np.corrcoef(ranks)[0, 1]) if a.size and all(r.min() < r.max() for r in ranks) else 0.0
