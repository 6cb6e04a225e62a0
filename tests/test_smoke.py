"""From data to a comparison: what must work with every version of the libraries that pyproject.toml allows."""

import numpy as np
import pytest

import rlpymc as rl


@pytest.mark.filterwarnings("ignore::rlpymc.fitting.nuts.diagnostics.SamplingWarning")
@pytest.mark.filterwarnings("ignore:Pareto k:UserWarning")
def test_a_study_runs_by_machine_code(tmp_path):
    trials = rl.example_data("fontanesi2019").isel(subject=slice(6))
    found = {}
    for name in ("delta", "delta(rates=sign)"):
        model = rl.build(name, trials)
        fit = rl.sample(model, draws=200, tune=200, chains=2, seed=1, progress=False)
        assert (fit.attrs["sampled_by"], fit.attrs["why"]) == ("machine", "")
        rl.save(fit, tmp_path / "fit.nc")
        found[name] = rl.loo(rl.load(tmp_path / "fit.nc"), unit="trial")
        probs = rl.predict(model, fit, draws=2, seed=1)["action_probs"]
        np.testing.assert_allclose(probs.sum("option").where(trials["exists"], 1.0), 1.0)
    assert set(rl.compare(found).index) == set(found)
    assert set(rl.fit_mle("delta", trials, progress=False).status.values) <= {"converged", "at a bound"}
