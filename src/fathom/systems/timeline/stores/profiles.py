"""Copies of accounts in Redis, as they are shown to anybody who is shown them at all, each for a while."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from ..api import User, UserId
from .memory import Memory, MemoryShut

__all__ = ["ProfileCopies", "ProfileCopy"]


class ProfileCopy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An account as it was at `made_ms` or later, and the number of the last change that was known then."""

    stamp: int
    made_ms: int
    user: User


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(ProfileCopy).decode


class ProfileCopies:
    """By number and by name. `life` is whose copies they are: nobody is shown those of another."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @staticmethod
    def _key(life: str, who: UserId | str) -> str:
        return f"profile:{life}:{who}" if isinstance(who, int) else f"profile:{life}:@{who}"

    async def read(self, life: str, who: Sequence[UserId] | Sequence[str]) -> list[ProfileCopy | None]:
        """Return what is kept of these accounts. Raise MemoryShut without Redis."""
        if not who:
            return []
        found = await self._memory.ask("MGET", *[self._key(life, each) for each in who])
        return [None if copy is None else _decode(copy) for copy in found]

    async def write(self, life: str, copies: Iterable[tuple[UserId | str, ProfileCopy]], lasts_s: float) -> None:
        """Keep these for so long, each in the place of what was kept."""
        life_ms = max(1, int(1000 * lasts_s))
        commands = [("SET", self._key(life, who), _encode(copy), "PX", life_ms) for who, copy in copies]
        if commands:
            with suppress(MemoryShut):  # then the next one asks the truth as well
                await self._memory.look(commands)
