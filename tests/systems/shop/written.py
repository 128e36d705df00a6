"""What a test asks of a shop and is answered, written down as a history that the laws can read."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.history import Broken, History, Op, Outcome, laws_of
from fathom.systems.shop import laws

__all__ = ["Written"]


class Written:
    """Asks, and writes it down. Several may ask at once."""

    def __init__(self, shop: Any, given: dict[str, Any] | None = None) -> None:
        self.shop, self.ops = shop, list[Op]()
        self._count = itertools.count()
        self._began_s = asyncio.get_running_loop().time()
        if given:
            self.ops.append(Op(index=next(self._count), caller="test", call="given", answer=given))

    async def ask(self, call: str, *asked: Any, final: bool = False) -> Any:
        """Ask; return the answer, or raise the refusal."""
        index, start_s = next(self._count), self._now_s()
        told: dict[str, Any] = {"outcome": Outcome.UNKNOWN}
        try:
            answer = await getattr(self.shop, call)(*asked)
            told = {"answer": plain(answer)}
        except Refusal as refusal:
            told = {"outcome": Outcome.FAILED, "code": refusal.code, "error": refusal.says}
            raise
        finally:
            self.ops.append(
                Op(index=index, caller="test", call=call, asked=[plain(each) for each in asked], final=final,
                   start_s=start_s, end_s=self._now_s(), **told)
            )  # fmt: skip
        return answer

    def history(self) -> History:
        return History(self.ops)

    def broken(self) -> list[Broken]:
        """Return every broken promise."""
        return [broken for law in laws_of(laws).values() for broken in law(self.history())]

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s


def plain(value: Any) -> Any:
    """Return a value as JSON has it; of bytes only that they were there."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else msgspec.to_builtins(value)
