"""An approach in the flesh: its own engines and service, the dive's data in them, and all that it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from fathom.design import Choice
from fathom.engines.engine import Engine, EngineError, EngineUnknown
from fathom.engines.ledger import charging
from fathom.errors import FathomError, Refusal
from fathom.history import History, Op, Outcome
from fathom.lab.dive import SERVICE, Dive, Operation, Turn

__all__ = [
    "TWIN",
    "Bodies",
    "Body",
    "Contender",
    "Recorder",
    "Service",
    "laid_out",
    "outcome_of",
    "own_code",
    "settled",
    "unsettled",
]

TWIN = "'"  # the default approach a second time is called `<name>'`
GIVEN = "given"  # the name of the operation that tells the laws what was there before
SETTLE_S = 20.0  # what was accepted has taken effect by then, or the approach does not settle


class Service(Protocol):
    """The service of one approach, in a process of its own."""

    def processes(self) -> tuple[int, ...]: ...
    async def kill(self) -> None: ...
    async def restart(self, *, wiped: bool = False) -> None: ...
    async def pause(self) -> None: ...
    async def resume(self) -> None: ...


class Body(Protocol):
    """One approach's own set of engines and service. The lab is handed a maker of them; it knows no system."""

    name: str
    approach: Any  # the built Decision, on `stores`, in the lab's own process: for laying out data
    stores: Any  # connected
    engines: Mapping[str, Engine]  # by field of Stores
    service: Service

    def client(self, *, connections: int = 64, deadline_s: float = 5.0) -> AbstractAsyncContextManager[Any]:
        """Connect a client of the system's Protocol for the length of a block."""
        ...

    async def ledger(self) -> dict[str, dict[str, int]]:
        """Return the service's counts of work so far: operation → resource → count."""
        ...

    async def settled(self, within_s: float) -> None:
        """Return when everything accepted has taken effect; raise TimeoutError when it has not in time."""
        ...

    async def tidy(self) -> None:
        """Let the service collect its garbage and the engines write out what waits: now, not while it is measured."""
        ...

    async def pause(self) -> None:
        """Stop engines and service as a whole: an idle rival still takes the machine's time."""
        ...

    async def resume(self) -> None: ...

    def last_words(self) -> str:
        """Return what the service said last in its log, for whoever must say why it does not do what it should."""
        ...


class Bodies(Protocol):
    """Makes a body: starts engines and service of a choice under a name; both are gone when the block is left."""

    def __call__(self, choice: Choice, name: str, cores: frozenset[int]) -> AbstractAsyncContextManager[Body]: ...


# ── what was asked ────────────────────────────────────────────────────────────────────────────────────────────────


def outcome_of(error: BaseException) -> Outcome:
    """Return what a caller knows after this exception: it failed for sure, or nobody knows."""
    if isinstance(error, (TimeoutError, EngineUnknown, asyncio.CancelledError)):
        return Outcome.UNKNOWN
    return Outcome.FAILED


class Recorder:
    """Keeps what clients asked and were answered, as it was; it becomes a history when somebody looks."""

    def __init__(self, protocol: type | None = None) -> None:
        self.began = time.perf_counter()
        self.calls: list[_Call] = []
        self._signatures: dict[str, inspect.Signature] = {}
        self._protocol = protocol

    def now_s(self) -> float:
        return time.perf_counter() - self.began

    def beside(self, client: Any, caller: str, *, changes: bool = True, final: bool = False) -> Any:
        """Return the client as `caller` uses it, with each call kept."""
        return _Beside(self, client, caller, changes, final)

    def history(self, given: Any, calls: Iterable[_Call]) -> History:
        """Return calls as a history; what was there before is its first operation."""
        ops = [self._op(index, call) for index, call in enumerate(calls)]
        if given is not None:
            ops.insert(0, Op(index=-1, caller="lab", call=GIVEN, answer=msgspec.to_builtins(given), end_s=0.0))
        return History(ops)

    def _op(self, index: int, call: _Call) -> Op:
        return Op(
            index=index,
            caller=call.caller,
            call=call.verb,
            asked=msgspec.to_builtins(self._in_order(call)),
            answer=msgspec.to_builtins(call.answer),
            outcome=call.outcome,
            start_s=round(call.start_s, 6),
            end_s=None if call.end_s is None else round(call.end_s, 6),
            error=call.error,
            final=call.final,
            code=call.code,
        )

    def _in_order(self, call: _Call) -> list[Any]:
        """Return the arguments by position, however they were given."""
        if not call.named:
            return list(call.args)
        verb = getattr(self._protocol, call.verb, None)
        if verb is None:
            return [*call.args, *call.named.values()]
        if call.verb not in self._signatures:
            self._signatures[call.verb] = inspect.signature(verb)
        bound = self._signatures[call.verb].bind(None, *call.args, **call.named)
        bound.apply_defaults()
        return list(bound.arguments.values())[1:]


class _Call:
    """One call as it happened; plain values are made of it later, off the clock."""

    __slots__ = (
        "answer",
        "args",
        "caller",
        "changes",
        "code",
        "end_s",
        "error",
        "final",
        "named",
        "outcome",
        "start_s",
        "verb",
    )

    def __init__(self, caller: str, verb: str, args: tuple[Any, ...], named: dict[str, Any], at: tuple[bool, bool]):
        self.caller, self.verb, self.args, self.named = caller, verb, args, named
        self.changes, self.final = at
        self.answer: Any = None
        self.outcome = Outcome.UNKNOWN  # until an answer says otherwise
        self.error: str | None = None
        self.code: str | None = None
        self.start_s = 0.0
        self.end_s: float | None = None


class _Beside:
    """A client with somebody beside it who writes down every call."""

    __slots__ = ("_at", "_caller", "_client", "_recorder")

    def __init__(self, recorder: Recorder, client: Any, caller: str, changes: bool, final: bool) -> None:
        self._recorder, self._client, self._caller, self._at = recorder, client, caller, (changes, final)

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        return functools.partial(self._ask, getattr(self._client, verb), verb)

    async def _ask(self, ask: Callable[..., Awaitable[Any]], verb: str, *args: Any, **named: Any) -> Any:
        recorder = self._recorder
        call = _Call(self._caller, verb, args, named, self._at)
        recorder.calls.append(call)
        call.start_s = recorder.now_s()
        try:
            call.answer = await ask(*args, **named)
        except BaseException as error:
            call.outcome = outcome_of(error)
            call.error = str(error).partition("\n")[0] or type(error).__name__
            call.code = error.code if isinstance(error, Refusal) else None
            if call.outcome is Outcome.FAILED:
                call.end_s = recorder.now_s()  # an unknown one has no end: it may happen later
            raise
        call.end_s = recorder.now_s()
        call.outcome = Outcome.OK
        return call.answer


# ── an approach in a dive ─────────────────────────────────────────────────────────────────────────────────────────


class Contender:
    """An approach with its body, its own object of the dive, a connected client and a record of what it was asked."""

    def __init__(self, name: str, approach: str, body: Body, dive: Dive[Any], client: Any, recorder: Recorder) -> None:
        self.name, self.approach, self.body, self.dive, self.client = name, approach, body, dive, client
        self.recorder = recorder
        self.own: dict[str, dict[str, int]] = {}  # what looking at the engines' counters adds to them
        self.faults: list[BaseException] = []  # of the dive's own code: they end the run

    @property
    def twin(self) -> bool:
        return self.name.endswith(TWIN)

    @classmethod
    @contextlib.asynccontextmanager
    async def made(
        cls,
        bodies: Bodies,
        choice: Choice,
        name: str,
        dive: type[Dive[Any]],
        points: tuple[Any, ...],
        protocol: type,
        cores: frozenset[int],
        *,
        times: int = 1,
        ready: Callable[[Body], None] = lambda body: None,
    ) -> AsyncIterator[Contender]:
        """Bring up an approach, lay out the dive's data in it (so many `times`, of one that grows), and connect.

        `ready` is called in between: engines and service answer, and hold nothing yet.
        """
        async with bodies(choice, name, cores) as body, body.client() as client:
            ready(body)
            contender = cls(name, choice.approach, body, dive(), client, Recorder(protocol))
            await laid_out(contender.dive, body, points, times=times)
            yield contender

    def beside(self, caller: str, *, changes: bool = True, final: bool = False) -> Any:
        return self.recorder.beside(self.client, caller, changes=changes, final=final)

    async def ask(self, op: Operation, turn: Turn, caller: str, *answer: Any, kept: bool = True) -> Any:
        """Carry out one operation in its name; a refusal or an engine's silence is raised, the rest is a fault."""
        client = self.beside(caller, changes=not op.reads) if kept else self.client
        try:
            with charging(op.name):
                return await op.does(self.dive, client, turn, *answer)
        except (Refusal, EngineError, TimeoutError, OSError):
            raise
        except Exception as fault:
            self.faults.append(fault)
            raise

    def no_faults(self) -> None:
        """Raise when the dive's own code broke: that is no finding about the approach."""
        if self.faults:
            fault = self.faults[0]
            raise FathomError(
                f"an operation of {type(self.dive).__name__} broke with {self.name}",
                why=f"{type(fault).__name__}: {fault}",
                fix="mend the dive: an operation raises only what its client raises",
            ) from fault

    def unsettled(self, after: str) -> str:
        """Say that it does not settle, with the service's last words."""
        return unsettled(self.name, self.body, after)

    async def settled(self, within_s: float = SETTLE_S) -> bool:
        """Return whether everything accepted has taken effect within the time."""
        return await settled(self.body, within_s)

    async def looks(self, point: Any, *, dice: random.Random | None = None, most: int | None = None) -> list[Any]:
        """Let everyone (or `most` of them, drawn) take a last look; return who. Who could not is in the record."""
        with own_code(type(self.dive), "everyone"):
            everyone = list(self.dive.everyone(point))
        if most is not None and len(everyone) > most and dice is not None:
            everyone = dice.sample(everyone, most)
        turns = iter(enumerate(everyone))

        async def several() -> None:
            for number, who in turns:
                with contextlib.suppress(Refusal, EngineError, TimeoutError, OSError):
                    await self.dive.look(self.beside(f"look/{number}", changes=False, final=True), who)

        with own_code(type(self.dive), "look"):
            async with asyncio.TaskGroup() as group:
                for _ in range(16):
                    group.create_task(several())
        return everyone

    def target(self, name: str) -> Any:
        """Return what a fault names: an engine, or the service."""
        return self.body.service if name == SERVICE else self.body.engines[name]


async def laid_out(dive: Dive[Any], body: Body, points: tuple[Any, ...], *, times: int = 1) -> None:
    """Lay out a dive's data in a body: for these swept values, so many `times` of a dive that grows."""
    swept: dict[str, Any] = {dive.swept: points} if dive.swept else {}
    if times != 1:
        swept["times"] = times
    with own_code(type(dive), "prepare"):
        await dive.prepare(body.stores, body.approach, **swept)


async def settled(body: Body, within_s: float = SETTLE_S) -> bool:
    """Return whether everything accepted has taken effect within the time."""
    try:
        await body.settled(within_s)
    except TimeoutError:
        return False
    return True


def unsettled(name: str, body: Body, after: str) -> str:
    """Say that an approach does not settle, with its service's last words."""
    return f"{name} does not settle after {after}; its service said last: {body.last_words()}"


@contextlib.contextmanager
def own_code(dive: type[Dive[Any]], name: str):
    """Say whose fault it is when a dive's own code breaks."""
    try:
        yield
    except FathomError:
        raise
    except (Exception, ExceptionGroup) as fault:
        while isinstance(fault, ExceptionGroup):
            fault = fault.exceptions[0]
        if isinstance(fault, FathomError):
            raise fault from None
        raise FathomError(
            f"{dive.__name__}.{name}() broke",
            why=f"{type(fault).__name__}: {fault}",
            fix=f"mend {name}() in the dive",
        ) from fault
