"""The same under another name: nothing differs, and nothing may be found."""

from . import Work


class Again(Work):
    """The default's twin that nobody told the lab of."""
