"""Experiments whose answers are made up, for tests of what is made of answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fathom.cli.trust.answers import Answers
from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.session import Session
from fathom.errors import FathomError
from fathom.lab.machine import Placement

BROKEN = "broken"


class Made:
    """Answers one after the other: True, False, None (void), or BROKEN; it counts how often it was brought up."""

    def __init__(self, *answers: bool | str | None) -> None:
        self._answers = iter(answers)
        self.up, self.ended, self.seeds = 0, 0, list[int]()

    @asynccontextmanager
    async def __call__(self, shop: Workshop) -> AsyncIterator[Once]:
        self.up += 1
        try:
            yield self._once
        finally:
            self.ended += 1

    async def _once(self, number: int, seed: int) -> tuple[dict[str, Said], str | None]:
        self.seeds.append(seed)
        answer = next(self._answers)
        if isinstance(answer, str):
            raise FathomError("the service is gone", why="somebody killed it", fix="bring it up anew")
        return {"made-up": Said(answer, f"it said {answer}")}, None


def made_up(made: Made, wants: Wants, *, try_s: float = 1.0) -> Experiment:
    row = Row(name="made-up", truth="nothing is", counts="said yes", short=wants, full=wants)
    return Experiment("made-up", (row,), try_s, made)


def answers_in(folder: Path, code: str = "c0de", machine: str = "here") -> Answers:
    return Answers(folder / "answers.jsonl", code, machine)


def session(experiments: Iterable[Experiment], answers: Answers, told: list[str], **more: Any) -> Session:
    shop = Workshop(answers.file.parent, Placement.of({0, 1}))
    more = {"wait_s": 0.0, **more}
    return Session(tuple(experiments), False, 7, answers, shop, told.append, **more)
