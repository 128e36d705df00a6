"""Dives into the desk, through the whole lab, again and again on bodies that stay warm."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fathom.cli.trust.experiment import Once, Ready, Row, Said, Workshop
from fathom.cli.trust.known import announced, desk, drawn, known, void, without
from fathom.lab.plan import Plan
from fathom.lab.run import Ended

__all__ = ["Judge", "beside", "quoted", "repeated"]

Judge = Callable[[Ended, Plan], dict[str, Said]]  # what a run that is not void shows, and of which row


def beside(
    rival: str, rows: tuple[Row, ...], judge: Judge, *, usual: bool, settings: Mapping[str, str] | None = None
) -> Ready:
    """Return what readies comparisons of the default with `rival`; `settings` are those of `fathom dive --set`.

    A run in which what the first row counts is not as `usual` is kept: somebody will want to see it.
    """

    def plan(shop: Workshop, seed: int) -> Plan:
        return drawn(desk(), "beside", ["plain", rival], shop, seed, row=rows[0].name, settings=settings)

    return _ready(plan, rows, judge, usual=usual)


def repeated(row: Row, judge: Callable[[Ended], Said], dive: str, only: Sequence[str], **changed: Any) -> Ready:
    """Return what readies dives into the desk for a row of its own; `changed` fields of their plan are as it wants."""

    def plan(shop: Workshop, seed: int) -> Plan:
        return dataclasses.replace(drawn(desk(), dive, only, shop, seed, row=row.name, race=False), **changed)

    return _ready(plan, (row,), lambda ended, _: {row.name: judge(ended)}, usual=True)


def _ready(plan_of: Callable[[Workshop, int], Plan], rows: Sequence[Row], judge: Judge, *, usual: bool) -> Ready:
    first = rows[0].name

    @asynccontextmanager
    async def ready(shop: Workshop) -> AsyncIterator[Once]:
        async with known(desk(), "work", shop) as place:

            async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
                plan = plan_of(shop, seed)
                ended = await place.dive(plan)
                why = void(ended)
                said = {row.name: Said(None, why) for row in rows} if why else judge(ended, plan)
                return said, (without(ended) if why or said[first].happened is usual else str(ended.folder))

            yield once

    return ready


def quoted(ended: Ended, plan: Plan) -> str:
    """Say in one line what a run announced; if nothing, what it decided instead."""
    told = announced(ended, plan)
    if told:
        return "; ".join(told)
    decided = next((f for f in ended.findings if f.how == "decision"), None)
    return f"no difference; {decided.says}" if decided is not None and decided.says else "no difference"
