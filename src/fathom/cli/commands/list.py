"""Show the systems, what each decides, and the dives that measure it."""

from __future__ import annotations

from typing import Any

import click

from fathom.cli import options, voice
from fathom.cli.outline import Outline, outline


@click.command
@click.argument("system", metavar="[SYSTEM]", required=False)
@click.option("--paths", is_flag=True, help="Say where each of them lies.")
@click.option("--dives", is_flag=True, help="Only the dives, a line each: SYSTEM DIVE.")
@options.as_json
def command(system: str | None, paths: bool, dives: bool, as_json: bool) -> None:
    """Show the systems, what each decides, and the dives that measure it; of one SYSTEM its knobs too."""
    from fathom.systems import catalogue, find

    found = [find(system)] if system is not None else list(catalogue().values())
    outlines = [outline(each) for each in found]
    if as_json:
        voice.say_json([each.as_json() for each in outlines])
    elif dives:
        for each in outlines:
            for dive in each.dives:
                print(each.name, dive.name)
    else:
        for number, each in enumerate(outlines):
            print("\n" * (number > 0) + _text(each, paths=paths))
        if system is not None:
            _print_knobs(found[0])


def _text(system: Outline, *, paths: bool) -> str:
    lines = [f"{voice.paint(system.name, 'bold')}  {system.says}"]
    if paths:
        lines.append(f"  {system.path}")
    for question in system.questions:
        lines += ["", f"  {question.name}: {question.asks}"]
        if paths:
            lines.append(f"  {question.path}")
        rows: list[list[str]] = []
        for each in question.approaches:
            rows.append([each.name + (" *" if each.default else ""), str(each.path) if paths else each.says])
        lines.append(voice.columns(rows, indent="    "))
    if system.dives:
        lines += ["", "  dives"]
        lines.append(
            voice.columns([[each.name, str(each.path) if paths else each.says] for each in system.dives], indent="    ")
        )
    if any(each.default for question in system.questions for each in question.approaches):
        lines += ["", "  * the default"]
    return "\n".join(lines)


def _print_knobs(system: Any) -> None:
    rows: list[list[str]] = []
    for name, question in system.decisions.items():
        for approach, kind in question.approaches.items():
            rows += [[f"{name}={approach}", f"{knob.name}={knob.default}", knob.says] for knob in kind.knobs().values()]
    if rows:
        print("\n  knobs (--set NAME=VALUE)\n" + voice.columns(rows, indent="    "))
