"""The two-step task: model-free and model-based learning in one experiment."""
