"""Timings side by side, one command each: ``./run python -m benchmarks.likelihood``."""
