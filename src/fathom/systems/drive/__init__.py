"""File sync: chunks, a journal per space, and clients that never lose a byte."""
