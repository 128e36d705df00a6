"""Keys themselves: whether they are there, for how long, and away with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.calls import Call, Change, Found, Get, Put, Wrote
from .asked import expires_ms
from .asking import changed_all, swapped, together
from .command import Command
from .replies import Status, Wrong, encoded, failed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS"]

Words = list[bytes]


# There or not --------------------------------------------------------------------------------------------------------


def exists(client: Session, args: Words) -> Any:
    return Get(key=args[1]) if len(args) == 2 else _exist(client, args)


async def _exist(client: Session, args: Words) -> bytes:
    count = 0
    async for answer in together(client.store, [Get(key=key) for key in args[1:]]):
        if type(answer) is not Found:
            return failed(answer)
        count += bool(answer.values)
    return b":%d\r\n" % count


def _there(client: Session, args: Words, answer: Any) -> bytes:
    return b":%d\r\n" % bool(answer.values) if type(answer) is Found else failed(answer)


def _type(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is not Found:
        return failed(answer)
    return encoded(Status("string" if answer.values else "none"), 2)


# Away ----------------------------------------------------------------------------------------------------------------


def delete(client: Session, args: Words) -> Any:
    if len(args) == 2 and client.semantics(args[1]) == "cas":
        return Change(key=args[1], how="delete")
    return _delete(client, args[1:])


def _deleted(client: Session, args: Words, answer: Any) -> bytes:
    return b":%d\r\n" % answer.result if type(answer) is Wrote else failed(answer)


async def _delete(client: Session, keys: Words) -> bytes:
    """Delete keys, each by itself; of a key that is not changed in one step goes what is read before."""
    keys = list(dict.fromkeys(keys))
    calls: list[Call] = [Change(key=key, how="delete") for key in keys if client.semantics(key) == "cas"]
    others = [key for key in keys if client.semantics(key) != "cas"]
    at = 0
    async for answer in together(client.store, [Get(key=key) for key in others]):
        if type(answer) is not Found:
            return failed(answer)
        if answer.values:
            calls.append(Put(key=others[at], value=None, context=answer.context))
        at += 1
    done = await changed_all(client.store, calls)
    return done if isinstance(done, bytes) else b":%d\r\n" % sum(wrote.result != 0 for wrote in done)


# For how long --------------------------------------------------------------------------------------------------------


def _ttl(answer_of: Callable[[int, int], int]) -> Callable[[Session, Words, Any], bytes]:
    def say(client: Session, args: Words, answer: Any) -> bytes:
        if type(answer) is not Found:
            return failed(answer)
        if not answer.values:
            return b":-2\r\n"
        return b":%d\r\n" % (answer_of(answer.expires_ms, client.wall_ms()) if answer.expires_ms else -1)

    return say


def _expire(name: str, unit: bytes) -> Callable[[Session, Words], Any]:
    def plan(client: Session, args: Words) -> Any:
        """EXPIRE key time [NX | XX | GT | LT]."""
        key, until = args[1], expires_ms(client, name, unit, args[2], past=True)
        condition = _condition(args[3:])
        if client.semantics(key) != "cas":
            raise Wrong(f"ERR the expiry of a key that is {client.semantics(key)} is set when it is written")
        return _until(client, key, until, condition) if condition else Change(key=key, how="expire", given=(until,))

    return plan


def _condition(options: Words) -> frozenset[bytes]:
    known = frozenset(option.upper() for option in options)
    for option in options:
        if option.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise Wrong(f"ERR Unsupported option {option.decode('utf-8', 'replace')}")
    if b"NX" in known and len(known) > 1:
        raise Wrong("ERR NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= known:
        raise Wrong("ERR GT and LT options at the same time are not compatible")
    return known


async def _until(client: Session, key: bytes, until: int, condition: frozenset[bytes]) -> bytes:
    def new(found: Found) -> Any:
        old = found.expires_ms
        if (
            not found.values
            or (b"NX" in condition and old)
            or (b"XX" in condition and not old)
            or (b"GT" in condition and (not old or until <= old))
            or (b"LT" in condition and old and until >= old)
        ):
            return Wrote(result=0)
        return Wrote(result=1) if until == old else (found.values[0], until)

    return _flag(client, [], await swapped(client.store, key, new))


def _flag(client: Session, args: Words, answer: Any) -> bytes:
    return b":%d\r\n" % bool(answer.result) if type(answer) is Wrote else failed(answer)


def persist(client: Session, args: Words) -> Change:
    return Change(key=args[1], how="expire", given=(0,))


def keys(client: Session, args: Words) -> Any:
    raise Wrong("ERR KEYS is refused: it would read every key of this node in one go, while all others wait. Use SCAN")


WRITE, READ, ONE, ALL = ("write", "fast"), ("readonly", "fast"), (1, 1, 1), (1, -1, 1)


def _read(name: str, say: Any, says: str, since: str = "1.0.0") -> Command:
    return Command(
        name=name, arity=2, plan=lambda client, args: Get(key=args[1]), say=say, says=says, flags=READ, keys=ONE,
        since=since,
    )  # fmt: skip


def _expiring(name: str, unit: bytes, says: str, since: str) -> Command:
    return Command(
        name=name, arity=-3, plan=_expire(name, unit), say=_flag, says=says, flags=WRITE, keys=ONE, since=since
    )


COMMANDS = (
    Command(name="del", arity=-2, plan=delete, say=_deleted, says="Deletes keys of one slot, each by itself.",
            flags=("write",), keys=ALL, tips=("request_policy:multi_shard", "response_policy:agg_sum")),
    Command(name="unlink", arity=-2, plan=delete, say=_deleted, says="Deletes keys of one slot, each by itself.",
            flags=WRITE, keys=ALL, since="4.0.0", tips=("request_policy:multi_shard", "response_policy:agg_sum")),
    Command(name="exists", arity=-2, plan=exists, say=_there, says="Counts which of these keys are there.",
            flags=READ, keys=ALL, tips=("request_policy:multi_shard", "response_policy:agg_sum")),
    Command(name="touch", arity=-2, plan=exists, say=_there, says="Counts which of these keys are there.",
            flags=READ, keys=ALL, since="3.2.1", tips=("request_policy:multi_shard", "response_policy:agg_sum")),
    _read("type", _type, "Tells what kind of value a key has."),
    _read("ttl", _ttl(lambda until, now: max(0, until - now + 500) // 1_000), "Tells for how many seconds yet."),
    _read("pttl", _ttl(lambda until, now: max(0, until - now)), "Tells for how many milliseconds yet.", "2.6.0"),
    _read("expiretime", _ttl(lambda until, now: until // 1_000), "Tells until when, in Unix seconds.", "7.0.0"),
    _read("pexpiretime", _ttl(lambda until, now: until), "Tells until when, in Unix milliseconds.", "7.0.0"),
    _expiring("expire", b"EX", "Lets a key expire in some seconds.", "1.0.0"),
    _expiring("pexpire", b"PX", "Lets a key expire in some milliseconds.", "2.6.0"),
    _expiring("expireat", b"EXAT", "Lets a key expire at a time in Unix seconds.", "1.2.0"),
    _expiring("pexpireat", b"PXAT", "Lets a key expire at a time in Unix milliseconds.", "2.6.0"),
    Command(name="persist", arity=2, plan=persist, say=_flag,
            says="Lets a key stay for good.", flags=WRITE, keys=ONE, since="2.2.0"),
    Command(name="keys", arity=2, plan=keys, says="Is refused: use SCAN.", flags=("readonly",)),
)  # fmt: skip
