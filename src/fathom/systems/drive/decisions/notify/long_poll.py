"""Ask, and be answered when there is something: heard at once, for a request and a wait each time."""

from __future__ import annotations

from . import Listening


class LongPoll(Listening):
    """A question that waits for its answer."""

    how = "long-poll"
