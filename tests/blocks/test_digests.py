"""A summary that changed write by write is the one counted anew, and two find their differences in few bytes."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.digests import DIGEST_BYTES, FAN_OUT, Ask, Exchange, OtherSlots, Tree, changed, digest_of

writes = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.none() | st.binary(max_size=3)), max_size=60)
Writes = list[tuple[int, int, bytes | None]]


def counted(records: dict[tuple[int, bytes], bytes], slots: list[int]) -> dict[int, int]:
    """Count all records anew."""
    digests = dict.fromkeys(slots, 0)
    for (slot, key), content in records.items():
        digests[slot] = (digests[slot] + digest_of(key, content)) % 2**128
    return digests


@given(writes)
def test_what_changed_write_by_write_is_what_all_records_amount_to(writes: Writes):
    slots = [slot * 7 for slot in range(41)]
    records: dict[tuple[int, bytes], bytes] = {}
    digests = dict.fromkeys(slots, 0)
    tree = Tree(digests)
    for at, number, content in writes:
        slot, key = slots[at], b"key %d" % number
        before = records.pop((slot, key), None)
        if content is not None:
            records[slot, key] = content
        old, new = (0 if it is None else digest_of(key, it) for it in (before, content))
        digests[slot] = changed(digests[slot], old=old, new=new)
        tree.replace(slot, digests[slot])
        if at % 3 == 0:
            assert tree.root == Tree(digests).root
    assert digests == counted(records, slots)
    assert tree.root == Tree(counted(records, slots)).root


@given(st.binary(max_size=4), st.binary(max_size=4), st.binary(max_size=4), st.binary(max_size=4))
def test_only_the_same_record_has_the_same_digest(key: bytes, content: bytes, other: bytes, others: bytes):
    assert (digest_of(key, content) == digest_of(other, others)) == ((key, content) == (other, others))


def exchanged(mine: Tree, theirs: Tree, at_once: int = 64) -> tuple[list[int], int, int]:
    """Return what differs, how many hashes were sent for it, and in how many messages."""
    exchange, messages, largest = Exchange(mine, theirs.over, theirs.root, at_once=at_once), 0, 0
    while exchange.ask:
        answer = theirs.hashes(exchange.ask)
        largest = max(largest, len(answer))
        exchange.hear(answer)
        messages += 1
    assert largest <= at_once * FAN_OUT
    return exchange.differing, exchange.asked, messages


@pytest.mark.slow
@given(
    st.sets(st.integers(0, 16_383), max_size=400),
    st.lists(st.integers(0, 16_383), max_size=12),
    st.integers(1, 70),
    st.integers(0, 2**64),
)
def test_an_exchange_finds_what_differs_and_nothing_else(slots: set[int], others: list[int], at_once: int, seed: int):
    dice = random.Random(seed)
    mine = {slot: dice.getrandbits(128) for slot in slots}
    theirs = mine | {slot: dice.getrandbits(128) for slot in others if slot in slots}
    tree, other = Tree(mine), Tree(theirs)
    expected = sorted(slot for slot in slots if mine[slot] != theirs[slot])
    found, asked, _ = exchanged(tree, other, at_once)
    assert found == expected
    assert asked <= len(expected) * FAN_OUT * tree.levels


@pytest.mark.slow
@pytest.mark.parametrize("differing", [0, 1, 100, 16_384])
def test_the_bytes_are_few_when_little_differs_and_bounded_when_everything_does(differing: int):
    mine = {slot: digest_of(b"%d" % slot, b"") for slot in range(16_384)}
    theirs = mine | {slot: 0 for slot in random.Random(7).sample(range(16_384), differing)}
    found, asked, messages = exchanged(Tree(mine), Tree(theirs))
    assert len(found) == differing
    assert asked <= min(differing * FAN_OUT * 4, 1.07 * 16_384)
    assert DIGEST_BYTES * asked < {0: 1, 1: 1_025, 100: 50_000, 16_384: 290_000}[differing]
    assert messages <= 4 + 1_100 / 64


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 255, 256, 257, 4_097])
def test_trees_of_every_shape_find_each_single_slot(count: int):
    mine = dict.fromkeys(range(0, 3 * count, 3), 5)
    assert exchanged(Tree(mine), Tree(mine)) == ([], 0, 0)
    for slot in list(mine)[:: max(1, count // 7)]:
        found, asked, _ = exchanged(Tree(mine), Tree(mine | {slot: 6}))
        assert found == [slot] and asked <= FAN_OUT * Tree(mine).levels


def test_trees_over_other_slots_are_not_compared():
    for one, other in itertools.permutations(({}, {1: 1}, {2: 1}, {1: 1, 2: 1}), 2):
        with pytest.raises(OtherSlots):
            Exchange(Tree(one), Tree(other).over, Tree(other).root)


def test_what_is_no_question_and_no_answer_is_refused():
    tree = Tree(dict.fromkeys(range(100), 1))
    for ask in (Ask(-1, (0,)), Ask(2, (0,)), Ask(0, (1,)), Ask(1, (7,)), Ask(1, (-1,))):
        with pytest.raises(ValueError, match="no such nodes"):
            tree.hashes(ask)
    exchange = Exchange(tree, tree.over, b"another")
    with pytest.raises(ValueError, match="no answer"):
        exchange.hear([b""] * 3)
    with pytest.raises(ValueError, match="at once"):
        Exchange(tree, tree.over, tree.root, at_once=0)


def test_a_slot_that_is_not_there_cannot_be_replaced():
    with pytest.raises(KeyError):
        Tree({1: 1}).replace(2, 1)
