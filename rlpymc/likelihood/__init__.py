"""The log likelihood of data and parameters, by trial and by subject, with what is behind it; to be read in this order.

likelihood       the one object that stands for the likelihood of some data: `Likelihood`
backends         `likelihood_of`, which makes it: of a compiled loop, or of a scan
loop             the likelihood by compiled loops; evaluator binds a kernel to data, in the blocks of blocks; loop_op is
                 the same in PyTensor
scan_likelihood  the likelihood by PyTensor's scan, the reference; scan holds the graphs, compiled_scans makes them run
                 as modes say
derived          the likelihood where a model computes something from its parameters before the first trial;
                 derived_graph is what it computes
steps            learners in mid-course, for simulations; loop_steps are compiled ones
draws            the likelihood at many draws of the parameters
by_trial         `log_prob`, and latents at parameters, which parameter_arrays makes arrays of; curvature: `hessian`
"""
