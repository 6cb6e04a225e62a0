"""What `stan_bandit` runs with the Python that has httpstan: a job comes on standard input, results leave by a file.

Imports nothing of rlpymc, which is not installed there.
"""

import asyncio
import gzip
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpstan.cache
import httpstan.models
from httpstan import services_stub

SAMPLER = "stan::services::sample::hmc_nuts_diag_e_adapt"


def module_of(program: str) -> tuple[str, Any, float]:
    """Return a program's name, its compiled module, and the seconds of compiling, 0 if it was compiled before."""
    name, started = httpstan.models.calculate_model_name(program), time.perf_counter()
    try:
        return name, httpstan.models.import_services_extension_module(name), 0.0
    except KeyError:
        asyncio.run(httpstan.models.build_services_extension_module(program))
    return name, httpstan.models.import_services_extension_module(name), time.perf_counter() - started


async def chains(name: str, job: dict[str, Any]) -> None:
    """Run all chains, as many at a time as there are cores."""
    settings = {"data": job["data"], "init": {}, "num_samples": job["draws"], "num_warmup": job["tune"], "refresh": 0}
    calls = [
        services_stub.call(SAMPLER, name, f"{name}/fits/{k}", **settings, random_seed=job["seed"], chain=k)
        for k in range(1, job["chains"] + 1)
    ]
    await asyncio.gather(*calls)


def draws_of(fit: str) -> Iterator[dict[str, float]]:
    """Yield what a chain says of each draw, and delete its file."""
    path = Path(httpstan.cache.fit_path(fit))
    for line in gzip.decompress(path.read_bytes()).splitlines():
        message = json.loads(line)
        if message["topic"] == "sample" and "lp__" in message["values"]:
            yield message["values"]
    path.unlink()


def main() -> None:
    """Do the job."""
    job = json.load(sys.stdin)
    name, module, compiling = module_of(job["program"])
    found: dict[str, Any] = {"compile": compiling}
    found["log_densities"] = [module.log_prob(job["data"], point, True) for point in job["points"]]
    if job["draws"]:
        del module  # a worker loads it itself
        started = time.perf_counter()
        asyncio.run(chains(name, job))
        found["sampling"] = time.perf_counter() - started
        services_stub.executor.shutdown()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        found["CPU"] = used.ru_utime + used.ru_stime
        found["chains"] = [list(draws_of(f"{name}/fits/{k}")) for k in range(1, job["chains"] + 1)]
    Path(job["result"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
