"""WebDAV's locks: who said that they are at work on something, for as long as they say so again."""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fathom.blocks.names import key
from fathom.errors import Refusal

from ...api import SpaceId, UserId

__all__ = ["LASTS_S_MAX", "Lock", "Locked", "Locks", "lasting", "route_of"]

LASTS_S, LASTS_S_MAX = 600, 3_600
OF_ONE_MAX = 200
OWNER_CHARS_MAX = 2_000  # of what somebody says of themselves
_TIMEOUT = re.compile(r"Second-(\d{1,10})", re.IGNORECASE)

Route = tuple[str, ...]  # a path, each of its names as all devices take it for the same


class Locked(Exception):
    """Somebody is at work on it, and the request does not show their lock's token."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock


@dataclass
class Lock:
    """What is locked from `names` on down, if `deep`; by whom, in their own words; until when."""

    token: str
    user: UserId
    names: list[str]
    route: Route
    deep: bool
    shared: bool
    owner: str
    lasts_s: int
    until_s: float


class Locks:
    """The locks of all spaces. They are kept in memory: a restart ends them, as time would; files have versions."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spaces: dict[SpaceId, dict[str, Lock]] = {}

    def of(self, space: SpaceId, route: Route) -> list[Lock]:
        """Return the locks that hold at a path: its own, and deep ones above it."""
        return [it for it in self._all(space) if it.route == route or (it.deep and it.route == route[: len(it.route)])]

    def below(self, space: SpaceId, route: Route) -> list[Lock]:
        """Return the locks of what lies below a path."""
        depth = len(route)
        return [it for it in self._all(space) if len(it.route) > depth and it.route[:depth] == route]

    def lock(
        self, user: UserId, space: SpaceId, names: list[str], *, deep: bool, shared: bool, owner: str, lasts_s: int
    ) -> Lock:
        """Lock; raise `Locked` where another lock holds that does not go with it."""
        if len(owner) > OWNER_CHARS_MAX:
            raise Refusal("invalid", f"an owner is told of in at most {OWNER_CHARS_MAX:,} characters")
        route = route_of(names)
        for other in itertools.chain(self.of(space, route), self.below(space, route) if deep else ()):
            if not (shared and other.shared):
                raise Locked(other)
        mine = [it for it in self._all(space) if it.user == user]
        if len(mine) >= OF_ONE_MAX:
            raise Refusal("too-many", f"at most {OF_ONE_MAX:,} locks at once")
        token = f"opaquelocktoken:{secrets.token_hex(16)}"
        it = Lock(token, user, names, route, deep, shared, owner, lasts_s, self._clock() + lasts_s)
        self._spaces.setdefault(space, {})[token] = it
        return it

    def renew(self, lock: Lock, lasts_s: int) -> Lock:
        lock.lasts_s, lock.until_s = lasts_s, self._clock() + lasts_s
        return lock

    def unlock(self, space: SpaceId, lock: Lock) -> None:
        self._spaces.get(space, {}).pop(lock.token, None)

    def ends(self, space: SpaceId, route: Route) -> None:
        """Forget the locks of what is not there any more."""
        for lock in [it for it in self._all(space) if it.route[: len(route)] == route]:
            self.unlock(space, lock)

    def check(self, user: UserId, space: SpaceId, route: Route, tokens: Iterable[str], *, tree: bool = False) -> None:
        """Raise `Locked` where a path, or with `tree` what lies below it, is locked and no token of it is shown."""
        shown = set(tokens)
        groups = [self.of(space, route)]
        if tree:
            groups += [[it] for it in self.below(space, route)]
        for locks in groups:
            if locks and not any(it.token in shown and it.user == user for it in locks):
                raise Locked(locks[0])

    def left_s(self, lock: Lock) -> int:
        return max(0, round(lock.until_s - self._clock()))

    def _all(self, space: SpaceId) -> list[Lock]:
        locks = self._spaces.get(space)
        if locks is None:
            return []
        now_s = self._clock()
        for lock in [it for it in locks.values() if it.until_s <= now_s]:
            del locks[lock.token]
        if not locks:
            del self._spaces[space]
        return list(locks.values())


def route_of(names: Iterable[str]) -> Route:
    return tuple(map(key, names))


def lasting(header: str) -> int:
    """Return how many seconds a lock is to last: the first wish that can be granted, within bounds.

    >>> lasting("Infinite, Second-4100000000"), lasting("Second-5"), lasting("")
    (3600, 5, 600)
    """
    for wish in map(str.strip, header.split(",")):
        if wish.lower() == "infinite":
            return LASTS_S_MAX
        if found := _TIMEOUT.fullmatch(wish):
            return max(1, min(LASTS_S_MAX, int(found[1])))
    return LASTS_S
