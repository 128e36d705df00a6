"""What was read before a change is told from what was read after it, whatever has been forgotten meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.changes import Changes


@given(st.lists(st.one_of(st.integers(0, 9), st.none()), max_size=60), st.integers(1, 8))
def test_a_change_after_a_stamp_is_always_seen_however_few_are_remembered(marked: list[int | None], most: int):
    changes = Changes(most)
    stamps: list[tuple[int, int]] = []  # when in the list, and the number then
    for place, key in enumerate(marked):
        stamps.append((place, changes.now))
        if key is None:
            changes.mark_all()
        else:
            changes.mark(key)
    for place, stamp in stamps:
        for key in range(10):
            if key in marked[place:] or None in marked[place:]:
                assert changes.since(key, stamp)
    assert not any(changes.since(key, changes.now) for key in range(10))


def test_while_all_are_remembered_nothing_else_is_taken_for_changed():
    changes = Changes()
    stamp = changes.now
    changes.mark("ann")
    assert changes.since("ann", stamp) and not changes.since("bob", stamp) and not changes.all_since(stamp)
