"""Learning and planning in Markov decision processes."""
