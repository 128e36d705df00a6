"""A simulated run as the history that its clients would have kept: the same verbs, arguments and answers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import msgspec

from fathom.blocks import dotted
from fathom.history import History, Op, Outcome
from fathom.sim.schedule import Fault
from fathom.systems.kv import api
from fathom.systems.kv.core.calls import Change, Found, Get, Put, Scan, Wrote
from fathom.systems.kv.core.records import Last, Record, Siblings
from fathom.systems.kv.simulation import people, run
from fathom.systems.kv.simulation.cluster import Cluster, Make

plain = msgspec.to_builtins


def recorded(seed: int, *, ops: int = 500, make: Make | None = None, faults: bool | list[Fault] = True) -> History:
    """Run a seed with all its faults; at the end read every key from the first of its owners."""
    with _listening() as heard:
        run.simulate(seed, ops=ops, make=make, faults=faults)
    cluster, story, said = heard.cluster, heard.story, heard.said
    assert cluster is not None and story is not None
    found: list[Op] = []
    for op in story.ops:
        call, answer = said[op.index]
        if isinstance(call, Scan):  # lists are of all keys, which the laws look at one by one
            continue
        verb, asked = _asked(call)
        found.append(
            Op(
                index=len(found), caller=op.caller, call=verb, asked=asked, start_s=op.start_s, end_s=op.end_s,
                outcome=op.outcome, final=op.caller == "final",
                answer=plain(_answer(call, answer)) if op.outcome is Outcome.OK else None,
            )
        )  # fmt: skip
    end_s = cluster.world.now_ns / 1e9
    for key in sorted({key for key in story.keys.values() if cluster.topology.bucket(key).semantics != "cas"}):
        record = cluster.records(cluster.topology.owners_of(key).now[0]).get(key)
        found.append(
            Op(
                index=len(found), caller="final", call="get", asked=[plain(key)], start_s=end_s, end_s=end_s,
                final=True, answer=plain(_read(record)),
            )
        )  # fmt: skip
    return History(found)


class _Heard:
    def __init__(self) -> None:
        self.cluster: Cluster | None = None
        self.story: people.Story | None = None
        self.said: dict[int, tuple[Any, Any]] = {}


@contextmanager
def _listening() -> Any:
    heard = _Heard()
    ask, told, judged = people.Client._ask, people.Client._told, run.judged

    def _ask(self: Any, call: Any, what: str, asked: Any, key: bytes, context: bytes = b"") -> None:
        heard.said[len(self._story.ops)] = (call, None)
        ask(self, call, what, asked, key, context)

    def _told(self: Any, index: int, key: bytes, call: Any, answer: Any) -> None:
        if self._asking == index:
            heard.said[index] = (call, answer)
        told(self, index, key, call, answer)

    def _judged(cluster: Cluster, story: people.Story) -> list[str]:
        heard.cluster, heard.story = cluster, story
        return judged(cluster, story)

    people.Client._ask, people.Client._told, run.judged = _ask, _told, _judged  # type: ignore[method-assign,assignment]
    try:
        yield heard
    finally:
        people.Client._ask, people.Client._told, run.judged = ask, told, judged  # type: ignore[method-assign]


def _asked(call: Any) -> tuple[str, list[Any]]:
    if isinstance(call, Get):
        return "get", [plain(call.key)]
    if isinstance(call, Put):
        return "put", [plain(call.key), plain(call.value), plain(call.context), call.expires_ms]
    return "change", [plain(call.key), plain(_change(call))]


def _change(call: Change) -> api.Change:
    match call.how, call.given:
        case "set", (value, _):
            return api.Set(value=value)
        case "swap", (was, value, _):
            return api.Swap(value=value, was=was)
        case "delete", _:
            return api.Delete()
        case "increment", (by,):
            return api.Increment(by=by)
        case "append", (value,):
            return api.Append(value=value)
    raise AssertionError(f"people of simulated worlds do not {call.how}")


def _answer(call: Any, answer: Any) -> Any:
    if isinstance(answer, Found):
        values, context = list(answer.values), answer.context
        return api.Found(values=values, context=context, version=answer.version, expires_ms=answer.expires_ms)
    assert isinstance(answer, Wrote)
    if isinstance(call, Put):
        return api.Written(version=answer.version, context=answer.context)
    if call.how in ("increment", "append"):
        return api.Changed(done=True, version=answer.version, number=answer.result, before=answer.before)
    done = answer.result is None or bool(answer.result)
    return api.Changed(done=done, version=answer.version, before=answer.before)


def _read(record: Record | None) -> api.Found:
    if isinstance(record, Last):
        return api.Found(values=[] if record.value is None else [record.value], version=record.stamp)
    if isinstance(record, Siblings):
        return api.Found(values=list(dotted.Siblings.decode(record.state).values()))
    return api.Found()
