"""Writes docs/reference: every command and every block in its own words, so that no page can say anything else."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from fathom.cli import front, pages, shelf
from fathom.systems import catalogue

__all__ = ["BLOCKS", "PAGE", "blocks", "page"]

PAGE = Path("docs") / "reference" / "commands.md"
BLOCKS = Path("docs") / "reference" / "blocks.md"
_OPENING = """\
# The commands

Written by `make reference` from the commands themselves; a test keeps it in step. Results go to stdout, progress to
stderr; every command takes `--json`. Exit codes: 0 all held, 1 one failed, 2 can't tell, 3 void (no numbers were
printed), 64 you asked wrongly, 70 Fathom broke, 130 stopped by Ctrl-C.
"""
_OF_BLOCKS = """\
# The blocks

Written by `make reference` from the blocks themselves; a test keeps it in step. A block is one idea in one file of
`src/fathom/blocks`: no clock, no dice, no input or output. Time and randomness come in as arguments, and every example
here is run by the tests.
"""


def page() -> str:
    """Return the page as it must be."""
    parts = [_OPENING]
    for name in front.commands():
        parts += _described(front.command(name), f"fathom {name}")
    for name, system in catalogue().items():
        if system.has("commands"):
            parts += _described(front.command(name), f"fathom {name}")
    return "\n".join(parts)


def blocks() -> str:
    """Return the page of the blocks as it must be."""
    parts = [_OF_BLOCKS]
    for block in shelf.every().values():
        parts.append(f"## {block.name}\n")
        parts += [f"{paragraph}\n" for paragraph in pages.of(block.path).markdown()]
        if block.is_drawn:
            asks = block.asks()
            parts.append(f"Drawn by `fathom block {block.name}`: {asks[0].lower()}{asks[1:]}\n")
    return "\n".join(parts)


def _described(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    if isinstance(command, click.Group):
        yield f"## {name} …\n\n{_help(command)}\n"
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            if inner is not None:
                yield from _described(inner, f"{name} {sub}")
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {name}\n\n{_help(command)}\n\n    {name} {usage}\n"
    options = [
        record
        for option in command.params
        if isinstance(option, click.Option) and (record := option.get_help_record(context))
    ]
    if options:
        yield "| option | |\n|---|---|"
        yield "\n".join(f"| `{_cell(flag)}` | {_cell(says)} |" for flag, says in options) + "\n"


def _help(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(_paragraph(each) for each in paragraphs)


def _paragraph(text: str) -> str:
    """Return a paragraph as one line; one that begins with \\b keeps its lines."""
    lines = text.split("\n")
    return "\n".join("    " + line for line in lines[1:]) if lines[0] == "\b" else " ".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    BLOCKS.write_text(blocks(), encoding="utf-8")
