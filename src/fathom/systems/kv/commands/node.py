"""The command that lives as a node, on this machine, until it is ended; of a new cluster, or of one that is there."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from fathom.errors import FathomError

from ..core.topology import Topology
from ..doors import node as process
from ..service.founding import member_of
from ..stores.settings import Settings, Value
from .asking import FILE, as_json, asking, read_token, token_option

__all__ = ["node"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", required=True, help="What the others call it; it stays that for good.")
@click.option("--cluster", default="kv", show_default=True, help="The cluster's name; with --join, that of the other.")
@click.option("--join", metavar="HOST:PORT", default=None, help="A member of the cluster into which it is taken.")
@click.option("--rack", default="", help="What may fail together with it: copies lie in several racks.")
@click.option("--listen", "host", default="127.0.0.1", show_default=True, help="Its address.")
@click.option("--advertise", default="", help="The address that others are told.  [default: as --listen]")
@click.option("--port", type=int, default=7000, show_default=True, help="For clients; 0 takes any free one.")
@click.option("--peer-port", type=int, default=7001, show_default=True, help="For other nodes.")
@click.option("--http-port", type=int, default=None, help="For HTTP; without it that door stays shut.")
@click.option("--tls-cert", type=FILE, default=None, help="Its certificate (PEM); needed beyond this machine.")
@click.option("--tls-key", type=FILE, default=None, help="The certificate's key (PEM).")
@click.option("--tls-ca", type=FILE, default=None, help="Who signed the certificates of all nodes (PEM).")
@token_option
@click.option("--client-token-file", type=FILE, default=None, help="Clients' token.  [default: the operator's]")
@click.option("--set", "knobs", metavar="KNOB=NUMBER", multiple=True, help="Turn a knob; may repeat.")
@as_json
def node(
    folder: Path,
    name: str,
    join: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
    token_file: Path | None,
    client_token_file: Path | None,
    knobs: tuple[str, ...],
    as_json: bool,
    **where: Any,
) -> None:
    """Live as a node on what FOLDER holds, until Ctrl-C.

    A node of a new cluster waits until it is founded (fathom kv found); with --join it is taken into a cluster that is
    there, and keeps its share when it has learnt it. Started again, it goes on where it was.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="fathom kv: %(message)s")
    operator = read_token(token_file)
    spec = process.Spec(
        folder=str(folder),
        node=name,
        cluster=where["cluster"],
        rack=where["rack"],
        host=where["host"],
        advertised=where["advertise"],
        resp_port=where["port"],
        peer_port=where["peer_port"],
        http_port=where["http_port"],
        token=read_token(client_token_file) or operator,
        operator=operator,
        tls=_authority(tls_cert, tls_key, tls_ca),
        settings=Settings(knobs=_knobs(knobs)),
    )
    if join is not None:
        topology = asyncio.run(_topology(join, token_file, tls_ca))
        known = {member.node: member.peer for member in topology.by_name.values() if member.node != name}
        spec = msgspec.structs.replace(spec, cluster=topology.cluster, known=known)

    def say(facts: dict[str, Any]) -> None:
        http = f" and http {facts['http']}" if facts["http"] else ""
        text = f"{name} is up at {facts['resp']}{http}, and is {_STATES[str(facts['state'])]}"
        click.echo(json.dumps(facts) if as_json else text)
        sys.stdout.flush()

    async def joins(facts: dict[str, Any]) -> None:
        assert join is not None
        async with asking(join, token_file, tls_ca) as steward:
            epoch = await steward.add(member_of(facts))
        click.echo(json.dumps({"added": name, "epoch": epoch}) if as_json else f"{name} is a member, in epoch {epoch}")
        sys.stdout.flush()

    process.run(spec, say, joins if join is not None else None)


_STATES = {
    "waiting": "waiting for its cluster",
    "promised": "waiting for its cluster to begin",
    "member": "a member",
    "alone": "a member that has heard of no other yet",
    "rebuilding": "learning from the others what it has forgotten",
}


async def _topology(join: str, token_file: Path | None, ca: Path | None) -> Topology:
    async with asking(join, token_file, ca) as steward:
        return await steward.topology()


def _authority(cert: Path | None, key: Path | None, ca: Path | None) -> process.Authority | None:
    given = [path for path in (cert, key, ca) if path is not None]
    if not given:
        return None
    if cert is None or key is None or ca is None:
        raise FathomError(
            "the certificate is not complete",
            why="nodes show each other certificates, and see by whom they are signed",
            fix="give --tls-cert, --tls-key and --tls-ca",
        )
    return process.Authority(cert=str(cert.absolute()), key=str(key.absolute()), ca=str(ca.absolute()))


def _knobs(words: tuple[str, ...]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for word in words:
        knob, equals, number = word.partition("=")
        if not equals or not number.isdigit():
            raise FathomError(
                f"'{word}' turns no knob", why="it is not KNOB=NUMBER", fix="write --set deadline_ms=2000"
            )
        found[knob] = int(number)
    return found
