"""Where something lies: names out of a URL, and the nodes that they lead through."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from fathom.blocks.names import key, refused
from fathom.errors import Refusal

from ..api import ROOT, Drive, Node, NodeId, SpaceId, UserId

__all__ = ["ID_MAX", "Spot", "names_of", "number", "same", "spot", "url_of"]

ID_MAX = (1 << 53) - 1  # the largest id that every reader of JSON holds exactly


class Spot(NamedTuple):
    """Where names lead: what lies there, if something does; the folder that it is in, or would be in; its name."""

    names: list[str]
    folder: NodeId | None  # None: there is no such folder
    node: Node | None

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else ""

    @property
    def is_root(self) -> bool:
        return not self.names

    @property
    def is_folder(self) -> bool:
        return self.is_root or (self.node is not None and self.node.content is None)

    @property
    def there(self) -> bool:
        return self.is_root or self.node is not None

    @property
    def id(self) -> NodeId:
        return self.node.id if self.node is not None else ROOT


def names_of(raw: bytes) -> list[str]:
    """Return the names that a part of a URL's path consists of; a slash at its end says nothing.

    >>> names_of(b"/a%20b/c/")
    ['a b', 'c']
    """
    steps = raw.strip(b"/").split(b"/") if raw.strip(b"/") else []
    names: list[str] = []
    for step in steps:
        try:
            name = unquote_to_bytes(step).decode()
        except UnicodeDecodeError:
            raise Refusal("invalid", "a name is text: this one has bytes that are not UTF-8") from None
        if why := refused(name):
            raise Refusal("invalid", why)
        names.append(name)
    return names


def url_of(names: list[str]) -> str:
    """Return names as a part of a URL's path.

    >>> url_of(["a b", "c"])
    '/a%20b/c'
    """
    return "".join("/" + quote(name, safe="~!$&'()*+,;=:@") for name in names)


async def spot(drive: Drive, user: UserId, space: SpaceId, names: list[str]) -> Spot:
    """Return where names lead."""
    if not names:
        await drive.space(user, space)
        return Spot(names, None, None)
    found = await drive.at(user, space, names)
    above, last = found[: len(names) - 1], found[len(names) - 1 :]
    whole = len(above) == len(names) - 1 and all(node.content is None for node in above)
    folder = (above[-1].id if above else ROOT) if whole else None
    return Spot(names, folder, last[0] if last else None)


def same(one: str, other: str) -> bool:
    """Whether two names are one to some device."""
    return key(one) == key(other)


def number(text: str, what: str) -> int:
    """Return the id that a path says; there is nothing whose id is no number."""
    # Only plain digits: int() would also take "+1", " 1", "1_0" and digits of other scripts.
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= 16 and int(digits) <= ID_MAX:
        return int(text)
    raise Refusal("not-found", f"there is no such {what}")
