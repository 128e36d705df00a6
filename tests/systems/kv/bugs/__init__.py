"""Bugs that stores of this kind have had, one a file.

`seed(node, patch)` puts it into a node, `breaks` is of the sentence that must be said of it. `faults(seed)` gives what
goes wrong where it takes more than what is drawn for everybody; without the bug that breaks nothing.
"""
