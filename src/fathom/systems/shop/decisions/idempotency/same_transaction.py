"""Write the key in the transaction of its effect: both are there or neither is, wherever it was killed."""

from __future__ import annotations

from fathom.engines.database import Session

from . import Asked, Idempotency


class SameTransaction(Idempotency):
    """A row by user, verb and key. A second one with the same key waits for the first to commit."""

    async def find(self, asked: Asked) -> bytes | None:
        return await self.keys.find(asked.place, asked.digest) if asked.key else None

    async def claim(self, asked: Asked, tx: Session, effect: int = 0) -> bytes | None:
        return await self.keys.claim(asked.place, asked.digest, effect, tx) if asked.key else None

    async def keep(self, asked: Asked, answer: bytes, tx: Session) -> None:
        if asked.key:
            await self.keys.keep(asked.place, answer, tx)
