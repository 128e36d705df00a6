"""What a system that is up can be told by whoever may reach its socket, and what it tells of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal, get_args

import msgspec

from fathom.errors import EXIT_BROKE, FathomError

__all__ = [
    "HARMS",
    "LINE_BYTES_MAX",
    "LOAD_MAX",
    "SERVICE",
    "Flow",
    "Harm",
    "HarmKind",
    "Heal",
    "Lamp",
    "Load",
    "Mark",
    "Option",
    "Order",
    "Part",
    "Proof",
    "Question",
    "State",
    "Stock",
    "Switch",
    "Watch",
    "ask",
    "watch",
]

LINE_BYTES_MAX = 1 << 20
HarmKind = Literal["kill", "pause", "slow", "cut", "wipe"]
HARMS: tuple[HarmKind, ...] = get_args(HarmKind)
LOAD_MAX = 10.0  # times the traffic that a demo begins with; one machine holds both it and the system
SERVICE = "service"  # the part that is no engine


# ── orders: one JSON line each ────────────────────────────────────────────────────────────────────────────────────


class Switch(msgspec.Struct, frozen=True, tag_field="do", tag="switch"):
    """Let another approach take over a decision. The answer says how long that took: `took_s`."""

    decision: str
    approach: str
    knobs: dict[str, Any] = {}


class Harm(msgspec.Struct, frozen=True, tag_field="do", tag="harm"):
    """Break a part: an engine, or the service. It heals by itself after `lasts_s`; None: when it is told to."""

    part: str
    what: HarmKind
    lasts_s: float | None = None


class Heal(msgspec.Struct, frozen=True, tag_field="do", tag="heal"):
    """Make a part whole again."""

    part: str


class Load(msgspec.Struct, frozen=True, tag_field="do", tag="load"):
    """Let the demo's traffic be so many times as much as it began with; 0 is none."""

    factor: float


class Watch(msgspec.Struct, frozen=True, tag_field="do", tag="watch"):
    """Be told the state, a JSON line each time it is looked at or something was done, until either side hangs up."""


Order = Switch | Harm | Heal | Load | Watch


# ── the state ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One operation over the last seconds. Latencies are those of answered ones, from when each was due."""

    op: str
    per_s: float
    failed_per_s: float = 0.0  # refused, unanswered or unknown
    p50_ms: float | None = None
    p99_ms: float | None = None


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the service has in line, or another figure of its own."""

    name: str
    says: str
    value: float


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The service or an engine: a box of the diagram, with the edge that leads to it."""

    name: str  # the field of Stores; of the service: SERVICE
    kind: str
    version: str
    state: Literal["up", "down", "paused", "slow", "cut", "silent"]
    unit: str = ""  # what it is asked in
    per_s: float = 0.0
    answer_ms: float | None = None  # to a question that costs nothing, through the same link; None: no answer
    cpu: float | None = None  # of one core
    can: tuple[HarmKind, ...] = ()
    cannot: dict[str, str] = {}  # what else, and why not
    heals_in_s: float | None = None


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One approach of a decision, with its first line."""

    name: str
    says: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A decision: what it asks, what serves now, and what else could."""

    name: str
    asks: str
    serving: str
    options: tuple[Option, ...]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A broken promise in words, and the operations that prove it, in words and in order."""

    says: str
    steps: tuple[str, ...]


class Lamp(msgspec.Struct, frozen=True, kw_only=True):
    """A law, and what the witnesses' latest look made of it."""

    law: str
    says: str
    state: Literal["kept", "broken", "untried", "waiting"]
    tried: int = 0
    proofs: tuple[Proof, ...] = ()


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done: at which second, to what."""

    at_s: float
    what: str
    kind: Literal["harm", "heal", "switch", "load", "law"] = "harm"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A system at one moment, `at_s` seconds after it came up."""

    system: str
    says: str
    at_s: float
    door: str | None
    paused: str = ""  # why there is no traffic
    load: float = 0.0
    unsent: int = 0  # calls that found too many others under way, since it came up
    flows: tuple[Flow, ...] = ()
    door_per_s: float = 0.0
    parts: tuple[Part, ...] = ()
    stocks: tuple[Stock, ...] = ()
    questions: tuple[Question, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    judged_s: float | None = None  # when the laws were last held against what the witnesses saw
    marks: tuple[Mark, ...] = ()  # the newest last; bounded


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def ask(control: str, order: Order, within_s: float) -> dict[str, Any]:
    """Give an order at a control socket and return the answer; what it refuses is raised as it was said there."""
    try:
        async with asyncio.timeout(within_s):
            try:
                reader, writer = await asyncio.open_unix_connection(control, limit=LINE_BYTES_MAX)
            except OSError as lost:
                raise _unreachable(lost) from None
            try:
                writer.write(msgspec.json.encode(order) + b"\n")
                return _answer(await reader.readline())
            finally:
                writer.close()
    except TimeoutError:
        raise FathomError(
            f"there was no answer within {within_s:g} s",
            why="what was ordered still goes on, or the system hangs",
            fix="look at what fathom up says",
            code=EXIT_BROKE,
        ) from None
    except (OSError, ValueError) as lost:
        raise FathomError(
            "it is not known whether that was done",
            why=f"the order was sent, and the system ended before it had answered: {type(lost).__name__}: {lost}",
            fix="start it again, if it is not up: fathom up; then see how it is, and order again what was not done",
            code=EXIT_BROKE,
        ) from None


async def watch(control: str) -> AsyncIterator[State]:
    """Yield the state of a system as it tells it, until it ends; what it refuses is raised as it was said there."""
    decoder = msgspec.json.Decoder(State)
    try:
        reader, writer = await asyncio.open_unix_connection(control, limit=LINE_BYTES_MAX)
        try:
            writer.write(msgspec.json.encode(Watch()) + b"\n")
            if line := await reader.readline():
                _answer(line)
            while line:
                yield decoder.decode(line)
                line = await reader.readline()
        finally:
            writer.close()
    except (OSError, ValueError) as lost:
        raise _unreachable(lost) from None


def _answer(line: bytes) -> dict[str, Any]:
    """Return the answer in a line; raise what it refuses."""
    answer = msgspec.json.decode(line, type=dict[str, Any])
    if "error" in answer:
        raise FathomError(answer["error"], why=answer["why"], fix=answer["fix"], code=answer["exit"])
    return answer


def _unreachable(lost: Exception) -> FathomError:
    return FathomError(
        "the system cannot be reached",
        why=f"{type(lost).__name__}: {lost}",
        fix="is it just ending? Then start it again: fathom up",
        code=EXIT_BROKE,
    )
