"""Run the lab where the true answer is known, and print what was true, what the lab said, and how often."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fathom.cli import options, voice
from fathom.errors import FathomError, nearest

if TYPE_CHECKING:
    from fathom.cli.trust.experiment import Experiment
    from fathom.cli.trust.table import Summary

SHORT_S = 570.0  # of the ten minutes: what is under way then may end
WAIT_S, WAIT_FULL_S = 60.0, 1_800.0  # for a calm machine, after a try that was void


@click.command
@click.option(
    "--full", is_flag=True, help="As many tries as the promise needs: hours. Goes on where it was interrupted."
)
@click.option("--rows", metavar="NAME,…", multiple=True, help="These rows only; --list names them.")
@click.option("--list", "listed", is_flag=True, help="Say which rows there are, and what is true in each.")
@click.option("--last", "shown", is_flag=True, help="Show the summaries that come with this Fathom; run nothing.")
@click.option("--keep", is_flag=True, help="Write the summary beside the code, where --last finds it.")
@click.option("--seed", type=int, default=7, show_default=True, help="Decides arrivals, dice and order.")
@options.runs
@options.as_json
def command(
    full: bool, rows: tuple[str, ...], listed: bool, shown: bool, keep: bool, seed: int, runs: Path, as_json: bool
) -> int:
    """Run the lab where the true answer is known, and print what was true, what the lab said, and how often.

    Systems with exactly known costs go through the lab as any other does: the same code under two names, a planted
    difference, a planted flip point, a service that stands still, queues whose waits theory knows, a machine that
    somebody else uses, an engine that is gone. At most ten minutes; with --full hours, and every answer is kept as it
    comes. Exit codes: 0 every row is met, 1 one is not, 2 can't tell, 3 void: nothing could be measured.
    """
    from fathom.cli.trust import rows as folder
    from fathom.cli.trust import table

    known = folder.experiments()
    if shown:
        return _tell_last(table.last(), known, as_json)
    chosen = _chosen(known, [name for names in rows for name in names.split(",") if name], full)
    if listed:
        said = [(row.name, experiment.name, row.truth) for experiment in known.values() for row in experiment.rows]
        if as_json:
            voice.say_json([dict(zip(("row", "rows", "truth"), each, strict=True)) for each in said])
        else:
            print(voice.columns(said))
        return 0
    words = ["fathom", "trust", *(["--full"] if full else [])]
    words += [f"--rows {','.join(each.name for each in chosen)}"] if rows else []
    summary = _run(chosen, " ".join([*words, f"--seed {seed}"]), full, seed, runs / "trust")
    code = _tell([summary], as_json)
    if keep:
        summary.keep()
        voice.note(f"kept in {shlex.quote(str(table.LAST))}")
    return code


def _chosen(known: dict[str, Experiment], names: list[str], full: bool) -> list[Experiment]:
    """Return the experiments that were asked for, by their own name or that of one of their rows."""
    by_row = {row.name: each for each in known.values() for row in each.rows}
    for name in names:
        if name not in known and name not in by_row:
            raise FathomError(
                f"there is no row '{name}'",
                why=f"the rows are {', '.join(dict.fromkeys([*known, *by_row]))}",
                fix=nearest(name, [*known, *by_row], "see them with: fathom trust --list"),
            )
    wanted = {(known.get(name) or by_row[name]).name for name in names}
    return [each for each in known.values() if each.name in wanted or (not names and (full or each.in_short))]


def _run(chosen: list[Experiment], said: str, full: bool, seed: int, folder: Path) -> Summary:
    """Carry the experiments out, and return the table of all answers that there are then."""
    import datetime

    import fathom
    from fathom.cli.measuring import measuring
    from fathom.cli.run import complete
    from fathom.cli.trust.answers import Answers, code_digest
    from fathom.cli.trust.experiment import Workshop
    from fathom.cli.trust.session import Session, tallies
    from fathom.cli.trust.table import Line, Summary
    from fathom.lab import machine

    began = time.monotonic()
    placement = machine.Placement.here()
    if not placement.apart:
        raise FathomError(
            "the lab cannot prove itself on one core",
            why="load and service would share it, so no time would mean anything",
            fix="give it two cores",
        )
    here = machine.describe(placement, folder, {})
    file = folder / ("full.jsonl" if full else "short.jsonl")
    if not full:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
    answers = Answers(file, code_digest(), here.fingerprint)
    if answers.others:
        voice.note(f"{answers.others} answers in {file} are of other code or another machine: they do not count")
    if answers.mine:
        voice.note(f"going on after {len(answers.mine)} answers in {file}")
    session = Session(
        experiments=chosen,
        full=full,
        seed=seed,
        answers=answers,
        shop=Workshop(folder, placement),
        tell=voice.note,
        ends_s=float("inf") if full else began + SHORT_S,
        wait_s=WAIT_FULL_S if full else WAIT_S,
        code=code_digest,
    )
    with measuring():
        complete(session.run())
    return Summary(
        command=said,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        fathom=fathom.__version__,
        code=answers.code,
        machine=here.fingerprint,
        cores=here.cores,
        cpu=here.cpu,
        system=here.system,
        python=here.python,
        lines=[Line.of(tally) for tally in tallies(chosen, answers, full)],
    )


def _tell_last(summaries: list[Summary], known: dict[str, Experiment], as_json: bool) -> int:
    """Tell what was kept, of which rows nothing was, and whether the code is another one since."""
    from fathom.cli.trust.answers import code_digest

    kept = {line.row for summary in summaries for line in summary.lines}
    untold = [row.name for experiment in known.values() for row in experiment.rows if row.name not in kept]
    return _tell(summaries, as_json, code=code_digest(), untold=untold)


def _tell(summaries: list[Summary], as_json: bool, *, code: str = "", untold: Sequence[str] = ()) -> int:
    import msgspec

    from fathom.cli.trust import table

    exit = table.exit_of([line for summary in summaries for line in summary.lines])
    if as_json:
        kept = {"code": code, "untold": list(untold)} if code else {}
        voice.say_json({"summaries": msgspec.to_builtins(summaries), **kept, "exit": exit})
    else:
        table.show(*summaries, code=code, untold=untold)
    return exit
