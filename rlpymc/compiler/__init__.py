"""From a model's step to machine code; to be read in this order.

expressions    numbers of one subject at one trial, not computed but written down: the graph of a step
symbols        arrays of such expressions, on which a model's own functions are called; symbol_math: with what
trace          one call of each function, on symbols: a model's step
plan           what is computed on a trial, what is kept for the way back, which derivatives are added
signature      the arrays that a kernel takes and returns
vector         code on vectors, and exp, log and their like on them
writer         expressions as such code, each once
lane_values    rows of data, expressions and tables of several segments side by side
lane_passes    the loop forward over trials, and the one back
lanes          all functions of a kernel, and why it is made so
machine        code in LLVM's language made to run, and kept on disk
"""
