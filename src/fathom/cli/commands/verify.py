"""Compute every number of a run again from its raw data, and name whatever does not agree."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fathom.cli import options, voice
from fathom.errors import FathomError

if TYPE_CHECKING:
    from fathom.lab.runs import Run

SHOWN = 40


@click.command
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--system", metavar="SYSTEM", help="Where the run's system lies now, if it is not one of Fathom's.")
@options.runs
@options.as_json
def command(run: str | None, system: str | None, runs: Path, as_json: bool) -> int:
    """Compute every number of a run again from its raw data, and name whatever does not agree.

    Without RUN the newest is meant. Exit code 0: everything agrees; 1: something does not.
    """
    import msgspec

    from fathom.cli import records
    from fathom.lab.verify import summary, verify

    found = records.find(run, runs)
    voice.note(f"computing {found.folder} again")
    dive, laws, missing = _code(found, system)
    result = verify(found, dive, laws)
    if missing:
        result.skipped.append(missing)
    if as_json:
        voice.say_json({**msgspec.to_builtins(result), "agrees": result.agrees})
        return 0 if result.agrees else 1
    print(f"{voice.paint('✓', 'green') if result.agrees else voice.paint('✗', 'red')} {summary(result)}")
    for problem in result.problems[:SHOWN]:
        print(f"  {problem.kind}: {problem.where}: {problem.says}")
        if problem.findings:
            named = ", ".join(problem.findings[:6])
            more = f" and {len(problem.findings) - 6} more" if len(problem.findings) > 6 else ""
            print(f"    concerns {named}{more}")
    if len(result.problems) > SHOWN:
        print(f"  … and {len(result.problems) - SHOWN} more; --json has them all")
    for line in result.skipped:
        print(f"  not checked: {line}")
    return 0 if result.agrees else 1


def _code(run: Run, where: str | None) -> tuple[Any, Any, str | None]:
    """Return the dive and the laws of the run's system, which judge its predictions and histories again."""
    from fathom.history import laws_of
    from fathom.lab.dive import read
    from fathom.systems import find

    words = shlex.split(run.plan.command)  # fathom dive SYSTEM DIVE …: there the system lay when it was dived into
    name = where or (words[2] if len(words) > 2 else run.plan.system)
    try:
        system = find(name)
        laws = laws_of(system.room("laws")) if system.has("laws") else {}
        return read(system, run.plan.dive), laws, None
    except FathomError as lost:
        if where is not None:
            raise
        return None, None, f"predictions and laws: {lost.what} (say where it lies: --system)"
