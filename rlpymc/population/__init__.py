"""How the parameters of subjects hang together.

population       which are estimated and how they are pooled, as variables of PyMC and as records
whole_numbers    parameters that the likelihood is summed over
machine_density  the posterior's density as machine code
"""
