"""A service on a Redis of its own, there to be left without it."""
