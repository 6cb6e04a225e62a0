"""Learning in a world that changes."""
