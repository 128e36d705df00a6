"""What is told of a file or folder: what the drive knows of it, and what programs wrote on it."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from ...api import Node, Space
from ..conditions import date_of, tag_of
from .locks import Lock, Locks
from .markup import DAV, Element, local, tag, text, written

__all__ = ["LIVE", "Resource", "active", "described", "status"]

QUOTA = ("quota-available-bytes", "quota-used-bytes")
FILES = ("getcontentlength", "getcontenttype", "getetag", "getlastmodified")
LIVE = frozenset(("creationdate", "displayname", "lockdiscovery", "resourcetype", "supportedlock", *FILES, *QUOTA))
ALL = ("resourcetype", "creationdate", "displayname", *FILES, "supportedlock", "lockdiscovery")
_SUPPORTED = "".join(
    local("lockentry", (local("lockscope", local(scope)), local("locktype", local("write"))))
    for scope in ("exclusive", "shared")
)


class Resource(NamedTuple):
    """Something that lies at an address; without a node it is the root of a space, or that of all spaces."""

    href: str
    name: str
    node: Node | None
    space: Space | None
    locks: list[Lock]
    dead: Mapping[str, str]

    @property
    def is_folder(self) -> bool:
        return self.node is None or self.node.content is None


def described(it: Resource, asked: Element | None, locks: Locks) -> str:
    """Return the `response` that tells of a resource what a `propfind` asks for; None: all."""
    kind = next((child for child in (asked if asked is not None else ()) if child.tag != tag("include")), None)
    if kind is not None and kind.tag == tag("propname"):
        known = [local(name) for name in ALL if _live(it, name, locks) is not None]
        return _response(it.href, [(200, [*known, *(_named(name) for name in it.dead)])])
    if kind is None or kind.tag == tag("allprop"):
        more = [str(child.tag) for include in (asked if asked is not None else ()) if include.tag == tag("include")
                for child in include]  # fmt: skip
        wanted: list[str] = [*map(tag, ALL), *(name for name in it.dead if name not in more), *more]
        found = [_value(it, name, locks) for name in dict.fromkeys(wanted)]
        return _response(it.href, [(200, [value for value in found if value is not None])])
    there: list[str] = []
    missing: list[str] = []
    for child in kind:
        value = _value(it, str(child.tag), locks)
        (missing if value is None else there).append(_named(str(child.tag)) if value is None else value)
    return _response(it.href, [(200, there), (404, missing)])


def status(href: str, groups: Iterable[tuple[int, list[str], str]]) -> str:
    """Return the `response` that tells what became of properties: groups of a status, their names, and an error."""
    return _response(href, [(code, [_named(name) for name in names]) for code, names, _ in groups if names],
                     {code: error for code, _, error in groups if error})  # fmt: skip


def active(lock: Lock, locks: Locks, root: str) -> str:
    """Return the `activelock` of a lock."""
    parts = (
        local("locktype", local("write")),
        local("lockscope", local("shared" if lock.shared else "exclusive")),
        local("depth", "infinity" if lock.deep else "0"),
        lock.owner,
        local("timeout", f"Second-{locks.left_s(lock)}"),
        local("locktoken", local("href", text(lock.token))),
        local("lockroot", local("href", text(root))),
    )
    return local("activelock", parts)


def _value(it: Resource, name: str, locks: Locks) -> str | None:
    """Return a property with its value; None: it has none such."""
    if name in it.dead:
        return it.dead[name]
    if not name.startswith(f"{{{DAV}}}"):
        return None
    plain = name.rpartition("}")[2]
    value = _live(it, plain, locks)
    return None if value is None else local(plain, value)


def _live(it: Resource, name: str, locks: Locks) -> str | None:
    node, content = it.node, it.node.content if it.node else None
    match name:
        case "resourcetype":
            return local("collection") if it.is_folder else ""
        case "displayname":
            return text(it.name)
        case "creationdate" if node is not None:
            return datetime.fromtimestamp(node.at_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case "getlastmodified" if node is not None:
            return date_of(node)
        case "getcontentlength" if content is not None:
            return str(content.size)
        case "getcontenttype" if content is not None:
            return mimetypes.guess_type(it.name)[0] or "application/octet-stream"
        case "getetag" if content is not None:
            return text(tag_of(content))
        case "supportedlock" if it.space is not None:
            return _SUPPORTED
        case "lockdiscovery" if it.space is not None:
            above = it.href.rstrip("/").count("/")
            return "".join(active(lock, locks, _root(it, lock, above)) for lock in it.locks)
        case "quota-used-bytes" if it.space is not None and it.is_folder:
            return str(it.space.used)
        case "quota-available-bytes" if it.space is not None and it.is_folder:
            return str(max(0, it.space.quota - it.space.used))
        case _:
            return None


def _root(it: Resource, lock: Lock, steps: int) -> str:
    """Return the address of what a lock was set on, which lies at or above a resource."""
    front = it.href.strip("/").split("/")[:2]  # the door's own part, and the space
    return "/" + "/".join([*front, *(quote(name) for name in lock.names)])


def _named(name: str) -> str:
    space, _, plain = name[1:].rpartition("}") if name[:1] == "{" else ("", "", name)
    return written(Element(name)) if space != DAV else local(plain)


def _response(href: str, groups: Iterable[tuple[int, list[str]]], errors: Mapping[int, str] | None = None) -> str:
    said = [
        local(
            "propstat",
            (
                local("prop", props),
                local("status", _STATUS[code]),
                local("error", errors[code]) if errors and code in errors else "",
            ),
        )
        for code, props in groups
        if props
    ]
    if not said:  # asked for nothing: there is nothing wrong with that
        said = [local("propstat", (local("prop"), local("status", _STATUS[200])))]
    return local("response", (local("href", text(href)), *said))


_STATUS = {
    200: "HTTP/1.1 200 OK",
    403: "HTTP/1.1 403 Forbidden",
    404: "HTTP/1.1 404 Not Found",
    424: "HTTP/1.1 424 Failed Dependency",
    507: "HTTP/1.1 507 Insufficient Storage",
}
