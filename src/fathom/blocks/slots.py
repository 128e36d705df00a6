"""Which of 16,384 slots a key belongs to, as Redis Cluster has it: so its clients know where to ask.

The slot is the CRC16 (XMODEM: polynomial 0x1021, from 0) of the key, modulo 16,384; of a key with `{tag}` in it, of the
tag alone, so that keys which must lie together can. From the Redis Cluster specification, "Key distribution model".
"""

from __future__ import annotations

from binascii import crc_hqx

__all__ = ["SLOTS", "slot_of", "tag_of"]

SLOTS = 16_384


def slot_of(key: bytes) -> int:
    """Return the slot of a key.

    >>> slot_of(b"123456789")                     # its CRC16 is 0x31c3, says the specification
    12739
    >>> slot_of(b"{user1000}.following") == slot_of(b"{user1000}.followers") == slot_of(b"user1000")
    True
    """
    return crc_hqx(tag_of(key) if b"{" in key else key, 0) & (SLOTS - 1)


def tag_of(key: bytes) -> bytes:
    """Return what of a key is hashed: what stands in the first braces, if anything does, or all of it.

    >>> tag_of(b"foo{bar}{zap}"), tag_of(b"foo{{bar}}zap"), tag_of(b"foo{}{bar}")
    (b'bar', b'{bar', b'foo{}{bar}')
    """
    begin = key.find(b"{") + 1
    end = key.find(b"}", begin)
    return key[begin:end] if 0 < begin < end else key
