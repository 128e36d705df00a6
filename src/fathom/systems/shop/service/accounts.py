"""Who somebody is."""

from __future__ import annotations

import time

from fathom.blocks.limiter import Limiter, Rate
from fathom.errors import Refusal

from ..api import User, UserId
from ..model.checks import checked_email, checked_password
from .base import Base, asking, changing

__all__ = ["Accounts"]

# Wrong passwords for one address, from however many places (the door holds each of those to a rate of its own).
GUESSES = Rate(per_s=0.2, burst=50)


class Accounts(Base):
    """Accounts and tokens."""

    _guesses: Limiter | None = None

    async def join(self, email: str, password: str) -> User:
        email = checked_email(email)
        checked_password(password)
        kept = await self._passwords.hash(password)
        with changing():
            return await self._stores.accounts.join(self._numbers.next, email, kept, self._clock())

    async def login(self, email: str, password: str) -> str:
        if self._guesses is None:
            self._guesses = Limiter(GUESSES)
        guessed = email.strip().lower()[:100]  # as the address is looked for
        if not (guess := self._guesses.take(guessed, time.monotonic())).ok:
            says = "too many wrong passwords were given for this account: wait before you try another"
            raise Refusal("too-many", says, retry_s=guess.retry_s)
        wrong = False
        try:
            known = None
            try:
                checked = checked_email(email)
            except Refusal:
                pass  # then nobody has it, and that takes as long to find out
            else:
                with asking():
                    known = await self._stores.accounts.login(checked)
            wrong = not await self._passwords.verify(known and known.password, password)
            if known is None or wrong:
                raise Refusal("unauthorised", "no account has this address and password")
        finally:
            if not wrong:
                self._guesses.back(guessed)
        with changing():
            return await self._stores.accounts.token(known.user, self._clock())

    async def whoami(self, token: str) -> UserId:
        with asking():
            user = await self._stores.accounts.whose(token, self._clock())
        if user is None:
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return user

    async def logout(self, token: str) -> None:
        with changing():
            await self._stores.accounts.forget(token)

    async def me(self, user: UserId) -> User:
        with asking():
            known = await self._stores.accounts.user(user)
        if known is None:
            raise Refusal("not-found", "this account is gone")
        return known
