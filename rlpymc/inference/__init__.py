"""Ways to fit: NUTS, and maximum likelihood."""
