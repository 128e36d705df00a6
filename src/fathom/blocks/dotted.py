"""Dotted version vectors: which values of a key were written knowing of which, so that none is lost and none lingers.

Almeida, Baquero, Gonçalves, Preguiça and Fonte, *Scalable and Accurate Causality Tracking for Eventually Consistent
Stores* (2014). Every write has a dot, the actor that took it and its number there; a state is a version vector, all
dots that were ever seen, and the values that nothing has overwritten. Where the paper numbers the values of an actor
without gaps, here each keeps its own dot. So a number may skip, and an actor can count on for all its keys: then a key
whose state was forgotten, with its tombstone, cannot use a dot twice.

An actor is a node *and its incarnation*: a node that lost its memory begins a new one, or its new dots would be old.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

__all__ = ["ACTORS_MAX", "EMPTY", "TOKEN_BYTES_MAX", "Actor", "BadToken", "Context", "Dot", "Siblings", "context_of"]

ACTORS_MAX = 128  # in a token: a header of HTTP holds it
TOKEN_BYTES_MAX = 6_000
_VERSION = b"\x01"
_CHECK_BYTES = 8
_COUNTER_MAX = (1 << 63) - 1


class Actor(NamedTuple):
    """Who numbers writes: a node, in one of its lives."""

    node: str
    incarnation: int


class Dot(NamedTuple):
    """The name of one write, never used again."""

    actor: Actor
    counter: int


Context = Mapping[Actor, int]  # a version vector: of each actor every write up to this number is known

_Entry = tuple[Actor, int, tuple[tuple[int, bytes], ...]]  # an actor, the last number known, its values, newest first


class BadToken(ValueError):
    """A context token that nobody here gave out for this key."""


class Siblings:
    """What one replica knows of one key: its values that nothing overwrote, and all it has ever seen. Never changed.

    >>> a, b = Actor("a", 1), Actor("b", 1)
    >>> one, _ = EMPTY.update({}, a, b"tea")
    >>> two, _ = one.update({}, a, b"milk")               # blind: whoever wrote it had not read
    >>> two.values()
    [b'milk', b'tea']
    >>> three, dot = two.update(one.context(), b, b"cake")  # had read the tea, so the tea goes
    >>> three.values(), dot.counter
    ([b'milk', b'cake'], 1)
    >>> two.merge(three) == three
    True
    >>> three.discard(three.context()).values()
    []
    """

    __slots__ = ("entries",)

    def __init__(self, entries: tuple[_Entry, ...] = ()) -> None:
        self.entries = entries

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Siblings) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __len__(self) -> int:
        return sum(len(values) for _, _, values in self.entries)

    def __repr__(self) -> str:
        return f"Siblings({self.entries!r})"

    def values(self) -> list[bytes]:
        """Return the values, by actor, the newest of each first."""
        return [value for _, _, values in self.entries for _, value in values]

    def dots(self) -> Iterator[tuple[Dot, bytes]]:
        """Yield each value with the name of its write."""
        for actor, _, values in self.entries:
            for counter, value in values:
                yield Dot(actor, counter), value

    def context(self) -> dict[Actor, int]:
        """Return all that is known here: what a reader is given, and gives back with its write."""
        return {actor: counter for actor, counter, _ in self.entries}

    def knows(self, other: Siblings) -> bool:
        """Whether merging the other one would change nothing."""
        return self.merge(other) == self

    def update(self, context: Context, actor: Actor, value: bytes, *, above: int = 0) -> tuple[Siblings, Dot]:
        """Return the state with a new value in place of what its writer had seen, and the name of the write.

        `actor` is whoever takes the write, and takes one at a time. `above`: the highest number it has used for any
        key that it may have forgotten since. The writer is given the new context only together with all values, or
        when its own is the only one: a context says that everything up to a number was seen, so also another's.
        """
        kept = self.discard(context)
        counter = max(above, next((last for who, last, _ in kept.entries if who == actor), 0)) + 1
        mine = next((values for who, _, values in kept.entries if who == actor), ())
        return kept._with((actor, counter, ((counter, value), *mine))), Dot(actor, counter)

    def discard(self, context: Context) -> Siblings:
        """Return the state without the values that were seen. That is a deletion: what was not seen stays."""
        if not context:
            return self
        left = dict(context)
        entries: list[_Entry] = []
        for entry in self.entries:
            actor, last, values = entry
            seen = left.pop(actor, 0)
            if seen:
                entry = actor, max(last, seen), tuple([dotted for dotted in values if dotted[0] > seen])
            entries.append(entry)
        entries += [(Actor(*actor), seen, ()) for actor, seen in left.items() if seen > 0]
        return Siblings(tuple(sorted(entries, key=_by_actor)) if left else tuple(entries))

    def merge(self, other: Siblings) -> Siblings:
        """Return what both know together: a value stays unless one side has seen it and has it no longer."""
        if self is other or self.entries == other.entries or not other.entries:
            return self
        theirs = {entry[0]: entry for entry in other.entries}
        entries: list[_Entry] = []
        for entry in self.entries:
            their = theirs.pop(entry[0], None)
            entries.append(entry if their is None or their == entry else _merged(entry, their))
        if theirs:
            entries = sorted((*entries, *theirs.values()), key=_by_actor)
        return Siblings(tuple(entries))

    def _with(self, new: _Entry) -> Siblings:
        return Siblings(tuple(sorted((*(it for it in self.entries if it[0] != new[0]), new), key=_by_actor)))

    # As bytes --------------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """Return the state as bytes: the same for equal states, whatever way they came about."""
        return _encode(self.entries)

    @classmethod
    def decode(cls, raw: bytes) -> Siblings:
        """Return the state of some bytes; raise `ValueError` if they are none."""
        try:
            entries = _entries(raw)
        except msgspec.MsgspecError as error:
            raise ValueError(f"this is no state of siblings: {error}") from None
        return cls(entries)

    def token(self, key: bytes, secret: bytes = b"") -> bytes:
        """Return the context as a token for a reader of this key. See `context_of`.

        It is bounded: of more actors than `ACTORS_MAX`, or than `TOKEN_BYTES_MAX` hold, it names those that still have
        a value here, then the latest incarnations. Who writes with what is left out overwrites less, never more.
        """
        known = sorted(self.entries, key=lambda it: (not it[2], -it[0].incarnation, it[0].node))[:ACTORS_MAX]
        while len(body := _body(known)) > TOKEN_BYTES_MAX - _CHECK_BYTES:
            known.pop()
        return _check(body, key, secret) + body


EMPTY = Siblings()


def context_of(token: bytes, key: bytes, secret: bytes = b"") -> dict[Actor, int]:
    """Return the context of a token, or raise `BadToken`.

    Another key's context would overwrite what its bearer never saw, and so would an invented one: the checksum covers
    the key, and a secret of the cluster, at most 64 bytes.

    >>> state, _ = EMPTY.update({}, Actor("a", 1), b"tea")
    >>> context_of(state.token(b"cart"), b"cart")
    {Actor(node='a', incarnation=1): 1}
    >>> context_of(state.token(b"cart"), b"purse")
    Traceback (most recent call last):
    fathom.blocks.dotted.BadToken: this context is damaged, or of another key or cluster
    """
    if not token:
        return {}
    check, body = token[:_CHECK_BYTES], token[_CHECK_BYTES:]
    if len(token) > TOKEN_BYTES_MAX:
        raise BadToken(f"a context has at most {TOKEN_BYTES_MAX:,} bytes, not {len(token):,}")
    if not hmac.compare_digest(check, _check(body, key, secret)):
        raise BadToken("this context is damaged, or of another key or cluster")
    if body[:1] != _VERSION:
        raise BadToken(f"a context of version {body[0]} is not known here")
    try:
        known = _known(body[1:])
    except msgspec.MsgspecError as error:
        raise BadToken(f"this context cannot be read: {error}") from None
    if len(known) > ACTORS_MAX or any(not 0 < last <= _COUNTER_MAX for _, _, last in known):
        raise BadToken("this context names too many actors, or numbers that nobody uses")
    return {Actor(node, incarnation): last for node, incarnation, last in known}


def _body(entries: list[_Entry]) -> bytes:
    return _VERSION + _encode(sorted((*actor, last) for actor, last, _ in entries))


def _check(body: bytes, key: bytes, secret: bytes) -> bytes:
    check = blake2b(len(key).to_bytes(4, "big"), digest_size=_CHECK_BYTES, key=secret, person=b"fathom context")
    check.update(key)
    check.update(body)
    return check.digest()


def _merged(mine: _Entry, theirs: _Entry) -> _Entry:
    actor, last, values = mine
    _, their_last, their_values = theirs
    if not values and not their_values:
        return mine if last >= their_last else theirs
    both = {counter for counter, _ in values} & {counter for counter, _ in their_values}
    kept = [dotted for dotted in values if dotted[0] > their_last or dotted[0] in both]
    kept += [dotted for dotted in their_values if dotted[0] > last]
    kept.sort(reverse=True)
    return actor, max(last, their_last), tuple(kept)


def _by_actor(entry: _Entry) -> Actor:
    return entry[0]


_encode = msgspec.msgpack.Encoder().encode
_entries = msgspec.msgpack.Decoder(tuple[tuple[Actor, int, tuple[tuple[int, bytes], ...]], ...]).decode
_known = msgspec.msgpack.Decoder(list[tuple[str, int, int]]).decode
