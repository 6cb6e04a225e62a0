"""Which model explains the data: cross-validation by trial, session or person, and over time; models of a group."""
