"""A feed read page by page: by which cursor every entry is seen once."""

from __future__ import annotations

__all__ = ["seen"]

ENTRIES = 1_000


def seen(cursor: str, alike: str, limit: str) -> float:
    """Return how many of 1,000 entries a reader sees who pages from the newest down.

    `alike` entries share each time. The cursor is the last entry's `time`, its time and `id`, or the `next` entry's
    place with a comparison that leaves it out.
    """
    entries = sorted(((n // int(alike), n) for n in range(ENTRIES)), reverse=True)
    found, left = 0, entries
    while page := left[: int(limit)]:
        found += len(page)
        last, following = page[-1], left[len(page) :]
        if cursor == "time":
            left = [entry for entry in following if entry[0] < last[0]]
        elif cursor == "id":
            left = following
        elif cursor == "next":
            left = [entry for entry in following if entry < following[0]]
        else:
            raise ValueError(f"a cursor is time, id or next, not {cursor}")
    return found
