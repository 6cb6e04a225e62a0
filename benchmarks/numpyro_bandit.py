"""The hierarchical two-armed bandit written by hand in NumPyro, the same posterior as ``build("delta", trials)``.

    ./run python -m benchmarks.numpyro_bandit [--draws 1000] [--tune 1000] [--chain-method parallel]

Prints how far the two log densities are apart, NumPyro's seconds, and its effective draws.  Importing this sets JAX to
float64, in which rlpymc computes, and to a CPU device for each of 4 chains, whatever the number of cores: with fewer
devices than chains NumPyro's "parallel" falls back to one chain after another.
"""

import argparse
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import xarray as xr
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import initialize_model

from benchmarks.bandit import HYPERPRIORS, differ_by, plain_columns, simulated, smallest_ess
from benchmarks.measure import cost

CHAINS = 4
jax.config.update("jax_enable_x64", True)
numpyro.set_host_device_count(CHAINS)


def model(action: jax.Array, reward: jax.Array) -> None:
    """Delta rule with softmax; learning rate and inverse temperature vary around the group's, non-centred.

    Parameters
    ----------
    action : (subject, trial)
        Choices, 0 or 1.
    reward : (subject, trial)
        What each choice brought.
    """
    n_subjects, n_trials = action.shape
    alpha_mu = numpyro.sample("alpha_mu", dist.Normal(*HYPERPRIORS["alpha_mu"]))
    alpha_sigma = numpyro.sample("alpha_sigma", dist.HalfNormal(*HYPERPRIORS["alpha_sigma"]))
    beta_mu = numpyro.sample("beta_mu", dist.Normal(*HYPERPRIORS["beta_mu"]))
    beta_sigma = numpyro.sample("beta_sigma", dist.HalfNormal(*HYPERPRIORS["beta_sigma"]))
    with numpyro.plate("subjects", n_subjects):
        alpha_z = numpyro.sample("alpha_z", dist.Normal(0.0, 1.0))
        beta_z = numpyro.sample("beta_z", dist.Normal(0.0, 1.0))
        alpha = numpyro.deterministic("alpha", jax.nn.sigmoid(alpha_mu + alpha_sigma * alpha_z))
        beta = numpyro.deterministic("beta", jnp.exp(beta_mu + beta_sigma * beta_z))

    def step(q: jax.Array, x: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        chosen, r = x  # (subject, 2), (subject,)
        return q + alpha[:, None] * chosen * (r[:, None] - q), q

    _, q = jax.lax.scan(step, jnp.zeros((n_subjects, 2)), (jax.nn.one_hot(action.T, 2), reward.T))
    with numpyro.plate("trials", n_trials, dim=-2), numpyro.plate("subjects", n_subjects, dim=-1):
        numpyro.sample("choice", dist.Categorical(logits=beta[:, None] * q), obs=action.T)


def sample(
    trials: xr.Dataset, draws: int, tune: int, chains: int, seed: int, chain_method: str = "parallel"
) -> tuple[xr.Dataset, dict[str, float]]:
    """Sample with NumPyro's NUTS at its own settings.

    Each call of ``MCMC.run`` compiles anew, the second of the same object too.  To tell compiling from sampling, the
    run is therefore compiled ahead as one function: of a chain, mapped over devices, or of all chains at once.

    Parameters
    ----------
    trials : xr.Dataset
        From `simulate`, two actions, none missed.
    draws, tune, chains : int
        Draws kept and draws for tuning, in each chain.
    seed : int
        For the random numbers.
    chain_method : {"parallel", "vectorized"}
        NumPyro's: each chain on a CPU device of its own, or all in step.

    Returns
    -------
    posterior : xr.Dataset
        Parameters with dims (chain, draw) and, those of subjects, (chain, draw, subject).
    seconds : dict
        "compile" (tracing included), "sampling" (tuning included), "CPU" of the latter, and "total".

    Raises
    ------
    ValueError
        If there is no such method, there are fewer devices than chains in parallel, or the trials are none for this
        model.
    """
    if chain_method not in ("parallel", "vectorized"):
        raise ValueError(f"chain_method: found {chain_method!r}, expected 'parallel' or 'vectorized'")
    action, reward = _columns(trials)
    apart = chain_method == "parallel"
    if apart and chains > jax.local_device_count():
        raise ValueError(
            f"found {jax.local_device_count()} devices, expected one for each of {chains} chains; import this before "
            f"JAX computes anything, with at most {CHAINS} chains, or pass chain_method='vectorized'"
        )

    def run(key: jax.Array) -> dict[str, jax.Array]:
        mcmc = MCMC(
            NUTS(model),
            num_warmup=tune,
            num_samples=draws,
            num_chains=1 if apart else chains,
            chain_method=chain_method,
            progress_bar=False,
        )
        mcmc.run(key, action, reward)
        return mcmc.get_samples(group_by_chain=not apart)

    key = jax.random.key(seed)
    keys = jax.random.split(key, chains) if apart else key
    compiled = cost(lambda: (jax.pmap(run) if apart else jax.jit(run)).lower(keys).compile())
    ran = cost(lambda: jax.block_until_ready(compiled.found(keys)))
    found = ran.found
    posterior = {
        name: (("chain", "draw", "subject")[: found[name].ndim], np.asarray(found[name]))
        for name in ("alpha", "beta", *HYPERPRIORS)
    }
    seconds = {"compile": compiled.wall, "sampling": ran.wall, "CPU": ran.cpu, "total": compiled.wall + ran.wall}
    return xr.Dataset(posterior, coords={"subject": trials["subject"].values}), seconds


def same_posterior(trials: xr.Dataset) -> float:
    """Return how far the log density here and that of `rlpymc.build` are from differing by a constant."""
    potential = initialize_model(jax.random.key(0), model, model_args=_columns(trials)).potential_fn

    def log_density(point: Mapping[str, np.ndarray]) -> float:
        return -float(potential({k: jnp.asarray(v) for k, v in point.items()}))

    return differ_by(trials, log_density)


def main() -> None:
    """Print the check, seconds and effective draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--tune", type=int, default=1000)
    parser.add_argument("--chain-method", choices=("parallel", "vectorized"), default="parallel")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trials = simulated()
    print(f"log densities differ by a constant, to {same_posterior(trials):.1e}")
    posterior, seconds = sample(trials, options.draws, options.tune, CHAINS, options.seed, options.chain_method)
    effective = smallest_ess(posterior)
    print(", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    print(f"smallest bulk ESS {effective:.0f}: {effective / seconds['sampling']:.0f} a second of sampling")


def _columns(trials: xr.Dataset) -> tuple[jax.Array, jax.Array]:
    action, reward = plain_columns(trials)
    return jnp.asarray(action), jnp.asarray(reward)


if __name__ == "__main__":
    main()
