"""Coming in: an account, a password, and a cookie that no script and no other site can use."""

from __future__ import annotations

import re

from fathom.errors import Refusal
from fathom.web.app import Gate, Reply
from fathom.web.problems import STATUS

from ...api import Shop, UserId
from .asked import SESSION, SESSION_S, Asked, goes_to
from .html import button, escape, field, hidden

__all__ = ["Entry"]

_OURS = re.compile(r"/[A-Za-z0-9/_-]*")


class Entry:
    """Logging in, joining, and leaving."""

    def __init__(self, shop: Shop, gate: Gate[UserId]) -> None:
        self._shop, self._gate = shop, gate

    async def asks(self, asked: Asked, wrong: str = "", status: int = 200) -> Reply:
        to = _ours(asked.said("to"))
        said = f"<p class='said wrong' role=alert>{escape(wrong)}</p>" if wrong else ""
        email = field("Email", "email", f"type=email autocomplete=email required value='{escape(asked.said('email'))}'")
        password = field("Password, 8 characters or more", "password", "type=password minlength=8 required "
                         "autocomplete=current-password")  # fmt: skip
        inside = hidden(to=to) + email + password + button("Log in", more="name=do value=login") + " "
        inside += button("Open an account", quiet=True, more="name=do value=join")
        return asked.shows("Log in", said + asked.posts("/enter", inside), status)

    async def enters(self, asked: Asked) -> Reply:
        email, password = asked.said("email"), asked.form.get("password", [""])[-1]
        try:
            if asked.said("do") == "join":
                await self._shop.join(email, password)
            token = await self._shop.login(email, password)
        except Refusal as refusal:
            if refusal.code not in ("unauthorised", "conflict", "invalid"):
                raise
            return await self.asks(asked, refusal.says, STATUS[refusal.code])
        return goes_to(_ours(asked.said("to")), asked.set_cookie(SESSION, token, SESSION_S))

    async def leaves(self, asked: Asked) -> Reply:
        if asked.session:
            try:
                await self._shop.logout(asked.session)
            finally:  # the door remembers tokens, whichever page they came by
                self._gate.bearer.forget(asked.session)
        return goes_to("/", asked.set_cookie(SESSION, "", 0))


def _ours(to: str) -> str:
    """Return a path of ours, and never an address elsewhere.

    >>> _ours("/concerts/7"), _ours("//elsewhere"), _ours("https://elsewhere")
    ('/concerts/7', '/', '/')
    """
    return to if _OURS.fullmatch(to) and not to.startswith("//") else "/"
