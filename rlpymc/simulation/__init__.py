"""Models that act in tasks, predictions from fits, and what learners knew on each trial."""
