"""A filter never denies a key that was added, and errs about others as seldom as the theory says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.bloom import Bloom, false_positives, hashes_for


@given(st.sets(st.binary(max_size=12)), st.floats(0.5, 30))
def test_what_was_added_is_there(keys: set[bytes], bits_per_key: float):
    bloom = Bloom.of(keys, bits_per_key)
    assert all(key in bloom for key in keys)


def test_an_empty_filter_denies_everything():
    assert not any(b"%d" % n in Bloom(0) for n in range(100))


@pytest.mark.slow
@pytest.mark.parametrize("bits_per_key", [2, 5, 10, 14])
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


@pytest.mark.parametrize(("keys", "bits", "hashes"), [(-1, 10, None), (1, 0, None), (1, 10, 0), (1, 10, 65)])
def test_what_makes_no_filter_is_refused(keys: int, bits: float, hashes: int | None):
    with pytest.raises(ValueError, match="no filter"):
        Bloom(keys, bits, hashes)
