"""What is left of a failure fails, and no smaller part of it does."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.fewest import fewest

SIZE = 12
parts = st.frozensets(st.integers(0, SIZE - 1), max_size=6)


@given(st.lists(parts, min_size=1, max_size=4))
def test_what_is_kept_fails_and_without_any_of_it_does_not(failing: list[frozenset[int]]):
    def fails(kept: Sequence[int]) -> bool:
        return any(part <= set(kept) for part in failing)

    kept = fewest(fails, range(SIZE))
    assert fails(kept)
    assert all(not fails([other for other in kept if other != one]) for one in kept)
    assert kept == sorted(kept)


def test_it_asks_few_questions_of_many_things():
    asked = 0

    def fails(kept: Sequence[int]) -> bool:
        nonlocal asked
        asked += 1
        return {70_000, 99_990} <= set(kept)

    assert fewest(fails, range(100_000)) == [70_000, 99_990]
    assert asked < 80


def test_what_fails_with_nothing_at_all_needs_nothing():
    assert fewest(lambda kept: True, range(5)) == []


def test_a_question_that_is_no_longer_answered_ends_with_everything_kept():
    assert fewest(lambda kept: False, range(5)) == [0, 1, 2, 3, 4]
