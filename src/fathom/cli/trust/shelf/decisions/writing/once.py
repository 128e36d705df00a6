"""Write it once: one command a thing."""

from . import Writing


class Once(Writing):
    """As everybody would."""
