"""A place is one word, and only one word is that place."""

from __future__ import annotations

import random
import string

import pytest

from fathom.blocks.places import NUMBER_MAX, WORD_CHARS, Place

ALPHABET = string.ascii_letters + string.digits + "-_"
SEED = 7


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_a_word_is_read_as_the_place_it_was_written_for(seed: int):
    dice = random.Random(seed)
    for _ in range(2_000):
        place = Place(dice.randint(0, NUMBER_MAX), dice.randint(0, NUMBER_MAX), dice.randrange(2**32))
        word = place.word()
        assert len(word) == WORD_CHARS and set(word) <= set(ALPHABET)
        assert Place.read(word) == place, f"seed {seed}"


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_what_is_read_is_within_bounds_and_would_be_written_just_so(seed: int):
    dice, read = random.Random(seed), 0
    for _ in range(20_000):
        word = list(Place(dice.randrange(2**41), dice.randrange(2**53), dice.randrange(2**12)).word())
        for _ in range(dice.randint(0, 3)):
            word[dice.randrange(WORD_CHARS)] = dice.choice(ALPHABET + "+/= \n")
        place = Place.read("".join(word))
        if place is not None:
            read += 1
            assert place.word() == "".join(word) and max(place.at_ms, place.id) <= NUMBER_MAX, f"seed {seed}"
    assert 2_000 < read < 20_000


@pytest.mark.parametrize(
    "word", ["", "A", "A" * 27, "A" * 29, "A" * 28, "=" * 28, "é" * 28, "\0" * 28, Place(2**53, 0, 0).word()]
)
def test_what_is_no_place_is_none(word: str):
    assert Place.read(word) is None
