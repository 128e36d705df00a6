"""The hard questions of a shop, a folder each."""
