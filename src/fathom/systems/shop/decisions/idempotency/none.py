"""Keep no keys: a control, because the buyer whose answer was lost and who asks again buys twice."""

from __future__ import annotations

from fathom.engines.database import Session

from ... import laws
from . import Asked, Idempotency


class NoKeys(Idempotency):
    """Every call is the first."""

    breaks = laws.one_key_has_one_effect

    async def find(self, asked: Asked) -> bytes | None:
        return None

    async def claim(self, asked: Asked, tx: Session, effect: int = 0) -> bytes | None:
        return None

    async def keep(self, asked: Asked, answer: bytes, tx: Session) -> None:
        pass
