"""Keep keys in Redis, written after the effect: quick, and whoever is killed in between has done it and not said so.

A control. A claim is set only if there is none (SET NX) and forgotten when its time is over, or nobody could ever ask
again after a crash. But then the effect may be there, committed, and the next one with the key does it once more. So it
does when Redis forgets: keys are not where their effects are.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from fathom.design import knob
from fathom.engines.database import Session

from ... import laws
from ...stores.keys import Place
from ...stores.remembered import Remembered
from . import Asked, Idempotency


class InCache(Idempotency):
    """A key of Redis by user, verb and key: first a claim, then the answer."""

    breaks = laws.one_key_has_one_effect

    remembered: Remembered

    claim_s: float = knob(1.0, "seconds after which what is under way is believed to have been killed")

    def __post_init__(self) -> None:
        # Which call claimed a key here last, for as long as that call lives.
        self._claims: WeakValueDictionary[Place, Asked] = WeakValueDictionary()

    async def find(self, asked: Asked) -> bytes | None:
        return await self.remembered.find(asked.place, asked.digest) if asked.key else None

    async def claim(self, asked: Asked, tx: Session, effect: int = 0) -> bytes | None:
        if not asked.key:
            return None
        if await self.remembered.claim(asked.place, asked.digest, self.claim_s):
            self._claims[asked.place] = asked
            return None
        return await self.remembered.find(asked.place, asked.digest)

    async def keep(self, asked: Asked, answer: bytes, tx: Session) -> None:
        pass  # the effect is not committed yet

    async def kept(self, asked: Asked, answer: bytes) -> None:
        if asked.key:
            await self.remembered.keep(asked.place, asked.digest, answer)

    async def drop(self, asked: Asked) -> None:
        if self._claims.get(asked.place) is asked:  # of two calls with one key, the other one's may be there
            await self.remembered.drop(asked.place)
