"""UUIDv7 and ULID are what their specifications say, rise within a millisecond, and do not go back with the clock."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks import ulid, uuid7
from fathom.blocks.ids import EPOCH_MS, SNOWFLAKE, ClockBehind, Ids, Layout
from fathom.blocks.ulid import Ulids
from fathom.blocks.uuid7 import Uuid7
from tests.features import feature

NOW_MS = 1_800_000_000_000
MINTS: dict[str, Callable[[random.Random], Callable[[int], int]]] = {
    "uuid7": lambda dice: lambda now_ms, it=Uuid7(): it.mint(now_ms, dice.getrandbits(uuid7.DRAWN_BITS)),
    "ulid": lambda dice: lambda now_ms, it=Ulids(): it.mint(now_ms, dice.getrandbits(ulid.DRAWN_BITS)),
    "snowflake": lambda dice: lambda now_ms, it=Ids(dice.randrange(1_024), layout=SNOWFLAKE): it.mint(now_ms),
}
every = pytest.mark.parametrize("kind", MINTS)


@every
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1_000), steps=st.lists(st.sampled_from([0, 0, 0, 1, 7, -3_600_000]), max_size=80))
@feature("SHOP-05")
def test_they_rise_also_when_the_clock_stands_still_or_steps_back(kind: str, seed: int, steps: list[int]):
    mint, now_ms, minted = MINTS[kind](random.Random(seed)), NOW_MS, [0]
    for step in steps:
        now_ms += step
        minted.append(mint(now_ms))
        assert minted[-1] > minted[-2]


@settings(max_examples=60, deadline=None)
@given(now_ms=st.integers(0, (1 << 48) - 1), drawn=st.integers(0, (1 << uuid7.DRAWN_BITS) - 1))
def test_a_uuid_is_of_version_7_and_of_the_variant_and_carries_its_time(now_ms: int, drawn: int):
    minted = Uuid7().mint(now_ms, drawn)
    known = uuid.UUID(int=minted)
    assert (known.version, known.variant) == (7, uuid.RFC_4122)
    assert uuid7.at_ms(minted) == now_ms and uuid7.text(minted) == str(known)
    fields = minted >> 64 & 0xFFF, minted >> 32 & 0x3FFFFFFF, minted & 0xFFFFFFFF
    assert fields[0] << 62 | fields[1] << 32 | fields[2] == drawn, "all that was drawn is in it"


def test_a_uuid_like_the_example_of_rfc_9562():
    # A.6: 2022-02-22 14:22:22 -05:00, rand_a = 0xCC3, rand_b = 0x18C4DC0C0C07398F; its highest drawn bit is 1, which
    # ours never is in a first one, so the counter gets there by being made to begin there.
    mint = Uuid7()
    mint._ms, mint._counter = 0x017F22E279B0, (0xCC3 << 30 | 0x18C4DC0C0C07398F >> 32) - 1
    assert uuid7.text(mint.mint(0x017F22E279B0, 0x0C07398F)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_a_counter_that_is_full_goes_on_in_the_next_millisecond():
    mint = Uuid7()
    first = mint.mint(NOW_MS, 0)
    mint._counter = (1 << 42) - 1
    assert uuid7.at_ms(mint.mint(NOW_MS, 5)) == NOW_MS + 1 and mint.mint(NOW_MS, 6) > first


def test_two_who_mint_in_one_millisecond_do_not_meet():
    dice = random.Random(7)
    for kind in ("uuid7", "ulid"):
        one, other = MINTS[kind](dice), MINTS[kind](dice)
        minted = [mint(NOW_MS) for _ in range(2_000) for mint in (one, other)]
        assert len(set(minted)) == len(minted)


@settings(max_examples=60, deadline=None)
@given(minted=st.lists(st.integers(0, (1 << 128) - 1), min_size=2, max_size=2))
def test_the_letters_of_a_ulid_are_read_back_and_sort_as_the_numbers_do(minted: list[int]):
    words = [ulid.text(number) for number in minted]
    assert [ulid.read(word.lower()) for word in words] == minted
    assert sorted(words) == [ulid.text(number) for number in sorted(minted)]


def test_ulids_of_the_specification():
    assert ulid.text(1_469_918_176_385 << 80).startswith("01ARYZ6S41")
    assert ulid.read("7" + "Z" * 25) == (1 << 128) - 1
    full = Ulids()
    full.mint(NOW_MS, (1 << 80) - 1)
    with pytest.raises(OverflowError, match="come again"):
        full.mint(NOW_MS, 0)
    assert ulid.at_ms(full.mint(NOW_MS + 1, 0)) == NOW_MS + 1


@pytest.mark.parametrize("word", ["8" + "Z" * 25, "0" * 25, "0" * 27, "U" * 26, "0" * 25 + "-", "0" * 25 + "é"])
def test_what_is_no_ulid_is_not_read(word: str):
    with pytest.raises(ValueError, match="no ULID"):
        ulid.read(word)


@pytest.mark.parametrize(("now_ms", "drawn"), [(-1, 0), (1 << 48, 0), (0, -1), (0, 1 << 80)])
def test_times_and_dice_that_do_not_fit_are_refused(now_ms: int, drawn: int):
    for mint in (Uuid7(), Ulids()):
        with pytest.raises(ValueError, match="drawn ones"):
            mint.mint(now_ms, drawn)


# Snowflakes ----------------------------------------------------------------------------------------------------------


class Wraps:
    """A snowflake as it is often written: the sequence wraps, and the clock is believed."""

    def __init__(self, worker: int) -> None:
        self.worker, self.last_ms, self.sequence = worker, -1, 0

    def mint(self, now_ms: int) -> int:
        self.sequence = (self.sequence + 1) & 4_095 if now_ms == self.last_ms else 0
        self.last_ms = now_ms
        return (now_ms - SNOWFLAKE.epoch_ms) << 22 | self.worker << 12 | self.sequence


@feature("SHOP-05")
def test_a_sequence_that_wraps_and_a_clock_that_is_believed_mint_an_id_twice_and_ours_does_not():
    wraps, ids = Wraps(1), Ids(1, layout=SNOWFLAKE)
    for mint, alike in ((wraps.mint, True), (ids.mint, False)):
        full = [mint(NOW_MS) for _ in range(5_000)]  # 4,096 fit into a millisecond
        assert (len(set(full)) < len(full)) == alike
    for mint, alike in ((Wraps(1).mint, True), (Ids(1, layout=SNOWFLAKE).mint, False)):
        stepped = [mint(now_ms) for now_ms in (NOW_MS, NOW_MS + 1, NOW_MS, NOW_MS + 1)]
        assert (len(set(stepped)) < len(stepped)) == alike


@feature("SHOP-05")
def test_the_layout_is_the_known_one_and_its_parts_are_read_back():
    assert SNOWFLAKE.bits == 63 and SNOWFLAKE.per_s == 4_096_000, "positive in 64 bits"
    ids = Ids(378, layout=SNOWFLAKE)
    assert [SNOWFLAKE.parts(ids.mint(NOW_MS)) for _ in range(2)] == [(NOW_MS, 378, 0), (NOW_MS, 378, 1)]
    assert SNOWFLAKE.parts(ids.mint(SNOWFLAKE.epoch_ms + (1 << 41) - 1))[0] == SNOWFLAKE.epoch_ms + (1 << 41) - 1


def test_after_the_last_millisecond_no_id_is_minted_rather_than_one_that_is_too_long():
    for layout in (SNOWFLAKE, Layout()):
        ids = Ids(layout=layout)
        last_ms = layout.epoch_ms + (1 << 41) - 1
        assert ids.mint(last_ms) < 1 << layout.bits
        with pytest.raises(OverflowError, match="41 bits"):
            ids.mint(last_ms + 1)
        assert ids.mint(last_ms) < 1 << layout.bits, "who asks for a time that there is still gets one"


def test_a_clock_that_is_too_far_behind_is_told_with_the_wait_that_mends_it():
    ids = Ids(ahead_ms_max=100)
    ids.mint(EPOCH_MS + 1_000)
    first = ids.mint(EPOCH_MS + 900)
    with pytest.raises(ClockBehind, match="500 ms behind") as told:
        ids.mint(EPOCH_MS + 500)
    assert told.value.wait_ms == 400
    assert ids.mint(EPOCH_MS + 500 + told.value.wait_ms) > first


def test_the_layouts_workers_are_all_there_are():
    with pytest.raises(ValueError, match="0 to 1023"):
        Ids(1_024, layout=SNOWFLAKE)
