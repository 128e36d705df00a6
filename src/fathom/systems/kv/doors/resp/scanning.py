"""Listing keys: SCAN, DBSIZE and how many lie in a slot; of this node's own slots, as in any cluster of Redis.

A cursor is a number below 2**62: 14 bits of slot, 48 of a digest of the key to go on after. The key itself is kept for
as long as it is among the last that were told; a node that has forgotten it (it began anew, or is another) finds it in
the slot, and where it is gone begins the slot again. So whatever is there from the first page to the last is told at
least once, some of it perhaps twice, which is what SCAN promises.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from fathom.blocks.slots import SLOTS, slot_of

from ...core.calls import Scan, Scanned
from .asked import SYNTAX, integer
from .asking import answered
from .command import Command, Store
from .glob import Fits, matcher
from .limits import CURSORS_MAX, MATCHED_BYTES_MAX, PAGE_MAX
from .replies import Wrong, encoded, failed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS", "Cursors", "counted"]

POSITION_BITS = 48

Words = list[bytes]


class Cursors:
    """The keys that the last cursors stand for, of all clients."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, bytes] = OrderedDict()

    def number(self, slot: int, after: bytes) -> int:
        """Return the cursor of a place in the order of slots and keys."""
        if not after:
            return slot << POSITION_BITS
        number = slot << POSITION_BITS | _position(after)
        self._known[number] = after
        self._known.move_to_end(number)
        if len(self._known) > CURSORS_MAX:
            self._known.popitem(last=False)
        return number

    async def place(self, store: Store, number: int) -> tuple[int, bytes]:
        """Return the slot, and the key to go on after (none: from its beginning)."""
        slot, position = number >> POSITION_BITS, number & ((1 << POSITION_BITS) - 1)
        if not position:
            return slot, b""
        known = self._known.get(number)
        if known is not None:
            return slot, known
        async for page in _pages(store, Scan(slot=slot, limit=PAGE_MAX)):
            for key in page.keys:
                if slot_of(key) != slot:
                    return slot, b""
                if _position(key) == position:
                    return slot, key
        return slot, b""


def _position(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=POSITION_BITS // 8).digest(), "big") or 1


async def _pages(store: Store, first: Scan) -> AsyncIterator[Scanned]:
    """Yield pages until the last. Raises `Wrong` where one cannot be had."""
    call = first
    while True:
        page = await answered(store, call)
        if type(page) is not Scanned:
            raise Wrong(failed(page)[1:-2].decode())
        yield page
        if page.slot < 0:
            return
        call = Scan(slot=page.slot, after=page.after, limit=call.limit)


def scan(client: Session, args: Words) -> Any:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]."""
    if not args[1].isdigit() or len(args[1]) > 20 or int(args[1]) >> POSITION_BITS >= SLOTS:
        raise Wrong("ERR invalid cursor")
    pattern, count, kind = b"*", 10, b"string"
    if len(args) % 2:
        raise Wrong(SYNTAX)
    for option, value in zip(args[2::2], args[3::2], strict=True):
        if option.upper() == b"MATCH":
            pattern = value
        elif option.upper() == b"COUNT":
            count = integer(value)
        elif option.upper() == b"TYPE":
            kind = value.lower()
        else:
            raise Wrong(SYNTAX)
    if count < 1:
        raise Wrong(SYNTAX)
    return _scan(client, int(args[1]), matcher(pattern), min(count, PAGE_MAX), kind)


async def _scan(client: Session, number: int, fits: Fits, count: int, kind: bytes) -> bytes:
    cursors = client.door.cursors
    slot, after = await cursors.place(client.store, number)
    page = await answered(client.store, Scan(slot=slot, after=after, limit=count))
    if type(page) is not Scanned:
        return failed(page)
    keys = await _fitting(page.keys, fits) if kind == b"string" else []
    cursor = 0 if page.slot < 0 else cursors.number(page.slot, page.after)
    return encoded([b"%d" % cursor, keys], client.version)


async def _fitting(keys: Iterable[bytes], fits: Fits) -> list[bytes]:
    found: list[bytes] = []
    size = 0
    for key in keys:
        size += len(key)
        if size > MATCHED_BYTES_MAX:
            size = 0
            await asyncio.sleep(0)
        if fits(key):
            found.append(key)
    return found


async def counted(store: Store, most: int | None = None) -> int:
    """Count this node's keys, `most` of them or a few more."""
    count = 0
    async for page in _pages(store, Scan(limit=PAGE_MAX)):
        count += len(page.keys)
        if most is not None and count >= most:
            break
    return count


async def dbsize(client: Session, args: Words) -> bytes:
    return b":%d\r\n" % await counted(client.store)


async def in_slot(client: Session, slot: int) -> bytes:
    """Count the keys of a slot of which this node is the first owner."""
    count = 0
    async for page in _pages(client.store, Scan(slot=slot, limit=PAGE_MAX)):
        here = sum(slot_of(key) == slot for key in page.keys)
        count += here
        if page.slot != slot:
            break
    return b":%d\r\n" % count


COMMANDS = (
    Command(name="scan", arity=-2, plan=scan, says="Lists the keys of this node, a page at a time.",
            flags=("readonly",), since="2.8.0",
            tips=("nondeterministic_output", "request_policy:special", "response_policy:special")),
    Command(name="dbsize", arity=1, plan=dbsize, says="Counts the keys of this node, by reading them all.",
            flags=("readonly",), group="server", tips=("request_policy:all_shards", "response_policy:agg_sum")),
)  # fmt: skip
