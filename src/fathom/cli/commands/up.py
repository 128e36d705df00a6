"""Serve a system until Ctrl-C, on engines and data of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fathom.cli import options, voice
from fathom.cli.choosing import also_wanted, chosen, own_engines, own_nodes
from fathom.cli.place import Place, of_demo, of_system
from fathom.design import Choice, System
from fathom.errors import FathomError

if TYPE_CHECKING:
    from fathom.cli.upkeep.crowd import Demo
    from fathom.web.listen import Listen

_FILE = click.Path(path_type=Path)


@click.command
@options.system
@click.argument("choices", metavar="[DECISION=APPROACH]…", nargs=-1)
@options.knobs
@click.option("--port", type=int, default=8080, show_default=True, help="The port of its door; 0 takes any free one.")
@click.option("--listen", "host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Its address.")
@click.option("--tls-cert", type=_FILE, help="A certificate (PEM); needed to listen beyond this machine.")
@click.option("--tls-key", type=_FILE, help="The certificate's key (PEM).")
@click.option("--token-file", type=_FILE, help="Holds the operator's token; needed to listen beyond this machine.")
@click.option("--demo", is_flag=True, help="Populate it, let people use it, and show it live; its data is not kept.")
@click.option("--page-port", type=int, default=8081, show_default=True, help="The port of the demo's live page.")
@click.option("--nodes", type=int, help="How many nodes, of a system that can have more of them or fewer.")
@click.option("--with", "also", metavar="FIELD", multiple=True, help="An engine that it can do without; may repeat.")
@click.option("--seed", type=int, default=7, show_default=True, help="Decides who does what in a demo.")
@options.data
@options.engines
@options.as_json
def command(
    system: str,
    choices: tuple[str, ...],
    knobs: tuple[str, ...],
    engines: tuple[str, ...],
    data: Path | None,
    demo: bool,
    page_port: int,
    nodes: int | None,
    also: tuple[str, ...],
    seed: int,
    as_json: bool,
    **door: str | int | Path | None,
) -> int:
    """Serve a system until Ctrl-C, on engines and data of its own.

    What was chosen or switched to last is chosen again, unless DECISION=APPROACH says otherwise. Beyond this machine
    (--listen ADDRESS) it is served with TLS and an operator's token only. With --demo it begins as a populated system
    with live traffic, and a page on this machine shows it, breaks it and switches it.
    """
    from fathom.cli.run import complete
    from fathom.systems import find

    voice.note("reading the system")
    found = find(system)
    if demo:
        return _demonstrate(found, choices, knobs, engines, data, door, page_port, seed, as_json)
    place = of_system(found, data)
    serving = chosen(found, choices, knobs, place.remembered(found))
    named, others = own_nodes(found, engines)
    wanted = also_wanted(found, also)
    urls = own_engines(found, others, wanted) | named
    spare = [*_spare(found, nodes), *wanted]
    listen = _door(**door) if found.has("doors") else None  # pyright: ignore[reportArgumentType]
    with place.taken(found):
        try:
            complete(_serve(found, place, serving, urls, spare, listen, as_json))
        except KeyboardInterrupt:
            voice.note(f"{found.name} has ended; its data is kept in {place.folder}")
    return 0


def _demonstrate(
    system: System,
    choices: tuple[str, ...],
    knobs: tuple[str, ...],
    engines: tuple[str, ...],
    data: Path | None,
    door: Mapping[str, str | int | Path | None],
    page_port: int,
    seed: int,
    as_json: bool,
) -> int:
    from fathom.cli.run import complete
    from fathom.cli.upkeep.demo import demo_of, show
    from fathom.lab.dive import engines_of
    from fathom.web.listen import Listen, tcp_socket

    if engines:
        raise FathomError(
            "a demo runs on engines of its own",
            why="it fills them with people who do not exist, and lets anybody break them",
            fix="leave out --engine, or --demo",
        )
    demo = demo_of(system, seed)
    serving = chosen(system, choices or [f"{k}={v}" for k, v in demo.choices.items()], knobs or _turned(demo, choices))
    listen = _door(**door) if system.has("doors") else None  # pyright: ignore[reportArgumentType]
    page = Listen(port=page_port)
    page.check()
    tcp_socket(page.host, page_port).close()
    place = of_demo(system, data)
    kept = list(engines_of(system))
    with place.taken(system):
        place.clear(kept)
        try:
            complete(show(system, place, serving, listen, page, demo, seed, as_json))
        except KeyboardInterrupt:
            voice.note(f"{system.name} has ended")
        finally:
            place.clear(kept)
    return 0


def _spare(system: System, nodes: int | None) -> list[str]:
    """Return which engines to start besides those that must be, so that there are so many of their kind."""
    from fathom.web.serve import engines_of

    if nodes is None:
        return []
    needed = engines_of(system)
    spare = {field: kind for field, kind in engines_of(system, spare=True).items() if kind in needed.values()}
    least = sum(kind in spare.values() for kind in needed.values())
    if not spare or not least <= nodes <= least + len(spare):
        raise FathomError(
            f"{system.name} cannot have {nodes} nodes",
            why=f"it has from {least} to {least + len(spare)}" if spare else "how many engines it has does not vary",
            fix=f"say --nodes {least + len(spare)}; nodes of other machines join by themselves" if spare
            else "leave out --nodes",
        )  # fmt: skip
    return list(spare)[: nodes - least]


def _turned(demo: Demo, choices: tuple[str, ...]) -> list[str]:
    """Return the demo's knobs, where it decides by itself which approaches they belong to."""
    return [] if choices else [f"{name}={value}" for name, value in demo.knobs.items()]


def _door(host: str, port: int, tls_cert: Path | None, tls_key: Path | None, token_file: Path | None) -> Listen:
    """Return where the door is to listen, checked and found free before anything is started."""
    from fathom.web.listen import Listen, Tls, tcp_socket

    if (tls_cert is None) is not (tls_key is None):
        there, missing = ("--tls-key", "--tls-cert") if tls_cert is None else ("--tls-cert", "--tls-key")
        raise FathomError(
            f"{there} is given alone", why="a certificate and its key belong together", fix=f"add {missing}"
        )
    tls = Tls(cert=str(tls_cert.absolute()), key=str(tls_key.absolute())) if tls_cert and tls_key else None
    listen = Listen(host=host, port=port, tls=tls, token=_token(token_file))
    listen.check()
    listen.context()
    tcp_socket(host, port).close()
    return listen


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as unread:
        raise FathomError(
            f"the token in {file} cannot be read", why=str(unread), fix=f"make one: openssl rand -hex 32 > {file}"
        ) from None


async def _serve(
    system: System,
    place: Place,
    choices: Mapping[str, Choice],
    urls: Mapping[str, str],
    spare: list[str],
    door: Listen | None,
    as_json: bool,
) -> None:
    from fathom.cli.upkeep.up import up

    async with up(system, place, choices, urls, door, spare=spare) as upkeep:
        where = upkeep.served.door or upkeep.served.where
        if as_json:
            told = {name: {"approach": it.approach, "knobs": dict(it.knobs)} for name, it in choices.items()}
            said = {"system": system.name, "url": where, "data": str(place.folder), "choices": told}
            said |= {"doors": upkeep.doors} if upkeep.doors else {}
            print(json.dumps(said, ensure_ascii=False), flush=True)  # on one line: whoever started us waits for it
        else:
            rows = [[name, url] for name, url in upkeep.doors.items()]
            rows += [["data", str(place.folder)], *([name, str(choice)] for name, choice in choices.items())]
            print(f"{system.name} is up at {where}\n{voice.columns(rows, indent='  ')}", flush=True)
            voice.note("Ctrl-C ends it")
        await upkeep.lasting()
