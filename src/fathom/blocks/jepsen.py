"""Histories that others have recorded: Jepsen's register logs and the key-value logs beside Porcupine's tests.

Both are lines of `process, type, function, value`; the number of a line stands for its time. What is `:info` is
unknown and its process says no more; a compare-and-set that is `:fail` was told that it did not match; any other
`:fail` did not happen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fathom.errors import FathomError
from fathom.history import Op, Outcome

__all__ = ["register_log", "strings_log"]

REGISTER_LINE = re.compile(r"jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(\w+)\s+(nil|-?\d+|:[\w-]+|\[.*?\])")
STRINGS_LINE = re.compile(
    r"\{:process (\d+), :type :(invoke|ok|fail|info), :f :(\w+), :key \"(.*?)\", :value (nil|\".*\")\}"
)


class _Line(NamedTuple):
    at: int
    process: str
    type: str
    call: str
    value: Any


def register_log(text: str) -> list[Op]:
    """Return the operations of a log of one register, as the model REGISTER knows them.

    >>> log = "INFO  jepsen.util - 0 :invoke :write 3" + chr(10) + "INFO  jepsen.util - 0 :info :write :timed-out"
    >>> [op] = register_log(log)
    >>> op.call, op.asked, op.outcome.value
    ('write', 3, 'unknown')
    """
    lines = (
        _Line(at, found[1], found[2], found[3], _plain(found[4]))
        for at, line in enumerate(text.splitlines())
        if (found := REGISTER_LINE.search(line))
    )
    return list(_ops(lines))


def strings_log(text: str) -> list[Op]:
    """Return the operations of a log of a string store, as the model STRINGS knows them.

    >>> line = '{:process 0, :type :%s, :f :get, :key "k", :value %s}'
    >>> [op] = strings_log(line % ("invoke", "nil") + chr(10) + line % ("ok", '"x 0 0 y"'))
    >>> op.call, op.asked, op.answer
    ('get', 'k', 'x 0 0 y')
    """
    lines: list[_Line] = []
    for at, line in enumerate(text.splitlines()):
        found = STRINGS_LINE.fullmatch(line.strip())
        if found is None:
            raise _unreadable(at, line)
        value = None if found[5] == "nil" else found[5][1:-1]
        asked = found[4] if found[3] == "get" else (found[4], value)
        lines.append(_Line(at, found[1], found[2], found[3], asked if found[2] == "invoke" else value))
    return list(_ops(lines))


def _plain(value: str) -> Any:
    """Return nil, a number, a pair of numbers or a keyword as a plain value."""
    if value.startswith("[") and value.endswith("]"):
        return tuple(_plain(part) for part in value[1:-1].split())
    return None if value == "nil" else int(value) if value.lstrip("-").isdigit() else value


def _ops(lines: Iterable[_Line]) -> Iterator[Op]:
    begun: dict[str, _Line] = {}
    for line in lines:
        if line.type == "invoke":
            if line.process in begun:
                raise _unreadable(line.at, f"process {line.process} begins twice")
            begun[line.process] = line
            continue
        asked = begun.pop(line.process, None)
        if asked is None or asked.call != line.call:
            raise _unreadable(line.at, f"process {line.process} ends what it did not begin")
        yield _op(asked, line)
    for asked in begun.values():
        yield _op(asked, None)


def _op(asked: _Line, answered: _Line | None) -> Op:
    outcome, answer = Outcome.UNKNOWN, None
    timed_out = answered is not None and answered.value == ":timed-out"
    if answered is not None and answered.type != "info" and not (timed_out and asked.call not in ("read", "get")):
        mismatched = answered.type == "fail" and asked.call == "cas"
        outcome = Outcome.OK if answered.type == "ok" or mismatched else Outcome.FAILED
        answer = answered.value if asked.call in ("read", "get") else not mismatched
    return Op(
        index=asked.at,
        caller=asked.process,
        call=asked.call,
        asked=asked.value,
        answer=answer,
        outcome=outcome,
        start_s=asked.at,
        end_s=answered.at if answered is not None else None,
    )


def _unreadable(at: int, says: str) -> FathomError:
    return FathomError(
        f"line {at + 1} of the history cannot be read: {says[:120]}",
        why="a history is read whole or not at all: a checker that skips what it does not know proves nothing",
        fix="give it the log as Jepsen or Porcupine's tests wrote it",
    )
