"""What one client, and all of them together, may take of this node: every bound of the door."""

from __future__ import annotations

import msgspec

__all__ = ["Limits"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds are held before memory is taken. What exceeds one is answered, and read past where that is possible."""

    key_bytes_max: int = 1_024
    value_bytes_max: int = 1 << 20
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
