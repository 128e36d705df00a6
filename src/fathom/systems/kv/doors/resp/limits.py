"""What one client, and all of them together, may take of this node: every bound of the door."""

from __future__ import annotations

import msgspec

from ...api import KEY_BYTES_MAX, VALUE_BYTES_MAX

__all__ = ["Limits"]

DRAIN_S = 2.0  # for what is under way when the door closes, to be answered and read
PAGE_MAX = 1_000  # keys of a SCAN
COUNTED_MAX = 10_000  # keys that INFO counts: whoever wants them all asks DBSIZE
CURSORS_MAX = 1_024  # whose key is known
PATTERN_BYTES_MAX = 1_024
MATCHED_BYTES_MAX = 32 << 10  # of keys that are matched, before others have their turn: some 5 ms
AT_ONCE = 64  # keys of one command that are asked for together
TRIES_MAX = 16  # of a change that reads and swaps


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds are held before memory is taken. What exceeds one is answered, and read past where that is possible."""

    key_bytes_max: int = KEY_BYTES_MAX
    value_bytes_max: int = VALUE_BYTES_MAX
    command_bytes_max: int = 64 << 20  # all arguments of a command together, with what Python keeps of each
    bulk_bytes_max: int = 512 << 20  # a longer argument is an error of the protocol, as in Redis
    elements_max: int = 1 << 20
    line_bytes_max: int = 64 << 10  # an inline command; a header
    keys_max: int = 1_024  # that one command may name
    reply_bytes_max: int = 64 << 20  # of one command that reads many keys
    under_way_max: int = 64  # commands of one connection that wait for their answer, or for one before them
    output_bytes_max: int = 1 << 20  # unread by one client, before it is no longer read from
    connections_max: int = 10_000
    strangers_max: int = 64  # commands before a client has shown its token
    idle_s: float = 600.0
    stalled_s: float = 60.0  # how long a client may leave replies unread
    turn_commands: int = 512  # of one connection, before others have their turn
