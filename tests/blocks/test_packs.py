"""What went into a pack comes out of it, by its end alone; and whatever is damaged is found, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.packs import FOOT_BYTES, damaged, digest_of, entries, foot, laid_out, pack

HEAD_BYTES = 16
contents = st.lists(st.binary(max_size=60), max_size=12)


@given(contents)
def test_every_chunk_lies_where_the_index_says_and_only_once(chunks: list[bytes]):
    made = pack(chunks)
    found = {entry.digest: made[entry.offset : entry.offset + entry.length] for entry in entries(made)}
    assert list(found.values()) == list(dict.fromkeys(chunks))
    assert all(digest_of(data) == digest for digest, data in found.items())
    assert not list(damaged(made))


@given(contents, st.integers(0, 200))
def test_two_reads_of_its_end_are_enough_to_find_a_chunk(chunks: list[bytes], more: int):
    made = pack(chunks)
    at = foot(made[-(FOOT_BYTES + more) :])
    assert entries(made[at.offset : at.offset + at.length], at) == entries(made)


@given(contents.filter(any), st.data())
def test_a_bit_that_flips_is_found_and_only_the_chunk_it_lies_in_is_lost(chunks: list[bytes], data: st.DataObject):
    made = pack(chunks)
    at, bit = data.draw(st.integers(0, len(made) - 1)), data.draw(st.integers(0, 7))
    broken = bytearray(made)
    broken[at] ^= 1 << bit
    hit = [entry for entry in entries(made) if entry.offset <= at < entry.offset + entry.length]
    if hit:
        assert list(damaged(bytes(broken))) == hit
    elif at >= HEAD_BYTES:
        with pytest.raises(ValueError, match=r"damaged|not the end|was cut"):
            entries(bytes(broken))
    else:
        assert not list(damaged(bytes(broken))), "the head only tells people what it is"


@given(contents, st.data())
def test_a_pack_that_was_cut_is_none(chunks: list[bytes], data: st.DataObject):
    made = pack(chunks)
    cut = made[: data.draw(st.integers(0, len(made) - 1))]
    with pytest.raises(ValueError, match="pack"):
        entries(cut)


def test_a_pack_within_something_else_is_not_taken_for_a_whole_one():
    with pytest.raises(ValueError, match="inside of something else"):
        entries(b"more" + pack([b"green tea"]))
    at = foot(pack([b"green tea"]))
    with pytest.raises(ValueError, match="index of this pack is damaged"):
        entries(pack([b"green milk"])[at.offset : at.offset + at.length], at)


@given(contents)
def test_what_is_read_into_its_room_is_the_same_pack(chunks: list[bytes]):
    different = list(dict.fromkeys(chunks))
    made, rooms = laid_out((digest_of(data), len(data)) for data in different)
    for room, data in zip(rooms, different, strict=True):
        room[:] = data
    assert made == pack(different)
    assert [entry.digest for entry in entries(made)] == [digest_of(data) for data in different]


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fathom.blocks.packs.BYTES_MAX", 1_000)
    with pytest.raises(ValueError, match="at most 1,000 bytes, and this one would have"):
        pack([bytes(1_000)])
