"""Posteriors by NUTS: sampling, its machine code, and diagnostics."""
