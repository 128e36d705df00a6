"""What a saga does next: step after step, or back over what was done, whatever crash it wakes up from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["Entry", "Next", "Word", "following"]

Word = Literal["did", "failed", "undid"]
Entry = tuple[Word, str]  # what is written down, and of which step


class Next(NamedTuple):
    """What is to be done, and with which step; `done` and `undone` are ends."""

    what: Literal["do", "undo", "done", "undone"]
    step: str = ""


def following(steps: Sequence[str], log: Sequence[Entry]) -> Next:
    """Return what follows from what is written down. Raises ValueError for a log that no saga writes.

    A step is written down after it was done. Who wakes up from a crash does not know whether the step after the last
    one that is written down took effect: it is done again, or undone although it may never have been done. So doing a
    step twice must be doing it once, and undoing what was not done must be nothing.

    >>> steps = ["reserve", "charge", "ship"]
    >>> following(steps, [("did", "reserve")])
    Next(what='do', step='charge')
    >>> following(steps, [("did", "reserve"), ("failed", "charge")])
    Next(what='undo', step='charge')
    >>> following(steps, [("did", "reserve"), ("failed", "charge"), ("undid", "charge")])
    Next(what='undo', step='reserve')
    >>> following(steps, [("did", step) for step in steps])
    Next(what='done', step='')
    """
    at, back = 0, False  # the step that is to be done, or undone
    for number, (word, step) in enumerate(log):
        expected = steps[at] if 0 <= at < len(steps) else None
        if step != expected or (word == "undid") != back:
            raise ValueError(f"no saga of {', '.join(steps)} {word} {step} after {log[:number]}")
        if word == "did":
            at += 1
        elif word == "failed":
            back = True
        else:
            at -= 1
    if back:
        return Next("undo", steps[at]) if at >= 0 else Next("undone")
    return Next("do", steps[at]) if at < len(steps) else Next("done")
