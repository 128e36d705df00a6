"""Keep each copy for five minutes, whatever happens meanwhile: the guides' first answer, and a control.

Its bet is that nobody minds what was true a while ago. But a device that was told that its own file is saved is shown
the old one for five minutes; and whoever finds nothing kept asks the truth, however many do so at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from fathom.design import knob

from ... import laws
from ...stores.copies import CopiesShut
from . import Metadata, Place, What

T = TypeVar("T")


class Ttl(Metadata):
    """Cache-aside: look, ask, keep."""

    breaks = laws.nothing_older_is_read_than_was_acknowledged

    ttl_s: float = knob(300.0, "seconds for which a copy is believed")

    async def read(self, place: Place, what: What[T], make: Callable[[], Awaitable[T]]) -> T:
        try:
            copy = await self.copies.young(place.id, what.field)
        except CopiesShut:
            return await make()
        if copy is not None:
            return what.decode(copy)
        made = await make()
        await self.copies.keep_for(place.id, what.field, self.encoded(made), max(1, int(1000 * self.ttl_s)))
        return made
