"""The command line: one file a command, each read when it is asked for."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> int:
    """Run `fathom` with these words and return its exit code: nothing that goes wrong shows a traceback."""
    words = list(sys.argv[1:] if words is None else words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show ✓ shows ?
    try:
        try:
            code = _run(words)
        except BaseException as raised:
            from fathom.cli import trouble

            code = trouble.tell(raised, words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has gone (`fathom list | head -1`): nothing is wrong, and nobody is left to tell.
        # The interpreter flushes once more at its end, so what is left goes where nothing can break.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13


def _run(words: list[str]) -> int:
    from fathom.cli import front

    if not words or words[0] in {"-h", "--help", "help"}:
        front.page()
        return 0
    if words[0] in {"-V", "--version"}:
        from fathom import __version__

        print(f"fathom {__version__}")
        return 0
    import click

    name, *rest = words
    try:
        command = front.command(name)
        # Not command.main(): it would end the process itself where a pipe breaks.
        with command.make_context(f"fathom {name}", rest) as context:
            said = command.invoke(context)
    except click.exceptions.NoArgsIsHelpError as asked:  # a system's name alone: what can be asked of it
        print(asked.format_message())
        return 0
    except click.exceptions.Exit as left:  # --help
        said = left.exit_code
    return said if isinstance(said, int) else 0
