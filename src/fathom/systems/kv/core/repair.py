"""Replicas compare digests of what both keep, from coarse to fine, and bring each other what one of them lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fathom.blocks.ballots import Register
from fathom.blocks.machine import Corrupt
from fathom.blocks.slots import SLOTS, slot_of

from . import messages as m
from .flows import Ask, Flow, Pause
from .records import Record, digest_of, unpack
from .replica import MOD, PAGE_FIRST, next_limit, scan_all, spot
from .topology import Topology

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Repair"]

GROUPS = 64  # of slots, at the first level: 256 slots each
IN_GROUP = SLOTS // GROUPS
SLOTS_AT_ONCE = 64  # of which the records of both are held in memory


class Repair:
    """Every `repair_ms` one exchange with the next peer. Sums are kept with every write, so asking costs little."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._turn = 0
        self._common: dict[str, frozenset[int]] = {}
        self._of: Topology | None = None

    def start(self) -> None:
        self._node.flows.begin(self._run())
        self._node.flows.begin(self._scrub())

    def _scrub(self) -> Flow:
        """Read all that lies here, a page at a time, round and round: what has rotted is found before it is missed."""
        node, first, limit = self._node, b"", PAGE_FIRST
        while True:
            yield Pause(node.knobs.scrub_ms)
            try:
                pairs = node.scan("data", first, None, limit)
            except Corrupt as broken:
                self._quarantine(broken.key)
                continue
            mine = node.topology.slots_of(node.me) if node.topology is not None and not node.topology.then else None
            for at, raw in pairs:
                if mine is not None and int.from_bytes(at[:2], "big") not in mine:
                    node.count("let go of what others keep now")
                    node.replica.keep(at[2:], None, unpack(raw))
                    continue
                node.graves.look(at[2:], unpack(raw))
            if len(pairs) == limit:
                first, limit = pairs[-1][0] + b"\0", next_limit(pairs)
            else:
                first, limit = b"", PAGE_FIRST
                node.replica.look_after()

    def _quarantine(self, at: bytes) -> None:
        self._node.replica.quarantine(at[2:])

    def common(self, peer: str) -> frozenset[int]:
        """Return the slots that this node and a peer both keep."""
        node = self._node
        topology = node.topology
        if topology is None:
            return frozenset()
        if topology is not self._of:
            self._of, self._common = topology, {}
        found = self._common.get(peer)
        if found is None:
            found = self._common[peer] = topology.slots_of(node.me) & topology.slots_of(peer)
        return found

    def _sums(self, peer: str, level: int, groups: frozenset[int]) -> tuple[tuple[int, bytes], ...]:
        common, sums = self.common(peer), self._node.replica.sums
        found: dict[int, int] = {}
        for slot, total in sums.items():
            if slot in common:
                group = slot // IN_GROUP
                if level == 0:
                    found[group] = (found.get(group, 0) + total * (2 * slot + 1)) % MOD
                elif group in groups:
                    found[slot] = total
        return tuple((at, total.to_bytes(16, "big")) for at, total in sorted(found.items()))

    def summary(self, sender: str, asked: m.Summary) -> None:
        """Say which of these sums differ here: those of a peer against our own."""
        level = asked.level
        groups = frozenset(asked.groups)
        mine, theirs = dict(self._sums(sender, level, groups)), dict(asked.sums)
        which = tuple(sorted(at for at in mine.keys() | theirs.keys() if mine.get(at) != theirs.get(at)))
        self._node.send(sender, m.Differ(asked.id, level, which))

    def fetch(self, sender: str, asked: m.Fetch) -> None:
        """Give a page of what lies here in some slots; what cannot be believed is put aside, and not given."""
        node, records, newest, size = self._node, list[tuple[bytes, Record]](), 0, 0
        for at, raw in self._lying(asked.slots, asked.after):
            records.append((at[2:], unpack(raw)))
            newest, size = max(newest, node.replica.after(at[2:])), size + len(raw)
            if len(records) == node.knobs.fetch_records or size >= node.knobs.fetch_bytes:
                slot = int.from_bytes(at[:2], "big")
                node.send(sender, m.Page(asked.id, tuple(records), slot, at[2:], node.identity.votes), newest)
                return
        wanted = frozenset(asked.slots)
        torn = tuple(sorted(key for key in node.replica.torn if slot_of(key) in wanted))
        floors = tuple((slot, ballot) for slot, ballot in sorted(node.replica.floors.items()) if slot in wanted)
        last = m.Page(asked.id, tuple(records), -1, b"", node.identity.votes, floors, torn)
        node.send(sender, last, max(newest, node.so_far))

    def _lying(self, slots: tuple[int, ...], after: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what lies in some slots, in order; of many slots with one walk over all that lies between."""
        node, corrupt = self._node, self._quarantine
        first = spot(slots[0]) + after + b"\0" if after else spot(slots[0])
        if len(slots) > SLOTS // GROUPS:
            wanted = frozenset(slots)
            for at, raw in scan_all(node, "data", first, spot(slots[-1] + 1), corrupt=corrupt):
                if int.from_bytes(at[:2], "big") in wanted:
                    yield at, raw
            return
        for slot in slots:
            yield from scan_all(node, "data", max(first, spot(slot)), spot(slot + 1), corrupt=corrupt)

    # The exchange ----------------------------------------------------------------------------------------------------

    def _run(self) -> Flow:
        node = self._node
        while True:
            yield Pause(node.knobs.repair_ms // 2 + node.dice.randrange(node.knobs.repair_ms))
            peers = [who for who in node.membership.peers if node.membership.answers(who) and self.common(who)]
            if peers and node.identity.votes and node.membership.knows_the_time:
                self._turn += 1
                yield from self.exchange(sorted(peers)[self._turn % len(peers)])

    def exchange(self, peer: str) -> Flow:
        """Compare with one peer and bring both to what they know together; True if they were the same."""
        node, topology = self._node, self._node.topology
        coarse = yield from self._differ(peer, 0, ())
        if not coarse:
            return coarse is not None
        fine = yield from self._differ(peer, 1, coarse)
        if not fine or node.topology is not topology:
            return fine is not None
        node.count("repaired a slot")
        for at in range(0, len(fine), SLOTS_AT_ONCE):
            slots, theirs = fine[at : at + SLOTS_AT_ONCE], dict[bytes, Record]()

            def taken(page: m.Page, theirs: dict[bytes, Record] = theirs) -> bool:
                theirs.update(page.records)
                return True

            if not (yield from self.pages(peer, slots, taken)) or node.topology is not topology:
                return False
            if not (yield from self._bring(peer, slots, theirs)):
                return False
        return False

    def pages(self, who: str, slots: tuple[int, ...], taken: Callable[[m.Page], bool]) -> Flow:
        """Fetch what another has in some slots, page by page; False if it did not tell all, or a page was not taken."""
        after = b""
        while slots:
            asked = slots
            replies = yield Ask(
                [who],
                lambda id, asked=asked, after=after: m.Fetch(id, asked, after),
                lambda r: len(r) == 1,
                self._node.knobs.deadline_ms,
            )
            page = replies.get(who)
            if not isinstance(page, m.Page) or not taken(page):
                return False
            if page.slot < 0:
                break
            slots, after = slots[slots.index(page.slot) :], page.after
        return True

    def _differ(self, peer: str, level: int, groups: tuple[int, ...]) -> Flow:
        node = self._node
        sums = self._sums(peer, level, frozenset(groups))
        replies = yield Ask(
            [peer], lambda id: m.Summary(id, level, groups, sums), lambda r: len(r) == 1, node.knobs.deadline_ms
        )
        answer = replies.get(peer)
        return answer.which if isinstance(answer, m.Differ) else None

    def _bring(self, peer: str, slots: tuple[int, ...], theirs: dict[bytes, Record]) -> Flow:
        node = self._node
        unsettled: list[bytes] = []
        for key, record in sorted(theirs.items()):
            if not node.replica.take(key, record) and isinstance(record, Register):
                unsettled.append(key)
        for slot in slots:
            for at, raw in list(scan_all(node, "data", spot(slot), spot(slot + 1), corrupt=self._quarantine)):
                key, mine = at[2:], unpack(raw)
                their = theirs.get(key)
                if digest_of(key, mine) == (0 if their is None else digest_of(key, their)):
                    continue
                replies = yield Ask(
                    [peer],
                    lambda id, key=key, mine=mine, born_ms=node.wall_ms: m.Merge(id, key, mine, born_ms),
                    lambda r: len(r) == 1,
                    node.knobs.deadline_ms,
                    after=node.replica.after(key),
                )
                answer = replies.get(peer)
                if answer is None:  # it has fallen silent
                    return False
                if isinstance(answer, m.Merged) and not answer.ok and isinstance(mine, Register):
                    unsettled.append(key)
        for key in dict.fromkeys(unsettled):
            node.count("settled a register in a round")
            yield from node.coordinator.registers.settle(key)
        return True
