"""What a person is told when something goes wrong: what, why, fix, and where a fault of our own is written down."""

from __future__ import annotations

import datetime
import errno
import json
import os
import platform
import re
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from fathom.cli import voice
from fathom.errors import EXIT_BROKE, EXIT_USAGE, FathomError, Refusal, nearest

__all__ = ["EXIT_INTERRUPTED", "tell"]

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells say it
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")  # user:password@ of a URL


def tell(raised: BaseException, words: Sequence[str]) -> int:
    """Print what happened in three lines (and as JSON where that was asked), and return the exit code."""
    if isinstance(raised, SystemExit):
        return raised.code if isinstance(raised.code, int) else EXIT_BROKE
    if isinstance(raised, BrokenPipeError):
        raise raised
    told = _told(raised, words)
    if "--json" in words:
        print(json.dumps(told.as_json(), indent=1, ensure_ascii=False))
    voice.tell(told)
    return told.code


def _told(raised: BaseException, words: Sequence[str]) -> FathomError:
    """Return any exception as the three lines that a person can act on."""
    for cause in _inside(raised):
        if isinstance(cause, FathomError):
            return cause
    first = next(iter(_inside(raised)))
    if isinstance(first, Refusal):
        return FathomError(first.says, why=f"the system refused ({first.code})", fix="ask for something else")
    if isinstance(first, KeyboardInterrupt):
        return FathomError("stopped", why="Ctrl-C", fix="run the same command again", code=EXIT_INTERRUPTED)
    if isinstance(first, OSError) and (told := _of_the_machine(first)):
        return told
    return _misused(first, words) or _broke(raised, words)


def _inside(raised: BaseException) -> list[BaseException]:
    """Return an exception, or those that a group of them holds."""
    if isinstance(raised, BaseExceptionGroup):
        return [inner for each in raised.exceptions for inner in _inside(each)]
    return [raised]


def _of_the_machine(raised: OSError) -> FathomError | None:
    """Return what the machine would not do; None for what is rather a fault of ours."""
    where = raised.filename or "a file"
    if raised.errno in (errno.ENOSPC, errno.EDQUOT):
        return FathomError(
            f"the disk is full: {where} could not be written",
            why=raised.strerror or "no space is left",
            fix="make room, or say another place: --runs DIR, --data DIR",
            code=EXIT_BROKE,
        )
    if raised.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return FathomError(
            f"{where} may not be written or read",
            why=raised.strerror or "it is not permitted",
            fix="say a place of your own: --runs DIR, --data DIR",
        )
    if raised.errno in (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EIO):
        return FathomError(
            f"{where} cannot be written or read",
            why=raised.strerror or str(raised),
            fix="say another place: --runs DIR, --data DIR",
        )
    if raised.errno == errno.EADDRINUSE:
        return FathomError(
            "the address is in use", why=raised.strerror or str(raised), fix="say another port: --port N, or --port 0"
        )
    if raised.errno in (errno.EMFILE, errno.ENFILE):
        return FathomError(
            "too many files are open", why=raised.strerror or str(raised), fix="raise the limit: ulimit -n 4096"
        )
    return None


def _misused(raised: BaseException, words: Sequence[str]) -> FathomError | None:
    """Return a wrong option or argument in our own voice (the parser's own names nothing near)."""
    import click

    if isinstance(raised, click.Abort):
        return FathomError("stopped", why="the input ended", fix="run the same command again", code=EXIT_INTERRUPTED)
    if not isinstance(raised, click.ClickException):
        return None
    context = raised.ctx if isinstance(raised, click.UsageError) else None
    if context is None:
        usage, fix = "fathom COMMAND …", f"see: {' '.join(['fathom', *words[:1]])} --help"
        return FathomError(_as_said(raised.format_message()), why=f"usage: {usage}", fix=fix)
    why, fix = f"usage: {context.get_usage().removeprefix('Usage: ')}", f"see: {context.command_path} --help"
    said = _as_said(raised.format_message())
    if isinstance(raised, click.NoSuchOption):
        options = [name for parameter in context.command.params for name in parameter.opts]
        said, fix = f"there is no option {raised.option_name}", nearest(raised.option_name, options, fix)
    elif isinstance(context.command, click.Group) and (unknown := re.match(r"no such command '(.*?)'", said)):
        known = context.command.list_commands(context)
        said = f"there is no command '{context.command_path} {unknown[1]}'"
        why, fix = f"{context.command_path} knows {', '.join(known)}", nearest(unknown[1], known, fix)
    return FathomError(said, why=why, fix=fix, code=EXIT_USAGE)


def _as_said(message: str) -> str:
    line = message.strip().splitlines()[0].rstrip(".")
    return line[:1].lower() + line[1:]


def _broke(raised: BaseException, words: Sequence[str]) -> FathomError:
    """Write the traceback down, and return what to say of it."""
    name = type(raised).__name__
    place = _written(raised, words)
    return FathomError(
        f"Fathom broke: {name}: {_SECRET.sub('…@', str(raised))}",
        why=f"this is a fault of Fathom's own; where it happened is written in {place}",
        fix="please report it with that file; running the command again may work",
        code=EXIT_BROKE,
    )


def _written(raised: BaseException, words: Sequence[str]) -> str:
    now = datetime.datetime.now(datetime.UTC)
    lines = [
        f"fathom {' '.join(words)}",
        f"{now.isoformat(timespec='seconds')} · Python {platform.python_version()} · {platform.platform()}",
        "",
        *traceback.format_exception(raised),
    ]
    text = _SECRET.sub("…@", "\n".join(lines))
    for folder in (Path(".fathom"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            file = folder / f"crash-{now:%Y%m%dT%H%M%S}-{os.getpid()}.txt"
            file.write_text(text, encoding="utf-8")
            return str(file)
        except OSError:
            continue
    return "nowhere: no folder could be written"
