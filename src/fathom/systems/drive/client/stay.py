"""A folder that is kept in sync for as long as somebody wants: hints say when to look, and time does if they do not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from fathom.errors import Refusal

from ..api import Cursor, Notify, Space
from ..core.state import Known
from .place import AWAY, Away, Place
from .sync import Report, Syncer
from .watch import Watch

__all__ = ["Patience", "listen", "settled", "stay"]

log = logging.getLogger("fathom.drive")


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long is waited for what, in seconds."""

    quiet_s: float = 0.3  # nothing was heard for so long: whoever saves has saved
    quiet_s_max: float = 1.0
    rescan_s: float = 300.0  # whatever was heard
    unheard_s: float = 5.0  # where nothing can be heard
    poll_s: float = 5.0  # the drive, where it does not tell, or not now
    waits_s: int = 25  # for the answer to a long poll: many a proxy gives up after thirty
    deaf_s: float = 300.0  # where no websocket got through: then it is tried again
    again_s_min: float = 0.1
    again_s_max: float = 30.0


async def stay(
    syncer: Syncer,
    place: Place,
    known: Known,
    watch: Watch,
    told: Callable[[Report | Away], None],
    patience: Patience | None = None,
) -> None:
    """Sync again whenever something may have changed, until cancelled. Raises FathomError where it must not go on."""
    patience = patience or Patience()
    ear = asyncio.create_task(listen(place, known, watch, patience))
    again_s = patience.again_s_min
    try:
        while True:
            try:
                report = await syncer.sync()
                told(report)
                if quiet := report.rest:
                    watch.known(Cursor(known.about.epoch, known.about.seq))
                wait_s = again_s
            except Away as away:
                told(away)
                quiet, wait_s = False, max(again_s, away.retry_s or 0.0)
            if quiet:
                again_s = patience.again_s_min
                await _hint(watch, patience.unheard_s if watch.why else patience.rescan_s)
                await settled(watch, patience)
            else:
                await asyncio.sleep(wait_s)
                again_s = min(2 * again_s, patience.again_s_max)
    finally:
        ear.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ear


async def _hint(watch: Watch, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await watch.changed()
    except TimeoutError:
        return False
    return True


async def settled(watch: Watch, patience: Patience) -> None:
    """Wait until nothing is heard here for a while, but not for ever."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + patience.quiet_s_max
    while watch.here and loop.time() < until_s and await _hint(watch, patience.quiet_s):
        pass
    watch.here = False


async def listen(place: Place, known: Known, watch: Watch, patience: Patience) -> None:
    """Hint whenever the drive knows more than is known here: it says so itself, or is asked.

    Where a websocket is meant and none gets through, it is asked by long polls; where these are refused too, it is
    asked now and then.
    """
    rest: Any = place.drive if hasattr(place.drive, "live") else None
    loop = asyncio.get_running_loop()
    deaf_until_s = 0.0

    def hears(head: Cursor) -> Cursor:
        if head != Cursor(known.about.epoch, known.about.seq):
            watch.hint(head)
        return head

    def how(space: Space) -> Notify:
        return "long-poll" if space.notify == "push" and loop.time() < deaf_until_s else space.notify

    while True:
        wait_s = patience.poll_s
        try:
            space = await place.drive.space(place.user, place.space)
            head = hears(Cursor(space.epoch, space.head))
            if rest is not None and how(space) == "poll":
                wait_s = max(patience.again_s_min, space.poll_s)
            elif rest is not None and how(space) == "push":
                async with contextlib.aclosing(rest.live(place.space, head)) as heads:
                    async for moved in heads:
                        hears(moved)
                deaf_until_s, wait_s = loop.time() + patience.deaf_s, patience.again_s_min
            while rest is not None and how(space) == "long-poll":
                space = await rest.moved(place.space, head, patience.waits_s)
                head = hears(Cursor(space.epoch, space.head))
        except (TimeoutError, ConnectionError):
            pass
        except Refusal as refusal:
            if refusal.code not in AWAY:
                watch.hint()  # whoever syncs hears the same, and says it
        except Exception:  # a fault of ours: it is asked again, and not unheard for good
            log.exception("the drive is not heard")
        await asyncio.sleep(wait_s)
