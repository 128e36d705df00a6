"""Passwords: slow to check on purpose, so in threads of their own and only a few at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from fathom.errors import Refusal

__all__ = ["Passwords"]

T = TypeVar("T")

THREADS = 2
WAITING_MAX = 64  # each is some 20 ms of a core: who comes later is asked to come again


class Passwords:
    """Argon2id with the parameters that OWASP recommends; less only in tests."""

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 19_456) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        return await self._aside(lambda: self._hasher.hash(password))

    async def fits(self, password: str, kept: str | None) -> bool:
        """Return whether a password is the one that was kept. Nobody's takes as long to check as somebody's."""
        if kept is None:
            if self._nobodys is None:
                self._nobodys = await self.hash("nobody has this password")
            await self._aside(lambda: self._verify(self._nobodys or "", password))
            return False
        return await self._aside(lambda: self._verify(kept, password))

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Refusal("unavailable", "too many log in at once, try again", retry_s=2.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads; what they check now is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
