"""A thousand subjects of a thousand trials, simulated by the compiled step.

./run python -m benchmarks.simulate
"""

import time

import rlpymc as rl
from rlpymc.validation.examples import default_task, plausible_params


def main() -> None:
    """Print seconds, compilation included."""
    for name in ("delta", "rlwm", "two_step_hybrid", "q_mdp"):
        model = rl.get_model(name)
        task = rl.tasks.RLWM((2, 3, 4, 5, 6) * 4) if name == "rlwm" else default_task(model, block_length=1000)
        started = time.perf_counter()
        rl.simulate(model, task, plausible_params(model), 1000, 1000, seed=1)
        print(f"{name}: 1000 subjects x 1000 trials in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
