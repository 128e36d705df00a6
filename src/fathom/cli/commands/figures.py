"""Show the guides' figures: what is claimed, what was derived or measured of it, by which command, and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import click

from fathom.cli import options, voice
from fathom.cli.figures import Figure, Totals, all_cases, figures, said

_MARKS = {"holds": ("✓", "green"), "wrong": ("✗", "red"), "depends": ("~", "yellow"), None: ("·", "grey")}


@click.command
@click.argument("topic", metavar="[TOPIC]", required=False)
@options.runs
@options.as_json
def command(topic: str | None, runs: Path, as_json: bool) -> int:
    """Show the guides' figures: what is claimed, what was derived or measured of it, by which command, and the verdict.

    ✓ holds; ✗ is wrong; ~ depends: it holds under some of the settings that are said, and not under others. All are
    computed now: derived from the cases of `fathom estimate`, measured by the newest `fathom latency` or dive below
    --runs (· where there is none). What is only stated, one typed number beside another, or only judged counts for
    nothing. TOPIC is a case (social, placement),
    latency, a system whose dives measure, judged, or an id (CLM-206). Exit code 1 where a formula does not come to what
    its case has written down.
    """
    found = figures(said(), all_cases(), runs, topic)
    totals = Totals.of(found)
    if as_json:
        voice.say_json({"totals": dataclasses.asdict(totals), "figures": [_raw(figure) for figure in found]})
    else:
        _print(found, totals)
    return int(any(not figure.stands for figure in found))


def _raw(figure: Figure) -> dict[str, object]:
    return {**dataclasses.asdict(figure), "settled": figure.is_settled}


def _print(found: Sequence[Figure], totals: Totals) -> None:
    topics: dict[str, list[Figure]] = {}
    for figure in found:
        topics.setdefault(figure.topic, []).append(figure)
    for name, members in sorted(topics.items()):
        commands = dict.fromkeys(figure.command.partition(" --only")[0] for figure in members)
        print(f"{voice.paint(name, 'bold')}  {', '.join(commands)}".rstrip())
        for figure in members:
            mark, colour = _MARKS[figure.verdict]
            head = f"  {mark} {figure.id}  "
            shown = head.replace(mark, voice.paint(mark, colour), 1)
            print("\n".join(voice.hanging(head, figure.says, shown=shown)))
            told = [f"claimed {figure.claimed}", f"{figure.status} {figure.found}"] if figure.command else []
            more = [*told, figure.because, figure.why]
            print("\n".join(voice.hanging(" " * len(head), " · ".join(filter(None, more)))))
        print()
    by_verdict = ", ".join(f"{count} {verdict}" for verdict, count in totals.verdict.items())
    by_status = ", ".join(f"{count} {status}" for status, count in totals.status.items())
    print(f"{totals.settled} of {totals.all} are settled" + (f" ({by_status}): {by_verdict}" if totals.settled else ""))
    if any(figure.status == "unmeasured" for figure in found):
        print("· is measured by the command beside it, and was not yet here")
    if stated := sum(figure.status == "stated" for figure in found):
        print(f"{stated} are only stated, one typed number beside another, and count for nothing")
    if judged := sum(figure.status == "judged" for figure in found):
        print(f"{judged} are only judged, and count for nothing")
    for figure in found:
        if not figure.stands:
            print(voice.paint(f"{figure.id} is red: {figure.why}", "red"))
