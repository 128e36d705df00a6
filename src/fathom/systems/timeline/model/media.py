"""Pictures in the model: kept with their posts, gone a day after no post shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from fathom.errors import Refusal

from ..api import File, Focus, Manner, Media, MediaId, PostId, UserId
from .base import Base
from .checks import checked_description, checked_focus, checked_id, checked_part, checked_upload
from .pictures import Picture, reworked

__all__ = ["Pictures", "Rules"]


class Rules(NamedTuple):
    """How long what no post shows is kept, how long bytes are that nothing refers to, and how much is one account's."""

    unused_s: float = 86_400
    grace_s: float = 3_600  # for a backup to be made that refers to them, and for clocks that differ
    quota_bytes: int = 1 << 30

    @property
    def unused_ms(self) -> int:
        return int(self.unused_s * 1_000)

    @property
    def grace_ms(self) -> int:
        return int(self.grace_s * 1_000)


@dataclass
class Upload:
    """A picture, the post that shows it or showed it last, and since when none does."""

    owner: UserId
    media: Media
    picture: Picture
    freed_ms: int | None
    post: PostId | None = None
    sensitive: bool = False

    @property
    def bytes(self) -> int:
        return sum(len(part.body) for part in self.picture)


class Pictures(Base):
    """What is done with pictures."""

    _rules = Rules()

    async def upload(self, owner: UserId, body: bytes, description: str = "", focus: Focus | None = None) -> Media:
        checked_upload(body)
        checked_description(description)
        checked_focus(focus)
        self._known(owner)
        held = sum(it.bytes for it in self._uploads.values() if it.owner == owner and self._lasts(it))
        since_ms = self._clock() - self._rules.grace_ms
        held += sum(bytes for one, bytes, at_ms in self._discarded if one == owner and at_ms > since_ms)
        if held + len(body) > self._rules.quota_bytes:
            raise Refusal("too-large", "your pictures have no more room")
        picture = reworked(body)
        original, small = picture
        id = MediaId(self._mint())
        media = Media(
            id=id,
            name=f"picture-{id}",
            form=original.form,
            width=original.width,
            height=original.height,
            small_width=small.width,
            small_height=small.height,
            description=description,
            focus=focus,
        )
        self._uploads[id] = Upload(owner, media, picture, self._clock())
        return media

    async def uploaded(self, owner: UserId, media: MediaId) -> Media:
        return self._free(owner, media).media

    async def caption(
        self, owner: UserId, media: MediaId, description: str | None = None, focus: Focus | None = None
    ) -> Media:
        known = description if description is None else checked_description(description)
        checked_focus(focus)
        found = self._free(owner, media)
        was = found.media
        found.media = replace(was, description=was.description if known is None else known, focus=focus or was.focus)
        return found.media

    async def discard(self, owner: UserId, media: MediaId) -> None:
        self._discarded.append((owner, self._free(owner, media).bytes, self._clock()))
        del self._uploads[media]

    async def file(self, name: str, small: bool = False) -> File:
        found = self._named(name).picture[small]
        return File(form=found.form, bytes=len(found.body), digest=found.digest.hex())

    async def content(self, name: str, small: bool, first: int, length: int) -> bytes:
        body = self._named(name).picture[small].body
        checked_part(first, length, len(body))
        return body[first : first + length]

    def _lasts(self, it: Upload) -> bool:
        return it.freed_ms is None or it.freed_ms > self._clock() - self._rules.unused_ms

    def _free(self, owner: UserId, id: MediaId) -> Upload:
        found = self._uploads.get(checked_id(id))
        if found is None or found.owner != owner or found.freed_ms is None or not self._lasts(found):
            raise Refusal("not-found", "you have no such picture that no post shows")
        return found

    def _named(self, name: str) -> Upload:
        for it in self._uploads.values():
            if it.media.name == name and self._lasts(it) and (it.freed_ms is None or it.post is None):
                return it
        raise Refusal("not-found", "there is no such file")

    # With posts

    def _to_show(self, author: UserId, manner: Manner) -> list[Upload]:
        """Return the pictures that a post is to show, or refuse."""
        try:
            return [self._free(author, id) for id in manner.media]
        except Refusal:
            raise Refusal("invalid", "a post shows pictures of its author's that no other post shows") from None

    def _show(self, post: PostId, uploads: list[Upload], *, sensitive: bool) -> None:
        for it in uploads:
            it.post, it.sensitive, it.freed_ms = post, sensitive, None

    def _let_go(self, post: PostId) -> None:
        for it in self._shown_by(post):
            it.freed_ms = self._clock()

    def _shown_by(self, post: PostId) -> list[Upload]:
        order = self._written[post].manner.media
        shown = [it for it in self._uploads.values() if it.post == post and it.freed_ms is None]
        return sorted(shown, key=lambda it: order.index(it.media.id))
