"""A deterministic world in which the pure state machines of systems run: one seed, one trace."""
