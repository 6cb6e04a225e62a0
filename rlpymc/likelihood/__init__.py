"""The log likelihood of data and parameters, by trial and by subject, with what is behind it.

loop           a model's step as a compiled loop, bound to data by evaluator; loop_op is the same in PyTensor
scan           the reference in PyTensor; compiled_scans and scan_steps make it run
by_trial       `log_prob`, latents at parameters; by_subject sums with gradients; curvature second derivatives
draws          many draws of the parameters at once
steps          single trials, for simulations
derived        what a model computes from its parameters before the first trial
parameter_arrays  what users give as parameters, as arrays
"""
