"""Figures of transition models show the numbers that they are made from."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.plots import transitions as plots
from rlpymc.transitions import Beta, CustomSin, Gaussian, Product, Transition, run_episodes

mpl.use("Agg")
SIN = CustomSin(1.7, 4)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def run():
    return run_episodes(rl.tasks.SinMDP(), ["truth", "random"], seeds=3, episodes=4, trials=5, evaluations=0)


def drawn(figure, k=0):
    return [line.get_xydata() for line in figure.axes[k].lines]


def labels(figure, k=-1):
    return [text.get_text() for text in figure.axes[k].get_legend().get_texts()]


def test_densities():
    x = SIN.sample(1.0, np.random.default_rng(1), 500)
    figure = plots.densities({"true": (SIN, 1.0), "normal": (Gaussian(1.0), [0.2])}, x)
    assert labels(figure) == ["draws", "true", "normal"]
    (a, b), (c, d) = drawn(figure)[0].T, drawn(figure)[1].T
    assert_allclose(b, SIN.prob(a, 1.0))
    assert_allclose(d, Gaussian(1.0).prob(c, 0.2))
    assert_allclose(sum(bar.get_height() * bar.get_width() for bar in figure.axes[0].patches), 1, atol=0.01)
    _, ax = plt.subplots()
    assert plots.densities({"shapes": (Beta(), [1.0, 4.0])}, limits=(0.0, 1.0), ax=ax) is ax.get_figure()
    assert ax.get_xlim() == (0, 1)


def test_draws_by_coordinate():
    pole = rl.tasks.StochasticCartPole()
    model = Transition(Product([Gaussian(s**2) for s in pole.scale]), np.eye(4, 5))
    figure = plots.draws(pole, {"model": model}, np.zeros(4), n=500)
    assert len(figure.axes) == 4
    assert labels(figure) == ["world", "model"]
    figure = plots.draws(rl.tasks.SinMDP(), {"model": Transition(SIN, [[1.0, 1.0]])}, [0.5], n=500)
    assert len(figure.axes) == 1


def test_law():
    task = rl.tasks.SinMDP()
    figure = plots.law(task, task.transition, (0.5,))
    x, p = drawn(figure)[1].T
    assert_allclose(p, SIN.prob(x, 1.5))
    assert labels(figure) == ["reward", "after action -1", "after action +1"]


def test_curves_by_episode(run):
    for figure, values in (
        (plots.cumulative_reward(run), run["reward"].cumsum("episode")),
        (plots.cumulative_regret(run), run["regret"].cumsum("episode")),
        (plots.action_counts(run), run["action_count"].sel(action=1)),
        (plots.action_counts(run, 0), run["action_count"].sel(action=0)),
    ):
        assert labels(figure) == ["truth", "random"]
        for k, line in enumerate(drawn(figure)):
            assert_allclose(line[:, 1], values.isel(method=k).mean("seed"))
        assert len(figure.axes[0].collections) == 2
    one = plots.cumulative_reward(run.isel(seed=[0]))
    assert not one.axes[0].collections
    with pytest.raises(ValueError, match="action: found 2, expected one of 0, 1"):
        plots.action_counts(run, 2)


def test_errors():
    n = np.array([100, 1000])
    figure = plots.errors({"one": ([100, 1000, 4000], [0.3, 0.1, 0.05]), "many": (n, [[0.3, 0.5], [0.1, 0.2]])})
    assert labels(figure) == ["one", "many", "$n^{-1/2}$"]
    lines = drawn(figure)
    assert_allclose(lines[1][:, 1], [0.4, 0.15])
    assert_array_equal(lines[2][:, 0], [100, 1000, 4000])
    assert_allclose(lines[2][0, 1] / lines[2][1:, 1], np.sqrt([10, 40]))
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
