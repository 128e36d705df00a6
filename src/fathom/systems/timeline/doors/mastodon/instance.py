"""What a server says about itself, and what clients ask for at their start that is empty here."""

from __future__ import annotations

from typing import Any

import fathom
from fathom.errors import Refusal
from fathom.web.app import Reply

from ...api import BODY_CHARS_MAX
from .asked import Asked
from .routes import ANYBODY, Route

__all__ = ["Instance"]

VERSION = f"4.2.0 (compatible; Fathom {fathom.__version__})"  # whose API it is, then what it is
SAYS = "A timeline that runs on Fathom."
NOTHING = {  # path → the scope that it needs
    "/api/v1/custom_emojis": ANYBODY,
    "/api/v1/announcements": "read",
    "/api/v1/filters": "read:filters",
    "/api/v2/filters": "read:filters",
    "/api/v1/lists": "read:lists",
    "/api/v1/follow_requests": "read:follows",
    "/api/v1/followed_tags": "read:follows",
    "/api/v1/conversations": "read:statuses",
    "/api/v1/bookmarks": "read:bookmarks",
    "/api/v1/domain_blocks": "read:blocks",
    "/api/v1/scheduled_statuses": "read:statuses",
    "/api/v1/suggestions": "read",
    "/api/v2/suggestions": "read",
    "/api/v1/endorsements": "read:accounts",
    "/api/v1/featured_tags": "read:accounts",
    "/api/v1/trends/tags": ANYBODY,
    "/api/v1/trends/links": ANYBODY,
    "/api/v1/trends": ANYBODY,
    "/api/v1/instance/peers": ANYBODY,
    "/api/v1/instance/rules": ANYBODY,
}
MEDIA = {
    "supported_mime_types": [],
    "image_size_limit": 0,
    "image_matrix_limit": 0,
    "video_size_limit": 0,
    "video_frame_rate_limit": 0,
    "video_matrix_limit": 0,
}
POLLS = {"max_options": 0, "max_characters_per_option": 0, "min_expiration": 0, "max_expiration": 0}
STATUSES = {"max_characters": BODY_CHARS_MAX, "max_media_attachments": 0, "characters_reserved_per_url": 0}


class Instance:
    """Handlers about the server."""

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/instance", ANYBODY, self.first),
            Route("GET", "/api/v2/instance", ANYBODY, self.second),
            Route("GET", "/.well-known/nodeinfo", ANYBODY, self.where_nodeinfo),
            Route("GET", "/nodeinfo/2.0", ANYBODY, self.nodeinfo),
            Route("GET", "/api/v1/preferences", "read:accounts", self.preferences),
            Route("GET", "/api/v1/markers", "read:statuses", self.nothing),
            Route("GET", "/api/v1/instance/extended_description", ANYBODY, self.extended),
            Route("GET", "/api/v1/instance/languages", ANYBODY, self.languages),
            Route("GET", "/api/v1/instance/translation_languages", ANYBODY, self.nothing),
            Route("GET", "/avatars/:file", ANYBODY, self.avatar),
            Route("GET", "/headers/:file", ANYBODY, self.header),
            *(Route("GET", path, needs, self.none) for path, needs in NOTHING.items()),
        ]

    async def first(self, asked: Asked) -> Any:
        host = asked.base.partition("://")[2]
        return {
            "uri": host,
            "title": "Fathom",
            "short_description": SAYS,
            "description": SAYS,
            "email": "",
            "version": VERSION,
            "urls": {"streaming_api": _streaming(asked)},
            "stats": {"user_count": 0, "status_count": 0, "domain_count": 0},
            "thumbnail": None,
            "languages": ["en"],
            "registrations": True,
            "approval_required": False,
            "invites_enabled": False,
            "configuration": {
                "accounts": {"max_featured_tags": 0},
                "statuses": STATUSES,
                "media_attachments": MEDIA,
                "polls": POLLS,
            },
            "contact_account": None,
            "rules": [],
        }

    async def second(self, asked: Asked) -> Any:
        open_feed = {"local": "public", "remote": "disabled"}
        return {
            "domain": asked.base.partition("://")[2],
            "title": "Fathom",
            "version": VERSION,
            "source_url": "",
            "description": SAYS,
            "usage": {"users": {"active_month": 0}},
            "thumbnail": {"url": f"{asked.base}/headers/plain.svg"},
            "icon": [],
            "languages": ["en"],
            "configuration": {
                "urls": {"streaming": _streaming(asked)},
                "vapid": {"public_key": ""},
                "accounts": {"max_featured_tags": 0, "max_pinned_statuses": 0},
                "statuses": STATUSES,
                "media_attachments": MEDIA,
                "polls": POLLS,
                "translation": {"enabled": False},
                "timelines_access": {
                    "live_feeds": open_feed,
                    "hashtag_feeds": open_feed,
                    "trending_link_feeds": {"local": "disabled", "remote": "disabled"},
                },
            },
            "registrations": {"enabled": True, "approval_required": False, "message": None, "url": None},
            "contact": {"email": "", "account": None},
            "rules": [],
        }

    async def where_nodeinfo(self, asked: Asked) -> Any:
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
        return {"links": [{"rel": rel, "href": f"{asked.base}/nodeinfo/2.0"}]}

    async def nodeinfo(self, asked: Asked) -> Any:
        return {
            "version": "2.0",
            "software": {"name": "fathom", "version": fathom.__version__},
            "protocols": [],
            "services": {"outbound": [], "inbound": []},
            "usage": {"users": {}},
            "openRegistrations": True,
            "metadata": {},
        }

    async def preferences(self, asked: Asked) -> Any:
        return {
            "posting:default:visibility": "public",
            "posting:default:sensitive": False,
            "posting:default:language": None,
            "reading:expand:media": "default",
            "reading:expand:spoilers": False,
        }

    async def extended(self, asked: Asked) -> Any:
        return {"updated_at": None, "content": f"<p>{SAYS}</p>"}

    async def languages(self, asked: Asked) -> Any:
        return [{"code": "en", "name": "English"}]

    async def nothing(self, asked: Asked) -> Any:
        return {}

    async def none(self, asked: Asked) -> Any:
        return []

    async def avatar(self, asked: Asked) -> Reply:
        """Draw an account's picture from its id: five rows, mirrored, in a colour of their own."""
        name, _, kind = asked.path[0].partition(".")
        if kind != "svg" or not (name.isascii() and name.isdigit() and len(name) <= 16):
            raise Refusal("not-found", "there is no such picture")
        mixed = int(name) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
        bits, hue = mixed >> 20, mixed % 360
        cells = [(x, y) for y in range(5) for x in range(3) if bits >> (3 * y + x) & 1]
        squares = "".join(f"M{x} {y}h1v1h-1z" for cx, y in cells for x in {cx, 4 - cx})
        return _svg("-1 -1 7 7", f'<path fill="hsl({hue},45%,45%)" d="{squares}"/>')

    async def header(self, asked: Asked) -> Reply:
        if asked.path[0] != "plain.svg":
            raise Refusal("not-found", "there is no such picture")
        return _svg("0 0 3 1", '<path fill="#456" d="M0 0h3v1H0z"/>')


def _streaming(asked: Asked) -> str:
    return asked.base.replace("http", "ws", 1)


def _svg(box: str, inside: str) -> Reply:
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="400" height="400">{inside}</svg>'
    fields = [(b"cache-control", b"public, max-age=86400"), (b"cross-origin-resource-policy", b"cross-origin")]
    return Reply(200, picture.encode(), fields, b"image/svg+xml")
