"""A demo from its first word to its last: populated, used, shown on a page of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from fathom.cli import voice
from fathom.cli.place import Place
from fathom.design import Choice, System
from fathom.errors import FathomError

from .crowd import Demo
from .living import living, settled
from .up import up

if TYPE_CHECKING:
    from fathom.engines.keeper import Child
    from fathom.web.listen import Listen

    from .living import Living
    from .up import Upkeep

__all__ = ["demo_of", "show"]

PAGE_S = 20.0  # for the page's process to say where it is


def demo_of(system: System, seed: int) -> Demo:
    """Return what the system's room `demo` gives; refuse where there is none."""
    if not system.has("demo"):
        raise FathomError(
            f"{system.name} has no demo",
            why="a demo is what its room demo gives: a class Demo that populates the system and uses it",
            fix=f"write {system.folder / 'demo.py'}, or bring it up without --demo",
        )
    return system.room("demo").Demo(seed)


async def show(
    system: System,
    place: Place,
    choices: Mapping[str, Choice],
    door: Listen | None,
    page: Listen,
    demo: Demo,
    seed: int,
    as_json: bool,
) -> None:
    """Bring a system up, populate it, let people use it, and show it until it is ended."""
    async with up(system, place, choices, {}, door, linked=True, spared=demo.spared) as upkeep:
        voice.note(f"populating it (seed {seed})")
        name, password = await settled(upkeep, demo)
        async with living(upkeep, demo, seed) as it, shown(upkeep, it, page) as url:
            _say(upkeep, choices, url, name, password, as_json)
            await upkeep.lasting()


def _say(upkeep: Upkeep, choices: Mapping[str, Choice], page: str, name: str, password: str, as_json: bool) -> None:
    where = upkeep.served.door or upkeep.served.where
    if as_json:
        told = {name: {"approach": it.approach, "knobs": dict(it.knobs)} for name, it in choices.items()}
        said: dict[str, Any] = {"system": upkeep.system.name, "url": where, "page": page, "choices": told}
        said |= {"login": {"name": name, "password": password}, "data": str(upkeep.place.folder)}
        print(json.dumps(said, ensure_ascii=False), flush=True)
        return
    rows = [["page", page], ["login", f"{name} {password}"], *([at, str(choice)] for at, choice in choices.items())]
    print(f"{upkeep.system.name} is up at {where}\n{voice.columns(rows, indent='  ')}", flush=True)
    voice.note("Ctrl-C ends it, and removes its data")


@asynccontextmanager
async def shown(upkeep: Upkeep, living: Living, page: Listen) -> AsyncIterator[str]:
    """Serve the live page, in a process of its own, for the length of a block; yields its URL with the key to it.

    Who looks at the living hears when it has ended.
    """
    key = secrets.token_urlsafe(24)
    spec = {
        "control": upkeep.orders.control,
        "key": key,
        "listen": msgspec.to_builtins(page),
    }
    child = await upkeep.keeper.spawn(
        [sys.executable, "-P", "-m", "fathom.studio"], name="page", stdin=json.dumps(spec).encode()
    )
    try:
        line = await child.said(PAGE_S)
        living.tasks.append(asyncio.create_task(_lasting(child)))
        yield f"{line['url']}/?key={key}"
    finally:
        await child.kill()


async def _lasting(child: Child) -> None:
    raise child.fault(f"it ended with status {await child.wait()}")
