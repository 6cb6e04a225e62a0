"""The zoo: a folder for each family, a file for each model, named after it."""
