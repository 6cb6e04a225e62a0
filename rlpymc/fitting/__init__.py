"""From a model and data to estimates.

factory      `build`: a PyMC model; pymc_forms are the four forms of its likelihood
nuts         `sample`, and what is wrong with a posterior
mle, em      maximum likelihood, and expectation-maximisation for populations
posterior    from draws back to the parameters of subjects
files, run_folder  fits in files, and runs that resume
"""
