"""The lab where the true answer is known: what was true, what it said, how often."""
