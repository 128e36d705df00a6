"""A feed read page by page: by which cursor every entry is seen once, and what a deep page costs."""

from __future__ import annotations

import sqlite3

from ._counted import counted

__all__ = ["kept", "seen", "steps"]

ENTRIES, ENTRIES_MAX, DEEPEST, PAGE = 1_000, 1_000_000, 12_000, 20


def seen(cursor: str, alike: str, limit: str) -> float:
    """Return how many of 1,000 entries a reader sees who pages from the newest down.

    `alike` entries share each time. The cursor is the last entry's `time`, its time and `id`, or the `next` entry's
    place with a comparison that leaves it out.
    """
    same, most = counted(alike, ENTRIES), counted(limit, ENTRIES)
    entries = sorted(((n // same, n) for n in range(ENTRIES)), reverse=True)
    found, left = 0, entries
    while page := left[:most]:
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


def kept(entries: str, first: str, last: str) -> float:
    """Return how many of a sorted set's entries stay when the ranks from `first` to `last` go; -1 is the last rank."""
    count = counted(entries, ENTRIES_MAX, least=0)
    ends = [count + rank if rank < 0 else rank for rank in (int(first), int(last))]
    ranks = list(range(count))
    if ends[1] >= ends[0]:
        del ranks[max(ends[0], 0) : ends[1] + 1]
    return len(ranks)


def steps(how: str, depth: str) -> float:
    """Return how many steps of its machine SQLite takes for a page of 20 that lies `depth` entries down an index."""
    down = counted(depth, DEEPEST - PAGE, least=0)
    asks = {
        "offset": ("SELECT at FROM entries ORDER BY at DESC LIMIT ? OFFSET ?", (PAGE, down)),
        "key": ("SELECT at FROM entries WHERE at < ? ORDER BY at DESC LIMIT ?", (DEEPEST - down, PAGE)),
    }
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE entries (at INTEGER PRIMARY KEY)")
        database.executemany("INSERT INTO entries VALUES (?)", ((at,) for at in range(DEEPEST)))
        database.set_progress_handler(step, 1)
        found = database.execute(*asks[how]).fetchall()
    database.close()
    assert found[0][0] == DEEPEST - down - 1 and len(found) == PAGE
    return count
