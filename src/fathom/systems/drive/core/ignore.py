"""Which files stay at home: patterns as in a .gitignore, as far as most people use them."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

__all__ = ["IGNORE", "Rules"]

IGNORE = ".fathomignore"  # in the synced folder; it is synced itself, so that all devices ignore alike


class Rule(NamedTuple):
    """One line. `anchored`: it is told by the whole path, not by the name."""

    pattern: str
    wanted: bool
    folders: bool
    anchored: bool


class Rules:
    """Lines of patterns, of which the last that fits decides.

    `*`, `?` and `[…]` as in fnmatch, against a name wherever it is; a pattern with a slash in it (not at its end) is
    told by the path from the synced folder, where `*` crosses slashes. `name/` is for folders alone, `!` takes back,
    `#` begins a remark. What is in a folder that is ignored is ignored with it, and cannot be taken back.

    >>> rules = Rules(["*.tmp", "build/", "!keep.tmp"])
    >>> rules.ignore(("a", "x.tmp"), False), rules.ignore(("keep.tmp",), False), rules.ignore(("build",), True)
    (True, False, True)
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._rules: list[Rule] = []
        for line in lines:
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            wanted = pattern.startswith("!")
            pattern = pattern.removeprefix("!")
            folders = pattern.endswith("/")
            pattern = pattern.rstrip("/")
            if pattern:
                self._rules.append(Rule(pattern.lstrip("/"), wanted, folders, "/" in pattern))

    def ignore(self, path: tuple[str, ...], folder: bool) -> bool:
        """Tell whether this stays at home."""
        ignored = False
        for rule in self._rules:
            if rule.folders and not folder:
                continue
            if fnmatchcase("/".join(path) if rule.anchored else path[-1], rule.pattern):
                ignored = not rule.wanted
        return ignored
