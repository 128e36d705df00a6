"""A replicated key-value store: what it acknowledged it keeps, and what it cannot promise it says."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

__all__ = [
    "KEY_BYTES_MAX",
    "PAGE_KEYS_MAX",
    "SIBLINGS_MAX",
    "USUAL",
    "VALUE_BYTES_MAX",
    "Add",
    "Append",
    "Bucket",
    "Change",
    "Changed",
    "Delete",
    "Expire",
    "Found",
    "Increment",
    "Kv",
    "Layout",
    "Page",
    "Place",
    "Replace",
    "Semantics",
    "Set",
    "Swap",
    "Terms",
    "Written",
]

KEY_BYTES_MAX = 1_024
VALUE_BYTES_MAX = 1 << 20
SIBLINGS_MAX = 32
PAGE_KEYS_MAX = 1_000

Semantics = Literal["cas", "siblings", "lww"]


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one request asks for, where it is not what its bucket says.

    `r`, `w`: how many replicas must answer a read, or have a write, and `pr`, `pw` how many of those must be owners of
    the key; of a key that changes in one step a majority of its owners, whatever is said here. `deadline_ms`: when its
    caller stops waiting. `at_least`: a version that was seen of a last-write-wins key: nothing older is read, and
    what is written is newer.
    """

    r: int | None = None
    w: int | None = None
    pr: int | None = None
    pw: int | None = None
    deadline_ms: int | None = None
    at_least: int = 0


USUAL = Terms()


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The values of a key: none, one, or siblings that were written without knowing of each other.

    `context` is for who writes over siblings: it says what was read. `version` is for who changes a key only if it is
    still so. `expires_ms` is Unix time in milliseconds; 0: never. `fallbacks`: how many of those who answered stood in
    for owners that could not be reached.
    """

    values: list[bytes] = []
    context: bytes = b""
    version: int = 0
    expires_ms: int = 0
    fallbacks: int = 0


class Written(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As many keep it as were asked for. `context`: what the writer knows now; empty where there are others to read."""

    version: int = 0
    context: bytes = b""
    fallbacks: int = 0


class Changed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the condition of a change held, so that it was made; if not, nothing was changed.

    `number`: what a counter is now, or how many bytes a value has after something was appended. `before` is what was
    there, where that was looked at; `version` is the key's now.
    """

    done: bool
    version: int = 0
    number: int | None = None
    before: bytes | None = None


class _Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Set(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="set"):
    """Let the key have this value, whatever it has."""

    value: bytes
    expires_ms: int = 0


class Add(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="add"):
    """Let it have this value if it has none."""

    value: bytes
    expires_ms: int = 0


class Replace(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="replace"):
    """Let it have this value if it has one."""

    value: bytes
    expires_ms: int = 0


class Swap(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="swap"):
    """Let it have this value if it still has that version; without a version, if it still has what it had (`was`)."""

    value: bytes
    version: int | None = None
    was: bytes | None = None
    expires_ms: int = 0


class Delete(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="delete"):
    """Let there be no such key; with a version, if it still has that."""

    version: int | None = None


class Increment(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="increment"):
    """Add to a whole number of 64 bits; where there is none, to 0. When it expires stays as it is."""

    by: int = 1


class Append(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="append"):
    """Let its value end with this, too. When it expires stays as it is."""

    value: bytes


class Expire(_Change, frozen=True, kw_only=True, omit_defaults=True, tag="expire"):
    """Let it be gone from then on (0: never), if it is there and that is not so already."""

    expires_ms: int


Change = Set | Add | Replace | Swap | Delete | Increment | Append | Expire


class Page(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some keys, in the order of their slots; `after` is where the next page begins, nothing: this was the last."""

    keys: list[bytes] = []
    after: str = ""


class Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All keys that begin with `prefix`, up to longer prefixes, and what they promise: one semantics, never a mix.

    `cas`: a key changes in one step that nobody comes between. `siblings`: what was written at once is all kept.
    `lww`: the last write wins.
    """

    prefix: bytes = b""
    semantics: Semantics = "cas"
    n: int = 3
    r: int = 2
    w: int = 2
    pr: int = 0
    pw: int = 0
    sloppy: bool = False


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node, where its doors are (host:port), and whether others hear of it."""

    node: str
    rack: str = ""
    resp: str = ""
    http: str = ""
    alive: bool = True


class Layout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is in the cluster; a higher epoch is newer. `changing`: some are about to come or to go."""

    cluster: str
    epoch: int
    places: list[Place]
    buckets: list[Bucket]
    changing: bool = False


class Kv(Protocol):
    """What a client asks. A Refusal means that nothing was done; after a TimeoutError nobody knows."""

    async def get(self, key: bytes, terms: Terms = USUAL) -> Found:
        """Read a key."""
        ...

    async def put(
        self, key: bytes, value: bytes | None, context: bytes = b"", expires_ms: int = 0, terms: Terms = USUAL
    ) -> Written:
        """Write a key that is not changed in one step; with no value, delete it.

        Of siblings the value replaces those that were read with `context`, and stands beside all others. A deletion
        without a context deletes what there is. Siblings do not expire.
        """
        ...

    async def change(self, key: bytes, change: Change, terms: Terms = USUAL) -> Changed:
        """Change a key in one step that nobody comes between."""
        ...

    async def scan(self, after: str = "", limit: int = 100) -> Page:
        """List keys. What is there from the first page to the last is listed once; what comes or goes, perhaps."""
        ...

    async def bucket(self, key: bytes) -> Bucket:
        """Tell what is promised of a key."""
        ...

    async def topology(self) -> Layout:
        """Tell who is in the cluster, and what its buckets promise."""
        ...

    async def settled(self) -> None:
        """Return when every replica has what was acknowledged before."""
        ...
