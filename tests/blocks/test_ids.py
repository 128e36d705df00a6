"""Ids are unique, rise, and stay within what a double holds exactly, whatever the clock does."""

from __future__ import annotations

import random

import pytest

from fathom.blocks.ids import EPOCH_MS, SCATTER_BITS, SEQUENCES, WORKERS, Ids, scattered

SEED = 7


@pytest.mark.parametrize("seed", range(SEED, SEED + 5))
def test_ids_rise_also_when_the_clock_steps_back_or_stands_still(seed: int):
    dice, ids, now_ms, last = random.Random(seed), Ids(worker=seed % WORKERS), EPOCH_MS + 10_000_000, 0
    for _ in range(5_000):
        now_ms += dice.choice((0, 0, 0, 1, 1, 50, -5_000))
        minted = ids.mint(now_ms)
        assert minted > last, f"seed {seed}"
        last = minted


def test_a_full_millisecond_borrows_from_the_next():
    ids = Ids()
    minted = [ids.mint(EPOCH_MS + 1) for _ in range(3 * SEQUENCES)]
    assert minted == sorted(set(minted))
    assert Ids.at_ms(minted[-1]) == EPOCH_MS + 3


def test_workers_never_mint_the_same():
    minted = [ids.mint(EPOCH_MS + 5) for ids in map(Ids, range(WORKERS)) for _ in range(SEQUENCES)]
    assert len(set(minted)) == WORKERS * SEQUENCES


def test_the_last_id_of_the_last_year_is_exact_in_a_double():
    minted = Ids(worker=WORKERS - 1).mint(EPOCH_MS + (1 << 41) - 1)
    assert minted < 1 << 53
    assert int(float(minted)) == minted


def test_what_others_minted_is_passed_over():
    ids, other = Ids(), Ids(worker=3)
    far = other.mint(EPOCH_MS + 1_000)
    ids.pass_over(far)
    assert ids.mint(EPOCH_MS + 1) > far
    ids.pass_over(far - 5_000_000)  # what lies below changes nothing
    assert ids.mint(EPOCH_MS + 1) > far
    assert Ids(after=far).mint(EPOCH_MS) > far


@pytest.mark.parametrize("worker", [-1, WORKERS])
def test_there_are_only_so_many_workers(worker: int):
    with pytest.raises(ValueError, match="worker"):
        Ids(worker=worker)


def test_the_first_id_of_a_millisecond_is_above_all_of_the_one_before_and_below_none_of_its_own():
    before, after = Ids(worker=WORKERS - 1), Ids()
    last = [before.mint(EPOCH_MS + 8) for _ in range(SEQUENCES)][-1]
    assert last < Ids.first_of(EPOCH_MS + 9) == after.mint(EPOCH_MS + 9)
    assert Ids.first_of(EPOCH_MS - 1) == 0


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_scattered_ids_have_their_time_and_lie_above_what_they_have_to(seed: int):
    dice = random.Random(seed)
    for _ in range(5_000):
        now_ms, drawn = EPOCH_MS + dice.randrange(1 << 41), dice.getrandbits(SCATTER_BITS)
        minted = scattered(now_ms, drawn)
        assert Ids.at_ms(minted) == now_ms and minted < 1 << 53, f"seed {seed}"
        above = dice.randrange(1 << 52)
        pushed = scattered(now_ms, drawn, above=above)
        assert pushed > above and pushed % (1 << SCATTER_BITS) == drawn, f"seed {seed}"


@pytest.mark.parametrize("drawn", [-1, 1 << SCATTER_BITS])
def test_dice_that_do_not_fit_are_refused(drawn: int):
    with pytest.raises(ValueError, match="12 bits"):
        scattered(EPOCH_MS, drawn)
