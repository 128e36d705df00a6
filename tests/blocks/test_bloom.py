"""A filter never denies a key that was added, and errs about others as seldom as the theory says."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.bloom import Bloom, bits_of, false_positives, hashes_for
from tests.features import feature


@given(st.sets(st.binary(max_size=12)), st.floats(0.5, 30))
@feature("BLOCK-20")
def test_what_was_added_is_there(keys: set[bytes], bits_per_key: float):
    bloom = Bloom.of(keys, bits_per_key)
    assert all(key in bloom for key in keys)


def test_an_empty_filter_denies_everything():
    assert not any(b"%d" % n in Bloom(0) for n in range(100))


@pytest.mark.slow
@pytest.mark.parametrize("bits_per_key", [2, 5, 10, 14])
@feature("BLOCK-20")
def test_it_errs_as_often_as_the_theory_says(bits_per_key: float):
    bloom = Bloom.of((b"in %d" % n for n in range(20_000)), bits_per_key)
    wrong = sum(b"out %d" % n in bloom for n in range(50_000))
    expected = 50_000 * false_positives(bits_per_key)
    assert abs(wrong - expected) < 6 * expected**0.5 + 0.05 * expected
    assert bloom.fullness == pytest.approx(0.5, abs=0.13)
    assert bloom.bytes_held <= 20_000 * bits_per_key / 8 + 1


def test_other_numbers_of_hashes_err_more():
    for bits_per_key in range(1, 30):
        best = false_positives(bits_per_key)
        assert all(false_positives(bits_per_key, hashes) >= 0.999 * best for hashes in range(1, 40))
        assert hashes_for(bits_per_key) >= 1


def test_ten_bits_for_each_key_err_in_less_than_one_of_a_hundred():
    assert 0.008 < false_positives(10) < 0.01


def test_the_bits_are_those_that_its_hashes_say():
    bloom = Bloom.of([b"ann"], bits_per_key=64)
    raw = bloom.raw()
    assert {at for at in range(8 * len(raw)) if raw[at >> 3] >> (at & 7) & 1} == set(bits_of(b"ann", bloom.hashes, 64))


class Names:
    """User names in a database, whose unique index decides, and in front of it a filter of each server's own."""

    def __init__(self, servers: int) -> None:
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE users (name TEXT PRIMARY KEY)")
        self.filters = [Bloom(1_000) for _ in range(servers)]
        self.lookups = 0

    def known(self, server: int, name: str) -> bool:
        """Whether the name is taken, as far as this server sees: its filter's no spares the lookup."""
        if name.encode() not in self.filters[server]:
            return False
        self.lookups += 1
        return self.database.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone() is not None

    def register(self, server: int, name: str) -> bool:
        self.filters[server].add(name.encode())  # before the row: after it somebody might be told that it is free
        try:
            with self.database:
                self.database.execute("INSERT INTO users VALUES (?)", (name,))
        except sqlite3.IntegrityError:
            return False
        return True


@feature("BLOCK-84")
def test_a_filter_spares_lookups_and_only_the_unique_index_says_that_a_name_is_free():
    names = Names(servers=2)
    for number in range(500):
        assert names.register(0, f"user {number}")
    assert all(names.known(0, f"user {number}") for number in range(500)) and names.lookups == 500
    assert not any(names.known(0, f"nobody {number}") for number in range(1_000))
    assert names.lookups < 520, "nearly none of those who are not there is looked up"
    assert not names.known(1, "user 7"), "the other server's filter has not heard of it: its no is no promise"
    assert not names.register(1, "user 7"), "the index has"
    assert names.database.execute("SELECT count(*) FROM users").fetchone() == (500,)
    names.database.close()


@pytest.mark.parametrize(("keys", "bits", "hashes"), [(-1, 10, None), (1, 0, None), (1, 10, 0), (1, 10, 65)])
def test_what_makes_no_filter_is_refused(keys: int, bits: float, hashes: int | None):
    with pytest.raises(ValueError, match="no filter"):
        Bloom(keys, bits, hashes)
