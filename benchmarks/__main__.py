"""All benchmarks, side by side in one run.

    ./run python -m benchmarks [--write]

--write puts the tables into benchmarks/README.md.
"""

import argparse

from benchmarks import compilation, likelihood, posterior, published_fits, transitions
from benchmarks.measure import Report, machine


def main() -> None:
    """Print all tables, and write them down where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    out = Report("Results")
    out.say(f"Measured on {machine()}.")
    posterior.report(out, rounds=3)
    published_fits.report(out)
    transitions.report(out, rounds=3)
    compilation.report(out, likelihood.MODELS, ("delta", "rlwm"))
    likelihood.sizes(out, likelihood.MODELS)
    likelihood.scans(out, likelihood.MODELS)
    if write:
        out.write()


if __name__ == "__main__":
    main()
