"""A key's slot is the one that every client of Redis Cluster computes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from fathom.blocks.slots import SLOTS, slot_of


def plain_crc16(data: bytes) -> int:
    """Bit by bit, as the polynomial says."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def plain_slot(key: bytes) -> int:
    """Return the slot by the rule of the specification, read sentence by sentence."""
    opened = [at for at, byte in enumerate(key) if byte == ord("{")]
    if opened:
        closed = [at for at, byte in enumerate(key) if byte == ord("}") and at > opened[0]]
        if closed and closed[0] > opened[0] + 1:
            key = key[opened[0] + 1 : closed[0]]
    return plain_crc16(key) % SLOTS


@pytest.mark.slow
@given(st.lists(st.sampled_from([b"{", b"}", b"a", b"b", b"\x00", b"\xff"])).map(b"".join))
def test_it_is_the_slot_of_the_specification(key: bytes):
    assert slot_of(key) == plain_slot(key)


@given(st.binary(max_size=64))
def test_any_bytes_have_one(key: bytes):
    assert slot_of(key) == plain_slot(key)


def test_the_checksum_is_the_one_that_the_specification_names():
    assert plain_crc16(b"123456789") == 0x31C3


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"", 0),
        (b"foo", 12_182),
        (b"bar", 5_061),
        (b"hello", 866),
        (b"somekey", 11_058),
        (b"foo{hash_tag}", 2_515),
        (b"bar{hash_tag}", 2_515),
    ],
)
def test_a_key_of_the_documentation_lies_where_it_says(key: bytes, slot: int):
    assert slot_of(key) == slot


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        (b"{user1000}.following", b"user1000"),
        (b"foo{}{bar}", b"foo{}{bar}"),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"}foo{bar}", b"bar"),
        (b"{}", b"{}"),
        (b"{", b"{"),
        (b"x}{", b"x}{"),
        (b"x{y", b"x{y"),
    ],
)
def test_a_tag_is_what_stands_in_the_first_braces(key: bytes, tag: bytes):
    assert slot_of(key) == plain_crc16(tag) % SLOTS


@pytest.mark.slow
def test_a_client_nobody_here_wrote_computes_the_same():
    for n in range(2_000):
        key = b"k%d{%d}x" % (n, n % 7) if n % 3 else b"key:%d" % n
        assert slot_of(key) == key_slot(key)
