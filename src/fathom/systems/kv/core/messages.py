"""What nodes say to each other: frozen, and msgpack arrays on the wire, whose tag names the kind."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from fathom.blocks.ballots import Accept, Accepted, Ballot, Held, Look, Prepare, Promise, Refused

from .calls import Answer, Call
from .records import Record
from .topology import Topology

__all__ = [
    "Ack",
    "Adopt",
    "Adopted",
    "Body",
    "Differ",
    "Drop",
    "Dropped",
    "Envelope",
    "Fetch",
    "Forward",
    "Forwarded",
    "Found",
    "Gained",
    "Gains",
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


class Read(_Body, frozen=True, array_like=True, gc=False, tag=1):
    """What do you have under this key?"""

    id: int
    key: bytes


class Found(_Body, frozen=True, array_like=True, gc=False, tag=2):
    """`votes`: whether it counts. A node that is being rebuilt does not know what it forgot; a corrupt copy neither,
    and `forgot` says that it is only this one."""

    id: int
    record: Record | None
    votes: bool = True
    forgot: bool = False


class Merge(_Body, frozen=True, array_like=True, gc=False, tag=3):
    """Have this, too; it was so at `born_ms`. `hint_for`: keep it for that owner, who cannot be reached."""

    id: int
    key: bytes
    record: Record
    born_ms: int
    hint_for: str = ""


class Merged(_Body, frozen=True, array_like=True, gc=False, tag=4):
    id: int
    ok: bool = True  # False: no room for it, or no such place


class Vote(_Body, frozen=True, array_like=True, gc=False, tag=5):
    """A proposer's (or a reader's) message to the acceptor of a register."""

    id: int
    key: bytes
    ask: Prepare | Accept | Look


class Voted(_Body, frozen=True, array_like=True, gc=False, tag=6):
    """What the acceptor answers; nothing, if it may not vote."""

    id: int
    answer: Promise | Accepted | Refused | Held | None


class Forward(_Body, frozen=True, array_like=True, gc=False, tag=10):
    """A request that another is better placed to answer; `left_ms` of its time are left."""

    id: int
    call: Call
    left_ms: int


class Forwarded(_Body, frozen=True, array_like=True, gc=False, tag=11):
    id: int
    answer: Answer


# Membership ----------------------------------------------------------------------------------------------------------

News: TypeAlias = tuple[str, int, int, int]  # node, life, state (0 alive, 1 suspect, 2 down), refutation


class Ping(_Body, frozen=True, array_like=True, gc=False, tag=12):
    """Are you there? It is `wall_ms` here."""

    id: int
    wall_ms: int
    news: tuple[News, ...]


class Ack(_Body, frozen=True, array_like=True, gc=False, tag=13):
    id: int
    wall_ms: int
    news: tuple[News, ...]


class PingFor(_Body, frozen=True, array_like=True, gc=False, tag=14):
    """Can you reach this node? I cannot."""

    id: int
    whom: str


class Reached(_Body, frozen=True, array_like=True, gc=False, tag=23):
    id: int


class Tell(_Body, frozen=True, array_like=True, gc=False, tag=15):
    """A topology: newer than what you seem to have."""

    topology: Topology


class Rejoin(_Body, frozen=True, array_like=True, gc=False, tag=16):
    """My disk is another than before: let nobody build on what I promised then."""

    id: int
    incarnation: int


class Noted(_Body, frozen=True, array_like=True, gc=False, tag=17):
    """Written down; and all the incarnations that this node knows of, the asker's too."""

    id: int
    noted: tuple[tuple[str, int], ...]


# Repair --------------------------------------------------------------------------------------------------------------


class Summary(_Body, frozen=True, array_like=True, gc=False, tag=18):
    """Digests of what both keep: at level 0 a sum for each group of slots, at level 1 for each slot of some groups."""

    id: int
    level: int
    groups: tuple[int, ...]
    sums: tuple[tuple[int, bytes], ...]


class Differ(_Body, frozen=True, array_like=True, gc=False, tag=19):
    """Which of these differ here."""

    id: int
    level: int
    which: tuple[int, ...]


class Fetch(_Body, frozen=True, array_like=True, gc=False, tag=20):
    """Give me what you have in these slots, from this key of the first on."""

    id: int
    slots: tuple[int, ...]
    after: bytes


class Page(_Body, frozen=True, array_like=True, gc=False, tag=21):
    """A page of records. `slot` and `after` say where the next begins; slot -1: that was all. With the last page come
    the floors of the slots that were asked for, and the keys there of which this node has forgotten what it knew."""

    id: int
    records: tuple[tuple[bytes, Record], ...]
    slot: int
    after: bytes
    votes: bool
    floors: tuple[tuple[int, Ballot], ...] = ()
    forgot: tuple[bytes, ...] = ()


class Rests(_Body, frozen=True, array_like=True, gc=False, tag=24):
    """What lies there under these keys, and do you keep hints of them?"""

    id: int
    keys: tuple[bytes, ...]


class Rested(_Body, frozen=True, array_like=True, gc=False, tag=25):
    """The digests of what lies here; zeros, where nothing does or this node does not know."""

    id: int
    digests: tuple[bytes, ...]
    hints: tuple[bool, ...]


class Drop(_Body, frozen=True, array_like=True, gc=False, tag=26):
    """Forget what lies there under this key, if this is still its digest."""

    id: int
    key: bytes
    digest: bytes


class Dropped(_Body, frozen=True, array_like=True, gc=False, tag=27):
    id: int
    ok: bool


class Adopt(_Body, frozen=True, array_like=True, gc=False, tag=28):
    """Take this topology, and say so when it is durable: what is asked in an earlier epoch is refused from then on."""

    id: int
    topology: Topology


class Adopted(_Body, frozen=True, array_like=True, gc=False, tag=29):
    id: int


class Gains(_Body, frozen=True, array_like=True, gc=False, tag=30):
    """Do you have all that you gain in this epoch?"""

    id: int
    epoch: int


class Gained(_Body, frozen=True, array_like=True, gc=False, tag=31):
    id: int
    whole: bool


class Join(_Body, frozen=True, array_like=True, gc=False, tag=22):
    """A new node asks for the topology."""


Body: TypeAlias = (
    Read | Found | Merge | Merged | Vote | Voted | Forward | Forwarded | Ping | Ack
    | PingFor | Reached | Tell | Rejoin | Noted | Summary | Differ | Fetch | Page | Rests | Rested | Drop
    | Dropped | Adopt | Adopted | Gains | Gained | Join
)  # fmt: skip


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What goes over the wire: of which cluster and epoch the sender is, and what it says."""

    cluster: str
    epoch: int
    body: Body
