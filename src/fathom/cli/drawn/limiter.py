"""What do five ways to limit a rate let in of the same requests?"""

from __future__ import annotations

from fathom.cli.drawn._offered import Offered


class Five(Offered):
    """All five below each other."""

    of = ""
