"""The answer was lost and the buyer asks again: where is it written that it was done already?

A key belongs to a user and a verb, and goes with a digest of what was asked. The verb that it is for does, in this
order: `find`; in its first transaction `claim`; in its last one `keep`; and after that has committed, `kept`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import msgspec

from fathom.design import Decision
from fathom.engines.database import Session

from ...api import UserId
from ...stores.keys import Keys

__all__ = ["Asked", "Idempotency"]


class Asked(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """Who asked what under which key; without a key nothing is kept, and asked again it is done again."""

    user: UserId
    verb: str
    key: str
    digest: bytes  # SHA-256 of what was asked

    @property
    def place(self) -> tuple[int, str, str]:
        return self.user, self.verb, self.key


class Idempotency(Decision):
    """Whether the same key has one effect and one answer. An answer is the bytes that were sent: it never changes.

    Refusals are not kept: nothing was done, and asked again it may be.
    """

    default = "same-transaction"

    keys: Keys

    @abstractmethod
    async def find(self, asked: Asked) -> bytes | None:
        """Return the answer that was given; refuse with `invalid` if something else was asked under this key."""

    @abstractmethod
    async def claim(self, asked: Asked, tx: Session, effect: int = 0) -> bytes | None:
        """Take the key for what `tx` begins, an effect with this id; return the answer if it was given meanwhile.

        Refuse with `conflict` while another one with this key is under way.
        """

    @abstractmethod
    async def keep(self, asked: Asked, answer: bytes, tx: Session) -> None:
        """Keep the answer that `tx` completes."""

    async def kept(self, asked: Asked, answer: bytes) -> None:
        """Hear that what was to be kept has been committed."""

    async def drop(self, asked: Asked) -> None:
        """Hear that what was claimed was refused, and nothing was done."""

    async def adopt(self, previous: Any) -> None:
        """Take over under load: keys of before are found only by an approach that keeps them in the same place."""
