"""What WebDAV's methods do (RFC 4918), each an answer to one request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

from fathom.errors import Refusal
from fathom.web.app import Reply, Stream

from ...api import ROOT, Edit, Make, Manifest, Move, Node, NodeId, Space
from ..conditions import met, tag_of
from ..paths import Spot
from ..reading import Reading
from ..saving import Saving, refused
from .asked import MINE, Asked
from .locks import Lock, lasting, route_of
from .markup import DAV, Element, local, tag, written
from .properties import LIVE, Resource, active, described, status

__all__ = ["ALLOW", "XML", "Methods", "Never", "document"]

XML = b'application/xml; charset="utf-8"'
ALLOW = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK"
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
Method = Callable[[Asked], Awaitable["Reply | Stream"]]


class Never(Exception):
    """What is asked for cannot be, for a reason that has a status of its own."""

    def __init__(self, status: int, says: str, error: str = "") -> None:
        self.status, self.says, self.error = status, says, error


class Methods:
    """The methods by name."""

    def __init__(self, reading: Reading, saving: Saving) -> None:
        self._reading, self._saving = reading, saving

    async def options(self, asked: Asked) -> Reply:
        fields = [(b"dav", b"1, 2"), (b"allow", ALLOW.encode()), (b"ms-author-via", b"DAV")]
        return Reply(200, b"", fields, b"text/plain")

    # Files

    async def get(self, asked: Asked) -> Reply | Stream:
        where, head = asked.where, asked.visit.scope["method"] == "HEAD"
        if not where.there:
            raise Refusal("not-found", "there is no such file or folder")
        if where.node is None or where.node.content is None:
            if head:
                return Reply(200, b"", [], b"text/plain")
            raise Never(405, "a folder holds no bytes of its own: ask PROPFIND what is in it")
        return await self._reading.answer(asked.user, asked.space, where.node, asked.visit.headers, head=head)

    async def put(self, asked: Asked) -> Reply:
        if asked.where.is_folder:
            raise Never(405, "a folder has this name")
        if "content-range" in {name.decode() for name in asked.visit.headers}:
            raise Never(400, "a part of a file cannot be put")
        asked.may_change(asked.where, listed=not asked.where.there)
        space = await asked.room(asked.label)
        saved = await self._saving.put(asked.user, space, asked.where, asked.body, asked.visit.headers)
        content = saved.node.content
        fields = [(b"etag", tag_of(content).encode())] if content is not None else []
        if asked.header("x-oc-mtime") is not None:
            fields.append((b"x-oc-mtime", b"accepted"))
        return Reply(201 if saved.made else 204, b"", fields, b"text/plain")

    async def delete(self, asked: Asked) -> Reply:
        node = self._existing(asked)
        asked.may_change(asked.where, tree=True)
        await asked.trees.drop(node)
        asked.locks.ends(asked.space, asked.route)
        return Reply(204, b"")

    async def mkcol(self, asked: Asked) -> Reply:
        if await asked.body.all(1 << 20):
            raise Never(415, "a folder is made without a body")
        where = asked.where
        if where.there:
            raise Never(405, "something has this name")
        asked.may_change(where)
        await self._commit(asked, Make(parent=self._folder(where), name=where.name))
        return Reply(201, b"", [], b"text/plain")

    # Whole trees

    async def copy(self, asked: Asked) -> Reply:
        node, to = self._existing(asked), await asked.destination()
        deep = asked.depth("infinity")
        if deep == "1":
            raise Refusal("invalid", "Depth is 0 or infinity")
        folder = self._may_replace(asked, to, tree=True)
        trees, over = asked.trees, to.node
        if over is not None and (over.content is None or node.content is None):
            await trees.drop(over)
            asked.locks.ends(asked.space, route_of(to.names))
            over = None
        name = over.name if over is not None else to.names[-1]
        copies = await trees.copy(node, folder, name, deep=deep == "infinity", over=over)
        await self._copy_properties(asked, node, copies[0])
        return Reply(204 if to.there else 201, b"", [], b"text/plain")

    async def move(self, asked: Asked) -> Reply:
        node, to = self._existing(asked), await asked.destination()
        if asked.depth("infinity") != "infinity":
            raise Refusal("invalid", "what is moved is moved whole")
        asked.may_change(asked.where, tree=True)
        same = to.node is not None and to.node.id == node.id  # only the case of its name is another
        folder = self._may_replace(asked, to, tree=not same)
        if to.node is not None and not same:
            await asked.trees.drop(to.node)
            asked.locks.ends(asked.space, route_of(to.names))
        await self._commit(asked, Move(node=node.id, parent=folder, name=to.names[-1]))
        asked.locks.ends(asked.space, asked.route)
        return Reply(204 if to.there and not same else 201, b"", [], b"text/plain")

    def _may_replace(self, asked: Asked, to: Spot, *, tree: bool) -> NodeId:
        """Return the folder in which the destination lies, or is to; refuse where nothing can be put there."""
        source, target = asked.route, route_of(to.names)
        if to.is_root or (source[: len(target)] == target and source != target):
            raise Never(403, "what something is in cannot be replaced by it")
        if target[: len(source)] == source and (source != target or asked.where.names == to.names):
            raise Never(403, "nothing can be copied or moved into itself")
        folder = self._folder(to)
        if to.there and not asked.overwrites:
            raise Never(412, "something is there, and is not to be overwritten")
        asked.may_change(to, tree=tree, listed=True)
        return folder

    async def _copy_properties(self, asked: Asked, source: Node, copy: Node) -> None:
        properties = getattr(asked.drive, "properties", None)
        if properties is not None:
            (found, old) = await properties(asked.user, asked.space, [source.id, copy.id])
            changes = {**dict.fromkeys(old, ""), **found}
            if changes:
                await asked.drive.describe(asked.user, asked.space, copy.id, changes)  # pyright: ignore[reportAttributeAccessIssue]

    # Properties

    async def propfind(self, asked: Asked) -> Stream:
        depth = asked.depth("infinity")
        root = await asked.xml()
        if root is not None and root.tag != tag("propfind"):
            raise Refusal("invalid", "this needs a propfind")
        kinds = [child.tag for child in (root if root is not None else ())]
        if root is not None and not {tag("prop"), tag("allprop"), tag("propname")}.intersection(kinds):
            raise Refusal("invalid", "a propfind asks for prop, allprop or propname")
        if depth == "infinity":
            raise Never(403, "ask folder by folder, with Depth: 1", local("propfind-finite-depth"))
        if not asked.where.there:
            raise Refusal("not-found", "there is no such file or folder")
        space = await asked.room(asked.label)
        page = await self._page(asked, "") if depth == "1" and asked.where.is_folder else None
        (dead,) = await self._dead(asked, [asked.where.id])
        own = self._resource(asked, asked.where.names, asked.where.node, space, dead)
        return multistatus(self._tell(asked, root, space, own, page))

    async def _page(self, asked: Asked, after: str) -> tuple[list[Node], str]:
        found = await asked.drive.listing(asked.user, asked.space, asked.where.id, after)
        return found.nodes, found.after

    async def _tell(
        self, asked: Asked, root: Element | None, space: Space, own: Resource, page: tuple[list[Node], str] | None
    ) -> AsyncGenerator[str]:
        yield described(own, root, asked.locks)
        while page is not None:
            nodes, after = page
            dead = await self._dead(asked, [node.id for node in nodes])
            yield "".join(
                described(self._resource(asked, [*asked.where.names, node.name], node, space, its), root, asked.locks)
                for node, its in zip(nodes, dead, strict=True)
            )
            page = await self._page(asked, after) if after else None

    async def spaces(self, asked: Asked) -> Stream:
        """Tell of the folder in which all spaces are."""
        depth, root = asked.depth("infinity"), await asked.xml()
        if depth == "infinity":
            raise Never(403, "ask folder by folder, with Depth: 1", local("propfind-finite-depth"))
        under = asked.href([], folder=False).rstrip("/")

        async def tell() -> AsyncGenerator[str]:
            yield described(Resource(f"{under}/", "", None, None, [], {}), root, asked.locks)
            for number, space in enumerate(await asked.drive.spaces(asked.user) if depth == "1" else []):
                label = MINE if not number else str(space.id)
                yield described(Resource(f"{under}/{label}/", label, None, space, [], {}), root, asked.locks)

        return multistatus(tell())

    async def proppatch(self, asked: Asked) -> Stream:
        root = await asked.xml()
        if root is None or root.tag != tag("propertyupdate"):
            raise Refusal("invalid", "this needs a propertyupdate")
        if not asked.where.there:
            raise Refusal("not-found", "there is no such file or folder")
        asked.may_change(asked.where, listed=False)
        changes: dict[str, str] = {}
        for step in root:
            for prop in step.iter(tag("prop")) if step.tag in (tag("set"), tag("remove")) else ():
                for it in prop:
                    it.tail = None
                    changes[str(it.tag)] = written(it) if step.tag == tag("set") else ""
        describe = getattr(asked.drive, "describe", None)
        kept = [name for name in changes if name.startswith(f"{{{DAV}}}") and name.rpartition("}")[2] in LIVE]
        if describe is None:
            kept = list(changes)
        others = [name for name in changes if name not in kept]
        groups = [(200, others, "")]
        if kept:
            groups = [(403, kept, local("cannot-modify-protected-property")), (424, others, "")]
        elif changes and describe is not None:
            try:
                await describe(asked.user, asked.space, asked.where.id, changes)
            except Refusal as refusal:
                if refusal.code != "too-large":
                    raise
                groups = [(507, others, "")]

        async def tell() -> AsyncGenerator[str]:
            yield status(asked.href(asked.where.names, folder=asked.where.is_folder), groups)

        return multistatus(tell())

    async def _dead(self, asked: Asked, ids: list[NodeId]) -> list[dict[str, str]]:
        properties = getattr(asked.drive, "properties", None)
        if properties is None or not ids:
            return [{} for _ in ids]
        return await properties(asked.user, asked.space, ids)

    def _resource(
        self, asked: Asked, names: list[str], node: Node | None, space: Space, dead: dict[str, str]
    ) -> Resource:
        folder = node is None or node.content is None
        locks = asked.locks.of(asked.space, route_of(names))
        name = node.name if node is not None else asked.label
        return Resource(asked.href(names, folder=folder), name, node, space, locks, dead)

    # Locks

    async def lock(self, asked: Asked) -> Reply:
        root, lasts_s = await asked.xml(), lasting(asked.header("timeout") or "")
        if root is None:
            held = [it for it in asked.locks.of(asked.space, asked.route) if it.token in asked.tokens]
            if not held or held[0].user != asked.user:
                raise Never(412, "there is no such lock to last longer", local("lock-token-matches-request-uri"))
            return self._locked(asked, asked.locks.renew(held[0], lasts_s), 200)
        scope = {str(child.tag) for child in root.findall(f"{tag('lockscope')}/*")}
        if root.tag != tag("lockinfo") or len(scope) != 1 or root.find(f"{tag('locktype')}/{tag('write')}") is None:
            raise Refusal("invalid", "this needs a lockinfo, with one scope and the type write")
        depth = asked.depth("infinity")
        if depth == "1":
            raise Refusal("invalid", "Depth is 0 or infinity")
        owner = root.find(tag("owner"))
        if owner is not None:
            owner.tail = None
        folder = self._folder(asked.where) if not asked.where.there else ROOT
        if not asked.where.there and asked.where.names:
            asked.locks.check(asked.user, asked.space, asked.route[:-1], asked.tokens)
        lock = asked.locks.lock(
            asked.user,
            asked.space,
            asked.where.names,
            deep=depth == "infinity",
            shared=tag("shared") in scope,
            owner=written(owner) if owner is not None else "",
            lasts_s=lasts_s,
        )
        if asked.where.there:
            return self._locked(asked, lock, 200)
        try:
            cutting = (await asked.room(asked.label)).cutting
            await self._commit(asked, Make(parent=folder, name=asked.where.name, manifest=Manifest(cutting=cutting)))
        except BaseException:
            asked.locks.unlock(asked.space, lock)
            raise
        return self._locked(asked, lock, 201)

    def _locked(self, asked: Asked, lock: Lock, code: int) -> Reply:
        root = asked.href(lock.names, folder=False)
        inside = local("lockdiscovery", active(lock, asked.locks, root))
        body = f'{_HEAD}<D:prop xmlns:D="{DAV}">{inside}</D:prop>'
        return Reply(code, body.encode(), [(b"lock-token", f"<{lock.token}>".encode())], XML)

    async def unlock(self, asked: Asked) -> Reply:
        token = (asked.header("lock-token") or "").strip()
        if not (token.startswith("<") and token.endswith(">")):
            raise Refusal("invalid", "this needs the header Lock-Token: <TOKEN>")
        held = [it for it in asked.locks.of(asked.space, asked.route) if it.token == token[1:-1]]
        if not held:
            raise Never(409, "there is no such lock on it", local("lock-token-matches-request-uri"))
        if held[0].user != asked.user:
            raise Refusal("forbidden", "it is the lock of somebody else")
        asked.locks.unlock(asked.space, held[0])
        return Reply(204, b"")

    # -----------------------------------------------------------------------------------------------------------------

    def _existing(self, asked: Asked) -> Node:
        where = asked.where
        if where.is_root:
            raise Never(403, "a space itself is not copied, moved or deleted")
        if where.node is None:
            raise Refusal("not-found", "there is no such file or folder")
        met(asked.visit.headers, tag_of(where.node.content) if where.node.content is not None else None)
        return where.node

    def _folder(self, where: Spot) -> NodeId:
        if where.folder is None:
            raise Never(409, "the folder that it is to be in is not there")
        return where.folder

    async def _commit(self, asked: Asked, edit: Edit) -> Node:
        (outcome,) = await asked.drive.commit(asked.user, asked.space, [edit])
        if outcome.code or outcome.node is None:
            raise refused(outcome)
        return outcome.node


def document(inside: str) -> bytes:
    """Return an `error` that says what did not hold."""
    return f'{_HEAD}<D:error xmlns:D="{DAV}">{inside}</D:error>'.encode()


def multistatus(responses: AsyncGenerator[str]) -> Stream:
    """Return an answer of many parts, sent as they are made."""

    async def pieces() -> AsyncGenerator[bytes]:
        yield f'{_HEAD}<D:multistatus xmlns:D="{DAV}">'.encode()
        async for response in responses:
            yield response.encode()
        yield b"</D:multistatus>"

    return Stream(pieces(), responses.aclose, [], XML, 207, 120.0)
