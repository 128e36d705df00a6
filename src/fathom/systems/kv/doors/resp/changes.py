"""KV.CHANGE: every change that the store makes in one step, with an id by which it is known when it is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.calls import Change, Wrote
from .asked import SYNTAX, integer
from .command import Command
from .extension import options, within
from .replies import Wrong, encoded, failed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS"]

Words = list[bytes]
NAME_BYTES_MAX = 64
TAKES = {"SET": 1, "ADD": 1, "REPLACE": 1, "SWAP": 3, "DELETE": 0, "INCREMENT": 1, "APPEND": 1, "EXPIRE": 1}
EXPIRING = ("SET", "ADD", "REPLACE", "SWAP")


def change(client: Session, args: Words) -> Any:
    """KV.CHANGE key HOW [PXAT ms] [WITHIN ms] [OP number name | AGAIN number name].

    HOW is SET value, ADD value (if there is none), REPLACE value (if there is one), SWAP VERSION version value,
    SWAP VALUE old value, SWAP NOTHING '' value, DELETE [IF version], INCREMENT by, APPEND bytes or EXPIRE ms (Unix
    time; 0: never). OP gives it an id; what is sent again with it is done once: AGAIN says that it is.
    """
    how = args[2].upper().decode("ascii", "replace")
    takes = TAKES.get(how)
    if takes is None or len(args) < 3 + takes:
        raise Wrong(f"{SYNTAX}: KV.CHANGE key {' | '.join(TAKES)}, each with what it takes")
    given, words, op, again = args[3 : 3 + takes], args[3 + takes :], None, False
    if len(words) >= 3 and (known := words[-3].upper()) in (b"OP", b"AGAIN"):
        op, again = (integer(words[-2]), _name(words[-1])), known == b"AGAIN"
        words = words[:-3]
    also = ("PXAT",) if how in EXPIRING else ("IF",) if how == "DELETE" else ()
    asked = options(words, "WITHIN", *also)
    told = _given(how, given, asked.get("PXAT", 0))
    if "IF" in asked:  # a swap for nothing
        how, told = "SWAP", (asked["IF"], None, 0)
    call = Change(key=args[1], how=how.lower(), given=told, op=op, again=again)  # type: ignore[arg-type]
    return within(call, asked)


def _given(how: str, words: Words, until: int) -> tuple[Any, ...]:
    if how == "SWAP":
        return (_was(words[0].upper(), words[1]), words[2], until)
    if how in EXPIRING:
        return (words[0], until)
    if how == "EXPIRE":
        if integer(words[0]) < 0:
            raise Wrong(SYNTAX)
        return (integer(words[0]),)
    return (integer(words[0]),) if how == "INCREMENT" else tuple(words)


def _was(what: bytes, raw: bytes) -> int | bytes | None:
    if what == b"VERSION":
        return integer(raw)
    if what not in (b"VALUE", b"NOTHING"):
        raise Wrong(f"{SYNTAX}: SWAP compares a VERSION, a VALUE, or NOTHING")
    return raw if what == b"VALUE" else None


def _name(raw: bytes) -> str:
    if not (raw.isascii() and 0 < len(raw) <= NAME_BYTES_MAX):
        raise Wrong(f"ERR the name of a client has 1 to {NAME_BYTES_MAX} characters of ASCII")
    return raw.decode()


def _changed(client: Session, args: Words, answer: Any) -> bytes:
    """Say the result, what was there before, and the version. No result: it was done when it was asked before."""
    if type(answer) is not Wrote:
        return failed(answer)
    result = int(answer.result) if isinstance(answer.result, bool) else answer.result
    return encoded([result, answer.before, answer.version], client.version)


COMMANDS = (
    Command(name="kv.change", arity=-3, plan=change, say=_changed, keys=(1, 1, 1), group="kv",
            says="Changes a key in one step; returns a result, the value before, and the version.",
            flags=("write", "denyoom")),
)  # fmt: skip
