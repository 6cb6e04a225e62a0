"""From the formula of a response to machine code; to be read in this order.

It begins outside: `Categorical.log_prob` in rlpymc/model/responses.py is a formula in `rlpymc.math`, and so are the
functions of a model's file.  Called on symbols instead of numbers, they write themselves down.

expressions    numbers of one subject at one trial, not computed but written down: the graph of a step
symbols        arrays of such expressions, on which a model's own functions are called; symbol_math: with what
trace          one call of each function, on symbols: a model's step
plan           what is computed on a trial, what is kept for the way back, which derivatives are added
signature      the arrays that a kernel takes and returns
vector         code on vectors, and exp, log and their like on them
writer         expressions as such code, each once
lane_values    rows of data, expressions and tables of several segments side by side
lane_passes    the loop forward over trials, and the one back
lanes          all functions of a kernel
machine        code in LLVM's language made to run, and kept on disk

Each trick is explained where `lanes` begins: phases, the way back and its tape, products instead of logarithms, blocks
and widths, packed rows, flag bits, masks instead of branches, tables.  Single steps of simulations, latents and log
likelihoods are modes of the same kernels.  What holds these to the formula is a plain loop from the same plan, in
tests/oracle.
"""
