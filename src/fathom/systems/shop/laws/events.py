"""Laws of the log of events: all that happened is in it once, in order, and what is made of it adds up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from fathom.history import Broken, History, Op, tries

from .seen import BOUGHT, looks

__all__ = [
    "an_event_is_told_once_and_in_order",
    "no_event_comes_to_light_behind_a_reader",
    "no_event_is_lost",
    "nothing_is_told_that_did_not_happen",
    "read_models_are_the_fold_of_the_log",
]

Told = dict[str, Any]


class Log(NamedTuple):
    """The whole log as it was when all had settled, and the calls that showed it."""

    events: list[Told]
    ops: list[Op]

    @staticmethod
    def of(history: History) -> Log | None:
        """Follow the last pages from the beginning to an empty one; None: nobody went all the way."""
        pages = {_after(op): op for op in history.of("events", final=True) if op.acknowledged}
        events, ops, after = list[Told](), list[Op](), 0
        while (op := pages.get(after)) is not None:
            ops.append(op)
            if not op.answer["events"]:
                return Log(events, ops)
            events += op.answer["events"]
            after = op.answer["after"]
        return None


def _known(history: History) -> dict[int, tuple[int, Op]]:
    """Return the highest version of each order that anybody was shown, and by which call."""
    found: dict[int, tuple[int, Op]] = {}
    for look in looks(history):
        if look.version > found.get(look.id, (0, look.op))[0]:
            found[look.id] = (look.version, look.op)
    return found


@tries(lambda history: len(_known(history)) if Log.of(history) else 0)
def no_event_is_lost(history: History) -> Iterable[Broken]:
    """When all has settled, the log has every version of every order that anybody was shown."""
    if (log := Log.of(history)) is None:
        return
    there = {(event["order"], event["version"]) for event in log.events}
    for order, (version, op) in _known(history).items():
        missing = [v for v in range(1, version + 1) if (order, v) not in there]
        if missing:
            yield Broken(
                law="no_event_is_lost",
                says=f"order {order} was shown at version {version}, and the log never tells of {_versions(missing)}",
                ops=(op.index, *(it.index for it in log.ops)),
                about={"order": order},
            )


@tries(lambda history: sum(len(op.answer["events"]) for op in history.acknowledged("events")))
def an_event_is_told_once_and_in_order(history: History) -> Iterable[Broken]:
    """In what one reader was told, places rise by one, and the versions of an order do, each once."""
    for ops in _readings(history):
        newest: dict[int, tuple[int, Op]] = {}
        place: tuple[int, Op] | None = None
        for op in ops:
            for event in op.answer["events"]:
                order, version = event["order"], event["version"]
                before, other = newest.get(order, (0, op))
                if version != before + 1 and (before or not _after(op)):
                    how = (
                        "a second time" if version <= before else f"without {_versions([*range(before + 1, version)])}"
                    )
                    yield _disorder(f"version {version} of order {order} was told {how}", order, other, op)
                    return
                if place is not None and event["seq"] != place[0] + 1:
                    says = f"place {event['seq']} of the log was told after place {place[0]}"
                    yield _disorder(says, order, place[1], op)
                    return
                newest[order], place = (version, op), (event["seq"], op)


@tries(lambda history: sum(not op.final for op in history.acknowledged("events")) if Log.of(history) else 0)
def no_event_comes_to_light_behind_a_reader(history: History) -> Iterable[Broken]:
    """Who was told of all events up to a place was told of all that are there in the end."""
    if (log := Log.of(history)) is None:
        return
    for op in history.acknowledged("events"):
        after, until = _after(op), op.answer["after"]
        told = {event["seq"]: (event["order"], event["version"]) for event in op.answer["events"]}
        for event in log.events:
            seq = event["seq"]
            if after < seq <= until and told.get(seq) != (event["order"], event["version"]):
                yield Broken(
                    law="no_event_comes_to_light_behind_a_reader",
                    says=f"place {seq} of the log was passed over by a reader who was told that it ends at {until}",
                    ops=(op.index, *(it.index for it in log.ops)),
                    about={"order": event["order"]},
                )
                return


@tries(lambda history: sum(len(op.answer["events"]) for op in history.acknowledged("events")))
def nothing_is_told_that_did_not_happen(history: History) -> Iterable[Broken]:
    """An event tells of a version of an order as everybody else was shown it."""
    shown: dict[tuple[int, int], tuple[str, Op]] = {}
    for look in looks(history):
        shown.setdefault((look.id, look.version), (look.status, look.op))
    paths: dict[int, tuple[int, Op]] = {}
    for op in history.acknowledged("history"):
        for change in op.answer:
            shown.setdefault((op.asked[1], change["version"]), (change["status"], op))
        if op.final:
            paths[op.asked[1]] = (len(op.answer), op)
    for op in history.acknowledged("events"):
        for event in op.answer["events"]:
            order, version = event["order"], event["version"]
            status, other = shown.get((order, version), (None, op))
            ends, path = paths.get(order, (version, op))
            if status is not None and event["kind"] != f"order-{status}":
                says = f"version {version} of order {order} was told as {event['kind']}, and it is {status}"
                yield _untrue(says, order, other, op)
            elif version > ends:
                says = f"version {version} of order {order} was told, and there are {ends}"
                yield _untrue(says, order, path, op)


@tries(lambda history: len(history.of("sales", "tallies", final=True)) if Log.of(history) else 0)
def read_models_are_the_fold_of_the_log(history: History) -> Iterable[Broken]:
    """When all has settled, what was sold and how many orders stand where is what the log adds up to."""
    if (log := Log.of(history)) is None:
        return
    newest: dict[int, Told] = {}
    for event in log.events:
        newest[event["order"]] = event
    sold: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    tallies: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for event in newest.values():
        it = event["body"]
        status, (amount, currency) = event["kind"].removeprefix("order-"), it["total"]
        _add(tallies[status, currency], 1, amount)
        if status in BOUGHT:
            for line in it["lines"]:
                _add(sold[line["item"]], line["quantity"], line["quantity"] * line["price"][0])
    for op in history.of("sales", final=True):
        if op.acknowledged:
            has = {row["item"]: [row["quantity"], row["amount"]] for row in op.answer if row["quantity"]}
            yield from _unequal("sold", has, {item: sums for item, sums in sold.items() if sums[0]}, op, log)
    for op in history.of("tallies", final=True):
        if op.acknowledged:
            has = {(row["status"], row["total"][1]): [row["orders"], row["total"][0]] for row in op.answer}
            yield from _unequal("tallied", has, dict(tallies), op, log)


def _unequal(what: str, has: dict[Any, list[int]], should: dict[Any, list[int]], op: Op, log: Log) -> Iterable[Broken]:
    for place in sorted(has.keys() | should.keys(), key=str):
        if has.get(place, [0, 0]) != should.get(place, [0, 0]):
            yield Broken(
                law="read_models_are_the_fold_of_the_log",
                says=f"{has.get(place, 0)} of {place} are {what}, and the log adds up to {should.get(place, 0)}",
                ops=(op.index, *(it.index for it in log.ops)),
            )
            return


def _after(op: Op) -> int:
    """Return the place above which a page was asked for; left out: it is the first."""
    return op.asked[1] if len(op.asked) > 1 else 0


def _readings(history: History) -> list[list[Op]]:
    """Return pages that one reader asked for one after the other, each from where the one before ended."""
    found: list[list[Op]] = []
    newest: dict[tuple[str, bool], list[Op]] = {}
    for op in history.acknowledged("events"):
        mine = newest.get((op.caller, op.final))
        if mine is None or _after(op) != mine[-1].answer["after"]:
            found.append(mine := [])  # they begin anew
            newest[op.caller, op.final] = mine
        mine.append(op)
    return found


def _disorder(says: str, order: int, *ops: Op) -> Broken:
    indexes = tuple(sorted({op.index for op in ops}))
    return Broken(law="an_event_is_told_once_and_in_order", says=says, ops=indexes, about={"order": order})


def _untrue(says: str, order: int, *ops: Op) -> Broken:
    indexes = tuple(sorted({op.index for op in ops}))
    return Broken(law="nothing_is_told_that_did_not_happen", says=says, ops=indexes, about={"order": order})


def _versions(numbers: list[int]) -> str:
    return f"version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _add(sums: list[int], one: int, other: int) -> None:
    sums[0] += one
    sums[1] += other
