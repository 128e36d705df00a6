"""A request in Mastodon's dialect: who asks through which program, and its parameters, however they were sent."""

from __future__ import annotations

import email.parser
import email.policy
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Visit
from fathom.web.cursors import ID_MAX

from ...api import PAGE_POSTS_MAX, Page, UserId

__all__ = ["NOBODY", "Asked", "Caller", "parameters"]

NOBODY = UserId(0)  # sees what everybody may see
FIELDS_MAX = 200
DEPTH_MAX = 4
_TRUE, _FALSE = ("true", "1", "t", "on", "yes"), ("false", "0", "f", "off", "no", "")


class Caller(NamedTuple):
    """Who asks: a program, for somebody or for nobody, with what it was allowed."""

    app: str
    user: UserId | None
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether this was allowed: itself, or all of its kind; `follow` is the old word for a few.

        `profile` is one's own account alone, which whoever reads accounts reads as well.
        """
        if scope == "profile" and self.may("read:accounts"):
            return True
        kind, _, part = scope.partition(":")
        old = "follow" in self.scopes and part in ("follows", "blocks", "mutes")
        return scope in self.scopes or kind in self.scopes or old


class Asked:
    """One request. Its parameters come from the query, a form or JSON: clients send the same in any of the three."""

    def __init__(self, visit: Visit, path: list[str], body: bytes, caller: Caller | None) -> None:
        self.visit, self.path, self.caller = visit, path, caller
        self.files: dict[str, bytes] = {}
        self.said = parameters(visit, body, self.files)

    @property
    def viewer(self) -> UserId:
        """Who sees the answer; a stranger is nobody."""
        return NOBODY if self.caller is None or self.caller.user is None else self.caller.user

    @property
    def base(self) -> str:
        """Return the address under which the caller reached us: every URL that we say begins so."""
        host = self.visit.headers.get(b"host", b"localhost").decode("latin-1")
        return f"{self.visit.scope['scheme']}://{host}"

    @property
    def at(self) -> str:
        return self.visit.scope["path"]

    # Parameters

    def text(self, name: str, otherwise: str | None = None) -> str | None:
        """Return what was said last for a name."""
        return self.said[name][-1] if name in self.said else otherwise

    def needed(self, name: str) -> str:
        """Return what has to be said."""
        found = self.text(name)
        if found is None:
            raise Refusal("invalid", f"{name} is missing")
        return found

    def all(self, name: str) -> list[str]:
        return self.said.get(name, [])

    def flag(self, name: str) -> bool:
        found = (self.text(name) or "").lower()
        if found not in _TRUE and found not in _FALSE:
            raise Refusal("invalid", f"{name} is true or false, not '{found[:40]}'")
        return found in _TRUE

    def hold(self, fixed: Mapping[str, bool], lost: Iterable[str] = ()) -> None:
        """Refuse what would not be kept, as its sender would think it is: flags that are always so here, and `lost`."""
        other = {name for name, is_so in fixed.items() if self.text(name) and self.flag(name) is not is_so}
        if other := other.union(lost):
            raise Refusal("invalid", f"Validation failed: {', '.join(sorted(other))} cannot be kept here")

    def number(self, name: str, otherwise: int) -> int:
        found = self.text(name)
        return _number(name, found, 1 << 31) if found else otherwise

    def limit(self, otherwise: int = 20, most: int = PAGE_POSTS_MAX) -> int:
        """Return how many are wanted: never more than there can be, as Mastodon does it."""
        found = self.text("limit")
        return otherwise if found is None else max(1, min(most, _number("limit", found, 1 << 31)))

    def page(self, otherwise: int = 20) -> Page:
        """Return the page that is asked for. Ids that we cannot have given lie above all of ours."""
        ids = {
            name: min(_number(name, found, 1 << 64), ID_MAX)
            for name in ("max_id", "since_id", "min_id")
            if (found := self.text(name))
        }
        return msgspec.convert({"limit": self.limit(otherwise), **ids}, Page)

    def id(self, at: int = 0) -> Any:
        """Return an id in the path."""
        return number(self.path[at])


def number(text: str) -> Any:
    """Return an id that was said."""
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= ID_MAX):
        raise Refusal("not-found", "there is nothing with this id")
    return int(text)


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < most):
        raise Refusal("invalid", f"{name} is a whole number, not '{text[:40]}'")
    return int(text)


# However they were sent


def parameters(visit: Visit, body: bytes, files: dict[str, bytes]) -> dict[str, list[str]]:
    """Return the parameters of a request: name → all that was said for it. `name[]` is the same as `name`.

    Files are added to `files`; what they are called where they come from is nobody's business.
    """
    pairs = _of_form(visit.query)
    form = visit.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if body and form == b"application/json":
        pairs += _of_json(body)
    elif body and form == b"multipart/form-data":
        pairs += _of_parts(visit.headers[b"content-type"], body, files)
    elif body:
        pairs += _of_form(body)
    found: dict[str, list[str]] = {}
    for name, text in pairs:
        if "\0" in text:
            raise Refusal("invalid", f"{name[:40]} has a character that is none")
        found.setdefault(name.removesuffix("[]"), []).append(text)
    return found


def _of_form(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        raise Refusal("invalid", "the parameters cannot be read") from None


def _of_json(raw: bytes) -> list[tuple[str, str]]:
    try:
        said = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.MsgspecError as unfit:
        raise Refusal("invalid", f"the body is not a JSON object: {unfit}") from None
    return [pair for name, value in said.items() for pair in _flat(name, value, DEPTH_MAX)]


def _flat(name: str, value: Any, depth: int) -> list[tuple[str, str]]:
    if depth == 0:
        raise Refusal("invalid", "the parameters are nested too deeply")
    match value:
        case None:
            return []
        case bool():
            return [(name, "true" if value else "false")]
        case list():
            return [pair for each in value for pair in _flat(name, each, depth - 1)]
        case dict():
            return [pair for key, each in value.items() for pair in _flat(f"{name}[{key}]", each, depth - 1)]
        case _:
            return [(name, str(value))]


def _of_parts(form: bytes, raw: bytes, files: dict[str, bytes]) -> list[tuple[str, str]]:
    found = _BOUNDARY.search(form)
    if found is None:
        return []
    # Between two delimiters lies a part, its bytes as they are: nothing in it is looked at but its head.
    _, *parts = (b"\r\n" + raw).split(b"\r\n--" + (found[1] or found[2]), FIELDS_MAX + 1)
    if len(parts) > FIELDS_MAX and not parts[FIELDS_MAX].startswith(b"--"):  # that one only ends it
        raise Refusal("invalid", f"a form has at most {FIELDS_MAX} parts")
    pairs: list[tuple[str, str]] = []
    for part in parts:
        if part.startswith(b"--"):
            break
        head, blank, content = part.partition(b"\r\n\r\n")
        said = _HEADS.parsebytes(head.lstrip() + b"\r\n\r\n")
        name = said.get_param("name", header="content-disposition")
        if not blank or not isinstance(name, str):
            raise Refusal("invalid", "a part of the form has no name")
        if said.get_filename() is not None:
            files[name] = content
            continue
        try:
            pairs.append((name, content.decode()))
        except UnicodeDecodeError:
            raise Refusal("invalid", f"{name[:40]} is not UTF-8") from None
    return pairs


_BOUNDARY = re.compile(rb"""boundary=(?:"([^"\r\n]{1,70})"|([^\s";,]{1,70}))""", re.IGNORECASE)
_HEADS = email.parser.BytesHeaderParser(policy=email.policy.HTTP)
