"""What a test asks of a shop and is answered, written down as a history that the laws can read."""

from __future__ import annotations

from typing import Any

from fathom.history import Broken, History, laws_of
from fathom.lab.body import Recorder
from fathom.systems.shop import laws
from fathom.systems.shop.api import Shop

__all__ = ["Written"]


class Written:
    """Asks, and writes it down. Several may ask at once."""

    def __init__(self, shop: Any, given: dict[str, Any] | None = None) -> None:
        self.shop, self._given, self._recorder = shop, given, Recorder(Shop)

    async def ask(self, call: str, *asked: Any, final: bool = False) -> Any:
        """Ask; return the answer, or raise the refusal."""
        return await getattr(self._recorder.beside(self.shop, "test", final=final), call)(*asked)

    def history(self) -> History:
        return self._recorder.history(self._given, self._recorder.calls)

    def broken(self) -> list[Broken]:
        """Return every broken promise."""
        return [broken for law in laws_of(laws).values() for broken in law(self.history())]
