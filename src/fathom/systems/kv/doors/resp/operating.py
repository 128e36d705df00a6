"""What an operator asks of a node: who it is, founding, members, their change, snapshots."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from fathom.errors import FathomError

from ...core.calls import Failure, Reshape, Reshaped
from ...core.topology import Member, Topology
from ...stores.steward import Shape
from .command import Command
from .replies import OK, Error, Wrong, bulk, failed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS", "Operated"]

Words = list[bytes]
MEMBERS_MAX = 256


@runtime_checkable
class Operated(Protocol):
    """A node that can be founded and looked after, besides that it is asked for keys."""

    def facts(self) -> dict[str, Any]: ...

    def found(self, topology: Topology, *, begin: bool) -> Awaitable[None]: ...

    settings: Any

    def turn(self, settings: Any) -> Awaitable[None]: ...

    def figures(self) -> Awaitable[dict[str, int]]: ...

    def snapshot(self, name: str) -> Awaitable[Path]: ...


def _operated(client: Session, *, changes: bool) -> Operated:
    """Return the node, for one who may ask it that."""
    if changes and not client.operates:
        raise Wrong("NOPERM only an operator may ask this: AUTH operator <token>")
    if not isinstance(client.store, Operated):
        raise Wrong("ERR this node is looked after by the process in which it runs")
    return client.store


def node(client: Session, args: Words) -> dict[str, Any]:
    return _operated(client, changes=False).facts()


def topology(client: Session, args: Words) -> bytes:
    """KV.TOPOLOGY: with what contexts are sealed with only operators are told."""
    known = client.placement.topology
    return bulk(msgspec.json.encode(known if client.operates else msgspec.structs.replace(known, secret=b"")))


def members(client: Session, args: Words) -> list[dict[str, Any]]:
    """One map for each: who it is, where, since which epoch, what happens to it, and whether this node hears it."""
    known = client.placement.topology
    now, then = ({member.node for member in some} for some in (known.members, known.then or known.members))
    return [
        {
            "node": member.node,
            "rack": member.rack,
            "peer": member.peer,
            "resp": member.resp,
            "http": member.http,
            "since": member.since,
            "change": "stays" if name in now and name in then else "comes" if name in then else "goes",
            "alive": int(client.store.alive(name)),
        }
        for name, member in sorted(known.by_name.items())
    ]


def found(client: Session, args: Words) -> Any:
    """KV.FOUND topology-as-JSON [BEGIN]."""
    begin = len(args) > 2
    if begin and (len(args) > 3 or args[2].upper() != b"BEGIN"):
        raise Wrong("ERR syntax error")
    operated = _operated(client, changes=True)
    try:
        wanted = msgspec.json.decode(args[1], type=Topology)
    except msgspec.MsgspecError as unread:
        raise Wrong(f"ERR this is no topology: {unread}") from None
    return _told(operated.found(wanted, begin=begin))


def snapshot(client: Session, args: Words) -> Any:
    """KV.SNAPSHOT name."""
    return _told(_operated(client, changes=True).snapshot(args[1].decode("utf-8", "replace")))


def settings(client: Session, args: Words) -> bytes:
    return bulk(msgspec.json.encode(_operated(client, changes=False).settings))


def turn(client: Session, args: Words) -> Any:
    """KV.TURN settings-as-JSON."""
    operated = _operated(client, changes=True)
    try:
        wanted = msgspec.json.decode(args[1], type=type(operated.settings))
    except msgspec.MsgspecError as unread:
        raise Wrong(f"ERR these are no settings: {unread}") from None
    return _told(operated.turn(wanted))


async def _told(asked: Awaitable[Any]) -> Any:
    try:
        done = await asked
    except FathomError as fault:
        return Error(f"ERR {fault.what}: {fault.why}")
    return OK if done is None else str(done)


def reshape(client: Session, args: Words) -> Any:
    """KV.RESHAPE node,rack,peer,resp[,http] …: let these be the members. Returns the epoch, and 1 when it is done."""
    _operated(client, changes=True)
    if len(args) - 1 > MEMBERS_MAX:
        raise Wrong(f"ERR at most {MEMBERS_MAX} members")
    return _reshaped(client, Reshape(members=tuple(_member(word) for word in args[1:])))


def shape(client: Session, args: Words) -> Any:
    """KV.SHAPE {"placement", "vnodes", "buckets"}: let slots be placed so, and buckets ask so many; as KV.RESHAPE."""
    _operated(client, changes=True)
    try:
        wanted = msgspec.json.decode(args[1], type=Shape)
    except msgspec.MsgspecError as unread:
        raise Wrong(f"ERR this is no shape: {unread}") from None
    return _reshaped(client, Reshape(placement=wanted.placement, vnodes=wanted.vnodes, buckets=wanted.buckets))


async def _reshaped(client: Session, call: Reshape) -> Any:
    answer: Any = await client.store.ask(call)
    if type(answer) is Reshaped:
        return [answer.epoch, int(answer.done)]
    return failed(answer if type(answer) is Failure else None)


def _member(word: bytes) -> Member:
    parts = word.decode("utf-8", "replace").split(",")
    if not 4 <= len(parts) <= 5 or not parts[0] or not parts[2]:
        raise Wrong("ERR a member is node,rack,peer,resp or node,rack,peer,resp,http; rack and resp may be empty")
    return Member(**dict(zip(("node", "rack", "peer", "resp", "http"), parts, strict=False)))


def _command(name: str, arity: int, plan: Any, says: str) -> Command:
    return Command(name=name, arity=arity, plan=plan, says=says, flags=("admin",), group="kv")


COMMANDS = (
    _command("kv.node", 1, node, "Tells who this node is, and whether it is of a cluster."),
    _command("kv.topology", 1, topology, "Tells who is in the cluster and what its buckets promise, as JSON."),
    _command("kv.members", 1, members, "Tells who is in the cluster, who comes and who goes."),
    _command("kv.found", -2, found, "Has this node promise to begin with a topology, or begin with it."),
    _command("kv.reshape", -2, reshape, "Lets these be the members; given again, it goes on."),
    _command("kv.shape", 2, shape, "Places the slots, or has buckets ask so many; given again, it goes on."),
    _command("kv.settings", 1, settings, "Tells what was turned at this node, as JSON."),
    _command("kv.turn", 2, turn, "Turns knobs of this node, for good; it begins a new life with them."),
    _command("kv.snapshot", 2, snapshot, "Leaves a snapshot of this node beside its folder."),
)
