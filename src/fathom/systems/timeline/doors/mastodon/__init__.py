"""The field's own protocol: as much of the Mastodon API as its clients need, beside our own door on the same port."""

from __future__ import annotations

from fathom.web.limits import Limits

from ...api import Timeline
from .accounts import Accounts
from .consent import Consent
from .instance import Instance
from .notifications import Notifications
from .oauth import OAuth
from .routes import Speech
from .statuses import Statuses
from .streaming import Streaming
from .timelines import Timelines

__all__ = ["mastodon"]


def mastodon(timeline: Timeline, limits: Limits) -> Speech:
    """Return the dialect that Mastodon's clients speak."""
    rooms = (
        Instance(),
        OAuth(timeline, lambda: speech.bearer),
        Consent(timeline),
        Accounts(timeline),
        Statuses(timeline),
        Timelines(timeline),
        Notifications(timeline),
        Streaming(timeline),
    )
    speech = Speech(timeline, [route for room in rooms for route in room.routes()], limits)
    return speech
