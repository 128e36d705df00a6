"""What is let in of a burst, and what of a load that lasts?"""

from __future__ import annotations

from fathom.cli.drawn._offered import Offered


class TokenBuckets(Offered):
    """The same requests to all five; this one is drawn large."""

    of = "token-bucket"
