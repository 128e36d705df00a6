"""Which engines are the user's own: `fathom.toml` and `--engine kind=URL`, read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fathom.engines.engine import without_secrets
from fathom.errors import FathomError, nearest

__all__ = ["FILE", "KINDS", "check_url", "engine_urls", "read_settings"]

FILE = "fathom.toml"

# kind → the schemes that its URL may have, and an example
KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "postgres": (("postgresql", "postgres"), "postgresql://user:password@host:5432/database"),
    "redis": (("redis", "rediss", "unix"), "redis://:password@host:6379/0"),
    "nats": (("nats", "tls"), "nats://user:password@host:4222"),
    "objects": (("file", "s3"), "s3://bucket/prefix or file:///path/of/a/folder"),
}


def engine_urls(given: Iterable[str] = (), folder: Path | None = None) -> dict[str, str]:
    """Return kind → URL of every engine that is the user's own; the others Fathom starts.

    `given` are the values of `--engine`; they win over `fathom.toml` in `folder` (default: the current one).
    """
    found = read_settings((folder or Path.cwd()) / FILE)
    asked: dict[str, str] = {}
    for text in given:
        kind, equals, url = text.partition("=")
        if not equals or "://" in kind:
            raise FathomError(
                "--engine needs a kind and a URL",
                why="there is no kind in it" if "://" in kind else f"'{kind}' has no URL",
                fix=f"write --engine {kind if kind in KINDS else 'postgres'}=URL",
            )
        if kind in asked:
            raise FathomError(
                f"--engine {kind} is given twice",
                why="a system has one engine of each kind, and would not know which is meant",
                fix="give it once",
            )
        asked[kind] = check_url(kind, url, "--engine")
    return found | asked


def read_settings(path: Path) -> dict[str, str]:
    """Return the engines in a `fathom.toml`: `[engines]`, and a line `kind = "URL"` for each. No file, none."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise FathomError(f"{path} cannot be read", why=fault.strerror or str(fault), fix="see its mode") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise FathomError(f"{path} is not TOML", why=str(fault), fix=_example()) from None
    for name in settings:
        if name != "engines":
            raise FathomError(f"{path} has a part '{name}'", why="only 'engines' has a meaning there", fix=_example())
    engines = settings.get("engines", {})
    if not isinstance(engines, Mapping):
        raise FathomError(f"in {path} 'engines' is not a table", why=f"it is {engines!r}", fix=_example())
    return {kind: check_url(kind, url, str(path)) for kind, url in engines.items()}


def check_url(kind: str, url: object, source: str) -> str:
    """Return a URL if it can be the URL of such an engine. What is wrong is said without the secrets in it."""
    if kind not in KINDS:
        raise FathomError(
            f"there is no engine '{kind}' ({source})",
            why=f"the engines are {', '.join(KINDS)}",
            fix=nearest(kind, KINDS, "name one of them"),
        )
    schemes, example = KINDS[kind]

    def wrong(why: str) -> FathomError:
        return FathomError(f"the URL of {kind} is wrong ({source})", why=why, fix=f"write it like {example}")

    if not isinstance(url, str) or not url:
        raise wrong("it is empty" if url == "" else f"it is a {type(url).__name__}, not text")
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        raise wrong("it has a blank or an unprintable character in it; write a blank as %20")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        # The message would quote the part that is wrong; in a URL with an unquoted '/' or '#' that may be the password.
        what = (
            "its port is not a number from 1 to 65535" if "port" in str(fault).lower() else "it cannot be taken apart"
        )
        raise wrong(f"{what}; signs like / # @ in a password are written as %2F %23 %40") from None
    if parts.scheme not in schemes:
        raise wrong(f"it begins with '{parts.scheme}://', not '{schemes[0]}://'" if parts.scheme else "it has no '://'")
    if port == 0:
        raise wrong("its port is 0")
    shown = without_secrets(url)
    on_disk = parts.scheme in ("file", "unix")
    if on_disk and not parts.path.startswith("/"):
        raise wrong(f"{shown} names no absolute path")
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise wrong(f"{shown} names a host; three slashes begin an absolute path")
    # PostgreSQL's host may be a folder with its socket: postgresql:///database?host=/run/postgresql
    if not on_disk and not parts.hostname and "host=" not in parts.query:
        raise wrong(f"{shown} names no host")
    return url


def _example() -> str:
    return f'write:  [engines]  and below it  postgres = "{KINDS["postgres"][1]}"'
