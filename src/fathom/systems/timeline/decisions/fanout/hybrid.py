"""Push the many, pull the famous: cheap both ways, and one threshold to get wrong."""

from __future__ import annotations

from fathom.design import knob

from .on_write import OnWrite


class Hybrid(OnWrite):
    """Ordinary authors' posts are pushed; a star's go to one list that each follower's read merges in."""

    fame: int = knob(10_000, "followers from which an author's posts are pulled, not pushed")
