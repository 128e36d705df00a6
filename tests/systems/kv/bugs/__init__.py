"""Bugs that stores of this kind have had, one a file: `seed(node)` puts it into a node. Each must be caught."""
