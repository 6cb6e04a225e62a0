"""Points on the unbounded scale: where variables stand in them, where chains start, and what points mean."""

from collections.abc import Sequence

import numpy as np

from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.record import Record
from rlpymc.population.correlations import Block
from rlpymc.population.effects import Effect
from rlpymc.population.predictors import Predictor, numbers_of


class Points:
    """The points that a posterior's density is a function of.

    Parameters
    ----------
    effects : sequence of Effect
        The parameters that are estimated.
    n_subjects : int
        Number of subjects.
    predictors : sequence of Predictor
        What follows from some of them.
    blocks : sequence of Block
        Of which deviations are correlated.

    Attributes
    ----------
    places : dict of slice
        Where variables stand in a point, by the names of `build`: ``alpha_mu``, ``alpha_sigma``, ``alpha_z``, ...
    labels : list of str
        Names of the numbers in a point.
    """

    def __init__(
        self,
        effects: Sequence[Effect],
        n_subjects: int,
        predictors: Sequence[Predictor] = (),
        blocks: Sequence[Block] = (),
    ) -> None:
        self.effects, self.n_subjects = tuple(effects), n_subjects
        self.predictors, self.blocks = tuple(predictors), tuple(blocks)
        shapes = {
            name: e.group_shape if v.level == "group" else (n_subjects, *e.shape)
            for e in effects
            for name, v in e.named.items()
        }
        self._vector = ParameterVector(shapes)
        self.places, self.labels = self._vector.places, self._vector.labels

    def __len__(self) -> int:
        return len(self.labels)

    def start(self, seed: int | None) -> np.ndarray:
        """Return a random point around the middle of the priors, as PyMC starts its chains."""
        middles = [v.prior.middle() for e in self.effects for v in e.variables]
        sizes = [place.stop - place.start for place in self.places.values()]
        return np.repeat(middles, sizes) + np.random.default_rng(seed).uniform(-1, 1, size=len(self))

    def variables(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Return the variables of PyMC's model, (draw, ...) by name, for points (draw, number)."""
        unbounded = self._vector.split(points)
        found: dict[str, np.ndarray] = {}
        numbers, vectors = dict[str, np.ndarray](), dict[str, dict[str, str]]()
        made = numbers_of(self.predictors)
        for effect in self.effects:
            natural = {name: v.prior.unbounded(unbounded[name])[0] for name, v in effect.named.items()}
            # with draws on the last axis the group's variables go with the subjects' as they do for a single draw
            own = {v.key: np.moveaxis(natural[name], 0, -1) for name, v in effect.named.items()}
            own |= {key: np.moveaxis(found[name], 0, -1) for key, name in effect.foreign.items()}
            v = Record(**own, **effect.known(2 + len(effect.shape)))
            found |= natural | {name: np.moveaxis(value, -1, 0) for name, value in effect.computed(v).items()}
            for name, parts in effect.vectors.items():
                vectors.setdefault(name, {}).update(parts)
            if effect.name in made:
                value = np.moveaxis(np.asarray(effect.value(v)), -1, 0)
                numbers[effect.name] = value if effect.by_subject else value[:, None]
        for predictor in self.predictors:
            found |= {name: value for name, (value, _) in predictor.shown(found, numbers).items()}
        for block in self.blocks:
            rows = [[np.broadcast_to(entry, len(points)) for entry in row] for row in block.matrix(found)]
            found[block.name] = np.moveaxis(np.array(rows), -1, 0)
        for name, parts in vectors.items():
            found[name] = np.stack([found.pop(part) for part in parts.values()], axis=1)
        return found
