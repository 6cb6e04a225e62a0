"""From somebody's table to what one model reads of it.

table        a file or dataframe under our column names, with errors that say where a cell is wrong
columns      trial numbers, actions, indices, options on offer: checked and counted from 0
masks        which trials are scored, learned from, and start anew
reading      `read_trials`: these three, put on a grid of subjects and trials
writing      `to_table`: the way back
model_data   what one model reads of trials, checked against its declaration
segments     what lies between resets, laid out side by side
fingerprints of data and responses, to be kept with results
"""
