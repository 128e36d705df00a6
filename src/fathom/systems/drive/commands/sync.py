"""The command that keeps a folder in sync, once or for as long as it runs."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

import click
import msgspec

from fathom.engines.loop import fastest
from fathom.engines.memory import kept
from fathom.errors import EXIT_BROKE, FathomError, Refusal

from ..api import PACKS_MAX
from ..client.folder import minted, opened
from ..client.place import Away, Place
from ..client.stay import stay
from ..client.sync import Report, Syncer
from ..client.watch import watching
from ..core.state import Known
from .account import Account, refused, taken
from .status import Standing, keep_standing

__all__ = ["sync"]

EVERY_S = 2.0  # progress is said so often, and not at all of what is over before
SHOWN = 10  # of what was hindered


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--url", default=None, help="Where the drive is; needed the first time.")
@click.option("--user", default=None, help="Who logs in. The password is asked for, or FATHOM_DRIVE_PASSWORD.")
@click.option("--join", is_flag=True, help="Open an account for --user first.")
@click.option("--device", default=None, help="What this device is called in conflict copies; else the host's name.")
@click.option("--once", is_flag=True, help="Sync until there is nothing to do, and end.")
@click.option(
    "--allow-deletions", type=click.IntRange(0), default=0, metavar="N", help="Let so many deletions at once through."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each sync.")
def sync(
    folder: Path,
    url: str | None,
    user: str | None,
    join: bool,
    device: str | None,
    once: bool,
    allow_deletions: int,
    as_json: bool,
) -> None:
    """Keep FOLDER as the drive has it, and the drive as FOLDER has it.

    Where both were changed, both are kept: the local one under another name. What cannot be synced is listed by
    `fathom drive status`. A .fathomignore in FOLDER says what stays at home: a pattern a line (*, ?, [...]; `name/`
    for folders alone, `/a/b` by the path, `!` takes back). FATHOM_DRIVE_TOKEN is taken before a password.
    """
    kept()
    gc.freeze()  # what is imported need not be looked at again and again, and most of what is known of files stays
    gc.set_threshold(100_000, 50, 100)
    with asyncio.Runner(loop_factory=fastest()) as runner:
        runner.run(_sync(folder, url, user, device, join, once, allow_deletions, as_json))


async def _sync(
    folder: Path,
    url: str | None,
    user: str | None,
    device: str | None,
    join: bool,
    once: bool,
    allowed: int,
    as_json: bool,
) -> None:
    from ..client.rest import Rest

    folder = await asyncio.to_thread(_made, folder)
    account = await taken(folder, url, user, device, join=join)
    progress = Progress()
    async with Rest(account.url, account.token, connections=PACKS_MAX + 2) as drive:
        try:
            user_id = await drive.whoami(account.token)
            space = (await drive.spaces(user_id))[0]
        except Refusal as refusal:
            raise refused(refusal, account.url) from refusal
        except (TimeoutError, ConnectionError) as lost:
            raise refused(Refusal("unavailable", str(lost) or repr(lost)), account.url) from lost
        place = Place(drive, user_id, space.id)
        async with opened(folder, place, account.device) as at:
            mint = minted(secrets.token_hex(8))
            syncer = Syncer(place, at.files, at.known, mint, tell=progress.tell, allow_deletions=allowed)
            said = Said(folder, account, at.known, progress, as_json)
            try:
                if once:
                    await _once(syncer, said)
                else:
                    async with watching(folder) as watch:
                        if watch.why:
                            click.echo(f"not all is heard of at once: {watch.why}", err=True)
                        await stay(syncer, place, at.known, watch, said.told)
            except FathomError as halted:
                said.halted(halted)
                raise
            except Refusal as refusal:
                said.halted(refused(refusal, account.url))
                raise refused(refusal, account.url) from refusal
            except (OSError, sqlite3.Error) as fault:
                raise _failed(folder, fault) from fault


async def _once(syncer: Syncer, said: Said) -> None:
    tries = 5
    for left in reversed(range(tries)):
        try:
            report = await syncer.sync()
        except Away as away:
            if not left:
                raise FathomError(
                    "the drive does not answer", why=str(away), fix="try again; nothing is done twice"
                ) from away
            await asyncio.sleep(max(0.2 * 2 ** (tries - left), away.retry_s or 0.0))
            continue
        if report.rest or not left:
            said.told(report)
            if not report.rest:
                raise SystemExit(1)
            return
        await asyncio.sleep(0.2)


def _failed(folder: Path, fault: Exception) -> FathomError:
    return FathomError(
        f"{folder} could not be read or written",
        why=str(fault) or repr(fault),
        fix="see to the disk (is it full?) and begin again: what was not finished is done then",
        code=EXIT_BROKE,
    )


def _made(folder: Path) -> Path:
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Progress:
    """Says now and then what was done, if it takes long."""

    def __init__(self) -> None:
        self._did: Counter[str] = Counter()
        self._said_s = time.monotonic()

    def tell(self, what: str, whom: str) -> None:
        self._did[what] += 1
        now_s = time.monotonic()
        if now_s - self._said_s >= EVERY_S:
            self._said_s = now_s
            words = {"hashed": "read", "sent": "sent", "make": "made", "put": "replaced", "fetched": "chunks fetched"}
            said = ", ".join(f"{self._did[key]:,} {word}" for key, word in words.items() if self._did[key])
            end = "\r" if sys.stderr.isatty() else "\n"
            click.echo((said or "looking …") + end, nl=False, err=True)

    def begin(self) -> None:
        self._did.clear()
        self._said_s = time.monotonic()


class Said:
    """What is said after each sync, on the screen and for `status`."""

    def __init__(self, folder: Path, account: Account, known: Known, progress: Progress, as_json: bool) -> None:
        self._folder, self._account, self._known, self._progress = folder, account, known, progress
        self._as_json = as_json
        self._last = ""

    def told(self, report: Report | Away) -> None:
        self._progress.begin()
        if isinstance(report, Away):
            self._keep(Report(), str(report))
            self._echo(f"waiting for the drive: {report}")
            return
        self._keep(report, "")
        if self._as_json:
            if report.done or self._last != "json":
                click.echo(msgspec.json.encode(report))
            self._last = "json"
            return
        if report.done:
            self._last = ""
        self._echo(_line(report))

    def halted(self, error: FathomError) -> None:
        self._keep(Report(), error.what)

    def _echo(self, text: str) -> None:
        if text != self._last:
            click.echo(text)
        self._last = text

    def _keep(self, report: Report, halted: str) -> None:
        about = self._known.about
        keep_standing(
            self._folder,
            Standing(
                at_s=time.time(),
                pid=os.getpid(),
                url=self._account.url,
                device=about.device,
                epoch=about.epoch,
                seq=about.seq,
                files=sum(tie.content is not None for tie in self._known.ties),
                halted=halted,
                report=report,
            ),
        )


def _line(report: Report) -> str:
    done = f"{report.done:,} step{'s' if report.done != 1 else ''}, " if report.done else ""
    left = f"; {len(report.skipped):,} not synced: see status" if report.skipped else ""
    if report.rest:
        return f"{done}all is synced{left}"
    lines = [f"{done}{len(report.hindered):,} could not be done yet{left}"]
    lines += [f"  {name}: {why}" for name, why in list(report.hindered.items())[:SHOWN]]
    return "\n".join(lines)
