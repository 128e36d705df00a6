"""A request of the storefront: who asks, what a form said, and whether it was sent from a page of ours."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, quote

from fathom.errors import Refusal
from fathom.web.app import Reply, Visit
from fathom.web.auth import same

from ...api import Money, UserId
from .html import button, document, escape, hidden, page

__all__ = ["SESSION", "SESSION_S", "Asked", "goes_to"]

SESSION, VISIT = "shop-session", "shop-visit"
FIELDS_MAX = 300
SESSION_S = 86_400


class Asked:
    """One request. A form carries a token that belongs to a cookie which only this address gets."""

    def __init__(self, visit: Visit, path: list[str], body: bytes) -> None:
        self.visit, self.path = visit, path
        self.cookies = _cookies(visit.headers.get(b"cookie", b""))
        self.query = _pairs(visit.query)
        self.form = _pairs(body)
        self.user: UserId | None = None
        self.known = self.cookies.get(VISIT, "")
        self._visit = self.known or secrets.token_urlsafe(24)

    @property
    def session(self) -> str:
        return self.cookies.get(SESSION, "")

    def said(self, name: str, otherwise: str = "") -> str:
        """Return what was said last for a name, in the form or else in the address."""
        return (self.form.get(name) or self.query.get(name) or [otherwise])[-1].strip()

    def number(self, name: str) -> int:
        return number(self.said(name), name)

    def money(self) -> Money | None:
        """Return the amount that the page showed; None: it showed none. It may be another by now: then it is said."""
        return Money(self.number("amount"), self.said("currency")) if self.said("amount") else None

    def id(self, at: int = 0) -> Any:
        """Return a number in the path."""
        return number(self.path[at], "this")

    @property
    def from_our_page(self) -> bool:
        """Whether a form was sent from a page of ours: three signs, of which none can be forged by another's page."""
        headers = self.visit.headers
        host = headers.get(b"host", b"").decode("latin-1")
        base = f"{self.visit.scope['scheme']}://{host}".encode("latin-1")
        if headers.get(b"origin", base) != base or headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
            return False
        return bool(self.known) and same(self.said("form"), self.token)

    @property
    def token(self) -> str:
        """Return what belongs to this visitor's cookie; who cannot read the cookie cannot know it."""
        return hmac.new(self._visit.encode(), b"a form of the shop", hashlib.sha256).hexdigest()

    def posts(self, to: str, inside: str, *, classes: str = "") -> str:
        """Return a form of ours. Sent twice it does one thing: it carries a key of its own."""
        fields = hidden(form=self.token, key=secrets.token_urlsafe(12))
        return f'<form method=post action="{escape(to)}" class="{classes}">{fields}{inside}</form>'

    def shows(self, title: str, body: str, status: int = 200, *, refresh_s: int = 0) -> Reply:
        """Return a page for this visitor."""
        if self.user is None:
            nav = f"<a href='/enter?to={quote(self.visit.scope['path'])}'>Log in</a>"
        else:
            nav = "<a href='/cart'>Cart</a><a href='/orders'>My orders</a>"
            nav += self.posts("/leave", button("Log out"), classes="inline")
        return page(status, document(title, nav, body, refresh_s=refresh_s), *self._cookie())

    def _cookie(self) -> list[tuple[bytes, bytes]]:
        return [] if self.known else [self.set_cookie(VISIT, self._visit, SESSION_S, "Strict")]

    def set_cookie(self, name: str, value: str, lasts_s: int, site: str = "Lax") -> tuple[bytes, bytes]:
        secure = "; Secure" if self.visit.scope["scheme"] == "https" else ""
        text = f"{name}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite={site}{secure}"
        return b"set-cookie", text.encode()


def goes_to(where: str, *headers: tuple[bytes, bytes]) -> Reply:
    """Send the browser to another page of ours."""
    return Reply(303, b"", [(b"location", where.encode("ascii")), *headers], b"text/plain")


def number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise Refusal("not-found" if what == "this" else "invalid", f"there is no such {what}")
    return int(text)


def _pairs(raw: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        raise Refusal("invalid", "what was sent cannot be read") from None
    found: dict[str, list[str]] = {}
    for name, text in pairs:
        if "\0" in text:
            raise Refusal("invalid", "what was sent has a character that is none")
        found.setdefault(name, []).append(text)
    return found


def _cookies(header: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in header.decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name in (SESSION, VISIT) and value.isascii() and len(value) <= 200:
            found[name] = value
    return found
