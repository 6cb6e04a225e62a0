"""Plain NumPy loops, written from the papers: what the models in this package are checked against."""
