"""Pages whose commands are typed, and whose output must come out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"```console\n(.*?)```", re.S)


class Typed(NamedTuple):
    """A command on a page, and what the page says comes out."""

    words: list[str]
    beside: bool  # it goes on while the next ones are typed
    expected: list[str]


def typed(page: Path) -> Iterator[Typed]:
    """Yield the commands of a page in order."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, *expected = part.rstrip("\n").split("\n")
            words = line.split()
            beside = words[-1] == "&"
            yield Typed(words[1:-1] if beside else words[1:], beside, expected)


def matches(expected: list[str], said: list[str]) -> bool:
    """Whether what was said is what a page expects; `…` is anything on a line, a line of it any lines.

    >>> matches(["a…c", "…", "d"], ["abc", "x", "y", "d"])
    True
    >>> matches(["a", "d"], ["a", "x", "d"])
    False
    """
    if not expected:
        return not said
    first, *rest = expected
    if first == "…":
        return any(matches(rest, said[skip:]) for skip in range(len(said) + 1))
    pattern = ".*".join(map(re.escape, first.split("…")))
    return bool(said) and re.fullmatch(pattern, said[0]) is not None and matches(rest, said[1:])
