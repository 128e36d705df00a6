"""The store's hard questions, a folder each; what their answers want of a cluster comes together in a founding."""

from __future__ import annotations

import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fathom.design import Decision
from fathom.engines.rocks_tuning import Tuning

from ..core.node import Knobs
from ..core.topology import Bucket, Member, Placement, Topology

__all__ = ["WEAK", "Founding", "Shaping", "founding_of"]

WEAK = b"weak:"  # keys that begin with it may be written whoever is cut off; all others are strong
STRONG_BUCKET = Bucket(prefix=b"", semantics="cas")
WEAK_BUCKET = Bucket(prefix=WEAK, semantics="siblings")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Founding:
    """What a cluster is founded with, and what each of its nodes is started with. The core is one and the same."""

    strong: Bucket = STRONG_BUCKET
    weak: Bucket = WEAK_BUCKET
    placement: Placement = "vnodes"
    vnodes: int = 64
    knobs: Knobs = dataclasses.field(default_factory=Knobs)
    tuning: Tuning = dataclasses.field(default_factory=Tuning)

    def topology(self, cluster: str, members: Sequence[Member]) -> Topology:
        """Return the first topology of a cluster."""
        return Topology(
            cluster=cluster,
            epoch=1,
            members=tuple(members),
            placement=self.placement,
            vnodes=self.vnodes,
            buckets=(self.strong, self.weak),
        )

    @property
    def turned(self) -> dict[str, dict[str, Any]]:
        """Return what each node is to be told before the cluster begins: knobs and tuning that are not the defaults."""
        knobs, tuning = msgspec.structs.asdict(self.knobs), dataclasses.asdict(self.tuning)
        return {
            "knobs": _unlike(knobs, msgspec.structs.asdict(Knobs())),
            "tuning": _unlike(tuning, dataclasses.asdict(Tuning())),
        }

    # What an answer changes: each returns a founding that differs in just this.

    def with_strong(self, **fields: Any) -> Founding:
        return dataclasses.replace(self, strong=msgspec.structs.replace(self.strong, **fields))

    def with_weak(self, **fields: Any) -> Founding:
        return dataclasses.replace(self, weak=msgspec.structs.replace(self.weak, **fields))

    def with_knobs(self, **fields: Any) -> Founding:
        return dataclasses.replace(self, knobs=msgspec.structs.replace(self.knobs, **fields))

    def with_tuning(self, **fields: Any) -> Founding:
        return dataclasses.replace(self, tuning=dataclasses.replace(self.tuning, **fields))

    def placed(self, placement: Placement, vnodes: int = 1) -> Founding:
        return dataclasses.replace(self, placement=placement, vnodes=vnodes)


def _unlike(those: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in those.items() if value != usual[name]}


class Shaping(Decision):
    """A question that is answered when a cluster is founded: an answer says what it wants, and no more.

    Two questions never want the same field, so the order in which they are asked does not matter. None of them can be
    switched under load: data lies where the placement says, and in the form that the semantics give it.
    """

    @abstractmethod
    def shape(self, founding: Founding) -> Founding:
        """Return the founding as this answer wants it."""


def founding_of(answers: Iterable[Shaping], founding: Founding = Founding()) -> Founding:
    """Return what a cluster is founded with when each question has been answered."""
    return functools.reduce(lambda so_far, answer: answer.shape(so_far), answers, founding)
