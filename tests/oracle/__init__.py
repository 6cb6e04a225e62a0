"""A second, plain way to the numbers of the kernels."""
