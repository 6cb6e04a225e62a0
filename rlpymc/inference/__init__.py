"""Ways to fit: NUTS, maximum likelihood and the mode of the posterior, expectation-maximisation."""
