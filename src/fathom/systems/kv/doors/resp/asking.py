"""Asking the store from a door: begun at once, many at a time, and again where somebody else was faster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable
from itertools import islice
from typing import Any

from ...core.calls import Call, Change, Failure, Found, Get, Wrote
from .command import Answer, Store
from .limits import AT_ONCE, TRIES_MAX
from .replies import failed, wrong

__all__ = ["Begun", "answered", "begun", "changed_all", "rest", "swapped", "together"]

log = logging.getLogger(__name__)


class Begun:
    """A coroutine that was begun outside of a task, and now goes on in one."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, waits_for = self._coroutine, self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as error:
                    waits_for = coroutine.throw(error)
                else:
                    waits_for = coroutine.send(sent)
        except StopIteration as done:
            return done.value


def begun(coroutine: Any) -> tuple[bool, Any]:
    """Take the first step; return whether that was all, and the result or what is left to await."""
    try:
        return False, Begun(coroutine, coroutine.send(None))
    except StopIteration as done:
        return True, done.value
    except Exception as error:
        return True, broken(error)


async def rest(left: Begun) -> Any:
    try:
        return await left
    except Exception as error:
        return broken(error)


def broken(error: Exception) -> Failure:
    """A fault of ours: the client is told that nobody knows, the log is told which."""
    log.error("a request broke", exc_info=error)
    return Failure(code="timeout", says=f"this node failed with {type(error).__name__}", unknown=True)


async def answered(store: Store, call: Call) -> Answer:
    done, result = begun(store.ask(call))
    return result if done else await rest(result)


async def together(store: Store, calls: Iterable[Call]) -> AsyncIterator[Answer]:
    """Ask many, some at a time, and yield the answers in order. Each is one by itself."""
    waiting = iter(calls)
    while asked := [begun(store.ask(call)) for call in islice(waiting, AT_ONCE)]:
        late = iter(await asyncio.gather(*(rest(result) for done, result in asked if not done)))
        for done, result in asked:
            yield result if done else next(late)


async def changed_all(store: Store, calls: list[Call]) -> list[Wrote] | bytes:
    """Change keys, each by itself; return an error where one was not.

    Once some are changed, the error is one that no client answers by sending all of it again.
    """
    done: list[Wrote] = []
    refused: list[Any] = []
    async for answer in together(store, calls):
        if type(answer) is Wrote:
            done.append(answer)
        else:
            refused.append(answer)
    if not refused:
        return done
    if not done and not any(failure.unknown for failure in refused):
        return failed(refused[0])
    says = f"{len(done)} of {len(calls)} keys were changed; of another: {refused[0].says}"
    return wrong(f"ERR unknown outcome: {says}")


async def swapped(store: Store, key: bytes, new: Any) -> Answer | Any:
    """Change a key by what it holds, in one step that nobody comes between: read it, and swap what was read.

    `new(found)` returns the value and its expiry, or an answer: then nothing is changed, and that is returned.
    """
    for _ in range(TRIES_MAX):
        found = await answered(store, Get(key=key))
        if type(found) is not Found:
            return found
        wanted = new(found)
        if type(wanted) is not tuple:
            return wanted
        wrote = await answered(store, Change(key=key, how="swap", given=(found.version, *wanted)))
        if type(wrote) is not Wrote or wrote.result:
            return wrote
    return Failure(code="busy", says=f"others changed this key between reading and writing, {TRIES_MAX} times")
