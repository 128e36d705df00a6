"""A service of which everything is known: what an operation costs, how long it takes, how many are served at once."""
