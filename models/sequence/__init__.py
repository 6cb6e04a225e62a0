"""ModelData of responses that nothing is won with: coins, numbers, chains of states."""
