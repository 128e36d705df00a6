"""A program at the Mastodon door: registered, allowed by somebody, and speaking forms as most of them do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from .visitor import Answer, Visitor

__all__ = ["BACK", "Client", "Program", "program"]

FORM = {"content-type": "application/x-www-form-urlencoded"}
BACK = "https://app.example/back"
PASSWORD = "correct horse"

Said = Mapping[str, str | Sequence[str]]


class Client(Visitor):
    """Asks in Mastodon's words, with somebody's token or without one."""

    async def send(
        self, method: str, path: str, said: Said | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a form."""
        raw = urlencode(said or {}, doseq=True).encode()
        return await self.ask(method, path, raw=raw, headers={**FORM, **(headers or {})})

    async def does(self, path: str, **said: Any) -> Any:
        """Send a form with POST and return what was answered; it has to be done."""
        answer = await self.send("POST", f"/api/v1/{path}", said)
        assert answer.status == 200, answer
        return answer.json()

    async def sees(self, path: str) -> Any:
        """Return what is answered to GET."""
        answer = await self.get(f"/api/v1/{path}")
        assert answer.status == 200, answer
        return answer.json()

    async def toots(self, text: str, **said: Any) -> Any:
        return await self.does("statuses", status=text, **said)


class Program:
    """A registered program, and the door at which it asks."""

    def __init__(self, stranger: Client, said: dict[str, Any]) -> None:
        self.stranger, self.id, self.secret = stranger, said["client_id"], said["client_secret"]

    async def token(self, **said: str) -> Answer:
        return await self.stranger.send(
            "POST", "/oauth/token", {"client_id": self.id, "client_secret": self.secret, **said}
        )

    async def for_(self, name: str, scope: str = "read write follow") -> Client:
        """Return a client that acts for somebody, by their name and password."""
        answer = await self.token(grant_type="password", username=name, password=PASSWORD, scope=scope)
        assert answer.status == 200, answer
        return Client(self.stranger.door, answer.json()["access_token"], timeline=self.stranger.timeline)

    async def joined(self, name: str, scope: str = "read write follow") -> Client:
        """Return a client that acts for somebody who joins just now."""
        await self.stranger.timeline.join(name, PASSWORD)
        return await self.for_(name, scope)

    def asking(self, **said: str) -> dict[str, str]:
        """Return what a browser is sent to the consent page with."""
        return {"response_type": "code", "client_id": self.id, "redirect_uri": BACK, "scope": "read write"} | said


async def program(stranger: Client, scopes: str = "read write follow push") -> Program:
    """Register a program."""
    answer = await stranger.send(
        "POST",
        "/api/v1/apps",
        {"client_name": "An <app>", "redirect_uris": f"{BACK}\nurn:ietf:wg:oauth:2.0:oob", "scopes": scopes},
    )
    assert answer.status == 200, answer
    return Program(stranger, answer.json())
