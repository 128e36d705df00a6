"""What may be asked, and where the pages lie: model and service refuse the same."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from fathom.blocks.places import Place
from fathom.errors import Refusal

from ..api import (
    BODY_CHARS_MAX,
    PAGE_POSTS_MAX,
    TRENDING_HOURS_MAX,
    Manner,
    Page,
    People,
    Piece,
    Post,
    Slice,
    Source,
    User,
)

__all__ = [
    "DISPLAY_CHARS_MAX",
    "NAMED",
    "OUT_OF_BAND",
    "challenge_of",
    "checked_app",
    "checked_body",
    "checked_cursor",
    "checked_display",
    "checked_hours",
    "checked_id",
    "checked_key",
    "checked_lasting",
    "checked_limit",
    "checked_manner",
    "checked_name",
    "checked_note",
    "checked_number",
    "checked_page",
    "checked_password",
    "checked_scopes",
    "checked_search",
    "ends",
    "named_in",
    "peopled",
    "pieced",
    "sliced",
    "tags_in",
]

DISPLAY_CHARS_MAX = 30
NOTE_CHARS_MAX = 500
NAMED_MAX = 50
APP_CHARS_MAX, URL_CHARS_MAX, REDIRECTS_MAX = 60, 2_000, 10
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"  # the code is shown to the person, who types it in

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?[!-\"$-;=?-\[\]_a-z~%]+")  # no fragment, blank, < or >
_NO_REDIRECT = {"javascript", "data", "vbscript", "file", "about", "blob", "view-source", "urn", "mailto", "tel"}
_PARTS = "accounts|blocks|bookmarks|conversations|favourites|filters|follows|lists|media|mutes|notifications|reports"
_SCOPE = re.compile(rf"(read|write)(:({_PARTS}|search|statuses))?|follow|push|profile")

_NAME = re.compile(r"[a-z0-9_]{1,30}")
NAMED = re.compile(r"(?<![\w@/.])@([a-z0-9_]{1,30})(?![\w@])", re.ASCII | re.IGNORECASE)
_TAGGED = re.compile(r"(?<![\w/&#])#((?=\w*[^\W\d_])\w{1,100})(?!\w)")
_ID_MAX = 1 << 53
Id = TypeVar("Id", bound=int)


def sliced(found: list[Post], page: Page, source: Source) -> Slice:
    """Return a page of these posts, newest first."""
    older, newer = ends([post.id for post in found], page)
    return Slice(posts=found, older=older, newer=newer, source=source)


def peopled(found: list[User], page: Page) -> People:
    """Return a page of these accounts, the highest id first."""
    older, newer = ends([user.id for user in found], page)
    return People(users=found, older=older, newer=newer)


def ends(found: list[Id], page: Page) -> tuple[Id | None, Id | None]:
    """Return where the neighbouring pages begin: a full one has an older one below it (which may be empty), and each
    has a newer one."""
    if not found:
        return None, page.min_id or page.since_id  # pyright: ignore[reportReturnType]  (a page knows only posts' ids)
    return (found[-1] if len(found) >= page.limit or page.min_id is not None else None), found[0]


def pieced(found: list[Post], place: Place | None, limit: int) -> Piece:
    """Return a piece of everybody's posts that begins below a place: a full one has another below it, maybe empty."""
    if len(found) < limit:
        return Piece(posts=found)
    seen = len(found) if place is None else place.seen + len(found)
    return Piece(posts=found, next=Place(found[-1].at_ms, found[-1].id, seen).word())


def checked_name(name: str) -> str:
    """Return a name that an account can have, or refuse."""
    if _NAME.fullmatch(name) is None:
        raise Refusal("invalid", "a name is 1 to 30 of a-z, 0-9 and _")
    return name


def checked_password(password: str) -> str:
    """Return a password that is worth keeping, or refuse."""
    if not 8 <= len(password) <= 256 or not _writable(password):
        raise Refusal("invalid", "a password has 8 to 256 characters")
    return password


def checked_body(body: str) -> str:
    """Return a text that can be posted, or refuse."""
    if not body.strip() or len(body) > BODY_CHARS_MAX or "\0" in body or not _writable(body):
        raise Refusal("invalid", f"a post has 1 to {BODY_CHARS_MAX} characters, and not only spaces")
    return body


def checked_manner(manner: Manner) -> Manner:
    """Return how a post can be written, or refuse."""
    if len(manner.warning) > BODY_CHARS_MAX or "\0" in manner.warning or not _writable(manner.warning):
        raise Refusal("invalid", f"a warning has at most {BODY_CHARS_MAX} characters")
    if manner.reply_to is not None:
        checked_id(manner.reply_to)
    return manner


def named_in(body: str) -> list[str]:
    """Return the names that a text names, each once, at most 50.

    >>> named_in("@ann and (@bob), not joe@example.com")
    ['ann', 'bob']
    """
    return list(dict.fromkeys(NAMED.findall(body.lower())))[:NAMED_MAX] if "@" in body else []


def tags_in(body: str) -> list[str]:
    """Return the tags in a text, each once, at most 50: letters, digits and _, and not only digits.

    >>> tags_in("#Hoot, see a#b and #42 or (#two_3)")
    ['hoot', 'two_3']
    """
    return list(dict.fromkeys(_TAGGED.findall(body.lower())))[:NAMED_MAX] if "#" in body else []


def checked_display(display: str) -> str:
    """Return a name that can be shown, or refuse."""
    if len(display) > DISPLAY_CHARS_MAX or "\0" in display or not _writable(display):
        raise Refusal("invalid", f"the name that is shown has at most {DISPLAY_CHARS_MAX} characters")
    return display.strip()


def checked_note(note: str) -> str:
    """Return what can be said of an account, or refuse."""
    if len(note) > NOTE_CHARS_MAX or "\0" in note or not _writable(note):
        raise Refusal("invalid", f"a note has at most {NOTE_CHARS_MAX} characters")
    return note


def checked_lasting(lasts_s: int) -> int:
    """Return how long a mute can last, or refuse."""
    if not 0 <= lasts_s <= 10 * 366 * 86_400:
        raise Refusal("invalid", "a mute lasts some seconds, or until it is lifted")
    return lasts_s


def checked_search(text: str, limit: int) -> str:
    """Return what names are to begin with, or refuse."""
    wanted = text.strip().removeprefix("@").lower()
    if not wanted or len(wanted) > DISPLAY_CHARS_MAX or "\0" in wanted or not _writable(wanted):
        raise Refusal("invalid", f"say 1 to {DISPLAY_CHARS_MAX} characters that a name begins with")
    if not 1 <= limit <= PAGE_POSTS_MAX:
        raise Refusal("invalid", f"at most {PAGE_POSTS_MAX} accounts are found at once")
    return wanted


def checked_scopes(wanted: list[str], among: list[str]) -> list[str]:
    """Return scopes that lie within others, or refuse: `read` has all of `read:…` in it."""
    for scope in wanted:
        if scope not in among and scope.partition(":")[0] not in among:
            raise Refusal("invalid", f"the program may not ask for the scope '{scope[:40]}'")
    return list(dict.fromkeys(wanted))


def checked_app(name: str, redirects: Sequence[str], scopes: Sequence[str], website: str | None) -> None:
    """Refuse a program that cannot be registered."""
    if not name.strip() or len(name) > APP_CHARS_MAX or len(website or "") > URL_CHARS_MAX:
        raise Refusal("invalid", f"a program has a name of 1 to {APP_CHARS_MAX} characters")
    if not 1 <= len(redirects) <= REDIRECTS_MAX or not all(map(_may_redirect, redirects)):
        raise Refusal("invalid", "say where codes are sent: absolute addresses without a fragment, or " + OUT_OF_BAND)
    if not scopes or _unknown_scopes(scopes):
        raise Refusal("invalid", "say scopes that there are: read, write, follow, and their parts")
    if not all(_writable(text) and "\0" not in text for text in (name, website or "", *redirects)):
        raise Refusal("invalid", "a program's name and addresses are text")


def _may_redirect(address: str) -> bool:
    """Whether a code may be sent there: not into a script or a file, whatever a browser would do with it."""
    if address == OUT_OF_BAND:
        return True
    try:
        urlsplit(address)  # what it does not take nothing can be sent to: brackets that are open, say
    except ValueError:
        return False
    found = _ADDRESS.fullmatch(address)
    return found is not None and len(address) <= URL_CHARS_MAX and found[1].lower() not in _NO_REDIRECT


def _unknown_scopes(scopes: Sequence[str]) -> list[str]:
    """Return those of these scopes that do not exist."""
    return [scope for scope in scopes if not _SCOPE.fullmatch(scope)]


def challenge_of(verifier: str) -> str:
    """Return the challenge of a verifier, as RFC 7636 makes it with S256.

    >>> challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def checked_key(key: str | None) -> str | None:
    """Return an idempotency key, or refuse."""
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Refusal("invalid", "a key has 1 to 255 printable ASCII characters")
    return key


def checked_id(id: Id) -> Id:
    """Return a number that can be an id, or say that there is no such thing."""
    if not 0 <= id < _ID_MAX:
        raise Refusal("not-found", "there is nothing with this number")
    return id


def checked_cursor(cursor: str | None) -> Place | None:
    """Return the place where somebody wants to go on, or refuse; None: at the top."""
    place = None if cursor is None else Place.read(cursor)
    if cursor is not None and place is None:
        raise Refusal("invalid", "this is no cursor: send back the `next` of the piece above, or none for the newest")
    return place


def checked_limit(limit: int) -> int:
    """Return how many posts can be asked for, or refuse."""
    if not 1 <= limit <= PAGE_POSTS_MAX:
        raise Refusal("invalid", f"a page has 1 to {PAGE_POSTS_MAX} posts, not {limit}")
    return limit


def checked_hours(hours: int) -> int:
    """Return how far back to look for what trends, or refuse."""
    if not 1 <= hours <= TRENDING_HOURS_MAX:
        raise Refusal("invalid", f"hours is a whole number from 1 to {TRENDING_HOURS_MAX}, not {hours}")
    return hours


def checked_page(page: Page) -> Page:
    """Return a page that can be asked for, or refuse."""
    if 1 <= page.limit <= PAGE_POSTS_MAX and page.max_id is None and page.since_id is None and page.min_id is None:
        return page  # nearly all of them
    checked_limit(page.limit)
    for name in ("max_id", "since_id", "min_id"):
        id = getattr(page, name)
        if id is not None:
            checked_number(name, id)
    return page


def checked_number(name: str, id: int) -> int:
    """Return a number that posts can be compared with, or refuse."""
    if not 0 <= id < 1 << 63:
        raise Refusal("invalid", f"{name} is not the id of a post")
    return id


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True
