"""The timeline's own commands: back up, restore, bring in a graph of who follows whom."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from fathom.engines.engine import EngineDown
from fathom.engines.keeper import Keeper
from fathom.engines.objects import Objects
from fathom.engines.postgres import Installation, Postgres
from fathom.errors import EXIT_BROKE, FathomError

from . import archive

if TYPE_CHECKING:
    from ..api import UserId
    from ..stores import Stores

__all__ = ["app", "home", "read_graph"]

EDGES_AT_ONCE = 20_000
GRAPH_BYTES_MAX = 64 * 1024 * 1024
NAME = re.compile(r"[a-z0-9_]{1,30}")
MAGIC = b"PGDMP"  # what pg_dump's own format begins with
DUMPED = "restoring.dump"  # lies beside pictures until the truth is in its place: without it they are half a restore
_DIR = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)

data_option = click.option(
    "--data", type=_DIR, default=None, help="The data folder of fathom up.  [default: in the user's data folder]"
)
engine_option = click.option(
    "--engine", metavar="postgres=URL", default=None, help="The PostgreSQL, where it is your own."
)
objects_option = click.option(
    "--objects", metavar="URL", default=None, help="The object store with the pictures, where it is your own."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group("timeline")
def app() -> None:
    """Back up the timeline, restore it, bring in a graph of who follows whom."""


@app.command()
@click.argument("file", type=_FILE)
@data_option
@engine_option
@objects_option
@as_json
def backup(file: Path, data: Path | None, engine: str | None, objects: str | None, as_json: bool) -> None:
    """Write all that the timeline knows to FILE: a consistent snapshot, also while it is up.

    That is PostgreSQL's tables and the pictures that they speak of; feeds and caches are made again. FILE has pg_dump's
    custom format or, where there are pictures, is a tar of it and of them. It is written beside its place and put there
    whole, or not at all.
    """
    if file.exists() and not _is_backup(file):
        raise FathomError(
            f"{file} is something else",
            why="it is there already, and is no backup that could be replaced",
            fix="say another name",
        )
    if not file.absolute().parent.is_dir():
        raise FathomError(
            f"there is no folder {file.absolute().parent}", why="the backup is written there", fix="make it first"
        )
    size = _backup(file.absolute(), (data or home()).absolute(), engine, objects)
    if as_json:
        print(json.dumps({"file": str(file), "bytes": size}))
    else:
        print(f"{file}: {size:,} bytes")


@app.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@data_option
@as_json
def restore(file: Path, data: Path | None, as_json: bool) -> None:
    """Make a data folder from a backup: one that is not there yet, or is empty.

    It appears there whole, or not at all. Then: fathom up timeline --data DIR
    """
    folder = (data or home()).absolute()
    if not file.is_file():
        raise FathomError(f"there is no file {file}", why="it is to be restored", fix="check the path")
    if not _is_backup(file):
        raise FathomError(
            f"{file} is no backup",
            why="it begins neither as pg_dump's custom format does, nor as a tar with that in it",
            fix="give a file that was written by: fathom timeline backup FILE",
        )
    _restore(file.absolute(), folder)
    if as_json:
        print(json.dumps({"data": str(folder)}))
    else:
        print(f"restored; serve it with: fathom up timeline --data {folder}")


@app.command("import-graph")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@data_option
@engine_option
@click.option("--both", is_flag=True, help="A line is a friendship: each follows the other.")
@as_json
def import_graph(file: Path, data: Path | None, engine: str | None, both: bool, as_json: bool) -> None:
    """Let the accounts in FILE follow each other: a line is FOLLOWER FOLLOWEE, by name.

    Accounts that are not there yet are made; nobody can log in to them. Lines that begin with # or % say nothing.
    The timeline must not be up. Run again, it does what is still missing.
    """
    edges = read_graph(file, both=both)
    folder = (data or home()).absolute()
    if engine is None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made, added = asyncio.run(_import(edges, folder, engine))
    accounts = len({name for edge in edges for name in edge})
    if as_json:
        print(json.dumps({"accounts": accounts, "accounts_new": made, "follows": len(edges), "follows_new": added}))
    else:
        print(f"{accounts:,} accounts, {made:,} of them new; {len(edges):,} follows, {added:,} of them new")


def read_graph(file: Path, *, both: bool = False) -> list[tuple[str, str]]:
    """Return (follower, followee) by name, each once, in the order in which they were said."""
    try:
        if (size := file.stat().st_size) > GRAPH_BYTES_MAX:
            raise FathomError(
                f"{file} is too large", why=f"it has {size:,} bytes, and {GRAPH_BYTES_MAX:,} are read", fix="split it"
            )
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as unread:
        raise FathomError(f"{file} cannot be read", why=str(unread), fix="give a text file of edges") from None
    edges: dict[tuple[str, str], None] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip()[0] in "#%":
            continue
        match line.replace(",", " ").split():
            case [one, other] if one != other and NAME.fullmatch(one) and NAME.fullmatch(other):
                edges[one, other] = None
                if both:
                    edges[other, one] = None
            case [one, other] if one == other:
                raise _unfit(file, number, f"{one[:40]} would follow themselves", "leave the line out")
            case [_, _]:
                raise _unfit(file, number, f"'{line.strip()[:60]}'", "a name is 1 to 30 of a-z, 0-9 and _")
            case _:
                raise _unfit(file, number, f"'{line.strip()[:60]}'", "write two names: FOLLOWER FOLLOWEE")
    if not edges:
        raise FathomError(f"{file} has no edge", why="no line has two names", fix="write lines: FOLLOWER FOLLOWEE")
    return list(edges)


def _unfit(file: Path, number: int, said: str, fix: str) -> FathomError:
    return FathomError(f"line {number} of {file} is no edge", why=f"it says {said}", fix=fix)


async def _import(edges: list[tuple[str, str]], folder: Path, engine: str | None) -> tuple[int, int]:
    """Make the accounts that are missing and let them follow each other; return how many of either were new."""
    from fathom.engines.nats import Nats
    from fathom.engines.redis import Redis

    from ..stores import Stores

    async with Keeper.open() as keeper, _truth(keeper, folder, engine, new=True) as url:
        truth = Postgres.at(url)
        async with truth.connected():
            # The others are not connected: who begins a new generation of feeds need not touch the old one.
            unused = Redis.at("redis://127.0.0.1"), Nats.at("nats://127.0.0.1"), Objects.at("file:///")
            stores = Stores(truth, *unused)
            await stores.migrate()
            async with stores.alone(within_s=2.0):
                await stores.generations.end()
                ids, made = await _accounts(stores, sorted({name for edge in edges for name in edge}))
                added = 0
                for first in range(0, len(edges), EDGES_AT_ONCE):
                    await stores.seat.check()
                    if stores.seat.lost.is_set():
                        await stores.seat.retake()
                    some = edges[first : first + EDGES_AT_ONCE]
                    added += await stores.graph.add([(ids[follower], ids[followee]) for follower, followee in some])
                return made, added


async def _accounts(stores: Stores, names: list[str]) -> tuple[dict[str, UserId], int]:
    """Return the ids of these accounts, and how many of them had to be made."""
    ids: dict[str, UserId] = {}
    for name in names:
        if (known := await stores.accounts.login(name)) is not None:
            ids[name] = known.user
    missing = [name for name in names if name not in ids]
    if missing:
        made = await stores.accounts.bulk(missing, time.time_ns() // 1_000_000)
        ids.update(zip(missing, made, strict=True))
    return ids, len(missing)


def home() -> Path:
    """Return where `fathom up timeline` keeps its data unless told otherwise."""
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "fathom" / "timeline"


def _backup(file: Path, folder: Path, engine: str | None, objects: str | None) -> int:
    """Write a backup; return its size."""
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    dumped = partial.with_name(f"{partial.name}.truth")

    async def dump() -> None:
        async with Keeper.open() as keeper, _truth(keeper, folder, engine) as url:
            keeper.own(partial)  # whatever becomes of us, no half of a backup is left
            keeper.own(dumped)
            truth = Postgres.at(url)
            async with truth.connected(), archive.snapshot(truth) as (name, pictures):
                options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={name}")
                await _run(keeper, "pg_dump", url, *options, f"--file={dumped}")
            if pictures:
                await archive.pack(partial, dumped, pictures, objects or (folder / "files" / "objects").as_uri())
                dumped.unlink()
            else:
                dumped.replace(partial)
            _put(partial, file)

    asyncio.run(dump())
    return file.stat().st_size


def _put(partial: Path, file: Path) -> None:
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.chmod(0o600)  # it holds what nobody else may read
    partial.replace(file)
    _sync_folder(file.parent)


def _restore(file: Path, folder: Path) -> None:
    """Make a data folder from a backup."""
    unfinished = folder / f".restoring-{secrets.token_hex(4)}"
    pictures = unfinished.with_name(f"{unfinished.name}-files")

    async def load() -> None:
        async with Keeper.open() as keeper:
            keeper.own(unfinished)
            keeper.own(pictures)
            dumped = file
            if archive.is_packed(file):
                dumped = pictures / DUMPED
                async with Objects.start(keeper, name="files", folder=pictures) as files, files.connected() as bucket:
                    await archive.unpack(file, dumped, bucket)
            async with Postgres.start(keeper, name="truth", folder=unfinished) as truth:
                options = ("--single-transaction", "--exit-on-error", "--no-owner")
                await _run(keeper, "pg_restore", truth.where, *options, str(dumped))
            if pictures.exists():
                pictures.rename(folder / "files")
            unfinished.rename(folder / "truth")
            (folder / "files" / DUMPED).unlink(missing_ok=True)
            _sync_folder(folder)

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with _locked(folder):
            _check_empty(folder)
            asyncio.run(load())
    except BlockingIOError:
        raise FathomError(
            f"the data in {folder} is in use", why="another process has it", fix="say a new folder: --data DIR"
        ) from None


def _check_empty(folder: Path) -> None:
    if (folder / "files" / DUMPED).exists() and not (folder / "truth").exists():  # a restore was ended just there
        shutil.rmtree(folder / "files")
    there = sorted(path.name for path in folder.iterdir() if path.name != "lock")
    if there:
        raise FathomError(
            f"{folder} is not empty",
            why=f"it has {', '.join(there[:3])}{' …' if len(there) > 3 else ''}; a restore never writes over data",
            fix="say a new folder: --data DIR",
        )


@asynccontextmanager
async def _truth(keeper: Keeper, folder: Path, engine: str | None, *, new: bool = False) -> AsyncIterator[str]:
    """Yield the URL of the PostgreSQL that holds the truth: the user's own, the one that is up, or one begun here.

    `new`: where there is none yet, make one.
    """
    if engine is not None:
        yield Postgres.url_of(engine)
        return
    place = folder / "truth"
    if not new and not (place / "password").is_file():
        raise FathomError(
            f"there is no timeline in {folder}",
            why=f"it has no {place.name} of ours",
            fix="say where it lies: --data DIR, or --engine postgres=URL where PostgreSQL is your own",
        )
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_locked(folder))
        except BlockingIOError:
            yield _of_running(place)
            return
        async with Postgres.start(keeper, name="truth", folder=place) as truth:
            yield truth.where


def _of_running(place: Path) -> str:
    """Return the URL of the PostgreSQL that another process runs on this folder."""
    try:
        return Postgres.running_in(place)
    except EngineDown as down:
        raise FathomError(
            f"the data in {place.parent} is in use, and its PostgreSQL cannot be found",
            why=down.why,
            fix="wait until it is up, or end it, and try again",
        ) from None


async def _run(keeper: Keeper, program: str, url: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs against a database; its password goes where `ps` does not show it."""
    installation = Installation(keeper)
    await installation.find()
    plain, password = _without_password(url)
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "PGPASSWORD": password}
    child = await keeper.spawn(
        [installation.program(program), f"--dbname={plain}", *arguments], name=program, env=environment
    )
    if (status := await child.wait()) != 0:
        raise FathomError(
            f"{program} failed with status {status}",
            why=child.tail(),
            fix="see that there is room on the disk, and that this PostgreSQL is not newer than 18",
            code=EXIT_BROKE,
        )


def _without_password(url: str) -> tuple[str, str]:
    """Part a URL and its password, which may stand before the host or in the query; there it counts more."""
    address, mark, query = url.partition("?")  # as PostgreSQL reads it, to which a '#' is a sign like any other
    scheme, _, place = address.partition("://")
    login, slash, path = place.partition("/")
    user, at, host = login.rpartition("@")
    fields = [field for field in query.split("&") if field]
    said = [field.partition("=")[2] for field in fields if unquote(field.partition("=")[0]) == "password"]
    left = "&".join(field for field in fields if unquote(field.partition("=")[0]) != "password")
    plain = f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path}{mark if left else ''}{left}"
    return plain, unquote(said[-1] if said else user.partition(":")[2])


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder as `fathom up` does; raise BlockingIOError where another process has it."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _is_backup(file: Path) -> bool:
    with file.open("rb") as begun:
        return begun.read(len(MAGIC)) == MAGIC or archive.is_packed(file)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
