"""What every part of the service stands on: the stores, the clock, and what an engine's failure means to who asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fathom.blocks.ids import Ids
from fathom.blocks.limiter import Limiter, Rate
from fathom.engines.engine import EngineError, EngineFull, EngineUnknown
from fathom.errors import Refusal
from fathom.web.auth import Passwords

from ..api import Space, SpaceId, UserId
from ..stores import Stores
from ..stores.spaces import Place
from .collector import Collector
from .herald import Herald
from .relay import Relay
from .rules import Rules

__all__ = ["Base", "asking", "changing", "unavailable"]

log = logging.getLogger("fathom.drive")

FULL_S = 30.0  # nobody makes room within a second
# Wrong passwords for one name, from however many addresses (the door holds each address to a rate of its own).
GUESSES = Rate(per_s=0.2, burst=50)


@contextmanager
def asking() -> Iterator[None]:
    """Around what changes nothing that anybody sees: whatever fails, it can be asked again."""
    try:
        yield
    except EngineError as failure:
        raise unavailable(failure) from failure


@contextmanager
def changing() -> Iterator[None]:
    """Around what changes the truth: whether it did may be unknown."""
    try:
        yield
    except EngineUnknown as failure:
        log.warning("%s (%s)", failure.what, failure.why)
        raise TimeoutError("no answer in time: it is unknown whether this was done") from failure
    except EngineError as failure:
        raise unavailable(failure) from failure


def unavailable(failure: EngineError) -> Refusal:
    """Return what a caller is told when an engine fails and nothing was done: not where it lies. The log knows that."""
    log.warning("%s (%s)", failure.what, failure.why)
    if isinstance(failure, EngineFull):
        return Refusal("unavailable", "the drive's own disk is full: it goes on when there is room", retry_s=FULL_S)
    return Refusal("unavailable", "a store cannot be reached, try again", retry_s=1.0)


class Base:
    """The engines' nouns, and those who work beside the requests."""

    def __init__(
        self,
        stores: Stores,
        choices: Any,
        clock: Callable[[], int],
        mint: Callable[[], int] | None,
        passwords: Passwords,
        rules: Rules,
    ) -> None:
        self._stores, self._choices, self._clock, self._passwords, self._rules = (
            stores,
            choices,
            clock,
            passwords,
            rules,
        )
        self._mint, self._ids = mint, Ids(worker=1)
        self._guesses = Limiter(GUESSES)
        self._herald = Herald()
        self._collector = Collector(stores, rules, clock)
        self._relay = None if stores.queue is None else Relay(stores)

    @property
    def herald(self) -> Herald:
        """Who tells of changes, for a door that passes it on."""
        return self._herald

    @property
    def collector(self) -> Collector:
        """Who lets go of what nothing needs, for who wants to have it done, audited or counted now."""
        return self._collector

    @property
    def relay(self) -> Relay | None:
        """Who tells the stream of events, in a drive that has one."""
        return self._relay

    def _next(self) -> int:
        """Return a number for an account or a space."""
        return self._ids.mint(self._clock()) if self._mint is None else self._mint()

    async def _place(self, user: UserId, space: SpaceId) -> Place:
        with asking():
            return await self._stores.spaces.of(user, space)

    def _told(self, place: Place) -> Space:
        return Space(
            id=place.id,
            owner=place.owner,
            epoch=place.epoch,
            head=place.head,
            cutting=self._choices.chunking.cutting(place.id),
            used=place.used,
            quota=place.quota,
            packs=self._choices.upload.packs(),
            notify=self._choices.notify.how,
            poll_s=self._choices.notify.every_s(),
        )
