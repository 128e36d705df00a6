"""What a client says of itself: HELLO, AUTH, CLIENT; and the transactions that it cannot have."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from .command import Command
from .parser import whole_number
from .replies import OK, Status, Text, Wrong

if TYPE_CHECKING:
    from .session import Session

__all__ = ["AFTER_MULTI", "COMMANDS", "NOAUTH"]

Words = list[bytes]
REDIS_VERSION = "7.2.4"  # whose commands and replies are spoken here: clients decide by it what they may ask
NOAUTH = "NOAUTH Authentication required."
AFTER_MULTI = "ERR not done: it was sent after MULTI, which is refused; send DISCARD"
USERS = (b"default", b"operator", b"")  # redis-cli -u redis://:token@… gives an empty one
WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."
NO_TOKEN = (
    "ERR AUTH <password> called without any password configured for the default user."
    " Are you sure your configuration is correct?"
)
HELLO_FIRST = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass>"
    " option can be used to authenticate the client and select the RESP protocol version at the same time"
)


# Who it is -----------------------------------------------------------------------------------------------------------


def auth(client: Session, args: Words) -> bytes:
    """AUTH [default | operator] token."""
    if len(args) > 3:
        raise Wrong("ERR syntax error")
    if client.door.token is None and len(args) == 2:
        raise Wrong(NO_TOKEN)
    _identify(client, args[1] if len(args) == 3 else b"default", args[-1])
    return OK


def _identify(client: Session, user: bytes, token: bytes) -> None:
    """Compare in a time that does not tell how much of the token is right."""
    door = client.door
    wanted = door.operator if user == b"operator" else door.token
    fits = wanted is None or hmac.compare_digest(token, wanted)
    if not fits or user not in USERS:
        raise Wrong(WRONGPASS)
    client.operates = door.operator is None or user == b"operator" or door.operator == door.token
    client.known()


def hello(client: Session, args: Words) -> Any:
    """HELLO [version [AUTH user token] [SETNAME name]]."""
    version, name, at = client.version, None, 2
    if len(args) > 1:
        asked = whole_number(args[1])
        if asked is None:
            raise Wrong("ERR Protocol version is not an integer or out of range")
        if asked not in (2, 3):
            raise Wrong("NOPROTO unsupported protocol version")
        version = asked
    while at < len(args):
        option, left = args[at].upper(), len(args) - at - 1
        if option == b"AUTH" and left >= 2:
            _identify(client, args[at + 1], args[at + 2])
            at += 3
        elif option == b"SETNAME" and left >= 1:
            name = _name(args[at + 1])
            at += 2
        else:
            raise Wrong(f"ERR Syntax error in HELLO option '{args[at].decode('utf-8', 'replace')}'")
    if client.stranger:
        raise Wrong(HELLO_FIRST)
    client.speak(version)
    if name is not None:
        client.name = name
    return {
        "server": "redis",
        "version": REDIS_VERSION,
        "proto": version,
        "id": client.id,
        "mode": "cluster",
        "role": "master",
        "modules": [],
    }


# What it says --------------------------------------------------------------------------------------------------------


def _name(raw: bytes) -> str:
    if not all(33 <= char <= 126 for char in raw):
        raise Wrong("ERR Client names cannot contain spaces, newlines or special characters.")
    return raw[:128].decode()


def setname(client: Session, args: Words) -> bytes:
    client.name = _name(args[2])
    return OK


def setinfo(client: Session, args: Words) -> bytes:
    option = args[2].lower()
    if option not in (b"lib-name", b"lib-ver"):
        raise Wrong(f"ERR Unrecognized option '{args[2].decode('utf-8', 'replace')}'")
    if not all(33 <= char <= 126 for char in args[3]):
        raise Wrong(f"ERR {option.decode()} cannot contain spaces, newlines or special characters.")
    client.library[option.decode()] = args[3][:128].decode()
    return OK


def no_evict(client: Session, args: Words) -> bytes:
    if args[2].upper() not in (b"ON", b"OFF"):
        raise Wrong("ERR syntax error")
    return OK


def _own(client: Session, args: Words) -> Text:
    """Tell of this connection alone: the others are other people's."""
    return Text(client.line() + "\n")


def _second(name: str, arity: int, plan: Any, says: str, since: str) -> Command:
    return Command(name=f"client|{name}", arity=arity, plan=plan, says=says, group="connection", since=since)


SECONDS = (
    _second("setname", 3, setname, "Names this connection.", "2.6.9"),
    _second("getname", 2, lambda client, args: client.name or None, "Tells the name of this connection.", "2.6.9"),
    _second("setinfo", 4, setinfo, "Notes which library this is.", "7.2.0"),
    _second("id", 2, lambda client, args: client.id, "Tells the number of this connection.", "5.0.0"),
    _second("info", 2, _own, "Tells about this connection.", "6.2.0"),
    _second("list", -2, _own, "Tells about this connection; others are not shown.", "2.4.0"),
    _second("no-evict", 3, no_evict, "Changes nothing: no client is evicted.", "7.0.0"),
    _second("no-touch", 3, no_evict, "Changes nothing: reading leaves no mark.", "7.2.0"),
)


# Transactions --------------------------------------------------------------------------------------------------------


def multi(client: Session, args: Words) -> Any:
    """Refuse, and refuse all that follows up to EXEC or DISCARD: no half of a transaction is done."""
    client.refuses = True
    raise Wrong(
        "ERR MULTI is refused: keys are kept by different nodes, and each changes by itself. To change one key only if"
        " nobody else has, use KV.CAS; to send commands together, use a pipeline without a transaction"
    )


def watch(client: Session, args: Words) -> Any:
    raise Wrong("ERR WATCH is refused, as MULTI is: to change a key only if nobody else has, use KV.GET and KV.CAS")


def execute(client: Session, args: Words) -> Any:
    if not client.refuses:
        raise Wrong("ERR EXEC without MULTI")
    client.refuses = False
    raise Wrong("EXECABORT Transaction discarded because of previous errors.")


def discard(client: Session, args: Words) -> Any:
    if not client.refuses:
        raise Wrong("ERR DISCARD without MULTI")
    client.refuses = False
    return Status("OK")


def quit_(client: Session, args: Words) -> bytes:
    client.ends()
    return OK


def _command(name: str, arity: int, plan: Any, says: str, since: str = "1.0.0", **more: Any) -> Command:
    return Command(name=name, arity=arity, plan=plan, says=says, since=since, flags=("fast",), **more)


COMMANDS = (
    _command("hello", -1, hello, "Agrees on the version of the protocol.", "6.0.0", free=True, group="connection"),
    _command("auth", -2, auth, "Shows the token.", free=True, group="connection"),
    _command("quit", -1, quit_, "Closes the connection.", free=True, group="connection"),
    _command("multi", 1, multi, "Is refused: keys change one by one.", "1.2.0", group="transactions"),
    _command("exec", 1, execute, "Ends what MULTI was refused for.", "1.2.0", group="transactions"),
    _command("discard", 1, discard, "Ends what MULTI was refused for.", "2.0.0", group="transactions"),
    _command("watch", -2, watch, "Is refused: use KV.CAS.", "2.2.0", group="transactions", keys=(1, -1, 1)),
    _command("unwatch", 1, lambda client, args: OK, "Changes nothing: nothing is watched.", "2.2.0",
             group="transactions"),
    Command(name="client", arity=-2, says="Tells and notes who a client is.", group="connection", since="2.4.0",
            under={second.name.partition("|")[2].encode(): second for second in SECONDS}),
)  # fmt: skip
