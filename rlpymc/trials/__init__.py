"""From somebody's table to what one model reads of it.

files        files of any usual separator, encoding and decimal mark; header says which column is which of ours
table        the cells under our names, with errors that say where one is wrong
columns      actions, indices, options on offer, counted from 0; labels are numbered as they are given
order        trial numbers, and where the state starts again
masks        which trials are scored, learned from, and start anew
doubts       what a table leaves open, said as a `TrialsWarning`
reading      `read_trials`: all of these, put on a grid of subjects and trials
writing      `to_table`: the way back, from the record of how the table was read
attributes   what trials say of themselves, in JSON: `facts`
model_data   what one model reads of trials, checked against its declaration; model_column is one column of it
segments     what lies between resets, laid out side by side
fingerprints of data and responses, to be kept with results
"""
