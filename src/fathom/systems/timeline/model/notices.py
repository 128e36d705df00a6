"""Notices in the model: what others did that concerns somebody, each once."""

from __future__ import annotations

from ..api import NOTICE_KINDS, Notice, NoticeId, NoticeKind, Notices, Page, PostId, UserId
from .base import Base, Noticed, cut
from .checks import checked_page, ends

__all__ = ["Noticing"]


class Noticing(Base):
    """Gives notices, and looks whether what they tell still holds."""

    def _notice(
        self, whom: UserId, kind: NoticeKind, who: UserId, post: PostId | None = None, id: int | None = None
    ) -> None:
        given = self._noticed.setdefault(whom, [])
        if who == whom or any((it.kind, it.who, it.post) == (kind, who, post) for it in given):
            return
        given.append(Noticed(NoticeId(self._mint() if id is None else id), kind, who, post, self._clock()))

    async def notices(self, reader: UserId, page: Page, kinds: list[NoticeKind] | None = None) -> Notices:
        checked_page(page)
        wanted = NOTICE_KINDS if kinds is None else kinds
        given = {it.id: it for it in self._noticed.get(reader, ()) if it.kind in wanted and self._holds(reader, it)}
        found = [given[NoticeId(id)] for id in cut(given, page)]
        older, newer = ends([it.id for it in found], page)
        listed = [Notice(id=it.id, kind=it.kind, who=it.who, at_ms=it.at_ms, post=it.post) for it in found]
        return Notices(notices=listed, older=older, newer=newer)

    def _holds(self, reader: UserId, it: Noticed) -> bool:
        if it.dismissed or self._apart(reader, it.who) or self._mutes(reader, it.who):
            return False
        if it.post is None:
            return reader in self._accounts[it.who].follows
        post = self._written[it.post]
        if post.deleted:
            return False
        match it.kind:
            case "like":
                return it.who in post.likers
            case "boost":
                return self._boost(it.who, it.post) is not None
            case _:
                return True

    async def dismiss(self, reader: UserId, notice: NoticeId | None = None) -> None:
        for it in self._noticed.get(reader, ()):
            if notice is None or it.id == notice:
                it.dismissed = True
