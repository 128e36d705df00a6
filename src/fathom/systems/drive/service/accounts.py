"""Who somebody is, and which spaces are theirs."""

from __future__ import annotations

import time

from fathom.errors import Refusal

from ..api import Space, SpaceId, User, UserId
from ..model.checks import checked_password, checked_user_name
from ..stores.rows import known_id
from .base import Base, asking, changing

__all__ = ["Accounts"]


class Accounts(Base):
    """Accounts, tokens and spaces."""

    async def join(self, name: str, password: str) -> User:
        checked_user_name(name)
        checked_password(password)
        kept = await self._passwords.hash(password)
        with changing():
            user, space = await self._stores.accounts.join(self._next, name, kept, self._clock())
            await self._stores.spaces.ensure(space, user.id, self._rules.quota)
        return user

    async def login(self, name: str, password: str) -> str:
        user = await self.identify(name, password)
        with changing():
            return await self._stores.accounts.token(user, self._clock())

    async def identify(self, name: str, password: str) -> UserId:
        """Return whose name and password these are, for a door that is told them with each request."""
        guessed = name[:100]
        if not (guess := self._guesses.take(guessed, time.monotonic())).ok:
            says = "too many wrong passwords were given for this name: wait before you try another"
            raise Refusal("too-many", says, retry_s=guess.retry_s)
        wrong = False
        try:
            known = None
            try:
                checked_user_name(name)
            except Refusal:
                pass  # then nobody has it, and that takes as long to find out
            else:
                with asking():
                    known = await self._stores.accounts.login(name)
            wrong = not await self._passwords.verify(known and known.password, password)
            if known is None or wrong:
                raise Refusal("unauthorised", "no account has this name and password")
            return known.user
        finally:
            if not wrong:
                self._guesses.back(guessed)

    async def whoami(self, token: str) -> UserId:
        with asking():
            user = await self._stores.accounts.whose(token, self._clock())
        if user is None:
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return user

    async def logout(self, token: str) -> None:
        with changing():
            await self._stores.accounts.forget(token)

    async def spaces(self, user: UserId) -> list[Space]:
        if not known_id(user):
            return []
        with asking():
            return [await self._mine(user, space) for space in await self._stores.accounts.spaces(user)]

    async def _mine(self, user: UserId, space: SpaceId) -> Space:
        """Return a space that the directory knows: whoever joined may have died before its own row was there."""
        try:
            place = await self._stores.spaces.of(user, space)
        except Refusal:
            place = await self._stores.spaces.ensure(space, user, self._rules.quota)
        return self._told(place)

    async def space(self, user: UserId, space: SpaceId) -> Space:
        return self._told(await self._place(user, space))
