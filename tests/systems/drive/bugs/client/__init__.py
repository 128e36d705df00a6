"""Bugs that sync clients have had, one a file: `seed(patch)` puts it in, `breaks` is of what must be said of it."""
