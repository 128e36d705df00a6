"""Let another approach take over in a system that is up, while it serves."""

from __future__ import annotations

from pathlib import Path

import click

from fathom.cli import options, voice
from fathom.cli.choosing import pairs
from fathom.cli.place import running as running_at
from fathom.errors import FathomError

WITHIN_S = 600.0  # taking over may mean building every reader's feed anew


@click.command
@options.system
@click.argument("choice", metavar="DECISION=APPROACH")
@options.knobs
@options.data
@options.as_json
def command(system: str, choice: str, knobs: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Let another approach take over in a system that is up, while it serves.

    With --set, the same approach takes over from itself with other knobs.
    """
    from fathom.cli.run import complete
    from fathom.systems import find
    from fathom.web.control import Switch, ask

    found = find(system)
    ((decision, approach),) = pairs([choice], "DECISION=APPROACH").items()
    checked = found.decision(decision).choice(approach, pairs(knobs, "KNOB=VALUE"))
    running = running_at(found, data)
    if running.system != found.name:
        raise FathomError(
            f"{found.name} is not up there", why=f"{running.system} is", fix=f"fathom switch {running.system} …"
        )
    voice.note(f"{found.name}: {checked} is taking over {decision}")
    order = Switch(decision, checked.approach, dict(checked.knobs))
    took_s = complete(ask(running.control, order, WITHIN_S))["took_s"]
    if as_json:
        told = {"decision": decision, "approach": checked.approach, "knobs": dict(checked.knobs), "took_s": took_s}
        voice.say_json(told)
    else:
        print(f"{decision} is {checked} now; taking over took {took_s:.2f} s")
