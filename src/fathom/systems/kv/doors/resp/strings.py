"""Values: GET, SET and what is made of them; each key changes in one step, so MSET is as many as it has keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.calls import INT_MIN, Change, Found, Get, Put, Wrote
from .asked import SYNTAX, UNITS, expires_ms, integer
from .asking import changed_all, swapped, together
from .command import Command, Say
from .replies import OK, Wrong, bulk, encoded, failed, wrong

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS", "several", "shared", "value_of"]

Words = list[bytes]


def several(found: Found) -> bytes:
    return wrong(
        f"ERR the key has {len(found.values)} siblings, written without knowing of each other:"
        " read them with KV.GET, and write what they are together with KV.PUT and their context"
    )


def value_of(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is Found:
        values = answer.values
        if len(values) == 1:
            return b"$%d\r\n%b\r\n" % (len(values[0]), values[0])
        return several(answer) if values else client.nil
    return failed(answer)


def shared(client: Session, args: Words, answer: Any) -> bytes:
    """Say OK, or nothing where a condition did not hold."""
    if type(answer) is Wrote:
        return client.nil if answer.result is False else OK
    return failed(answer)


def _result(client: Session, args: Words, answer: Any) -> bytes:
    return b":%d\r\n" % answer.result if type(answer) is Wrote else failed(answer)


def _before(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is not Wrote:
        return failed(answer)
    return client.nil if answer.before is None else bulk(answer.before)


# Reading -------------------------------------------------------------------------------------------------------------


def get(client: Session, args: Words) -> Get:
    return Get(key=args[1])


def _length(client: Session, args: Words, answer: Any) -> bytes:
    if type(answer) is not Found:
        return failed(answer)
    return several(answer) if len(answer.values) > 1 else b":%d\r\n" % sum(map(len, answer.values))


async def mget(client: Session, args: Words) -> bytes:
    """Read keys of one slot. Of a long reply no more is kept than the bound."""
    values: list[bytes | None] = []
    size, most = 0, client.limits.reply_bytes_max
    async for answer in together(client.store, [Get(key=key) for key in args[1:]]):
        if type(answer) is not Found:
            return failed(answer)
        if len(answer.values) > 1:
            return several(answer)
        values.append(answer.values[0] if answer.values else None)
        size += len(values[-1] or b"")
        if size > most:
            return wrong(f"ERR the reply would have over {most:,} bytes: ask for fewer keys at once")
    return encoded(values, client.version)


# Writing -------------------------------------------------------------------------------------------------------------


def set_(client: Session, args: Words) -> Any:
    """SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]."""
    key, value = args[1], args[2]
    if len(args) == 3:
        if client.semantics(key) == "cas":
            return Change(key=key, how="set", given=(value, 0))
        return Put(key=key, value=value)
    when, before, keep, until = _options(client, args)
    semantics = client.semantics(key)
    if semantics != "cas":
        if when or before or keep:
            raise Wrong(f"ERR NX, XX, GET and KEEPTTL need a key that changes in one step; this one is {semantics}")
        if until and semantics == "siblings":
            raise Wrong("ERR keys of this bucket are siblings, which do not expire")
        return Put(key=key, value=value, expires_ms=until)
    say: Say = _before if before else shared
    if keep and when != "add":
        return _kept(client, args, say, must_be=when == "replace")
    return Change(key=key, how=when or "set", given=(value, until)), say


def _options(client: Session, args: Words) -> tuple[Any, bool, bool, int]:
    """Return how the value gets there, whether to tell what was there, whether the old expiry stays, and the new."""
    when, before, keep, until = "", False, False, 0
    words = iter(args[3:])
    for word in words:
        option = word.upper()
        if option in (b"NX", b"XX") and not when:
            when = "add" if option == b"NX" else "replace"
        elif option == b"GET":
            before = True
        elif option == b"KEEPTTL" and not until:
            keep = True
        elif option in UNITS and not (keep or until):
            raw = next(words, None)
            if raw is None:
                raise Wrong(SYNTAX)
            until = expires_ms(client, "set", option, raw)
        else:
            raise Wrong(SYNTAX)
    return when, before, keep, until


async def _kept(client: Session, args: Words, say: Say, *, must_be: bool) -> bytes:
    """Set a value and leave its time to live as it is."""
    there: list[Found] = []

    def new(found: Found) -> Any:
        there[:] = [found]
        if must_be and not found.values:
            return Wrote(result=False)
        return args[2], found.expires_ms if found.values else 0

    wrote = await swapped(client.store, args[1], new)
    if type(wrote) is Wrote:
        wrote = Wrote(result=wrote.result, before=next(iter(there[0].values), None))
    return say(client, args, wrote)


def setnx(client: Session, args: Words) -> Change:
    return Change(key=args[1], how="add", given=(args[2], 0))


def _flag(client: Session, args: Words, answer: Any) -> bytes:
    return b":%d\r\n" % bool(answer.result) if type(answer) is Wrote else failed(answer)


def setex(client: Session, args: Words) -> Any:
    until = expires_ms(client, "setex", b"EX", args[2])
    return set_(client, [b"SET", args[1], args[3], b"PXAT", b"%d" % until])


def psetex(client: Session, args: Words) -> Any:
    until = expires_ms(client, "psetex", b"PX", args[2])
    return set_(client, [b"SET", args[1], args[3], b"PXAT", b"%d" % until])


def getset(client: Session, args: Words) -> Change:
    return Change(key=args[1], how="set", given=(args[2], 0))


def getdel(client: Session, args: Words) -> Change:
    return Change(key=args[1], how="delete")


def getex(client: Session, args: Words) -> Any:
    """GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]."""
    if len(args) == 2:
        return Get(key=args[1])
    option = args[2].upper()
    if option == b"PERSIST" and len(args) == 3:
        until = 0
    elif option in UNITS and len(args) == 4:
        until = expires_ms(client, "getex", option, args[3])
    else:
        raise Wrong(SYNTAX)
    return Change(key=args[1], how="expire", given=(until,)), _before


def append(client: Session, args: Words) -> Change:
    return Change(key=args[1], how="append", given=(args[2],))


def _by(key: bytes, by: int) -> Change:
    return Change(key=key, how="increment", given=(by,))


def decrby(client: Session, args: Words) -> Change:
    by = integer(args[2])
    if by == INT_MIN:
        raise Wrong("ERR decrement would overflow")
    return _by(args[1], -by)


def mset(client: Session, args: Words) -> Any:
    if len(args) % 2 == 0:
        raise Wrong("ERR wrong number of arguments for 'mset' command")
    return _mset(client, args)


async def _mset(client: Session, args: Words) -> bytes:
    calls = [set_(client, [b"SET", key, value]) for key, value in zip(args[1::2], args[2::2], strict=True)]
    done = await changed_all(client.store, calls)
    return done if isinstance(done, bytes) else OK


WRITE, FAST_WRITE, READ = ("write", "denyoom"), ("write", "denyoom", "fast"), ("readonly", "fast")
ONE, ALL = (1, 1, 1), (1, -1, 1)


def _string(name: str, arity: int, plan: Any, say: Any, says: str, **more: Any) -> Command:
    more = {"flags": FAST_WRITE, "keys": ONE, "group": "string", **more}
    return Command(name=name, arity=arity, plan=plan, say=say, says=says, **more)


COMMANDS = (
    _string("get", 2, get, value_of, "Returns the value of a key.", flags=READ, alike=True),
    _string("set", -3, set_, shared, "Sets the value of a key, on conditions and for a time if asked.", flags=WRITE),
    _string("setnx", 3, setnx, _flag, "Sets the value of a key only if there is none."),
    _string("setex", 4, setex, shared, "Sets the value of a key for some seconds.", flags=WRITE, since="2.0.0"),
    _string("psetex", 4, psetex, shared, "Sets the value of a key for some ms.", flags=WRITE, since="2.6.0"),
    _string("getset", 3, getset, _before, "Sets the value of a key and returns the one before."),
    _string("getdel", 2, getdel, _before, "Returns the value of a key and deletes it.", since="6.2.0"),
    _string("getex", -2, getex, value_of, "Returns the value of a key and sets its expiry.", since="6.2.0"),
    _string("strlen", 2, get, _length, "Returns the length of a value.", flags=READ, since="2.2.0"),
    _string("append", 3, append, _result, "Appends to the value of a key.", since="2.0.0"),
    _string("incr", 2, lambda client, args: _by(args[1], 1), _result, "Adds one to a number."),
    _string("decr", 2, lambda client, args: _by(args[1], -1), _result, "Subtracts one from a number."),
    _string("incrby", 3, lambda client, args: _by(args[1], integer(args[2])), _result, "Adds to a number."),
    _string("decrby", 3, decrby, _result, "Subtracts from a number."),
    _string("mget", -2, mget, None, "Returns the values of keys of one slot, each read by itself.",
            flags=READ, keys=ALL, tips=("request_policy:multi_shard",)),
    _string("mset", -3, mset, None, "Sets keys of one slot, each by itself: others may see some set and some not yet.",
            flags=WRITE, keys=(1, -1, 2), since="1.0.1",
            tips=("request_policy:multi_shard", "response_policy:all_succeeded")),
)  # fmt: skip
