"""What stays true of the store when it is slow and when it fails.

Each law reads a history as its callers saw it: calls of the verbs `get`, `put` and `change`, with their arguments and
answers as plain JSON (bytes in base64). What was only known to be *unknown* may have happened, at any later time, or
never; what was refused happened nowhere. What must be found in the end is looked for by reads marked `final`, made when
everything had settled.

What a key promises shows in what was asked of it: who changes it, it is `cas`; who is given a context, it is
`siblings`; who is given a version of what was put, `lww`. Keys that expire are left out where an end of their own would
look like a loss.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from fathom.blocks import linearizable, sessions
from fathom.blocks.order import Append, Put, Saw, Step, Swap
from fathom.history import Broken, History, Op, Outcome, tries

__all__ = [
    "a_key_changes_in_one_step",
    "a_session_never_goes_back",
    "an_increment_counts_once",
    "no_acknowledged_write_is_lost",
    "no_deleted_value_returns",
    "nothing_is_read_that_nobody_wrote",
    "told",
    "who_names_a_version_outdoes_it",
    "who_names_a_version_reads_nothing_older",
]


# Reading a history ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Asked:
    """One call on one key; values are texts, a character for a byte."""

    op: Op
    key: str
    how: str  # get, put, or the kind of a change
    value: str | None = None
    context: str = ""
    given: dict[str, Any] = field(default_factory=dict)  # of a change: what it asks for
    at_least: int = 0

    @property
    def known(self) -> bool:
        return self.op.outcome is Outcome.OK

    @property
    def may_be_done(self) -> bool:
        return self.op.outcome is not Outcome.FAILED

    @property
    def answer(self) -> dict[str, Any]:
        return self.op.answer or {}

    @property
    def values(self) -> list[str]:
        """What a read was shown."""
        return [_text(value) or "" for value in self.answer.get("values", [])]

    @property
    def version(self) -> int:
        return self.answer.get("version", 0)

    @property
    def writes(self) -> bool:
        return self.how != "get"


def _text(raw: str | bytes | None) -> str | None:
    if raw is None:
        return None
    return (raw if isinstance(raw, bytes) else base64.b64decode(raw)).decode("latin-1")


def _asked(op: Op) -> Asked | None:
    if op.call not in ("get", "put", "change"):
        return None
    asked: list[Any] = list(op.asked) if isinstance(op.asked, list | tuple) else [op.asked]
    key, *rest = asked
    name = _text(key) or ""
    if op.call == "get":
        terms = rest[0] if rest else {}
        return Asked(op, name, "get", at_least=(terms or {}).get("at_least", 0))
    if op.call == "put":
        unsaid: list[Any] = [None, "", 0, {}]
        value, context, _, terms = [*rest, *unsaid[len(rest) :]][:4]
        return Asked(op, name, "put", _text(value), context or "", at_least=(terms or {}).get("at_least", 0))
    change = dict(rest[0])
    return Asked(op, name, change.get("type", ""), _text(change.get("value")), given=change)


class World(NamedTuple):
    """The calls of each key, in the order in which they began."""

    keys: dict[str, list[Asked]]

    def of(self, *kinds: str) -> Iterator[tuple[str, list[Asked]]]:
        """Yield the keys that promise one of these."""
        for key, calls in self.keys.items():
            if _kind(calls) in kinds:
                yield key, calls


@lru_cache(maxsize=4)
def _world(history: History) -> World:
    keys: defaultdict[str, list[Asked]] = defaultdict(list)
    for op in history:
        asked = _asked(op)
        if asked is not None:
            keys[asked.key].append(asked)
    return World(dict(keys))


def _kind(calls: list[Asked]) -> str:
    if any(call.how not in ("get", "put") for call in calls):
        return "cas"
    if any(call.context or call.answer.get("context") for call in calls):
        return "siblings"
    return "lww" if any(call.how == "put" and call.version for call in calls) else ""


def _expires(calls: list[Asked]) -> bool:
    put = (call.op.asked[3] for call in calls if call.how == "put" and len(call.op.asked) > 3)
    return any(put) or any(call.given.get("expires_ms") for call in calls)


def _final(calls: list[Asked]) -> list[Asked]:
    return [call for call in calls if call.op.final and call.how == "get" and call.known]


def _finals(*kinds: str) -> Callable[[History], int]:
    return lambda history: sum(len(_final(calls)) for _, calls in _world(history).of(*kinds))


def _broken(law: str, says: str, *calls: Asked, key: str) -> Broken:
    ops = tuple(sorted({call.op.index for call in calls}))
    return Broken(law=law, says=says, ops=ops, about={"key": key})


# Keys that change in one step ----------------------------------------------------------------------------------------


def _steps(calls: list[Asked]) -> dict[int, tuple[Hashable, Step] | None]:
    """Return what each call means to a search for an order. What was told is taken at its word."""
    made = {call.version: _left(call) for call in calls if call.known and call.writes and call.answer.get("done")}
    made |= {call.version: value for call in calls if call.known and not call.writes for value in call.values}
    return {call.op.index: None if (step := _step(call, made)) is None else (call.key, step) for call in calls}


def _left(call: Asked) -> str | None:
    """Return what an acknowledged change has left there."""
    before = _text(call.answer.get("before"))
    match call.how:
        case "increment":
            return str(call.answer["number"])
        case "append":
            return (before or "") + (call.value or "")
        case "delete":
            return None
        case "expire":
            return before
    return call.value


def _step(call: Asked, made: dict[int, str | None]) -> Step | None:
    if call.how == "get":
        return Saw(call.values[0] if call.values else None) if call.known else None
    if call.how == "put":
        return None
    before, was = _text(call.answer.get("before")), _text(call.given.get("was"))
    if call.known:
        if call.answer.get("done"):
            return Swap(before, _left(call))
        if call.how in ("add", "swap", "delete"):
            return Saw(before)
        return Saw(None) if call.how == "replace" else None
    match call.how:
        case "set" | "replace":
            return Put(call.value)
        case "delete":
            return Put(None)
        case "add":
            return Swap(None, call.value)
        case "append":
            return Append(call.value or "")
        case "swap":
            version = call.given.get("version")
            if version is None:
                return Swap(was, call.value)
            return Swap(made[version], call.value) if version in made else Put(call.value)
    return None


def _ordered(history: History) -> Iterator[tuple[str, list[Asked]]]:
    """Yield the keys of which an order can be looked for: no call of them may have added nobody knows what to what."""
    for key, calls in _world(history).of("cas"):
        unsure = any(call.how == "increment" and call.op.outcome is Outcome.UNKNOWN for call in calls)
        if not unsure and not _expires(calls):
            yield key, calls


@tries(lambda history: sum(len(calls) for _, calls in _ordered(history)))
def a_key_changes_in_one_step(history: History) -> Iterable[Broken]:
    """Of a key that is changed, one order of all calls, each within its own time, explains every answer."""
    for key, calls in _ordered(history):
        steps = _steps(calls)
        ops = [call.op for call in calls if call.op.outcome is Outcome.FAILED or steps[call.op.index] is not None]
        verdict = linearizable.check(ops, linearizable.Model(None, lambda op, steps=steps: steps[op.index]))
        for fault in verdict.faults:
            ops = tuple(sorted(op.index for op in fault.ops + fault.sources))
            yield Broken(law="a_key_changes_in_one_step", says=fault.says, ops=ops, about={"key": key})


def _counters(history: History) -> Iterator[tuple[str, list[Asked]]]:
    for key, calls in _world(history).of("cas"):
        grow = all(call.how == "get" or (call.how == "increment" and _by(call) > 0) for call in calls)
        if grow and any(call.writes for call in calls):
            yield key, calls


def _by(call: Asked) -> int:
    return call.given.get("by", 1)


@tries(lambda history: sum(len(calls) for _, calls in _counters(history)))
def an_increment_counts_once(history: History) -> Iterable[Broken]:
    """A counter that only grows is never less than what was acknowledged, nor more than what was asked for."""
    for key, calls in _counters(history):
        grown = [call for call in calls if call.writes and call.may_be_done]
        for call in calls:
            if not call.known:
                continue
            number = call.answer["number"] if call.writes else int(call.values[0]) if call.values else 0
            before = [one for one in grown if one.known and one.op.before(call.op)]
            perhaps = [one for one in grown if one is not call and not call.op.before(one.op)]
            mine = _by(call) if call.writes else 0
            least, most = (sum(map(_by, some)) + mine for some in (before, perhaps))
            if number < least:
                says = f"the counter {key!r} was {number}, and {least} had been acknowledged"
                yield _broken("an_increment_counts_once", says, call, *before, key=key)
            elif number > most:
                says = f"the counter {key!r} was {number}, and no more than {most} had been asked for"
                yield _broken("an_increment_counts_once", says, call, *perhaps, key=key)


# What was written ----------------------------------------------------------------------------------------------------


class _Covers(NamedTuple):
    """Which values of a key were written over by whom, knowingly."""

    surely: dict[str, Asked]
    perhaps: dict[str, Asked]


def _covers(calls: list[Asked]) -> _Covers:
    """Of siblings: a context covers the values that were read with it, and what its writer had covered before."""
    read: defaultdict[str, set[str]] = defaultdict(set)
    surely, perhaps = dict[str, Asked](), dict[str, Asked]()
    for call in sorted(calls, key=lambda call: (call.op.end_s is None, call.op.end_s or 0.0)):
        given = call.answer.get("context")
        if call.how == "get" and call.known and given:
            read[given] |= set(call.values)
        elif call.how == "put" and call.known and given and call.value is not None:
            read[given] |= {call.value}
    for call in calls:
        if call.how != "put" or not call.may_be_done:
            continue
        covered = read.get(call.context, set()) if call.context else set[str]()
        if call.value is None and not call.context:  # it deletes what there is: whatever was written by then
            there = [one for one in calls if one.how == "put" and not call.op.before(one.op) and one is not call]
            perhaps |= {one.value: call for one in there if one.value is not None}
            continue
        for value in covered:
            perhaps.setdefault(value, call)
            if call.known:
                surely.setdefault(value, call)
    return _Covers(surely, perhaps)


def _once(calls: list[Asked]) -> dict[str, Asked]:
    """Return the values that one call alone may have written, by that call."""
    writers = [call for call in calls if call.how == "put" and call.value is not None and call.may_be_done]
    often = Counter(call.value for call in writers)
    return {call.value: call for call in writers if call.value is not None and often[call.value] == 1}


@tries(_finals("siblings", "lww"))
def no_acknowledged_write_is_lost(history: History) -> Iterable[Broken]:
    """In the end every sibling that was acknowledged is there, unless somebody who had read it wrote over it; of keys
    where the last write wins, the newest that was acknowledged, or a later one."""
    law = "no_acknowledged_write_is_lost"
    for key, calls in _world(history).of("siblings"):
        once, perhaps = _once(calls), _covers(calls).perhaps
        for look in _final(calls):
            shown = set(look.values)
            for value, call in once.items():
                if call.known and call.op.before(look.op) and value not in shown and value not in perhaps:
                    says = (
                        f"{value!r} of {key!r} was acknowledged, nobody who had read it wrote over it, and it is gone"
                    )
                    yield _broken(law, says, call, look, key=key)
    for key, calls in _world(history).of("lww"):
        for look in _final(calls):
            done = [call for call in calls if call.how == "put" and call.known and call.op.before(look.op)]
            newest = max(done, key=lambda call: call.version, default=None)
            if newest is None or _expires(calls):
                continue
            # A deletion is forgotten in the end: also one that nobody knows of, and that may have come last.
            gone = not look.values and not look.version
            deletions = [call for call in calls if call.value is None and call.op.outcome is Outcome.UNKNOWN]
            if look.version < newest.version and not (gone and (newest.value is None or deletions)):
                says = f"{key!r} was written as version {newest.version}, and version {look.version} is there"
                yield _broken(law, says, newest, look, key=key)
            elif look.version == newest.version and look.values != ([] if newest.value is None else [newest.value]):
                says = f"version {newest.version} of {key!r} is not what was written"
                yield _broken(law, says, newest, look, key=key)


@tries(_finals("siblings", "lww"))
def no_deleted_value_returns(history: History) -> Iterable[Broken]:
    """What somebody wrote over knowingly, or deleted, is not there again in the end."""
    law = "no_deleted_value_returns"
    for key, calls in _world(history).of("siblings"):
        once, surely = _once(calls), _covers(calls).surely
        for look in _final(calls):
            for value in look.values:
                over = surely.get(value)
                if over is not None and value in once and over.op.before(look.op):
                    says = f"{value!r} of {key!r} was written over by who had read it, and is there again"
                    yield _broken(law, says, once[value], over, look, key=key)
    for key, calls in _world(history).of("lww"):
        once = _once(calls)
        deleted = [call for call in calls if call.how == "put" and call.known and call.value is None]
        for look in _final(calls):
            for value in look.values:
                wrote = once.get(value)
                later = [it for it in deleted if it.op.before(look.op) and wrote and it.version > wrote.version]
                if wrote is not None and wrote.known and later:
                    says = f"{value!r} of {key!r} was deleted, and is there again"
                    yield _broken(law, says, wrote, later[0], look, key=key)


@tries(lambda history: sum(len(call.values) for calls in _world(history).keys.values() for call in calls))
def nothing_is_read_that_nobody_wrote(history: History) -> Iterable[Broken]:
    """Every value that is shown was asked for by somebody before, and not in vain."""
    for key, calls in _world(history).keys.items():
        if any(call.how in ("increment", "append") for call in calls):
            continue  # what these make is looked at by an order
        for call in calls:
            if not call.known or call.writes:
                continue
            for value in call.values:
                writers = [one for one in calls if one.writes and one.value == value and not call.op.before(one.op)]
                if not any(one.may_be_done for one in writers):
                    why = "was refused" if writers else "was never written"
                    says = f"{value!r} of {key!r} {why}, and is there"
                    yield _broken("nothing_is_read_that_nobody_wrote", says, call, *writers, key=key)


# What one caller sees ------------------------------------------------------------------------------------------------


def _versions(history: History) -> tuple[list[Op], Callable[[Op], sessions.Read | sessions.Wrote | None]]:
    calls = {call.op.index: call for _, calls in _world(history).of("cas") for call in calls}

    def means(op: Op) -> sessions.Read | sessions.Wrote | None:
        call = calls[op.index]
        made = call.writes and call.answer.get("done") and call.version
        return sessions.Wrote(call.key, call.version) if made else sessions.Read(call.key, call.version)

    return [call.op for call in calls.values()], means


@tries(lambda history: sum(sessions.check(*_versions(history)).counts.values()))
def a_session_never_goes_back(history: History) -> Iterable[Broken]:
    """Of a key that is changed, who has written or read a version is shown no older one, and makes a newer one."""
    yield from sessions.check(*_versions(history)).broken("a_session_never_goes_back")


@tries(lambda history: sum(bool(call.at_least) for call in _last_writes(history, "get")))
def who_names_a_version_reads_nothing_older(history: History) -> Iterable[Broken]:
    """A reader who says which version it has seen is shown that one or a later one, or is refused."""
    for call in _last_writes(history, "get"):
        if call.known and call.version < call.at_least:
            says = f"{call.key!r} was shown as version {call.version} to who had seen {call.at_least}"
            yield _broken("who_names_a_version_reads_nothing_older", says, call, key=call.key)


@tries(lambda history: sum(bool(call.at_least) for call in _last_writes(history, "put")))
def who_names_a_version_outdoes_it(history: History) -> Iterable[Broken]:
    """A writer who says which version it has read makes a later one, whichever node it asks, and whatever time it is
    there: else its write is lost, though it was acknowledged, against the very value that it takes the place of."""
    for call in _last_writes(history, "put"):
        if call.known and call.at_least and call.version <= call.at_least:
            says = f"{call.key!r} was written as version {call.version} by who had read version {call.at_least}"
            yield _broken("who_names_a_version_outdoes_it", says, call, key=call.key)


def _last_writes(history: History, how: str) -> Iterator[Asked]:
    """Yield the calls of one kind on keys where the last write wins."""
    for _, calls in _world(history).of("lww"):
        yield from (call for call in calls if call.how == how)


# In words ------------------------------------------------------------------------------------------------------------


def told(op: Op, about: dict[str, Any]) -> str:
    """Tell a call: who did what with which key, and what came of it."""
    call = _asked(op)
    if call is None:
        return f"{op.caller} asked for {op.call}"
    came = {Outcome.FAILED: "; it was refused", Outcome.UNKNOWN: "; nobody knows whether it was done"}.get(
        op.outcome, ""
    )
    if call.how == "get":
        shown = f": {', '.join(map(repr, call.values)) or 'nothing'}" if call.known else came
        return f"{op.caller} read {call.key!r}{shown}"
    version = f" (version {call.version})" if call.known and call.version else ""
    if call.how == "put":
        did = f"put {call.value!r} under" if call.value is not None else "deleted"
        return f"{op.caller} {did} {call.key!r}{version}{came}"
    did = f"{call.how} {call.value!r}" if call.value is not None else call.how
    return f"{op.caller} changed {call.key!r} by {did}{version}{came}"
