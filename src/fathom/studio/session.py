"""Who may look at the page and press its buttons: whoever has the key, and presses them on this very page."""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from fathom.web.auth import same

__all__ = ["CSRF", "SECURITY", "Session"]

CSRF = "csrf"
SECURITY = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self';"
        b" base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none a browser calls a form's origin null, also here
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
]
_SAFE = ("GET", "HEAD")


class Session:
    """An ASGI application in front of the pages. `/?key=…` lays the key into a cookie; nothing works without.

    What changes anything must come from this page: a cookie alone is sent along by pages of others too (other ports of
    this machine are the same site), so the form also carries a token that they cannot read, and where the browser says
    from where a request comes, it has to be from here.
    """

    def __init__(self, app: Any, key: str) -> None:
        self._app, self._key = app, key.encode()
        self.csrf, self._pass = (hmac.new(self._key, what, hashlib.sha256).hexdigest() for what in (b"csrf", b"pass"))
        # Cookies know no ports: two demos on one machine must not take each other's.
        self._cookie = "fathom-" + hashlib.sha256(b"cookie" + self._key).hexdigest()[:12]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and "key" in query:
            await self._enter(query["key"][0], send)
        elif not self._known(headers):
            await _say(send, 401, "This page needs its key: open the address that fathom up has printed.")
        elif scope["method"] not in _SAFE and not _from_here(headers):
            await _say(send, 403, "Another page sent this: nothing was done.")
        else:
            await self._app(scope, receive, _dressed(send))

    def may(self, token: str | None) -> bool:
        """Whether a form has this page's token."""
        return token is not None and same(token, self.csrf)

    async def _enter(self, key: str, send: Any) -> None:
        if not same(key.encode(), self._key):
            await _say(send, 401, "This is not the key: open the address that fathom up has printed.")
            return
        cookie = f"{self._cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict".encode()
        headers = [*SECURITY, (b"location", b"/"), (b"set-cookie", cookie), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _known(self, headers: dict[bytes, bytes]) -> bool:
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return False
        given = cookies.get(self._cookie)
        return given is not None and same(given.value, self._pass)


def _from_here(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser that tells where a request comes from says: from this page."""
    origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
    if origin is not None and origin.partition(b"://")[2] != headers.get(b"host"):
        return False
    return site in (None, b"same-origin")


def _dressed(send: Any) -> Any:
    async def dressed(message: Any) -> None:
        if message["type"] == "http.response.start":
            said = {name for name, _ in message.get("headers", ())}
            headers = [*message.get("headers", ()), *(field for field in SECURITY if field[0] not in said)]
            message = {**message, "headers": headers}
        await send(message)

    return dressed


async def _say(send: Any, status: int, words: str) -> None:
    body = words.encode()
    headers = [
        *SECURITY,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
