"""What nodes say to each other. Frozen, and msgpack arrays on the wire; a tag names the kind."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from fathom.blocks.ballots import Accept, Accepted, Ballot, Held, Look, Prepare, Promise, Refused

from .topology import Topology

__all__ = [
    "Ack",
    "Body",
    "Differ",
    "Drop",
    "Dropped",
    "Envelope",
    "Fetch",
    "Forward",
    "Forwarded",
    "Found",
    "Join",
    "Merge",
    "Merged",
    "News",
    "Noted",
    "Page",
    "Ping",
    "PingFor",
    "Reached",
    "Read",
    "Rejoin",
    "Rested",
    "Rests",
    "Summary",
    "Tell",
    "Vote",
    "Voted",
]


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


# Replicas ------------------------------------------------------------------------------------------------------------


class Read(_Body, tag=1):
    """What do you have under this key?"""

    id: int
    key: bytes


class Found(_Body, tag=2):
    """`votes`: whether it counts. A node that is being rebuilt does not know what it forgot; a corrupt copy neither."""

    id: int
    record: Any  # of the semantics of the key's bucket
    votes: bool = True


class Merge(_Body, tag=3):
    """Have this, too; it was so at `born_ms`. `hint_for`: keep it for that owner, who cannot be reached."""

    id: int
    key: bytes
    record: Any
    born_ms: int
    hint_for: str = ""


class Merged(_Body, tag=4):
    id: int
    ok: bool = True  # False: no room for it, or no such place


class Vote(_Body, tag=5):
    """A proposer's (or a reader's) message to the acceptor of a register."""

    id: int
    key: bytes
    ask: Prepare | Accept | Look


class Voted(_Body, tag=6):
    """What the acceptor answers; nothing, if it may not vote."""

    id: int
    answer: Promise | Accepted | Refused | Held | None


class Forward(_Body, tag=10):
    """A request that another is better placed to answer; `left_ms` of its time are left."""

    id: int
    call: Any
    left_ms: int


class Forwarded(_Body, tag=11):
    id: int
    answer: Any


# Membership ----------------------------------------------------------------------------------------------------------

News: TypeAlias = tuple[str, int, int, int]  # node, life, state (0 alive, 1 suspect, 2 down), refutation


class Ping(_Body, tag=12):
    """Are you there? It is `wall_ms` here."""

    id: int
    wall_ms: int
    news: tuple[News, ...]


class Ack(_Body, tag=13):
    id: int
    wall_ms: int
    news: tuple[News, ...]


class PingFor(_Body, tag=14):
    """Can you reach this node? I cannot."""

    id: int
    whom: str


class Reached(_Body, tag=23):
    id: int


class Tell(_Body, tag=15):
    """A topology: newer than what you seem to have."""

    topology: Topology


class Rejoin(_Body, tag=16):
    """My disk is another than before: let nobody build on what I promised then."""

    id: int
    incarnation: int


class Noted(_Body, tag=17):
    """Written down. `known` is the newest incarnation of the asker that this node knows of."""

    id: int
    known: int


# Repair --------------------------------------------------------------------------------------------------------------


class Summary(_Body, tag=18):
    """Digests of what both keep: at level 0 a sum for each group of slots, at level 1 for each slot of some groups."""

    id: int
    level: int
    groups: tuple[int, ...]
    sums: tuple[tuple[int, bytes], ...]


class Differ(_Body, tag=19):
    """Which of these differ here."""

    id: int
    level: int
    which: tuple[int, ...]


class Fetch(_Body, tag=20):
    """Give me what you have in these slots, from this key of the first on."""

    id: int
    slots: tuple[int, ...]
    after: bytes


class Page(_Body, tag=21):
    """A page of records. `slot` and `after` say where the next begins; slot -1: that was all."""

    id: int
    records: tuple[tuple[bytes, Any], ...]
    slot: int
    after: bytes
    votes: bool
    floors: tuple[tuple[int, Ballot], ...] = ()  # of the slots that were asked for, with the last page


class Rests(_Body, tag=24):
    """What lies there under this key, and do you keep a hint of it?"""

    id: int
    key: bytes


class Rested(_Body, tag=25):
    """The digest of what lies here; zeros, if nothing does or this node does not know."""

    id: int
    digest: bytes
    hints: bool


class Drop(_Body, tag=26):
    """Forget what lies there under this key, if this is still its digest."""

    id: int
    key: bytes
    digest: bytes


class Dropped(_Body, tag=27):
    id: int
    ok: bool


class Join(_Body, tag=22):
    """A new node asks for the topology."""

    node: str


Body: TypeAlias = (
    Read | Found | Merge | Merged | Vote | Voted | Forward | Forwarded | Ping | Ack
    | PingFor | Reached | Tell | Rejoin | Noted | Summary | Differ | Fetch | Page | Rests | Rested | Drop
    | Dropped | Join
)  # fmt: skip


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What goes over the wire: of which cluster and epoch the sender is, and what it says."""

    cluster: str
    epoch: int
    body: Body
