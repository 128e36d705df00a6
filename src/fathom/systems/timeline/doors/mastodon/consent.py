"""The page on which people let a program act for them: plain HTML, from here alone, in nobody's frame."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
import secrets
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from fathom.errors import Refusal
from fathom.web.app import Reply
from fathom.web.auth import same

from ...api import App, Timeline
from ...model.checks import OUT_OF_BAND, checked_scopes
from .asked import Asked
from .oauth import scopes_of, who
from .routes import CLIENT, Route

__all__ = ["Consent"]

AT = "/oauth/authorize"
COOKIE = "fathom-consent"
FORM_S = 600  # that a page may lie open
_HOST = re.compile(r"[A-Za-z0-9.\[\]:-]+")
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:26rem;padding:0 1rem}"
    "label{display:block;margin:.8rem 0}"
    "input{display:block;width:100%;font:inherit;padding:.4rem;box-sizing:border-box}"
    "button{font:inherit;padding:.4rem 1rem;margin-right:.6rem}code{font-size:1.1rem;word-break:break-all}"
    ".wrong{color:#a00;color:light-dark(#a00,#ff9d94)}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_WRONG = {
    "unauthorised": "No account has this name and password.",
    "too-many": "Too many wrong passwords were given for this name. Wait a little.",
}
_SAID = ("client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method")


class _Wish(NamedTuple):
    """What a program asks for, checked as far as it must be before anything is sent to its address."""

    app: App
    redirect: str
    scopes: list[str]
    state: str | None
    challenge: str | None


class Consent:
    """Shows the page, and does what is said on it.

    There is no session: whoever allows something types their name and password, so no other page can do it for them.
    What it sends must come from a page of ours nevertheless: a cookie that only this address gets, a token in the form
    that belongs to the cookie and to all that is asked for, and what the browser says about where it comes from.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._key = secrets.token_bytes(32)

    def routes(self) -> list[Route]:
        return [Route("GET", AT, CLIENT, self.ask), Route("POST", AT, CLIENT, self.decide)]

    async def ask(self, asked: Asked) -> Reply:
        wish = await self._wish(asked)
        return wish if isinstance(wish, Reply) else self._page(asked, wish)

    async def decide(self, asked: Asked) -> Reply:
        if not self._from_our_page(asked):
            return _told("This form was not sent from our page, or it lay open for too long.", 403)
        wish = await self._wish(asked)
        if isinstance(wish, Reply):
            return wish
        if asked.text("decision") != "allow":
            return _sent_back(wish, error="access_denied", error_description="they said no")
        try:
            user = await who(self._timeline, asked)
        except Refusal as refusal:
            if refusal.code not in _WRONG:
                raise
            return self._page(asked, wish, wrong=_WRONG[refusal.code])
        code = await self._timeline.authorise(wish.app.id, user, wish.scopes, wish.redirect, wish.challenge)
        if wish.redirect == OUT_OF_BAND:
            shown = f"<p>Give this code to {html.escape(wish.app.name)}:</p><p><code>{html.escape(code)}</code></p>"
            return _html("It may act for you", shown, 200)
        return _sent_back(wish, code=code)

    async def _wish(self, asked: Asked) -> _Wish | Reply:
        """Return what is asked for. An address that was not registered is told nothing: it may be anybody's."""
        try:
            app = await self._timeline.app(asked.text("client_id") or "")
        except Refusal as refusal:
            if refusal.code != "not-found":
                raise
            return _told("No such program is registered here.", 400)
        redirect = asked.text("redirect_uri") or ""
        if redirect not in app.redirects:
            return _told(f"{app.name} has not registered this address to be sent back to.", 400)
        wish = _Wish(app, redirect, [], asked.text("state"), asked.text("code_challenge") or None)
        if asked.text("response_type") != "code":
            return _sent_back(wish, error="unsupported_response_type", error_description="say response_type=code")
        if wish.challenge is not None and asked.text("code_challenge_method") != "S256":
            return _sent_back(wish, error="invalid_request", error_description="say code_challenge_method=S256")
        try:
            return wish._replace(scopes=checked_scopes(scopes_of(asked), app.scopes))
        except Refusal as refusal:
            return _sent_back(wish, error="invalid_scope", error_description=refusal.says)

    # The form

    def _page(self, asked: Asked, wish: _Wish, wrong: str = "") -> Reply:
        cookie = secrets.token_urlsafe(32)
        hidden = {name: text for name in _SAID if (text := asked.text(name)) is not None}
        hidden["form"] = self._token(cookie, asked)
        fields = "".join(
            f'<input type=hidden name="{name}" value="{html.escape(text)}">' for name, text in hidden.items()
        )
        name, scopes = html.escape(wish.app.name), html.escape(", ".join(wish.scopes))
        where = "It will be given a code by you." if wish.redirect == OUT_OF_BAND else (
            f"You will be sent back to {html.escape(wish.redirect)}."
        )  # fmt: skip
        body = (
            f"<p><b>{name}</b> asks to act for you: <b>{scopes}</b>. {where}</p>"
            + (f"<p class=wrong>{html.escape(wrong)}</p>" if wrong else "")
            + f'<form method=post action="{AT}">{fields}'
            "<label>Name<input name=username autocomplete=username required></label>"
            "<label>Password<input name=password type=password autocomplete=current-password required></label>"
            "<button name=decision value=allow>Allow</button>"
            "<button name=decision value=deny formnovalidate>Deny</button></form>"
        )
        secure = "; Secure" if asked.visit.scope["scheme"] == "https" else ""
        set_cookie = f"{COOKIE}={cookie}; Path={AT}; Max-Age={FORM_S}; HttpOnly; SameSite=Strict{secure}"
        return _html(
            f"Let {wish.app.name} act for you?",
            body,
            401 if wrong else 200,
            [(b"set-cookie", set_cookie.encode())],
            form_to=wish.redirect,
        )

    def _token(self, cookie: str, asked: Asked) -> str:
        """Return what belongs to a cookie and to all that is asked for."""
        said = [cookie, *(f"{name}={asked.text(name)}" for name in _SAID)]
        return hmac.new(self._key, "\0".join(said).encode(), hashlib.sha256).hexdigest()

    def _from_our_page(self, asked: Asked) -> bool:
        headers = asked.visit.headers
        if headers.get(b"origin", asked.base.encode()) != asked.base.encode():
            return False
        if headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
            return False
        cookie = _cookie(headers.get(b"cookie", b""))
        return bool(cookie) and same(asked.text("form") or "", self._token(cookie, asked))


def _cookie(header: bytes) -> str:
    for part in header.decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _sent_back(wish: _Wish, **said: Any) -> Reply:
    """Send the browser to the program's own address, which it has registered; out of band there is none."""
    if wish.redirect == OUT_OF_BAND:
        return _told(f"{said['error']}: {said['error_description']}", 400)
    if wish.state is not None:
        said["state"] = wish.state
    glue = "&" if "?" in wish.redirect else "?"
    location = f"{wish.redirect}{glue}{urlencode(said)}"
    return Reply(303, b"", [(b"location", location.encode("ascii"))], b"text/plain")


def _told(says: str, status: int) -> Reply:
    return _html("This cannot be done", f"<p>{html.escape(says)}</p>", status)


def _html(
    title: str, body: str, status: int, headers: list[tuple[bytes, bytes]] | None = None, *, form_to: str = ""
) -> Reply:
    """Return a page that loads nothing, lies in no frame, and whose form leads to us and to one address besides."""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>{body}</html>"
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'{_source(form_to)}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    fields = [(b"content-security-policy", policy.encode()), (b"x-frame-options", b"DENY"), *(headers or [])]
    # With no-referrer a browser calls the form's origin "null", and then it cannot be told from another's.
    fields.append((b"referrer-policy", b"same-origin"))
    return Reply(status, page.encode(), fields, b"text/html; charset=utf-8")


def _source(redirect: str) -> str:
    """Return an address as a source in a policy: browsers hold the redirect after a form to it as well.

    >>> _source("https://app.example/back"), _source("myapp://back"), _source("urn:ietf:wg:oauth:2.0:oob")
    (' https://app.example', ' myapp:', '')
    """
    if not redirect or redirect == OUT_OF_BAND:
        return ""
    parts = urlsplit(redirect)
    if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
        return f" {parts.scheme}://{parts.netloc}"
    return f" {parts.scheme}:"
