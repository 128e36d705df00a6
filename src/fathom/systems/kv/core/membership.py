"""Who answers: SWIM (Das, Gupta, Motivala 2002) with refutation; what time it is there comes along.

Down is not removed: only a command changes who is a member.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fathom.blocks.phi import Detector, PhiAccrual

from . import messages as m
from .flows import Ask, Flow, Pause

if TYPE_CHECKING:
    from .node import Node

__all__ = ["ALIVE", "DOWN", "SUSPECT", "Membership"]

ALIVE, SUSPECT, DOWN = 0, 1, 2
NEWS_MAX = 8  # in one message
TOLD_TIMES = 4  # how often a piece of news is passed on: about log2 of the members, and some


class _Peer:
    """What this node believes of another. A later life outdoes an earlier one, a refutation what it refutes."""

    __slots__ = ("ahead_ms", "detector", "heard_ms", "life", "refuted", "state", "told")

    def __init__(self, detector: Detector | None = None) -> None:
        self.detector = detector  # where silence alone is not enough
        self.life, self.refuted, self.state = 0, 0, ALIVE
        self.told = 0
        self.heard_ms = 0  # by our monotonic clock; 0: never in this life
        self.ahead_ms = 0  # its wall clock before ours, as far as a message tells


class Membership:
    """Every `ping_ms` one member is asked, in an order that is shuffled anew each round; who is silent is asked by
    two others, then suspected, then down, until it denies it in a later life or with a higher refutation."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.peers: dict[str, _Peer] = {}
        self._round: Iterator[str] = iter(())
        self._refuted = 0

    def start(self) -> None:
        self.changed()
        self._node.flows.begin(self._probe())

    def changed(self) -> None:
        """Take over who is a member in a new topology."""
        node = self._node
        nodes = node.topology.nodes if node.topology is not None else ()
        self.peers = {
            name: self.peers.get(name) or _Peer(self._detector(len(nodes))) for name in nodes if name != node.me
        }

    def _detector(self, nodes: int) -> Detector | None:
        """Return what judges a peer's silence; one is heard of when it is asked, and when it asks."""
        node = self._node
        if node.knobs.detection == "timeout":
            return None
        usual_ms = max(1, node.knobs.ping_ms * (nodes - 1) // 2)
        return PhiAccrual(
            node.now.mono_ms, interval_ms=usual_ms, threshold=node.knobs.phi, deviation_ms_min=node.knobs.ack_ms
        )

    def state(self, who: str) -> int:
        peer = self.peers.get(who)
        return ALIVE if peer is None else peer.state

    def answers(self, who: str) -> bool:
        """Whether it is worth asking this node: it is this one, or one that nobody gave up yet."""
        return who == self._node.me or self.state(who) != DOWN

    def alive(self, who: str) -> bool:
        return who == self._node.me or self.state(who) == ALIVE

    def sooner(self, nodes: tuple[str, ...]) -> tuple[str, ...]:
        """Return nodes, those first that will probably answer: this one, the living, suspects, the dead."""
        me = self._node.me
        return tuple(sorted(nodes, key=lambda who: -1 if who == me else self.state(who)))

    # Clocks ----------------------------------------------------------------------------------------------------------

    def held_to_others(self, wall_ms: int) -> int:
        """Return a wall clock's time, or the nearest to it that is not far from the middle of what all members show.

        A clock that ran away would else give stamps that nobody takes, and one that stays behind would take nobody's.
        """
        node, shown = self._node, self._shown(wall_ms)
        if len(shown) == 1:
            return wall_ms
        mono_ms, most = node.now.mono_ms, node.knobs.ahead_ms
        middle = mono_ms + shown[(len(shown) - 1) // 2]  # of two the lower: a stamp from the future stays for good
        return max(middle - most, min(wall_ms, middle + most))

    @property
    def knows_the_time(self) -> bool:
        """Whether more than half of all members, this one perhaps too, have shown the same time in this life.

        While others are missing, the middle of those that were heard may be that of clocks that ran away, and a stamp
        from the future stays for good. Where every member was heard, all nodes see the same middle, whatever it is.
        """
        shown, members = self._shown(self._node.now.wall_ms), 1 + len(self.peers)
        if len(shown) == members:
            return True
        more = members // 2  # than one of them
        return any(last - first <= self._node.knobs.ahead_ms for first, last in zip(shown, shown[more:], strict=False))

    def _shown(self, wall_ms: int) -> list[int]:
        """Return how far the wall clocks that are known are before our monotonic one, in order, ours among them."""
        shown = [peer.ahead_ms for peer in self.peers.values() if peer.heard_ms]
        shown.append(wall_ms - self._node.now.mono_ms)
        shown.sort()
        return shown

    def _show(self, peer: _Peer, wall_ms: int) -> None:
        peer.heard_ms = self._node.now.mono_ms or 1
        if peer.detector is not None:
            peer.detector.heard(peer.heard_ms)
        peer.ahead_ms = wall_ms - self._node.now.mono_ms

    # Probing ---------------------------------------------------------------------------------------------------------

    def _probe(self) -> Flow:
        node = self._node
        while True:
            yield Pause(node.knobs.ping_ms // 2 + node.dice.randrange(node.knobs.ping_ms))
            who = self._next()
            if who is None or node.topology is None:
                continue
            asked = yield Ask([who], lambda id, who=who: self._ping(id, who), lambda r: len(r) == 1, node.knobs.ack_ms)
            if who in asked or who not in self.peers:
                continue
            helpers = [p for p in sorted(self.peers) if p != who and self.peers[p].state == ALIVE]
            helpers = node.dice.sample(helpers, min(2, len(helpers)))
            if helpers:
                asked = yield Ask(
                    helpers, lambda id, who=who: m.PingFor(id, who), lambda r: len(r) > 0, node.knobs.ack_ms * 2
                )
                if asked:
                    continue
            peer = self.peers.get(who)
            if peer is not None and peer.state == ALIVE and self._odd(peer):
                self._learn(who, peer.life, SUSPECT, peer.refuted)

    def _odd(self, peer: _Peer) -> bool:
        """Whether the silence of one who did not answer is odd for it, as far as that is asked."""
        return peer.detector is None or peer.detector.suspects(self._node.now.mono_ms)

    def _next(self) -> str | None:
        for _ in range(2):
            for who in self._round:
                if who in self.peers:
                    return who
            names = sorted(self.peers)
            self._node.dice.shuffle(names)
            self._round = iter(names)
        return None

    def _ping(self, id: int, whom: str) -> m.Ping:
        return m.Ping(id, self._node.now.wall_ms, self._news(whom))

    def ping(self, sender: str, asked: m.Ping) -> None:
        self._read(asked.news)
        if sender in self.peers:
            self._show(self.peers[sender], asked.wall_ms)
        self._node.send(sender, m.Ack(asked.id, self._node.now.wall_ms, self._news(sender)))

    def ack(self, sender: str, heard: m.Ack) -> None:
        self._read(heard.news)
        if sender in self.peers:
            self._show(self.peers[sender], heard.wall_ms)
        self._node.flows.reply(heard.id, sender, heard)

    def ping_for(self, sender: str, asked: m.PingFor) -> None:
        self._node.flows.begin(self._ping_for(sender, asked))

    def _ping_for(self, sender: str, asked: m.PingFor) -> Flow:
        node = self._node
        replies = yield Ask(
            [asked.whom], lambda id: self._ping(id, asked.whom), lambda r: len(r) == 1, node.knobs.ack_ms
        )
        if replies:
            node.send(sender, m.Reached(asked.id))

    # News ------------------------------------------------------------------------------------------------------------

    def _news(self, to: str) -> tuple[m.News, ...]:
        """Return this node's own news, what is believed of the one that is told, and what has not been told often."""
        node = self._node
        told: list[m.News] = [(node.me, node.identity.life, ALIVE, self._refuted)]
        if to in self.peers and self.peers[to].state != ALIVE:
            told.append((to, self.peers[to].life, self.peers[to].state, self.peers[to].refuted))
        for name in sorted(self.peers, key=lambda name: self.peers[name].told):
            peer = self.peers[name]
            if peer.told < TOLD_TIMES and peer.life and len(told) < NEWS_MAX:
                peer.told += 1
                told.append((name, peer.life, peer.state, peer.refuted))
        return tuple(told)

    def _read(self, news: tuple[m.News, ...]) -> None:
        node = self._node
        for who, life, state, refuted in news:
            if who == node.me:
                if state != ALIVE and (life, refuted) >= (node.identity.life, self._refuted):
                    self._refuted = refuted + 1
                    node.identity.lives(life)  # it may have forgotten how many lives it had
                    node.count("denied a suspicion")
            elif who in self.peers:
                self._learn(who, life, state, refuted)

    def _learn(self, who: str, life: int, state: int, refuted: int) -> None:
        node, peer = self._node, self.peers[who]
        if (life, refuted, state) <= (peer.life, peer.refuted, peer.state):
            return
        if peer.state != state:
            node.count(("came back", "was suspected", "was given up")[state])
        peer.life, peer.refuted, peer.state, peer.told = life, refuted, state, 0
        if state == SUSPECT:
            node.timers.after(node.knobs.suspect_ms, self._gives_up, who, life, refuted)

    def _gives_up(self, who: str, life: int, refuted: int) -> None:
        peer = self.peers.get(who)
        if peer is not None and (peer.life, peer.refuted, peer.state) == (life, refuted, SUSPECT):
            self._learn(who, life, DOWN, refuted)
