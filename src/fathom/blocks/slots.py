"""Which of 16,384 slots a key belongs to, as Redis Cluster has it: so its clients know where to ask.

The slot is the CRC16 (XMODEM: polynomial 0x1021, from 0) of the key, modulo 16,384; of a key with `{tag}` in it, of the
tag alone, so that keys which must lie together can. From the Redis Cluster specification, "Key distribution model".
"""

from __future__ import annotations

from binascii import crc_hqx

__all__ = ["SLOTS", "slot_of"]

SLOTS = 16_384


def slot_of(key: bytes) -> int:
    """Return the slot of a key.

    >>> slot_of(b"123456789")                     # its CRC16 is 0x31c3, says the specification
    12739
    >>> slot_of(b"{user1000}.following") == slot_of(b"{user1000}.followers") == slot_of(b"user1000")
    True
    >>> slot_of(b"foo{{bar}}zap") == slot_of(b"{bar"), slot_of(b"foo{}{bar}") == slot_of(b"bar")
    (True, False)
    """
    begin = key.find(b"{") + 1
    if begin:
        end = key.find(b"}", begin)
        if end > begin:
            key = key[begin:end]
    return crc_hqx(key, 0) & (SLOTS - 1)
