"""The store's hard questions, a folder each; what their answers want of a cluster comes together in a founding."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fathom.design import Decision
from fathom.engines.rocks_tuning import Tuning
from fathom.errors import FathomError

from ..core.node import Knobs
from ..core.reshape import VNODES_MAX
from ..core.topology import Bucket, Member, Placement, Topology
from ..stores.cluster import Cluster

__all__ = ["WEAK", "Founding", "Shaping", "Wants", "founding_of"]

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
        if not 1 <= vnodes <= VNODES_MAX:
            raise FathomError(
                f"a node cannot have {vnodes:,} places on the ring",
                why=f"it has from 1 to {VNODES_MAX:,}",
                fix="leave it at 64: more is hardly more even",
            )
        return dataclasses.replace(self, placement=placement, vnodes=vnodes)


def _unlike(those: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in those.items() if value != usual[name]}


FOR_GOOD = ("semantics", "n")  # of a bucket: what no cluster can become while it holds data


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wants(Founding):
    """What an answer says of a cluster, and nothing that it does not say: by name, also where it is the usual."""

    said: dict[str, dict[str, Any]] = dataclasses.field(
        default_factory=lambda: {"strong": {}, "weak": {}, "knobs": {}, "tuning": {}, "placed": {}}
    )

    @classmethod
    def of(cls, *answers: Shaping) -> Wants:
        wants = cls()
        for answer in answers:
            answer.shape(wants)
        return wants

    def with_strong(self, **fields: Any) -> Founding:
        return self._says("strong", fields)

    def with_weak(self, **fields: Any) -> Founding:
        return self._says("weak", fields)

    def with_knobs(self, **fields: Any) -> Founding:
        return self._says("knobs", fields)

    def with_tuning(self, **fields: Any) -> Founding:
        return self._says("tuning", fields)

    def placed(self, placement: Placement, vnodes: int = 1) -> Founding:
        super().placed(placement, vnodes)  # which refuses what cannot be
        return self._says("placed", {"as": (placement, vnodes)})

    def _says(self, of: str, fields: dict[str, Any]) -> Founding:
        self.said[of].update(fields)
        return self

    def instead_of(self, others: Wants) -> dict[str, dict[str, Any]]:
        """Return all that this says, and the usual of what only the others had said."""
        usual = Founding()
        return {
            of: {**{name: getattr(getattr(usual, of), name) for name in others.said[of]}, **self.said[of]}
            for of in ("strong", "weak", "knobs", "tuning")
        }


class Shaping(Decision):
    """A question about what a cluster is: an answer says what it wants of it, and no more.

    Two questions never want the same field, so the order in which they are asked does not matter. Another answer takes
    over while the cluster serves: buckets ask for other counts from one epoch on, slots move to where another placement
    keeps them, nodes are turned one after another. Only what a key *is* stays: siblings do not become registers.
    """

    again = True

    cluster: Cluster | None = None

    @abstractmethod
    def shape(self, founding: Founding) -> Founding:
        """Return the founding as this answer wants it."""

    async def adopt(self, previous: Any) -> None:
        """Have the cluster be as this answer wants it; all of it is said again, so that what was half done is ended."""
        mine, before = Wants.of(self), Wants.of(previous)
        wanted, was = mine.instead_of(before), before.instead_of(mine)
        differ = {name for of in ("strong", "weak") for name in FOR_GOOD if wanted[of].get(name) != was[of].get(name)}
        if differ:
            raise FathomError(
                f"{type(self).__name__} cannot take over while the cluster holds data",
                why=f"the {' and the '.join(sorted(differ))} of its keys would be others, and they lie as they are",
                fix="found another cluster with it, on empty folders, and write there what you read here",
            )
        cluster = self.cluster
        if cluster is None:
            raise FathomError("there is no cluster to switch", why="it was not opened", fix="fathom up kv")
        if wanted["knobs"] or wanted["tuning"]:  # all nodes or none, so it comes first
            await cluster.turns(wanted["knobs"], wanted["tuning"])
        if wanted["strong"] or wanted["weak"]:
            try:
                await cluster.asks({STRONG_BUCKET.prefix: wanted["strong"], WEAK_BUCKET.prefix: wanted["weak"]})
            except BaseException:
                with contextlib.suppress(FathomError):  # told is what went wrong first
                    await cluster.turns(was["knobs"], was["tuning"])
                raise
        if mine.said["placed"]:
            await cluster.places(*mine.said["placed"]["as"])


def founding_of(answers: Iterable[Shaping], founding: Founding = Founding()) -> Founding:
    """Return what a cluster is founded with when each question has been answered."""
    return functools.reduce(lambda so_far, answer: answer.shape(so_far), answers, founding)
