"""Measure the approaches to a decision side by side, break the engines under them, and write the record."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fathom.cli import options, voice
from fathom.cli.choosing import own_engines, pairs
from fathom.errors import FathomError

if TYPE_CHECKING:
    from fathom.cli.stage import Stage
    from fathom.design import System
    from fathom.lab.plan import Plan
    from fathom.lab.run import Ended


@click.command
@options.system
@click.argument("dive", metavar="DIVE")
@click.option("--quick", is_flag=True, help="At most 90 s: what each approach costs, and one fault.")
@click.option(
    "--deep",
    is_flag=True,
    help="At most 25 minutes: more of all; where the cheapest changes, what each can take, whether estimates hold.",
)
@click.option("--only", metavar="A,B", multiple=True, help="Compare these approaches only.")
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help="A knob, a rate, or the swept values.")
@click.option("--seed", type=int, default=7, show_default=True, help="Decides arrivals, dice and order.")
@click.option("--budget", type=float, metavar="SECONDS", help="Refuse a plan that takes longer.")
@options.engines
@options.runs
@options.as_json
def command(
    system: str,
    dive: str,
    quick: bool,
    deep: bool,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    seed: int,
    budget: float | None,
    engines: tuple[str, ...],
    runs: Path,
    as_json: bool,
) -> int:
    """Measure the approaches to a decision side by side, break the engines under them, and write the record.

    Exit codes: 0 all that was predicted and asked for held, 1 something failed, 2 can't tell, 3 void: nothing that was
    measured may be believed. Ctrl-C ends it early, heals what was broken, and keeps what was measured.
    """
    from fathom.cli.measuring import measuring
    from fathom.cli.run import complete
    from fathom.cli.stage import stage
    from fathom.systems import find

    voice.note("reading the system and the dive")
    if quick and deep:
        raise FathomError("a dive is quick or deep, not both", why="each is a plan of its own", fix="leave one out")
    found = find(system)
    from fathom.cli.lent import check
    from fathom.lab import plan as planning
    from fathom.lab.dive import engines_of, question_of
    from fathom.lab.machine import Placement

    plan = planning.draw(
        found,
        dive,
        placement=Placement.here(),
        only=[name for names in only for name in names.split(",") if name],
        settings=pairs(settings, "NAME=VALUE"),
        seed=seed,
        mode="quick" if quick else "deep" if deep else "default",
        budget_s=budget,
    )
    urls = own_engines(found, engines)
    check(plan, urls, engines_of(found))
    voice.note(question_of(plan.dive))
    for line in plan.lines():
        voice.note(line)
    for kind in urls:
        voice.note(
            f"your own {kind}: its CPU is not counted; if it runs on this machine, the ledger gate will not hold"
        )
    runs.mkdir(parents=True, exist_ok=True)
    with measuring(), stage(plan) as shown:
        ended = complete(_carry_out(found, plan, urls, runs, shown))
    return _tell(ended, plan, as_json, runs)


async def _carry_out(system: System, plan: Plan, urls: dict[str, str], runs: Path, shown: Stage) -> Ended:
    from fathom.cli.bodies import Maker
    from fathom.cli.lent import Lent
    from fathom.engines.keeper import Keeper
    from fathom.history import laws_of
    from fathom.lab.run import carry_out

    laws = laws_of(system.room("laws")) if system.has("laws") else {}
    async with Keeper.open() as keeper:
        bodies = Maker(keeper, system, plan.question, seed=plan.seed, lent=Lent(urls))
        return await carry_out(plan, bodies, laws=laws, root=runs, tell=shown.note, seen=shown.seen)


def _next(plan: Plan, folder: Path) -> list[tuple[str, str]]:
    """Return what somebody may want to type now: check it, ask it otherwise, run the system."""
    from fathom.lab.plan import typed

    where, rivals = typed(plan.system), list(plan.choices)
    knobs = {name: value for choice in plan.raw().approaches for name, value in choice.knobs.items()}
    numbers = [(name, value) for name, value in knobs.items() if isinstance(value, int) and value >= 10]
    turn = plan.dive.target.turns_at if plan.dive.target else ""
    numbers.sort(key=lambda knob: knob[0] != turn)  # the one at which an approach begins to work otherwise
    mode = f" --{plan.mode}" if plan.mode != "default" else ""
    otherwise = ("ask it otherwise", f" --set {numbers[0][0]}={numbers[0][1] // 10}" if numbers else " --seed 8")
    label, words = ("as it is by default", "") if plan.changed else otherwise
    other = f" {plan.question.name}={rivals[-1]}" if len(rivals) > 1 else ""
    return [
        ("check every number", f"fathom verify {shlex.quote(str(folder))}"),
        (label, f"fathom dive {where} {plan.name}{words}{mode}"),
        ("have it run", f"fathom up {where}{other}"),
    ]


def _tell(ended: Ended, plan: Plan, as_json: bool, root: Path) -> int:
    """Print what came out: the record, or why there is none."""
    from fathom.cli import records
    from fathom.cli.beside import beside_the_default
    from fathom.lab.runs import Run

    run = Run(ended.folder)
    if as_json:
        voice.say_json(records.as_json(run, ended.findings))
    elif ended.state == "complete":
        records.show(run, ended.findings)
        for line in beside_the_default(run, ended.findings, root):
            print(line)
        print(voice.columns(_next(plan, ended.folder), indent="  "), file=sys.stderr)
    if ended.state == "void":
        broke = any(found.how == "law" and found.verdict == "failed" for found in ended.findings)
        if broke and not as_json:
            records.show(run, ended.findings)
        mend = "mend it where the operations above show; beside one that keeps its laws it has a record: --only A,B"
        quiet = "let the machine do nothing else meanwhile, then dive again (see: fathom doctor)"
        voice.tell(
            FathomError(
                "the dive is void: none of its numbers may be believed",
                why=voice.short(ended.why or "a gate was breached", 400),
                fix=mend if broke else quiet,
            )
        )
    elif ended.state == "interrupted":
        kept = sum(1 for _ in run.segments)
        voice.tell(
            FathomError(
                f"stopped: {kept} segments are kept in {ended.folder}",
                why=ended.why or "Ctrl-C",
                fix=f"what was broken is healed, and every engine has ended; to begin anew: {plan.command}",
            )
        )
    return ended.exit
