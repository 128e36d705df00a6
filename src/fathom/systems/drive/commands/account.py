"""Whose folder it is and where its drive is: kept in the folder, for nobody else to read."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click
import msgspec

from fathom.errors import FathomError, Refusal

from ..api import DEVICE_CHARS_MAX
from ..client.folder import write_private
from ..client.place import AWAY
from ..client.rest import Rest
from ..core.files import OURS

__all__ = ["PASSWORD", "TOKEN", "Account", "refused", "taken"]

FILE = f"{OURS}/account"
TOKEN, PASSWORD = "FATHOM_DRIVE_TOKEN", "FATHOM_DRIVE_PASSWORD"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What a client needs to ask."""

    url: str
    token: str
    device: str


async def taken(folder: Path, url: str | None, user: str | None, device: str | None, *, join: bool = False) -> Account:
    """Return the account of a folder: that which is kept there, or a new one, which is kept from now on.

    With `join` the drive opens it first, for somebody whom it does not know yet.
    """
    file = folder / FILE
    kept = read(file)
    url = url or (kept.url if kept else None)
    if url is None:
        raise FathomError(
            f"{folder} is not synced yet",
            why="nobody has said with which drive",
            fix=f"say it once: fathom drive sync {folder} --url URL --user NAME",
        )
    token = os.environ.get(TOKEN) or (kept.token if kept and kept.url == url and not user else "")
    if not token or join:
        name = user or _asked("user", "say it: --user NAME")
        password = os.environ.get(PASSWORD) or _asked("password", f"put it into {PASSWORD}, or a token into {TOKEN}")
        try:
            async with Rest(url) as drive:
                if join:
                    await drive.join(name, password)
                token = await drive.login(name, password)
        except Refusal as refusal:
            raise refused(refusal, url) from refusal
    name = device or (kept.device if kept else None) or socket.gethostname()
    account = Account(url=url, token=token, device=_printable(name))
    if account != kept:
        (folder / OURS).mkdir(parents=True, exist_ok=True)
        write_private(file, msgspec.json.encode(account).decode())
    return account


def _asked(what: str, fix: str) -> str:
    if not sys.stdin.isatty():
        raise FathomError(f"no {what} was given", why="there is no terminal on which to ask for it", fix=fix)
    return click.prompt(what, hide_input=what == "password", err=True)


def read(file: Path) -> Account | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Account)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as fault:
        raise FathomError(
            f"{file} cannot be read", why=str(fault), fix=f"remove it, and say --url and --user again: rm {file}"
        ) from fault


def refused(refusal: Refusal, url: str) -> FathomError:
    """Return what is said of a drive that does not let somebody in, or is not there."""
    if refusal.code in AWAY:
        return FathomError(f"no drive answers at {url}", why=refusal.says, fix="see that it runs, or say --url")
    fix = "log in again: --user NAME" if refusal.code == "unauthorised" else "see the address and the account"
    return FathomError(refusal.says, why=f"the drive refused it ({refusal.code})", fix=fix)


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:DEVICE_CHARS_MAX] or "a device"
