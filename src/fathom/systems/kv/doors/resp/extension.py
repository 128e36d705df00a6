"""What Redis has no words for: versions that are compared, and contexts that say what a writer had read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ...core.calls import Call, Change, Found, Get, Put, Within, Wrote
from .asked import SYNTAX, UNITS, expires_ms, integer
from .command import Command
from .replies import Wrong, encoded, failed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS", "options", "within"]

Words = list[bytes]
Planned: TypeAlias = Call | Within
LEAST_ONE = ("R", "PR", "W", "PW", "WITHIN")


def get(client: Session, args: Words) -> Planned:
    """KV.GET key [R n] [PR n] [SINCE version] [WITHIN ms]."""
    asked = options(args[2:], "R", "PR", "SINCE", "WITHIN")
    call = Get(key=args[1], r=asked.get("R"), pr=asked.get("PR"), at_least=asked.get("SINCE", 0))
    return within(call, asked)


def _found(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is not Found:
        return failed(answer)
    told = [list(answer.values), answer.context, answer.version, answer.expires_ms, answer.fallbacks]
    return encoded(told, client.version)


def put(client: Session, args: Words) -> Planned:
    """KV.PUT key value CONTEXT context [PXAT ms] [W n] [PW n] [SINCE version] [WITHIN ms]."""
    asked = _after_context(args[3:], "PXAT", "W", "PW", "SINCE", "WITHIN")
    if asked.get("PXAT") and client.semantics(args[1]) == "siblings":
        raise Wrong("ERR keys of this bucket are siblings, which do not expire")
    return within(_put(args[1], args[2], args[4], asked), asked)


def delete(client: Session, args: Words) -> Planned:
    """KV.DEL key CONTEXT context [W n] [PW n] [SINCE version] [WITHIN ms]."""
    asked = _after_context(args[2:], "W", "PW", "SINCE", "WITHIN")
    return within(_put(args[1], None, args[3], asked), asked)


def _after_context(words: Words, *names: str) -> dict[str, int]:
    if words[0].upper() != b"CONTEXT":
        raise Wrong(f"{SYNTAX}: CONTEXT comes first, with what KV.GET gave, or '' for a writer who has read nothing")
    return options(words[2:], *names)


def _put(key: bytes, value: bytes | None, context: bytes, asked: dict[str, int]) -> Put:
    w, pw = asked.get("W"), asked.get("PW")
    until, since = asked.get("PXAT", 0), asked.get("SINCE", 0)
    return Put(key=key, value=value, context=context, expires_ms=until, w=w, pw=pw, at_least=since)


def _wrote(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is not Wrote:
        return failed(answer)
    return encoded([answer.context, answer.version, answer.fallbacks], client.version)


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


def options(words: Words, *names: str) -> dict[str, int]:
    """Return options that are whole numbers, each by its name, those that were given. Raises `Wrong`."""
    if len(words) % 2:
        raise Wrong(SYNTAX)
    asked: dict[str, int] = {}
    for option, raw in zip(words[::2], words[1::2], strict=True):
        name = option.upper().decode("ascii", "replace")
        if name not in names or name in asked or integer(raw) < (name in LEAST_ONE):
            raise Wrong(SYNTAX)
        asked[name] = integer(raw)
    return asked


def within(call: Call, asked: dict[str, int]) -> Planned:
    """Return the call with the time that it has, where that was said."""
    return Within(call, asked["WITHIN"]) if "WITHIN" in asked else call


def _command(name: str, arity: int, plan: Any, say: Any, says: str, flags: tuple[str, ...]) -> Command:
    return Command(name=name, arity=arity, plan=plan, say=say, says=says, flags=flags, keys=(1, 1, 1), group="kv")


COMMANDS = (
    _command("kv.get", -2, get, _found, "Returns all values of a key, their context, its version, its expiry, and "
             "how many of those who answered are no owners.",
             ("readonly", "fast")),
    _command("kv.put", -5, put, _wrote, "Writes over what a context says was read; returns a context, a version, and "
             "how many of those who have it are no owners.",
             ("write", "denyoom")),
    _command("kv.del", -4, delete, _wrote, "Deletes what a context says was read.", ("write",)),
    _command("kv.cas", -4, cas, _swapped, "Sets a value if the key still has this version; returns 1 or 0, the version "
             "and the value that it has then.", ("write", "denyoom")),
)  # fmt: skip
