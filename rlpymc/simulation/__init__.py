"""Models that act in tasks, and predictions from fits."""
