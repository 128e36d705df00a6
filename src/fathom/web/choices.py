"""Which approach serves each decision now, and how another takes over while the system runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from fathom.design import Choice, Decision, Question, System
from fathom.errors import EXIT_BROKE, FathomError, Refusal

__all__ = ["Choices"]

log = logging.getLogger("fathom.choices")


class Choices:
    """A system's decisions, each by its folder's name: `choices.fanout.home(…)` asks the approach that serves now.

    Ask again for each call and keep no approach: another may have taken over in between. What a call has begun
    with one approach it ends with it.
    """

    def __init__(self, system: System, stores: object, chosen: Mapping[str, Choice] | None = None) -> None:
        chosen = dict(chosen or {})
        self._system, self._stores = system, stores
        self._questions: dict[str, Question] = system.decisions
        self._switching = asyncio.Lock()
        self._broken_off: set[str] = set()  # decisions of which the last switch failed
        self.chosen: dict[str, Choice] = {}  # decision → what serves now, with every knob that was set
        for name in chosen:
            system.decision(name)
        for name, question in self._questions.items():
            if hasattr(type(self), attribute := _attribute(name)) or attribute in self.__dict__:
                raise FathomError(
                    f"{system.name} cannot have a decision called '{name}'",
                    why="Choices uses that name itself",
                    fix=f"rename the folder {attribute}",
                )
            choice = checked(question, chosen.get(name, Choice(question.base.default)))
            self.chosen[name] = choice
            # An attribute of its own, because a hot path asks for it at every call.
            self.__dict__[attribute] = question.build(choice, stores)

    def __getattr__(self, name: str) -> Any:
        known = ", ".join(map(_attribute, self.__dict__.get("_questions", {}))) or "nothing"
        raise AttributeError(f"there is no decision '{name}': this system decides {known}")

    @property
    def questions(self) -> Mapping[str, Question]:
        """Every decision, with all of its approaches."""
        return self._questions

    def serving(self, decision: str) -> Decision:
        """Return the approach that serves a decision now."""
        return getattr(self, _attribute(self._system.decision(decision).name))

    async def switch(self, decision: str, choice: Choice) -> float:
        """Let another approach take over while the system runs; return the seconds it took.

        The new one adopts from the one that serves, and serves only when it is ready; if it fails, or the caller
        gives up, the old one goes on. One switch at a time.
        """
        question = self._system.decision(decision)
        choice = checked(question, choice)
        if self._switching.locked():
            raise Refusal("conflict", "another switch is under way", retry_s=1)
        async with self._switching:
            began = time.perf_counter()
            before = self.serving(question.name)
            same = _complete(question, self.chosen[question.name]) == _complete(question, choice)
            if same and not (before.again and question.name in self._broken_off):
                return time.perf_counter() - began
            self._broken_off.add(question.name)
            after = question.build(choice, self._stores)
            try:
                await after.adopt(before)
            except (FathomError, Refusal):
                raise
            except Exception as error:
                log.exception("%s: %s could not take over", question.name, choice)
                raise FathomError(
                    f"{choice} could not take over {question.name}",
                    why=f"{type(error).__name__}: {error}",
                    fix=f"{self.chosen[question.name]} goes on serving; the service's log has the whole story",
                    code=EXIT_BROKE,
                ) from error
            self._broken_off.discard(question.name)
            self.__dict__[_attribute(question.name)] = after
            log.info("%s: %s now serves instead of %s", question.name, choice, self.chosen[question.name])
            self.chosen[question.name] = choice
            return time.perf_counter() - began


def checked(question: Question, choice: Choice) -> Choice:
    """Return the choice with its knobs' values of the right type; refuse an unknown approach, knob or value."""
    return question.choice(choice.approach, {name: str(value) for name, value in choice.knobs.items()})


def _complete(question: Question, choice: Choice) -> tuple[str, dict[str, Any]]:
    defaults = {name: knob.default for name, knob in question.approach(choice.approach).knobs().items()}
    return choice.approach, {**defaults, **choice.knobs}


def _attribute(decision: str) -> str:
    return decision.replace("-", "_")
