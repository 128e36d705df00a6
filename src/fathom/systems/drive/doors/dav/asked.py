"""One request to WebDAV: who asks, about what, and under which conditions."""

from __future__ import annotations

from urllib.parse import urlsplit

from fathom.errors import Refusal
from fathom.web.app import Visit

from ...api import Drive, Space, SpaceId, UserId
from ..body import Body
from ..conditions import Unmet, tag_of
from ..paths import Spot, names_of, number, spot, url_of
from .locks import Locks, Route, route_of
from .markup import XML_BYTES_MAX, Element, parsed
from .states import Expected, expected
from .trees import Trees

__all__ = ["MINE", "Asked", "NoSpace"]

MINE = "mine"  # one's own space, whatever its id


class NoSpace(Exception):
    """The request is about the folder of all spaces, of which little can be asked."""


class Asked:
    """What a handler needs to know. `where` is what the request is about."""

    def __init__(self, drive: Drive, locks: Locks, visit: Visit, body: Body, user: UserId, under: str) -> None:
        self.drive, self.locks, self.visit, self.body, self.user = drive, locks, visit, body, user
        self._under = under
        self.label, self.where = "", Spot([], None, None)
        self._rooms: dict[str, Space] = {}
        self.expected: list[Expected] = []

    async def find(self) -> None:
        """Find out what the request is about, and whether what it expects holds."""
        raw = self.visit.scope["raw_path"].partition(b"?")[0]
        self.label, names = self._split(raw)
        if not self.label:
            raise NoSpace
        await self.room(self.label)
        self.where = await spot(self.drive, self.user, self.space, names)
        if (header := self.header("if")) is not None:
            self.expected = expected(header)
            if not await self._any_holds():
                raise Unmet

    def _split(self, raw: bytes) -> tuple[str, list[str]]:
        first, *names = names_of(raw.removeprefix(self._under.encode())) or [""]
        return first, names

    async def room(self, label: str) -> Space:
        """Return the space that a word of the path means."""
        if (known := self._rooms.get(label)) is not None:
            return known
        if label != MINE:
            found = await self.drive.space(self.user, SpaceId(number(label, "space")))
        else:
            found = next(iter(await self.drive.spaces(self.user)), None)
        if found is None:
            raise Refusal("not-found", "there is no such space")
        self._rooms[label] = found
        return found

    @property
    def space(self) -> SpaceId:
        return self._rooms[self.label].id

    def header(self, name: str) -> str | None:
        value = self.visit.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    def depth(self, otherwise: str) -> str:
        """Return the Depth header; refuse what it cannot be."""
        depth = (self.header("depth") or otherwise).strip().lower()
        if depth not in ("0", "1", "infinity"):
            raise Refusal("invalid", "Depth is 0, 1 or infinity")
        return depth

    @property
    def overwrites(self) -> bool:
        return (self.header("overwrite") or "T").strip().upper() != "F"

    @property
    def trees(self) -> Trees:
        return Trees(self.drive, self.user, self.space)

    @property
    def route(self) -> Route:
        return route_of(self.where.names)

    @property
    def tokens(self) -> set[str]:
        """The lock tokens that are shown."""
        return {it.token for each in self.expected for it in each.conditions if it.token and not it.no}

    def href(self, names: list[str], *, folder: bool) -> str:
        return f"{self._under}/{self.label}{url_of(names)}{'/' if folder else ''}"

    async def xml(self) -> Element | None:
        """Return the body's root element; None: there is no body."""
        raw = await self.body.all(XML_BYTES_MAX)
        return parsed(raw) if raw.strip() else None

    async def destination(self) -> Spot:
        """Return where something is to be copied or moved to."""
        header = self.header("destination")
        if header is None:
            raise Refusal("invalid", "this needs the header Destination")
        parts = urlsplit(header)
        if parts.netloc and parts.netloc.lower() != (self.header("host") or "").lower():
            raise Elsewhere
        if not parts.path.startswith(f"{self._under}/"):
            raise Elsewhere
        label, names = self._split(parts.path.encode())
        if not label or (await self.room(label)).id != self.space:
            raise Elsewhere
        return await spot(self.drive, self.user, self.space, names)

    # Locks

    def may_change(self, where: Spot, *, tree: bool = False, listed: bool = True) -> None:
        """Raise `Locked` where a lock forbids to change something, or with `listed` that it comes or goes."""
        route = route_of(where.names)
        self.locks.check(self.user, self.space, route, self.tokens, tree=tree)
        if listed and route:
            self.locks.check(self.user, self.space, route[:-1], self.tokens)

    async def _any_holds(self) -> bool:
        for each in self.expected:
            where = self.where
            if each.url:
                parts = urlsplit(each.url)
                if not parts.path.startswith(f"{self._under}/"):
                    continue
                label, names = self._split(parts.path.encode())
                if label != self.label:
                    continue
                where = await spot(self.drive, self.user, self.space, names)
            content = where.node.content if where.node is not None else None
            etag = tag_of(content) if content is not None else None
            held = {it.token for it in self.locks.of(self.space, route_of(where.names))}
            if all((it.token in held if it.token else it.tag == etag) != it.no for it in each.conditions):
                return True
        return False


class Elsewhere(Exception):
    """The destination is no place on this door, or in another space."""
