"""Who somebody is."""

from __future__ import annotations

import itertools

from fathom.errors import Refusal

from ..api import User, UserId
from .base import Base
from .checks import checked_email, checked_password

__all__ = ["People"]


class People(Base):
    """Accounts and tokens."""

    _tokens = itertools.count(1)

    async def join(self, email: str, password: str) -> User:
        email = checked_email(email)
        checked_password(password)
        id = UserId(self.numbers.next())
        if email in self.passwords:
            raise Refusal("conflict", "there is an account with this address")
        self.passwords[email] = id, password
        self.accounts[id] = User(id=id, email=email)
        return self.accounts[id]

    async def login(self, email: str, password: str) -> str:
        known = self.passwords.get(email.strip().lower())
        if known is None or known[1] != password:
            raise Refusal("unauthorised", "no account has this address and password")
        token = f"token-{next(self._tokens)}"
        self.tokens[token] = known[0]
        return token

    async def whoami(self, token: str) -> UserId:
        if token not in self.tokens:
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return self.tokens[token]

    async def logout(self, token: str) -> None:
        self.tokens.pop(token, None)

    async def me(self, user: UserId) -> User:
        if user not in self.accounts:
            raise Refusal("not-found", "this account is gone")
        return self.accounts[user]
