"""What every part of the service stands on: the stores, who serves each decision, and what a failure means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fathom.engines.engine import EngineError, EngineUnknown
from fathom.errors import Refusal
from fathom.web.auth import Passwords

from ..api import UserId
from ..decisions.transaction import Parts
from ..model.numbers import Numbers
from ..stores import Stores
from .rules import Rules

__all__ = ["Base", "asking", "changing"]

log = logging.getLogger("fathom.shop")


@contextmanager
def asking() -> Iterator[None]:
    """Around what changes nothing that anybody sees: whatever fails, it can be asked again."""
    try:
        yield
    except EngineError as failure:
        raise _unavailable(failure) from failure


@contextmanager
def changing() -> Iterator[None]:
    """Around what changes the truth: whether it did may be unknown."""
    try:
        yield
    except EngineUnknown as failure:
        log.warning("%s (%s)", failure.what, failure.why)
        raise TimeoutError("no answer in time: it is unknown whether this was done") from failure
    except EngineError as failure:
        raise _unavailable(failure) from failure


def _unavailable(failure: EngineError) -> Refusal:
    log.warning("%s (%s)", failure.what, failure.why)
    return Refusal("unavailable", "a store cannot be reached, try again", retry_s=1.0)


class Base:
    """The engines' nouns, and the approaches that serve now."""

    def __init__(
        self,
        stores: Stores,
        choices: Any,
        clock: Callable[[], int],
        numbers: Numbers,
        passwords: Passwords,
        rules: Rules,
    ) -> None:
        self._stores, self._choices, self._clock = stores, choices, clock
        self._numbers, self._passwords, self._rules = numbers, passwords, rules

    @property
    def _parts(self) -> Parts:
        """Return the approaches that serve now: take them once for each call."""
        choices = self._choices
        return Parts(choices.stock, choices.lock, choices.delivery, choices.idempotency)

    async def _staff(self, user: UserId) -> None:
        """Refuse everybody but staff."""
        with asking():
            known = await self._stores.accounts.user(user)
        if known is None or not known.staff:
            raise Refusal("forbidden", "only the shop's staff may do that")
