"""What there is to say of models, in words."""
