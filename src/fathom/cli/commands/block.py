"""Show the building blocks, and draw one: measured here and now, with the block itself."""

from __future__ import annotations

import click

from fathom.cli import options, voice


@click.command
@click.argument("name", metavar="[NAME]", required=False)
@options.knobs
@click.option("--seed", type=int, default=7, show_default=True, help="What the dice begin with.")
@options.as_json
def command(name: str | None, knobs: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Show the building blocks, and draw one: measured here and now, with the block itself.

    Without NAME all of them are listed, those first that can be drawn. A block that has no drawing is shown by its own
    words: what it is, what it offers, examples.

    \b
    fathom block bloom --set bits=6        its bits, and how often it is wrong, beside the theory
    fathom block token-bucket              what is offered, and what it lets in
    fathom block ring --set nodes=12       who holds how much, and what moves when a node comes
    """
    from fathom.cli import shelf

    if name is None:
        shelf.listed(as_json=as_json)
        return
    block = shelf.find(name)
    drawing = block.drawing()
    if drawing is None:
        shelf.told(block, knobs, as_json=as_json)
        return
    from fathom.cli.choosing import pairs

    shelf.drawn(block, drawing.turn(pairs(knobs, "KNOB=VALUE")), seed, as_json=as_json, width=voice.width())
