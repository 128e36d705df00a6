"""What shrinking leaves of a failure fails, and passes without any single one of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.shrink import shrink

failing = st.frozensets(st.integers(0, 11), min_size=1, max_size=4)


@given(st.lists(failing, min_size=1, max_size=3), failing)
def test_what_shrinking_leaves_fails_and_not_without_any_one_of_it(parts: list[frozenset[int]], hides: frozenset[int]):
    def fails(kept: list[int]) -> bool:
        there = set(kept)
        return any(part <= there for part in parts) and (not hides <= there or there == set(range(12)))

    kept = shrink(fails, range(12))
    assert fails(kept) and kept == sorted(kept)
    assert not any(fails([other for other in kept if other != one]) for one in kept)


def test_shrinking_stops_after_its_tries():
    asked: list[int] = []
    kept = shrink(lambda kept: not asked.append(len(kept)) and 7 in kept and 3 in kept, range(100), tries=5)
    assert {3, 7} <= set(kept) and len(asked) <= 6
