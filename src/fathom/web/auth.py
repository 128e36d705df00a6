"""Who is asking: bearer tokens, passwords, and the operator's own token."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from fathom.errors import Refusal

__all__ = ["Bearer", "Passwords", "same"]

PASSWORD_BYTES_MAX = 1024  # argon2 takes gigabytes; nobody types them
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]{1,512}=*) *", re.IGNORECASE)

Id = TypeVar("Id")
T = TypeVar("T")


def same(one: str | bytes, other: str | bytes) -> bool:
    """Whether two secrets are equal, in a time that tells neither where they differ nor how long they are."""
    raw = [hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest() for secret in (one, other)]
    return hmac.compare_digest(*raw)


def _digest(token: bytes) -> bytes:
    return hashlib.blake2b(token, digest_size=20).digest()


class Bearer(Generic[Id]):
    """Tells from an Authorization header who is asking, remembering the answer for `fresh_s`.

    `whoami` asks the system and refuses with `unauthorised`. Tokens are looked up by their digest, so that the
    time of a look-up says nothing about them. A token that is worthless from now on is forgotten at once by
    `forget`; in other processes it works for at most `fresh_s` more. A refusal is never remembered.
    """

    def __init__(
        self, whoami: Callable[[str], Awaitable[Id]], *, fresh_s: float = 5.0, tokens_max: int = 50_000
    ) -> None:
        self._whoami, self._fresh_s, self._tokens_max = whoami, fresh_s, tokens_max
        self._known: OrderedDict[bytes, tuple[Id, float]] = OrderedDict()
        self._forgotten = 0

    @staticmethod
    def token(header: bytes | None) -> str:
        """Return the token in an Authorization header, or refuse."""
        if header is None:
            raise Refusal("unauthorised", "this needs the header Authorization: Bearer TOKEN")
        found = _BEARER.fullmatch(header)
        if found is None:
            raise Refusal("unauthorised", "the Authorization header is not of the form: Bearer TOKEN")
        return found[1].decode()

    def remembered(self, header: bytes | None) -> Id | None:
        """Return who is asking if that is known without asking the system: the quick way of a hot route."""
        if header is None or header[:7] != b"Bearer ":
            return None
        known = self._known.get(_digest(header[7:]))
        return known[0] if known is not None and known[1] > time.monotonic() else None

    async def identify(self, header: bytes | None) -> Id:
        """Return who is asking; refuse with `unauthorised`."""
        if (known := self.remembered(header)) is not None:
            return known
        token = self.token(header)
        forgotten = self._forgotten
        who = await self._whoami(token)
        if forgotten == self._forgotten:  # else it may be this token that was made worthless meanwhile
            digest = _digest(token.encode())
            self._known[digest] = (who, time.monotonic() + self._fresh_s)
            self._known.move_to_end(digest)
            if len(self._known) > self._tokens_max:
                self._known.popitem(last=False)
        return who

    def forget(self, token: str) -> None:
        """Ask the system again about this token, and remember no answer that is on its way."""
        self._forgotten += 1
        self._known.pop(_digest(token.encode()), None)


class Passwords:
    """Argon2id in a few threads of its own: a storm of logins delays logins, and nothing else.

    The default cost is OWASP's (19 MiB, two passes, one lane). At most `waiting_max` calls wait; one more is
    refused. Use it as a context: its threads end with the block.
    """

    def __init__(
        self,
        *,
        memory_kib: int = 19_456,
        passes: int = 2,
        lanes: int = 1,
        threads: int = 2,
        waiting_max: int = 32,
    ) -> None:
        from argon2 import PasswordHasher

        self._argon2 = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._room = threads + waiting_max
        self._nobody: str | None = None

    def __enter__(self) -> Passwords:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return what to keep of a password."""
        if not _sane(password):
            raise Refusal("invalid", f"a password is text of at most {PASSWORD_BYTES_MAX} bytes")
        return await self._run(self._argon2.hash, password)

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether this is the password of which `kept` was kept. None, for an unknown name, takes as long."""
        if not _sane(password):
            return False
        if kept is None:
            if self._nobody is None:
                self._nobody = await self._run(self._argon2.hash, "nobody's password")
            await self._run(self._verify, self._nobody, password)
            return False
        return await self._run(self._verify, kept, password)

    def outdated(self, kept: str) -> bool:
        """Whether it was kept at another cost than today's: hash the password again at the next login."""
        return self._argon2.check_needs_rehash(kept)

    def _verify(self, kept: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._argon2.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        if self._room <= 0:
            raise Refusal("unavailable", "too many passwords are being checked", retry_s=1)
        self._room -= 1
        # The thread goes on when its caller is cancelled, so the room comes back when the thread is done.
        future = self._pool.submit(work, *arguments)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _give_back(loop, self))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._room += 1


def _sane(password: str) -> bool:
    try:
        return len(password.encode()) <= PASSWORD_BYTES_MAX
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _give_back(loop: asyncio.AbstractEventLoop, passwords: Passwords) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and the room with it
        loop.call_soon_threadsafe(passwords._leave)
