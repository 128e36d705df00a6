"""Show the systems, what each decides, and the dives that measure it."""

from __future__ import annotations

from collections.abc import Iterable

import click

from fathom.cli import options, voice
from fathom.cli.outline import Entry, Outline, Question, outline


@click.command
@click.argument("system", metavar="[SYSTEM]", required=False)
@click.option("--paths", is_flag=True, help="Say where each of them lies.")
@click.option("--dives", is_flag=True, help="Only the dives, a line each: SYSTEM DIVE.")
@options.as_json
def command(system: str | None, paths: bool, dives: bool, as_json: bool) -> None:
    """Show the systems, what each decides, and the dives that measure it; of one SYSTEM what its knobs do, too.

    Under each decision its answers stand with the bet that each makes and its knobs as they are unless turned; the
    default comes first. Nothing is run to find this out: it is read off the folders.
    """
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
        print("\n".join(_lines(outlines, paths=paths, whole=system is not None)))


def _lines(outlines: list[Outline], *, paths: bool, whole: bool) -> Iterable[str]:
    """Tell the systems first, then of each what it decides, then the dives into it."""
    yield from _entries([Entry(each.name, each.says, each.path) for each in outlines], "", paths)
    for system in outlines:
        for question in system.questions:
            yield ""
            yield from _question(question, "" if len(outlines) == 1 else f"{system.name}: ", paths)
    for system in outlines:
        if system.dives:
            yield from ("", voice.paint(f"dives into {system.name}", "bold"))
            yield from _entries(system.dives, "  ", paths)
    knobs = [knob for system in outlines for q in system.questions for each in q.approaches for knob in each.knobs]
    if whole:
        yield from _knobs(outlines[0].questions)
    if any(each.default for system in outlines for q in system.questions for each in q.approaches):
        turned = f"; a knob is turned with --set {knobs[0].name}=VALUE" if knobs else ""
        yield from ("", f"* the default{turned}")


def _question(question: Question, of: str, paths: bool) -> Iterable[str]:
    head = f"{of}{question.name}: "
    yield from voice.hanging(head, question.asks, shown=voice.paint(head.rstrip(), "bold") + " ")
    if paths:
        yield f"  {question.path}"
    yield from _entries(question.approaches, "  ", paths)


def _entries(found: Iterable[Entry], indent: str, paths: bool) -> Iterable[str]:
    """Tell entries below each other: the name, what it says or where it lies, and its knobs."""
    named = [(each, each.name + (" *" if each.default else "")) for each in found]
    wide = max((len(name) for _, name in named), default=0)
    for each, name in named:
        head = f"{indent}{name.ljust(wide)}  "
        shown = f"{indent}{voice.paint(name, 'bold')}{' ' * (wide - len(name))}  "
        if paths:
            yield f"{shown}{each.path}"
            continue
        yield from voice.hanging(head, each.says, shown=shown)
        if each.knobs:
            turned = voice.hanging(" " * len(head), ", ".join(map(str, each.knobs)))
            yield from (voice.paint(line, "grey") for line in turned)


def _knobs(questions: Iterable[Question]) -> Iterable[str]:
    """Tell what each knob does, and whose it is; approaches that share one are named together."""
    owners: dict[tuple[str, str], list[str]] = {}
    for question in questions:
        for each in question.approaches:
            for knob in each.knobs:
                owners.setdefault((str(knob), knob.says), []).append(f"{question.name}={each.name}")
    if not owners:
        return
    wide = max(len(turn) for turn, _ in owners)
    yield from ("", voice.paint("knobs", "bold"))
    for (turn, says), whose in owners.items():
        yield from voice.hanging(f"  {turn.ljust(wide)}  ", f"{says} ({', '.join(whose)})")
