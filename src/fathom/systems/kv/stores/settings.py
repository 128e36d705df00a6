"""What can be turned at a node: the knobs of its protocol and of its store, which outlast its memory."""

from __future__ import annotations

import dataclasses

import msgspec

from fathom.engines.rocks_tuning import Tuning
from fathom.errors import FathomError, nearest

from ..core.node import Knobs

__all__ = ["Settings"]

Value = bool | int | float | str
TUNINGS = tuple(field.name for field in dataclasses.fields(Tuning))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs from the defaults: of `core.node.Knobs`, and of `engines.rocks_tuning.Tuning`."""

    knobs: dict[str, Value] = {}
    tuning: dict[str, Value] = {}

    def over(self, others: Settings) -> Settings:
        """Return both, these where both say something."""
        return Settings(knobs={**others.knobs, **self.knobs}, tuning={**others.tuning, **self.tuning})

    def built(self) -> tuple[Knobs, Tuning]:
        """Return the values themselves. Raises FathomError: a name or a value that there is not."""
        for kind, given, known in (("knob", self.knobs, Knobs.__struct_fields__), ("tuning", self.tuning, TUNINGS)):
            for name in given:
                if name not in known:
                    raise FathomError(
                        f"there is no {kind} '{name}'",
                        why=f"a node has {', '.join(known)}",
                        fix=nearest(name, known, "leave it out"),
                    )
        try:
            return msgspec.convert(self.knobs, Knobs), msgspec.convert(self.tuning, Tuning)
        except msgspec.ValidationError as unfit:
            raise FathomError("a node cannot be set so", why=str(unfit), fix="see the defaults: KV.SETTINGS") from None
