"""What stays true of pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from fathom.history import Broken, History, Op, Outcome, tries

from .world import PROOF_MAX, broken, world_of

__all__ = ["no_attached_file_is_lost"]


class _Attached(NamedTuple):
    """A picture that an acknowledged post shows, and who asked for its file when all had settled."""

    post: int
    write: Op
    upload: Op
    looks: list[Op]


@tries(lambda history: sum(len(it.looks) for it in _attached(history)))
def no_attached_file_is_lost(history: History) -> Iterable[Broken]:
    """A picture that an acknowledged post shows has its file for as long as the post is there, whoever else had it."""
    for it in _attached(history):
        lost = [look for look in it.looks if look.outcome is Outcome.FAILED and not _down(look)]
        if lost:
            yield broken(
                "no_attached_file_is_lost",
                f"post {it.post} shows picture {it.upload.answer['id']}, whose file is not there",
                it.upload,
                it.write,
                *lost[:PROOF_MAX],
                posts=[it.post],
            )


def _down(look: Op) -> bool:
    """Whether a look failed because a store could not be reached, which loses nothing."""
    if look.code is None:  # histories of before have only words
        return "try again" in (look.error or "")
    return look.code == "unavailable"


@lru_cache(maxsize=1)
def _attached(history: History) -> list[_Attached]:
    return list(_attachments(history))


def _attachments(history: History) -> Iterator[_Attached]:
    uploads = {int(op.answer["id"]): op for op in history.acknowledged("upload")}
    looks: defaultdict[str, list[Op]] = defaultdict(list)
    for op in history.of("content", "file", final=True):
        looks[op.asked[0]].append(op)
    posts = world_of(history).posts
    for write in history.acknowledged("post") if uploads else ():
        post = int(write.answer["id"])
        if post not in posts or posts[post].may_be_deleted:
            continue
        for media in _shown(write):
            if media in uploads:
                yield _Attached(post, write, uploads[media], looks[uploads[media].answer["name"]])


def _shown(write: Op) -> list[int]:
    manner: Any = write.asked[3] if len(write.asked) > 3 else None
    return [int(media) for media in (manner or {}).get("media", ())]
