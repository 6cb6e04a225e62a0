"""Choices among actions with one outcome back."""
