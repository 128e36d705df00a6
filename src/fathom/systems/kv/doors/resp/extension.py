"""What Redis has no words for: versions that are compared, and contexts that say what a writer had read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.calls import Change, Found, Get, Put, Wrote
from .asked import SYNTAX, UNITS, expires_ms, integer
from .command import Command
from .replies import Wrong, encoded, failed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS"]

Words = list[bytes]


def get(client: Session, args: Words) -> Get:
    """KV.GET key [R n] [PR n] [SINCE version]."""
    asked = _options(args[2:], {b"R": 0, b"PR": 0, b"SINCE": 0})
    return Get(key=args[1], r=asked[b"R"] or None, pr=asked[b"PR"] or None, at_least=asked[b"SINCE"])


def _found(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is not Found:
        return failed(answer)
    return encoded([list(answer.values), answer.context, answer.version], client.version)


def put(client: Session, args: Words) -> Put:
    """KV.PUT key value CONTEXT context [W n] [PW n] [SINCE version]."""
    return _put(args[1], args[2], args[3:])


def delete(client: Session, args: Words) -> Put:
    """KV.DEL key CONTEXT context [W n] [PW n] [SINCE version]."""
    return _put(args[1], None, args[2:])


def _put(key: bytes, value: bytes | None, words: Words) -> Put:
    if words[0].upper() != b"CONTEXT":
        raise Wrong(f"{SYNTAX}: CONTEXT comes first, with what KV.GET gave, or '' for a writer who has read nothing")
    asked = _options(words[2:], {b"W": 0, b"PW": 0, b"SINCE": 0})
    w, pw, since = (asked[option] for option in (b"W", b"PW", b"SINCE"))
    return Put(key=key, value=value, context=words[1], w=w or None, pw=pw or None, at_least=since)


def _wrote(client: Session, args: Words, answer: Any) -> bytes:
    return encoded([answer.context, answer.version], client.version) if type(answer) is Wrote else failed(answer)


def cas(client: Session, args: Words) -> Change:
    """KV.CAS key version value [EX s | PX ms | EXAT s | PXAT ms]."""
    until = 0
    if len(args) > 4:
        if len(args) != 6 or args[4].upper() not in UNITS:
            raise Wrong(SYNTAX)
        until = expires_ms(client, "kv.cas", args[4].upper(), args[5])
    return Change(key=args[1], how="swap", given=(integer(args[2]), args[3], until))


def _swapped(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is not Wrote:
        return failed(answer)
    done = bool(answer.result)
    return encoded([int(done), answer.version, args[3] if done else answer.before], client.version)


def _options(words: Words, known: dict[bytes, int]) -> dict[bytes, int]:
    if len(words) % 2:
        raise Wrong(SYNTAX)
    for option, raw in zip(words[::2], words[1::2], strict=True):
        if option.upper() not in known or integer(raw) < 0:
            raise Wrong(SYNTAX)
        known[option.upper()] = integer(raw)
    return known


def _command(name: str, arity: int, plan: Any, say: Any, says: str, flags: tuple[str, ...]) -> Command:
    return Command(name=name, arity=arity, plan=plan, say=say, says=says, flags=flags, keys=(1, 1, 1), group="kv")


COMMANDS = (
    _command("kv.get", -2, get, _found, "Returns all values of a key, their context, and its version.",
             ("readonly", "fast")),
    _command("kv.put", -5, put, _wrote, "Writes over what a context says was read; returns a context and a version.",
             ("write", "denyoom")),
    _command("kv.del", -4, delete, _wrote, "Deletes what a context says was read.", ("write",)),
    _command("kv.cas", -4, cas, _swapped, "Sets a value if the key still has this version; returns 1 or 0, the version "
             "and the value that it has then.", ("write", "denyoom")),
)  # fmt: skip
