"""What a file holds, as a word that is equal for equal contents: so planners and ties compare it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from fathom.blocks.names import key
from fathom.blocks.reconcile import ROOT, Node, Tie

from ..api import Content
from ..api import Node as RemoteNode

__all__ = ["bytes_of", "eased", "is_executable", "word", "word_of"]

_EXECUTABLE = "+x"
_Tree = Mapping[Hashable, Node]


def word(content: Content) -> str:
    """Return the word for a content.

    >>> word(Content("e3b0", 0)), word(Content("e3b0", 0, True))
    ('e3b0', 'e3b0+x')
    """
    return content.digest + _EXECUTABLE if content.executable else content.digest


def word_of(node: RemoteNode) -> str | None:
    """Return the word for what a node of the drive holds; None for a folder."""
    return None if node.content is None else word(node.content)


def is_executable(word: str | None) -> bool:
    """Tell whether the word is that of a program.

    >>> is_executable("e3b0+x"), is_executable("e3b0"), is_executable(None)
    (True, False, False)
    """
    return word is not None and word.endswith(_EXECUTABLE)


def bytes_of(word: str | None) -> str | None:
    """Return the word for the same bytes in a file that nobody starts: equal where bytes are.

    >>> bytes_of("e3b0+x"), bytes_of("e3b0"), bytes_of(None)
    ('e3b0', 'e3b0', None)
    """
    return word and word.removesuffix(_EXECUTABLE)


def eased(local: _Tree, remote: _Tree, ties: Iterable[Tie]) -> tuple[_Tree, list[Tie]]:
    """Return trees and ties between which equal bytes are in no conflict, though one side lets them be started.

    Of what both have: who changed that since they last agreed has it their way. Of what is new on both sides: it is
    one file, and the local way of it is told next.
    """
    kept: list[Tie] = []
    tied: dict[Hashable, Hashable] = {ROOT: ROOT}
    known: set[Hashable] = set()
    for tie in ties:
        here, there = local.get(tie.local), remote.get(tie.remote)
        tied[tie.local] = tie.remote
        known.add(tie.remote)
        if here is not None and there is not None and _only_so(here.content, there.content):
            still = is_executable(here.content) == is_executable(tie.content)
            tie = tie._replace(content=here.content if still else there.content)
        kept.append(tie)
    new = {(node.parent, key(node.name)): node for id, node in remote.items() if node.content and id not in known}
    changed: dict[Hashable, Node] = {}
    if new:
        for id, node in local.items():
            if node.content is not None and id not in tied:
                other = new.get((tied.get(node.parent), key(node.name)))
                if other is not None and _only_so(node.content, other.content):
                    changed[id] = node._replace(content=other.content)
    return {**local, **changed} if changed else local, kept


def _only_so(one: str | None, other: str | None) -> bool:
    return one != other and bytes_of(one) == bytes_of(other)
