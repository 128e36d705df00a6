"""The timeline's own commands: back up, restore, bring in a graph of who follows whom."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from fathom.engines.keeper import Keeper
from fathom.engines.postgres import Installation, Postgres
from fathom.errors import EXIT_BROKE, FathomError

__all__ = ["app"]

MAGIC = b"PGDMP"  # what pg_dump's own format begins with
_DIR = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)

data_option = click.option(
    "--data", type=_DIR, default=None, help="The data folder of fathom up.  [default: in the user's data folder]"
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group("timeline")
def app() -> None:
    """Back up the timeline, restore it, bring in a graph of who follows whom."""


@app.command()
@click.argument("file", type=_FILE)
@data_option
@click.option("--engine", metavar="postgres=URL", default=None, help="The PostgreSQL, where it is your own.")
@as_json
def backup(file: Path, data: Path | None, engine: str | None, as_json: bool) -> None:
    """Write all that the timeline knows to FILE: a consistent snapshot, also while it is up.

    The truth is PostgreSQL's alone, so that is what is kept; feeds and caches are made again. FILE has pg_dump's
    custom format. It is written beside its place and put there whole, or not at all.
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
    size = _backup(file.absolute(), (data or home()).absolute(), engine)
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
            why="it does not begin as pg_dump's custom format does",
            fix="give a file that was written by: fathom timeline backup FILE",
        )
    _restore(file.absolute(), folder)
    if as_json:
        print(json.dumps({"data": str(folder)}))
    else:
        print(f"restored; serve it with: fathom up timeline --data {folder}")


def home() -> Path:
    """Return where `fathom up timeline` keeps its data unless told otherwise."""
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "fathom" / "timeline"


def _backup(file: Path, folder: Path, engine: str | None) -> int:
    """Write a backup; return its size."""
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")

    async def dump() -> None:
        async with Keeper.open() as keeper, _truth(keeper, folder, engine) as url:
            keeper.own(partial)  # whatever becomes of us, no half of a backup is left
            await _run(keeper, "pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}")
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

    async def load() -> None:
        async with Keeper.open() as keeper:
            keeper.own(unfinished)
            async with Postgres.start(keeper, name="truth", folder=unfinished) as truth:
                options = ("--single-transaction", "--exit-on-error", "--no-owner")
                await _run(keeper, "pg_restore", truth.where, *options, str(file))
            unfinished.rename(folder / "truth")
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
    there = sorted(path.name for path in folder.iterdir() if path.name != "lock")
    if there:
        raise FathomError(
            f"{folder} is not empty",
            why=f"it has {', '.join(there[:3])}{' …' if len(there) > 3 else ''}; a restore never writes over data",
            fix="say a new folder: --data DIR",
        )


@asynccontextmanager
async def _truth(keeper: Keeper, folder: Path, engine: str | None) -> AsyncIterator[str]:
    """Yield the URL of the PostgreSQL that holds the truth: the user's own, the one that is up, or one begun here."""
    if engine is not None:
        kind, _, url = engine.partition("=")
        if kind != "postgres" or not url.startswith(("postgresql://", "postgres://")):
            raise FathomError(
                "--engine is not of the form postgres=URL",
                why="the truth is PostgreSQL's alone",
                fix="write --engine postgres=postgresql://user:password@host:5432/database",
            )
        yield url
        return
    place = folder / "truth"
    if not (place / "password").is_file():
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
        port = int((place / "data" / "postmaster.pid").read_text().splitlines()[3])
        password = (place / "password").read_text()
    except (OSError, ValueError, IndexError) as unread:
        raise FathomError(
            f"the data in {place.parent} is in use, and its PostgreSQL cannot be found",
            why=str(unread),
            fix="wait until it is up, or end it, and try again",
        ) from None
    return f"postgresql://fathom:{password}@127.0.0.1:{port}/postgres?sslmode=disable"


async def _run(keeper: Keeper, program: str, url: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs against a database; its password goes where `ps` does not show it."""
    installation = Installation(keeper)
    await installation.find()
    parts = urlsplit(url)
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LC_ALL": "C",
        "PGPASSWORD": unquote(parts.password or ""),
    }
    plain = url.replace(f":{parts.password}@", "@") if parts.password else url
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


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder as `fathom up` does; raise BlockingIOError where another process has it."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _is_backup(file: Path) -> bool:
    with file.open("rb") as begun:
        return begun.read(len(MAGIC)) == MAGIC


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
