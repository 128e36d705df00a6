"""Show others a copy of a minute, and who changed something the truth: people see their own change at once, always.

As guides have it, whoever writes reads the truth for five seconds and all others a copy that lives a minute. That
alone shows a writer the old name again in the sixth second, from a copy that was made before. So nobody is ever shown a
copy of themselves. Its bet is that nobody minds an old name, or an old count, of somebody else. Its price is that they
see one, a statement for each page with its reader on it, and memory for who blocks whom.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeGuard, TypeVar

from fathom.blocks.changes import Changes
from fathom.design import knob
from fathom.errors import Refusal

from ...api import User, UserId
from ...stores.graph import Graph
from ...stores.memory import MemoryShut
from ...stores.outbox import STRAY_S
from ...stores.profiles import ProfileCopies, ProfileCopy
from . import Profiles

NOBODY = UserId(0)
BLOCKERS_MAX = 2_000  # of one viewer; who is blocked by more is answered from the truth
VIEWERS_MAX = 20_000  # of whom something is kept in mind

Value = TypeVar("Value")


class Pinned(Profiles):
    """Copies in Redis, made when they are missed; in mind, who changed what, and who blocks whom."""

    profile_s: float = knob(60.0, "seconds after which a change of an account is shown to everybody")
    pinned_s: float = knob(5.0, "seconds for which who changed how they are shown reads all accounts from the truth")

    graph: Graph
    profiles: ProfileCopies

    def __post_init__(self) -> None:
        self._life = secrets.token_hex(6)  # another's copies may lack what this one was never told
        self.changes = Changes()
        self._pinned: dict[UserId, int] = {}  # who changed something → until when they read the truth
        self._blockers: dict[UserId, tuple[int, frozenset[UserId]]] = {}  # with the number from before they were read
        self._unsure: dict[UserId, int] = {}  # until when a block may come into effect that nobody knows of

    async def users(self, viewer: UserId, ids: Sequence[UserId], now_ms: int) -> list[User]:
        hidden = await self._hidden_from(viewer, now_ms)
        if hidden is None:
            return await self.accounts.users(viewer, ids)
        wanted = list(dict.fromkeys(ids))
        stamp = self.changes.now
        try:
            copies = await self.profiles.read(self._life, wanted)
        except MemoryShut:
            return await self.accounts.users(viewer, ids)
        found = {copy.user.id: copy.user for copy in copies if self._may_be_shown(copy, viewer, now_ms)}
        missing = [id for id in wanted if id not in found]
        if missing:
            there = await self.accounts.users(NOBODY, missing)
            made = [(user.id, ProfileCopy(stamp, now_ms, user)) for user in there]
            await self.profiles.write(self._life, made, self.profile_s)
            found |= {user.id: user for user in there}
        return [found[id] for id in ids if id in found and id not in hidden]

    async def profile(self, viewer: UserId, name: str, now_ms: int) -> User:
        hidden = await self._hidden_from(viewer, now_ms)
        if hidden is None:
            return await self.accounts.profile(viewer, name)
        stamp = self.changes.now
        try:
            (copy,) = await self.profiles.read(self._life, [name])
        except MemoryShut:
            return await self.accounts.profile(viewer, name)
        if self._may_be_shown(copy, viewer, now_ms):
            user = copy.user
        else:
            user = await self.accounts.profile(NOBODY, name)
            await self.profiles.write(self._life, [(name, ProfileCopy(stamp, now_ms, user))], self.profile_s)
        if user.id in hidden:
            raise Refusal("not-found", "there is no such account")
        return user

    def _may_be_shown(self, copy: ProfileCopy | None, viewer: UserId, now_ms: int) -> TypeGuard[ProfileCopy]:
        if copy is None or not 0 <= now_ms - copy.made_ms < 1000 * self.profile_s or self.changes.all_since(copy.stamp):
            return False
        return copy.user.id != viewer

    async def _hidden_from(self, viewer: UserId, now_ms: int) -> frozenset[UserId] | None:
        """Return who blocks a viewer; None: the viewer is to be answered from the truth."""
        if now_ms < self._pinned.get(viewer, 0) or now_ms < self._unsure.get(viewer, 0):
            return None
        stamp, hidden = self._blockers.get(viewer, (-1, frozenset[UserId]()))
        if stamp >= 0 and not self.changes.since(("blocked", viewer), stamp):
            return hidden
        stamp = self.changes.now
        them = await self.graph.blockers(viewer, BLOCKERS_MAX + 1)
        if len(them) > BLOCKERS_MAX:
            return None
        _put(self._blockers, viewer, (stamp, frozenset(them)))
        return frozenset(them)

    # What changes

    def described(self, user: UserId, now_ms: int) -> None:
        _put(self._pinned, user, now_ms + int(1000 * self.pinned_s))

    def parted(self, blocked: UserId, now_ms: int, *, sure: bool) -> None:
        self.changes.mark(("blocked", blocked))
        if not sure:
            _put(self._unsure, blocked, now_ms + int(2000 * STRAY_S))

    def settled(self) -> None:
        self.changes.mark_all()


def _put(kept: dict[UserId, Value], user: UserId, value: Value) -> None:
    """Keep something in mind; of too many, whoever came first is forgotten."""
    kept.pop(user, None)
    if len(kept) >= VIEWERS_MAX:
        del kept[next(iter(kept))]
    kept[user] = value
