"""A system that stands on an engine: it counts in Redis, and decides nothing."""
