"""Keep a websocket open, on which each head is told: heard at once, for a connection and a ping now and then."""

from __future__ import annotations

from . import Listening


class Push(Listening):
    """One connection, and as many messages as there are changes."""

    how = "push"
