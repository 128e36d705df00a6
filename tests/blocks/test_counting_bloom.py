"""A filter that forgets denies no key that is there, errs like one that does not, and leaves full counters full."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.bloom import Bloom, bits_of
from fathom.blocks.counting_bloom import FULL, CountingBloom
from tests.features import feature

keys = st.integers(0, 20).map(lambda n: b"key %d" % n)


@settings(max_examples=60, deadline=None)
@given(deeds=st.lists(st.tuples(st.booleans(), keys), max_size=60))
@feature("BLOCK-83")
def test_what_was_added_more_often_than_taken_out_is_there(deeds: list[tuple[bool, bytes]]):
    bloom, there = CountingBloom(20, 10), Counter[bytes]()
    for adds, key in deeds:
        if adds:
            bloom.add(key)
            there[key] += 1
        elif there[key]:
            bloom.remove(key)
            there[key] -= 1
        assert all(key in bloom for key, count in there.items() if count)


@feature("BLOCK-83")
def test_it_answers_as_a_filter_of_the_same_bits_that_only_ever_held_what_is_left():
    left, taken_out = [b"left %d" % n for n in range(300)], [b"out %d" % n for n in range(300)]
    counting = CountingBloom(300, 10)
    for key in [*left, *taken_out]:
        counting.add(key)
    for key in taken_out:
        counting.remove(key)
    assert counting.stuck == 0
    plain = Bloom(300, 10)
    for key in left:
        plain.add(key)
    asked = [b"any %d" % n for n in range(3_000)] + left + taken_out
    assert [key in counting for key in asked] == [key in plain for key in asked]
    assert counting.bytes_held == 4 * plain.bytes_held


def test_a_counter_that_is_full_stays_so_and_nothing_that_is_there_is_denied():
    bloom = CountingBloom(10)
    for _ in range(FULL + 5):
        bloom.add(b"ann")
    assert bloom.stuck == len(set(bits_of(b"ann", bloom.hashes, 100)))
    for _ in range(FULL + 4):
        bloom.remove(b"ann")
    assert b"ann" in bloom, "one is left, and a counter that wraps or is counted down would deny it"


class CountsDown(CountingBloom):
    """A filter whose full counters are counted down like any other: they had counted more than they could."""

    def remove(self, key: bytes) -> None:
        for at in self._places(key):
            if self._count(at):
                self._counters[at >> 1] -= 1 << ((at & 1) << 2)


def test_a_full_counter_that_is_counted_down_denies_what_is_there():
    bloom = CountsDown(10)
    for _ in range(FULL + 1):
        bloom.add(b"ann")
    for _ in range(FULL):
        bloom.remove(b"ann")
    assert b"ann" not in bloom, "the bug is not seen"


def test_what_cannot_have_been_added_is_not_taken_out():
    bloom = CountingBloom(100)
    bloom.add(b"ann")
    with pytest.raises(KeyError):
        bloom.remove(b"bob")
    assert b"ann" in bloom


@pytest.mark.parametrize("side", [0, 1])
def test_a_key_that_names_a_counter_twice_takes_it_out_once_and_nothing_of_its_neighbour(side: int):
    """What only seems to be there, too: the halves of a byte are two counters, and neither lends to the other."""
    places = {key: list(bits_of(key, 2, 71)) for key in (b"key %d" % n for n in range(2_000))}
    twice, at = next((key, one) for key, (one, other) in places.items() if one == other and one & 1 == side)
    once = next(key for key, both in places.items() if at in both and both[0] != both[1])
    beside = next(key for key, both in places.items() if at ^ 1 in both and at not in both)
    bloom = CountingBloom(71, 1, hashes=2)
    for key in (once, beside):
        bloom.add(key)
    before = bloom.standing()
    bloom.remove(twice)
    assert [n for n, count in enumerate(bloom.standing()) if count != before[n]] == [at]
    assert bloom.standing()[at] == 0


@pytest.mark.parametrize(("keys", "bits", "hashes"), [(-1, 10, None), (1, 0, None), (1, 10, 0)])
def test_what_makes_no_filter_is_refused(keys: int, bits: float, hashes: int | None):
    with pytest.raises(ValueError, match="no filter"):
        CountingBloom(keys, bits, hashes)
