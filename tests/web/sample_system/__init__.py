"""A system small enough to read at once: it keeps notes, and greets in one of two ways."""
