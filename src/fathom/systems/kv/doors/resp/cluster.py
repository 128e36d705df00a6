"""CLUSTER: which slots are whose, so that clients ask an owner at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fathom.blocks.slots import SLOTS, slot_of

from .asked import integer
from .command import Command
from .placement import Address, Stretch, id_of
from .replies import OK, Text, Wrong
from .scanning import in_slot

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS"]

Words = list[bytes]


def slots(client: Session, args: Words) -> Any:
    client.of_cluster = True
    stretches = client.placement.stretches(client.here)
    return [[first, last, [*address, id_of(node), []]] for first, last, node, address in stretches]


def shards(client: Session, args: Words) -> Any:
    client.of_cluster = True
    of_node: dict[str, list[Stretch]] = {}
    for stretch in client.placement.stretches(client.here):
        of_node.setdefault(stretch.node, []).append(stretch)
    return [
        {
            "slots": [bound for stretch in stretches for bound in (stretch.first, stretch.last)],
            "nodes": [_shard_node(client, node, stretches[0].at)],
        }
        for node, stretches in of_node.items()
    ]


def _shard_node(client: Session, node: str, address: Address) -> dict[str, Any]:
    return {
        "id": id_of(node),
        "port": address.port,
        "ip": address.host,
        "endpoint": address.host,
        "role": "master",
        "replication-offset": 0,
        "health": "online" if client.store.alive(node) else "failed",
    }


def nodes(client: Session, args: Words) -> Any:
    """One line a node. All are masters; see `Placement.stretches`."""
    client.of_cluster = True
    topology, me = client.placement.topology, client.store.me
    firsts: dict[str, list[str]] = {}
    for first, last, node, _ in client.placement.stretches(client.here):
        firsts.setdefault(node, []).append(f"{first}-{last}" if last > first else f"{first}")
    lines: list[str] = []
    for node in topology.nodes:
        address = client.placement.address(node) or (client.here if node == me else None)
        if address is not None:
            flags = "myself,master" if node == me else "master" if client.store.alive(node) else "master,fail"
            link = "connected" if client.store.alive(node) else "disconnected"
            where = f"{address.host}:{address.port}@{address.port}"
            ranges = " ".join(("", *firsts.get(node, ())))
            lines.append(f"{id_of(node)} {where} {flags} - 0 0 {topology.epoch} {link}{ranges}\n")
    return Text("".join(lines))


def info(client: Session, args: Words) -> Any:
    topology, alive = client.placement.topology, client.store.alive
    stretches = client.placement.stretches(client.here)
    lost = SLOTS - sum(last - first + 1 for first, last, node, _ in stretches if alive(node))
    facts = {
        "cluster_enabled": 1,
        "cluster_state": "fail" if lost else "ok",
        "cluster_slots_assigned": SLOTS,
        "cluster_slots_ok": SLOTS - lost,
        "cluster_slots_pfail": 0,
        "cluster_slots_fail": lost,
        "cluster_known_nodes": len(topology.nodes),
        "cluster_size": len(topology.members),
        "cluster_current_epoch": topology.epoch,
        "cluster_my_epoch": topology.epoch,
    }
    return Text("".join(f"{name}:{value}\r\n" for name, value in facts.items()))


def count_in_slot(client: Session, args: Words) -> Any:
    slot = integer(args[2])
    if not 0 <= slot < SLOTS:
        raise Wrong("ERR Invalid slot")
    return in_slot(client, slot)


def _second(name: str, arity: int, plan: Any, says: str, since: str = "3.0.0") -> Command:
    return Command(name=f"cluster|{name}", arity=arity, plan=plan, says=says, group="cluster", since=since)


SECONDS = (
    _second("slots", 2, slots, "Tells whose the slots are."),
    _second("shards", 2, shards, "Tells whose the slots are.", "7.0.0"),
    _second("nodes", 2, nodes, "Tells who is in the cluster."),
    _second("info", 2, info, "Tells how the cluster is."),
    _second("myid", 2, lambda client, args: id_of(client.store.me), "Tells who this node is."),
    _second("keyslot", 3, lambda client, args: slot_of(args[2]), "Tells which slot a key is of."),
    _second("countkeysinslot", 3, count_in_slot, "Counts the keys of a slot, at its first owner."),
)


def _ok(client: Session, args: Words) -> bytes:
    return OK


COMMANDS = (
    Command(name="cluster", arity=-2, says="Tells about the cluster.", group="cluster", since="3.0.0",
            under={second.name.partition("|")[2].encode(): second for second in SECONDS}),
    Command(name="readonly", arity=1, plan=_ok, says="Is always so: every owner answers reads.", group="cluster",
            flags=("fast",), since="3.0.0"),
    Command(name="readwrite", arity=1, plan=_ok, says="Is always so: every owner takes writes.", group="cluster",
            flags=("fast",), since="3.0.0"),
    Command(name="asking", arity=1, plan=_ok, says="Is never needed: no slot is between two nodes.", group="cluster",
            flags=("fast",), since="3.0.0"),
)  # fmt: skip
