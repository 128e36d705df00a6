"""How a command reaches a node: its address, the token, and by whom its certificate is signed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click

from fathom.engines.redis_client import RedisClient
from fathom.errors import FathomError

from ..stores.steward import Steward

__all__ = ["FILE", "as_json", "asking", "ca_option", "client_of", "read_token", "token_option", "url_of"]

FILE = click.Path(path_type=Path, dir_okay=False)
F = TypeVar("F", bound=Callable[..., Any])

token_option = click.option("--token-file", type=FILE, default=None, help="Holds the operator's token.")
ca_option = click.option(
    "--tls-ca", type=FILE, default=None, help="Who signed the nodes' certificates (PEM); without it there is no TLS."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def read_token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as unread:
        raise FathomError(
            f"the token in {file} cannot be read", why=str(unread), fix=f"make one: openssl rand -hex 32 > {file}"
        ) from None


def url_of(where: str, token_file: Path | None, ca: Path | None) -> str:
    """Return the URL of a node at HOST:PORT. Raises FathomError."""
    host, _, port = where.rpartition(":")
    if not host or not port.isdigit():
        raise FathomError(f"'{where}' is no node's address", why="it is not HOST:PORT", fix="write 127.0.0.1:7000")
    if ca is not None and not ca.is_file():
        raise FathomError(
            f"there is no file {ca}", why="TLS needs it to know a node from a stranger", fix="see --tls-ca"
        )
    token = read_token(token_file)
    login = f"operator:{quote(token, safe='')}@" if token else ""
    end = f"/0?ca={quote(str(ca.absolute()))}" if ca is not None else "/0"
    return f"{'rediss' if ca is not None else 'redis'}://{login}{where}{end}"


@asynccontextmanager
async def client_of(where: str, token_file: Path | None, ca: Path | None) -> AsyncIterator[RedisClient]:
    async with RedisClient.open(url_of(where, token_file, ca), deadline_s=10.0) as client:
        yield client


@asynccontextmanager
async def asking(where: str, token_file: Path | None, ca: Path | None) -> AsyncIterator[Steward]:
    async with client_of(where, token_file, ca) as client:
        yield Steward(client)
