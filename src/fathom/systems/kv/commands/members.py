"""Commands that look after a cluster: found it, see, add and remove its members, keep and restore what they hold."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast, get_args

import click

from fathom.engines.rocks_folder import restore as restored
from fathom.errors import FathomError, nearest

from ..core.topology import Bucket, Semantics, Topology
from ..service.founding import found as founded
from ..service.founding import member_of
from .asking import as_json, asking, ca_option, client_of, token_option

__all__ = ["add", "found", "members", "remove", "restore", "snapshot"]

_DIR = click.Path(path_type=Path, file_okay=False)
WITHIN_S = 300.0

within_option = click.option(
    "--within", "within_s", type=click.FloatRange(1), default=WITHIN_S, show_default=True, help="Seconds to try."
)


@click.command()
@click.argument("nodes", metavar="HOST:PORT…", nargs=-1, required=True)
@click.option(
    "--vnodes", type=click.IntRange(1, 1_024), default=64, show_default=True, help="Places on the ring, each."
)
@click.option(
    "--bucket",
    "buckets",
    metavar="PREFIX=SEMANTICS",
    multiple=True,
    help="What keys with a prefix promise: cas, siblings or lww; may repeat.  [default: cas for all keys]",
)
@token_option
@ca_option
@as_json
def found(
    nodes: tuple[str, ...],
    vnodes: int,
    buckets: tuple[str, ...],
    token_file: Path | None,
    tls_ca: Path | None,
    as_json: bool,
) -> None:
    """Found a cluster of the nodes at these addresses, all of which are empty and wait for that."""
    wanted = Topology(cluster="", epoch=1, members=(), vnodes=vnodes, buckets=_buckets(buckets))

    async def ask() -> Topology:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client_of(each, token_file, tls_ca)) for each in nodes]
            return await founded(clients, wanted)

    topology = asyncio.run(ask())
    says = f"{topology.cluster} has {', '.join(topology.nodes)}, in epoch {topology.epoch}"
    _say({"cluster": topology.cluster, "epoch": topology.epoch, "nodes": topology.nodes}, says, as_json)


def _buckets(words: tuple[str, ...]) -> tuple[Bucket, ...]:
    found = [Bucket()] if not any(word.startswith("=") for word in words) else []
    for word in words:
        prefix, equals, semantics = word.rpartition("=")
        if not equals or semantics not in get_args(Semantics):
            raise FathomError(
                f"'{word}' declares no bucket",
                why=f"the semantics are {', '.join(get_args(Semantics))}",
                fix=nearest(semantics, get_args(Semantics), "write for example --bucket cart:=siblings"),
            )
        found.append(Bucket(prefix=prefix.encode(), semantics=cast("Semantics", semantics)))
    return tuple(found)


@click.command()
@click.argument("node", metavar="HOST:PORT")
@token_option
@ca_option
@as_json
def members(node: str, token_file: Path | None, tls_ca: Path | None, as_json: bool) -> None:
    """Show who is in the cluster, as the node at this address knows it."""

    async def ask() -> list[dict[str, Any]]:
        async with asking(node, token_file, tls_ca) as steward:
            return await steward.members()

    found = asyncio.run(ask())
    lines = [
        f"{it['node']:<12} {'answers' if it['alive'] else 'is silent':<10} {it['change']:<6}"
        f" since epoch {it['since']:<4} {it['resp'] or '-':<22} {it['peer']:<22} {it['rack']}".rstrip()
        for it in found
    ]
    _say(found, "\n".join(lines), as_json)


@click.command()
@click.argument("node", metavar="HOST:PORT")
@click.argument("newcomer", metavar="HOST:PORT-OF-THE-NEW-ONE")
@within_option
@token_option
@ca_option
@as_json
def add(node: str, newcomer: str, within_s: float, token_file: Path | None, tls_ca: Path | None, as_json: bool) -> None:
    """Take a node in that waits for it; what it is to keep is copied before it counts."""

    async def ask() -> tuple[str, int]:
        async with asking(node, token_file, tls_ca) as steward, asking(newcomer, token_file, tls_ca) as new:
            facts = await new.facts()
            if facts["cluster"] != (topology := await steward.topology()).cluster:
                raise FathomError(
                    f"{facts['node']} cannot be taken in",
                    why=f"it was started for the cluster {facts['cluster']}, and this one is {topology.cluster}",
                    fix=f"start it with --cluster {topology.cluster}, or with --join {node}",
                )
            return str(facts["node"]), await steward.add(member_of(facts), within_s)

    name, epoch = asyncio.run(ask())
    _say({"added": name, "epoch": epoch}, f"{name} is a member, in epoch {epoch}", as_json)


@click.command()
@click.argument("node", metavar="HOST:PORT")
@click.argument("leaving", metavar="NAME")
@within_option
@token_option
@ca_option
@as_json
def remove(
    node: str, leaving: str, within_s: float, token_file: Path | None, tls_ca: Path | None, as_json: bool
) -> None:
    """Let a node go, be it up or dead for good; what it kept is copied before it does not count any more."""

    async def ask() -> int:
        async with asking(node, token_file, tls_ca) as steward:
            return await steward.remove(leaving, within_s)

    epoch = asyncio.run(ask())
    _say({"removed": leaving, "epoch": epoch}, f"{leaving} is no member any more, in epoch {epoch}", as_json)


@click.command()
@click.argument("node", metavar="HOST:PORT")
@click.argument("name")
@token_option
@ca_option
@as_json
def snapshot(node: str, name: str, token_file: Path | None, tls_ca: Path | None, as_json: bool) -> None:
    """Have a node leave a snapshot of what it keeps beside its own folder, on its own machine."""

    async def ask() -> str:
        async with asking(node, token_file, tls_ca) as steward:
            return await steward.snapshot(name)

    place = asyncio.run(ask())
    _say({"snapshot": place}, place, as_json)


@click.command()
@click.argument("snapshot", type=_DIR)
@click.argument("folder", type=_DIR)
@as_json
def restore(snapshot: Path, folder: Path, as_json: bool) -> None:
    """Copy a snapshot into an empty folder, from which the same node can live again.

    What it promised since the snapshot it has forgotten: it counts again only when it has learnt that from the others.
    """
    whose = restored(snapshot, folder)
    _say({"folder": str(folder), "cluster": whose.cluster}, f"{folder} holds a node of {whose.cluster}", as_json)


def _say(data: Any, text: str, as_json: bool) -> None:
    click.echo(json.dumps(data, ensure_ascii=False) if as_json else text)
