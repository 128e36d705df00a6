"""One client: its bytes come in, its commands take effect in their order, and its replies leave in it.

What is answered from memory costs no turn of the loop: all whole commands of one buffer are done in a row, and leave in
one write. A command that has to wait for other nodes, or for its fsync, leaves its place in the row free, and those on
other keys go on beside it; one on the same key waits until it is done. Commands of several keys or steps go alone.

A client that does not read what it is sent, or sends more than is done, is no longer read from.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

from fathom.blocks.slots import slot_of

from ...core.calls import Change, Get, Put, Within
from .asking import Begun, begun, broken, rest
from .catalogue import QUICK, found
from .clients import AFTER_MULTI, NOAUTH
from .command import Command, Say
from .parser import Parser, Unread
from .placement import Address, one_slot
from .replies import Wrong, encoded, failed, wrong
from .session import Session

if TYPE_CHECKING:
    from .door import Door

__all__ = ["Connection"]

log = logging.getLogger(__name__)
WRITE_BYTES = 64 << 10  # what is gathered before it is written
CALLS = frozenset({Get, Put, Change, Within})
AFTER_REFUSAL = frozenset({"exec", "discard", "quit"})


class Turn:
    """A command that waits for its answer, in the place of its reply."""

    __slots__ = ("args", "command", "held", "key", "reply", "round", "say")

    def __init__(self, args: list[bytes], command: Command, key: bytes | None, say: Say | None, round: int) -> None:
        self.args, self.command, self.key, self.say, self.round = args, command, key, say, round
        self.reply: bytes | None = None
        self.held = 0  # bytes of it that are counted as pending


class Connection(Session, asyncio.Protocol):
    def __init__(self, door: Door, id: int) -> None:
        super().__init__(door, id)
        self.stalled_s: float | None = None  # since when it does not read what it is sent
        self._parser = Parser(door.limits)
        self._parser.stranger = self.stranger
        self._strange = 0
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._waiting: deque[list[bytes]] = deque()  # commands that have not begun
        self._pending: deque[Turn | bytes] = deque()  # replies that cannot leave yet, and the places of others
        self._pending_bytes = 0
        self._keys: dict[bytes, Turn] = {}  # what is under way on a key
        self._round = 0  # how many buffers have come
        self._alone = False
        self._settling = self._reading = self._ended = self._lost = False
        self._paused = self._heard_all = False

    # The transport ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._reading = True
        here, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if isinstance(here, tuple) and isinstance(peer, tuple):
            self.here, self.peer = Address(str(here[0]), int(here[1])), f"{peer[0]}:{peer[1]}"
        self._transport.set_write_buffer_limits(high=self.limits.output_bytes_max)
        if not self.door.welcomes(self):
            self._transport.write(wrong("ERR max number of clients reached"))
            self.ends()
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._ended = True
        self._waiting.clear()
        self._pending.clear()
        self._keys.clear()
        self.door.left(self)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._round += 1
        self.heard_s = time.monotonic()
        if self.stranger:
            self._strangely(data)
            return
        self._waiting += self._parser.feed(data)
        self._go()

    def _strangely(self, data: bytes) -> None:
        """Take the commands of a client that has not shown its token one by one: the first may be that token."""
        commands = self._parser.feed(data)
        while commands and not self._ended:
            self._strange += 1
            if self.stranger and self._strange > self.limits.strangers_max:
                commands = [Unread(NOAUTH, ends=True)]
            self._waiting += commands
            self._go()
            commands = self._parser.feed(b"")

    def eof_received(self) -> bool:
        """Stay until what was asked is answered."""
        self._heard_all = bool(self._waiting or self._pending) and not self._lost
        return self._heard_all

    def pause_writing(self) -> None:
        self._paused, self.stalled_s = True, time.monotonic()

    def resume_writing(self) -> None:
        self._paused, self.stalled_s = False, None
        self._settle()

    # What others ask of it -------------------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        return bool(self._keys or self._alone)

    def known(self) -> None:
        self.stranger = self._parser.stranger = False

    def ends(self) -> None:
        self._ended = True
        self._waiting.clear()

    def leaves(self) -> None:
        """Take nothing more; close when what was begun is answered, and that has left."""
        self.ends()
        self._pace()

    def evict(self) -> None:
        self._transport.abort()

    # Doing -----------------------------------------------------------------------------------------------------------

    def _go(self) -> None:
        """Do what waits, as far as it may begin; write what it says."""
        waiting, pending, keys, limits = self._waiting, self._pending, self._keys, self.limits
        out: list[bytes] = []
        size, left = 0, limits.turn_commands
        ask, peek = self.store.ask, self.store.peek
        while waiting and not (
            self._alone
            or self._paused
            or len(pending) >= limits.under_way_max
            or self._pending_bytes > limits.output_bytes_max
        ):
            if not left:
                self._soon()
                break
            left -= 1
            args = waiting.popleft()
            say: Say | None = None
            try:
                command = QUICK.get(args[0])
                if command is None or self.refuses or self.stranger or not command.fits(args):
                    command = self._found(args)
                first = command.keys[0]
                if first and (len(args[1]) > limits.key_bytes_max or self.of_cluster or command.keys[1] < 0
                              or not args[1]):  # fmt: skip
                    self._check(command, args)
                planned = command.plan(self, args)  # type: ignore[misc]
                kind = type(planned)
                if kind is tuple:
                    planned, say = planned
                    kind = type(planned)
                if kind in CALLS:
                    key = args[1]
                    if keys and key in keys:
                        turn = keys[key]
                        if command.alike and turn.command is command and turn.round == self._round:
                            pending.append(turn)  # it was asked for when both had come
                            continue
                        waiting.appendleft(args)
                        left += 1
                        break
                    say = say or command.say
                    answer = peek(key) if kind is Get and cast("Get", planned).plain else None
                    if answer is None:
                        coroutine = ask(planned)
                        try:
                            waits_for = coroutine.send(None)  # type: ignore[attr-defined]
                        except StopIteration as done:
                            answer = done.value
                        else:
                            turn = keys[key] = Turn(args, command, key, say, self._round)
                            self._wait(turn, Begun(coroutine, waits_for))  # type: ignore[arg-type]
                            continue
                    data = say(self, args, answer)  # type: ignore[misc]
                elif kind is bytes:
                    data = planned
                elif kind is CoroutineType:
                    if pending:
                        planned.close()
                        waiting.appendleft(args)
                        left += 1
                        break
                    done, result = begun(_guarded(planned))
                    if not done:
                        self._alone = True
                        self._wait(Turn(args, command, None, None, self._round), result)
                        continue
                    data = self._said(result)
                else:
                    data = encoded(planned, self.version)
            except Wrong as error:
                data = wrong(str(error))
            except Exception as error:
                data = failed(broken(error))
            if data[0] == 45:
                self.door.errors += 1
            if pending:
                pending.append(data)
                self._pending_bytes += len(data)
            else:
                out.append(data)
                size += len(data)
                if size > WRITE_BYTES:
                    self._transport.write(b"".join(out))
                    out, size = [], 0
        self.door.commands += limits.turn_commands - left
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        self._pace()

    def _found(self, args: list[bytes]) -> Command:
        """Find a command with care: it may be none, or not be allowed."""
        if type(args) is Unread:
            if args.ends:
                self.ends()
            raise Wrong(args.says)
        if args[0].lower() in (b"post", b"host:"):  # a browser that was talked into it
            self.ends()
            raise Wrong("ERR this door speaks RESP, not HTTP")
        command = found(args)
        if self.stranger and not command.free:
            raise Wrong(NOAUTH)
        if self.refuses and command.name not in AFTER_REFUSAL:
            raise Wrong(AFTER_MULTI)
        return command

    def _check(self, command: Command, args: list[bytes]) -> None:
        """Look at the keys: whether they may be keys, how many, of one slot; whether another node should be asked."""
        keys, limits = command.keys_of(args), self.limits
        for key in keys:
            if not 0 < len(key) <= limits.key_bytes_max:
                raise Wrong(f"ERR a key has 1 to {limits.key_bytes_max:,} bytes, and this one has {len(key):,}")
        if len(keys) > limits.keys_max:
            raise Wrong(f"ERR at most {limits.keys_max:,} keys are taken at once, and these are {len(keys):,}")
        if len(keys) > 1 and one_slot(keys) is None:
            raise Wrong("CROSSSLOT Keys in request don't hash to the same slot")
        if self.of_cluster:
            placement, slot = self.placement, slot_of(keys[0])
            if not placement.mine(keys[0], slot):
                address = placement.first(keys[0])
                if address is not None:
                    raise Wrong(f"MOVED {slot} {address.host}:{address.port}")

    # Waiting ---------------------------------------------------------------------------------------------------------

    def _wait(self, turn: Turn, left: Begun) -> None:
        self._pending.append(turn)
        self.door.under_way(self._answer(turn, left))

    async def _answer(self, turn: Turn, left: Begun) -> None:
        answer = await rest(left)
        try:
            turn.reply = self._said(answer) if turn.say is None else turn.say(self, turn.args, answer)
        except Exception as error:
            turn.reply = failed(broken(error))
        if self._lost:
            return
        if turn.reply[0] == 45:
            self.door.errors += 1
        turn.held = len(turn.reply)
        self._pending_bytes += turn.held
        if turn.key is None:
            self._alone = False
        else:
            del self._keys[turn.key]
        self._soon()

    def _said(self, answer: Any) -> bytes:
        """Return the reply of a command that went alone."""
        return answer if type(answer) is bytes else encoded(answer, self.version)

    def _soon(self) -> None:
        """Settle once, when all answers of this turn of the loop are there."""
        if not self._settling:
            self._settling = True
            self.door.loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Write what may leave, then go on."""
        self._settling = False
        if self._lost:
            return
        pending, out, size = self._pending, list[bytes](), 0
        while pending and not self._paused:
            head = pending[0]
            data = head if type(head) is bytes else cast("Turn", head).reply
            if data is None:
                break
            pending.popleft()
            if type(head) is bytes:
                self._pending_bytes -= len(data)
            else:
                self._pending_bytes -= cast("Turn", head).held
                cast("Turn", head).held = 0
            out.append(data)
            size += len(data)
            if size > WRITE_BYTES:
                self._transport.write(b"".join(out))
                out, size = [], 0
        if out:
            self._transport.write(b"".join(out))
        self._go()

    def _pace(self) -> None:
        """Read from the client while it is worth it; close when all is said."""
        if not self._pending and (self._ended or (self._heard_all and not self._waiting)):
            if not self._lost:
                self._transport.close()
            return
        reading = not (self._waiting or self._paused or self._ended or self._heard_all)
        if reading != self._reading:
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()


async def _guarded(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coroutine
    except Wrong as error:
        return wrong(str(error))
    except Exception as error:
        return failed(broken(error))
