"""Name and password with each request: looked at by argon2 once, and then remembered for a while."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import time
from collections import OrderedDict
from typing import Any

from fathom.blocks.limiter import Limiter
from fathom.errors import Refusal
from fathom.web.app import Gate, Visit
from fathom.web.limits import Limits, Throttle, address_of

from ...api import Drive, UserId

__all__ = ["CHALLENGE", "Basic"]

CHALLENGE = (b"www-authenticate", b'Basic realm="drive", charset="UTF-8"')
FRESH_S = 300.0
KNOWN_MAX = 10_000


class Basic:
    """Finds out who asks: from a name and a password, from a token in the password's place, or from a bearer token."""

    def __init__(self, drive: Drive, gate: Gate[UserId], limits: Limits) -> None:
        self._drive, self._gate = drive, gate
        self._secret = os.urandom(32)  # what is remembered is of no use elsewhere
        self._known: OrderedDict[bytes, tuple[UserId, float]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[UserId]] = {}
        guesses = limits.operations.get("login")  # of one address, besides what the drive itself allows for one name
        self._guesses = None if guesses is None else Limiter(guesses, keys_max=limits.keys_max)
        rate = limits.per_identity
        self._throttle = None if rate is None else Throttle("identity", rate, keys_max=limits.keys_max)

    async def enter(self, visit: Visit) -> UserId:
        """Return who asks; refuse strangers with `unauthorised` and those who guess with `too-many`."""
        header = visit.headers.get(b"authorization", b"")
        if header[:7].lower() == b"bearer ":
            return await self._gate.enter(visit)
        name, password = _said(header)
        digest = hashlib.blake2b(header, key=self._secret).digest()
        user, until_s = self._known.get(digest, (None, 0.0))
        if user is None or until_s < time.monotonic():
            user = await self._by_token(password)
            if user is None:
                user = await self._by_password(visit, digest, name, password)
        if self._throttle is not None:
            visit.hold_to(self._throttle, user)
        return user

    async def _by_token(self, password: str) -> UserId | None:
        try:
            return await self._gate.bearer.identify(b"Bearer " + password.encode())
        except Refusal as refusal:
            if refusal.code != "unauthorised":
                raise
            return None

    async def _by_password(self, visit: Visit, digest: bytes, name: str, password: str) -> UserId:
        if (asking := self._asking.get(digest)) is None:  # a client begins with many requests at once
            address = address_of(visit.scope["client"])
            if self._guesses is not None and not (taken := self._guesses.take(address, time.monotonic())).ok:
                says = "too many wrong passwords came from this address: wait before you try another"
                raise Refusal("too-many", says, retry_s=taken.retry_s)
            asking = self._asking[digest] = asyncio.ensure_future(self._identified(name, password, address))
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        user = await asyncio.shield(asking)
        self._known[digest] = user, time.monotonic() + FRESH_S
        self._known.move_to_end(digest)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return user

    async def _identified(self, name: str, password: str, address: str) -> UserId:
        identify: Any = getattr(self._drive, "identify", None)
        if identify is not None:
            user = await identify(name, password)
        else:
            token = await self._drive.login(name, password)
            try:
                user = await self._drive.whoami(token)
            finally:
                await self._drive.logout(token)
        if self._guesses is not None:
            self._guesses.back(address)  # who knows it makes no guess
        return user


def _said(header: bytes) -> tuple[str, str]:
    """Return name and password of an Authorization header, or refuse."""
    kind, _, raw = header.partition(b" ")
    try:
        name, colon, password = base64.b64decode(raw.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = name = password = ""
    if kind.lower() != b"basic" or not colon or len(header) > 2_048:
        raise Refusal("unauthorised", "this needs a name and a password, or a token in the password's place")
    return name, password
