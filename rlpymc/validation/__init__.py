"""Whether a model is what it says: promises that every registered model keeps, and data to try them on."""
