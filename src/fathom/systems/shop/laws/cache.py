"""Laws of the catalogue: how old what is shown may be, and that what was changed stays changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fathom.history import Broken, History, Op, tries

from .seen import given

__all__ = ["no_change_of_an_item_is_lost", "no_item_is_shown_older_than_promised"]


def _changes(history: History) -> dict[int, list[Op]]:
    found: defaultdict[int, list[Op]] = defaultdict(list)
    for op in history.acknowledged("change_item"):
        found[op.asked[1]].append(op)
    return found


def _late_s(history: History) -> float | None:
    return given(history, "late_s")


def _version(item: dict[str, object]) -> int:
    version = item.get("version", 1)
    assert isinstance(version, int)
    return version


@tries(lambda history: len(history.acknowledged("item")) if _changes(history) and _late_s(history) is not None else 0)
def no_item_is_shown_older_than_promised(history: History) -> Iterable[Broken]:
    """Who looks longer after a change than `given` says ("late_s") is shown that change, or a later one."""
    if (late_s := _late_s(history)) is None:
        return
    changes = _changes(history)
    for look in history.acknowledged("item"):
        for change in changes.get(look.asked[0], ()):
            long_ago = change.end_s is not None and change.end_s + late_s < look.start_s
            if long_ago and _version(change.answer) > _version(look.answer):
                yield Broken(
                    law="no_item_is_shown_older_than_promised",
                    says=f"item {look.asked[0]} was shown at version {_version(look.answer)}, after it had been"
                    f" changed to version {_version(change.answer)}",
                    ops=(change.index, look.index),
                    about={"item": look.asked[0]},
                )
                break


@tries(lambda history: sum(map(len, _changes(history).values())) if history.of("items", final=True) else 0)
def no_change_of_an_item_is_lost(history: History) -> Iterable[Broken]:
    """When all has settled the catalogue has each change that was said to be done, or a later one."""
    last: dict[int, tuple[Op, int]] = {}
    for op in history.acknowledged("items"):
        if op.final:
            last |= {item["id"]: (op, _version(item)) for item in op.answer["items"]}
    for item, changes in _changes(history).items():
        newest = max(changes, key=lambda op: _version(op.answer))
        if item in last and last[item][1] < _version(newest.answer):
            yield Broken(
                law="no_change_of_an_item_is_lost",
                says=f"item {item} was changed to version {_version(newest.answer)}, and is at version"
                f" {last[item][1]} when all has settled",
                ops=(newest.index, last[item][0].index),
                about={"item": item},
            )
