"""One call to a timeline in a sentence, for whoever reads the proof that a law is broken."""

from __future__ import annotations

from typing import Any

from fathom.history import Op, Outcome

__all__ = ["told"]

BODY_CHARS = 40
_DONE = {
    "delete": "deleted post {1}",
    "follow": "followed user {1}",
    "unfollow": "stopped following user {1}",
    "block": "blocked user {1}",
    "unblock": "lifted the block of user {1}",
    "mute": "muted user {1}",
    "unmute": "lifted the mute of user {1}",
    "boost": "boosted post {1}",
    "unboost": "took back their boost of post {1}",
    "like": "liked post {1}",
    "unlike": "took back their like of post {1}",
}


def told(op: Op, about: dict[str, Any]) -> str:
    """Tell a call: who did what, and what came of it; of a read, whether it showed what the proof is `about`."""
    if op.call == "given":
        return _given(about)
    asked = op.asked or []
    if not op.acknowledged:
        return f"{_asked(op)}, {_not_done(op)}"
    match op.call:
        case "home" | "posts" | "read":
            return _looked(op, about)
        case "post":
            return f"{_asked(op)} (id {op.answer['id']})"
        case "upload":
            return f"{_asked(op)} (id {op.answer['id']})"
        case "content" | "file":
            return f"{_asked(op)}, and it was there"
        case "likers":
            likers = ", ".join(map(str, op.answer)) or "nobody"
            return f"user {asked[0]} asked who likes post {asked[1]}: {likers}"
        case _:
            return _asked(op)


def _given(about: dict[str, Any]) -> str:
    if "reader" in about and "author" in about:
        return f"user {about['reader']} followed user {about['author']} before anything was asked"
    return "what was there before anything was asked"


def _asked(op: Op) -> str:
    asked = op.asked or []
    if op.call == "post":
        body = str(asked[1])
        return f"user {asked[0]} posted '{body if len(body) <= BODY_CHARS else body[: BODY_CHARS - 1] + '…'}'"
    if op.call == "upload":
        return f"user {asked[0]} sent a picture"
    if op.call in ("content", "file"):
        return f"somebody asked for the file {asked[0]}"
    if op.call in _DONE:
        return f"user {asked[0]} {_DONE[op.call].format(*asked)}"
    if op.call in ("home", "posts", "read"):
        return f"user {asked[0]} asked for {op.call}"
    return f"{op.call} was asked with {', '.join(map(str, asked))}"


def _not_done(op: Op) -> str:
    why = f": {op.error}" if op.error else ""
    known = "and it failed" if op.outcome is Outcome.FAILED else "and nobody knows whether that took effect"
    return f"{known}{why}"


def _looked(op: Op, about: dict[str, Any]) -> str:
    viewer, *rest = op.asked
    if op.call == "read":
        return f"user {viewer} was shown post {op.answer['id']} by user {op.answer['author']}"
    whose = f"user {viewer}'s home" if op.call == "home" else f"the list of user {rest[0]}, read by user {viewer},"
    page = rest[-1] if rest and isinstance(rest[-1], dict) else {}
    below = f" below {page['max_id']}" if page.get("max_id") is not None else ""
    older = op.answer.get("older")
    part = f"{whose}{below}, complete {f'down to {older}' if older is not None else 'to its end'},"
    shown = [int(post["id"]) for post in op.answer["posts"]]
    posts = [int(post) for post in about.get("posts", ())]
    if len(posts) == 2 and all(post in shown for post in posts):
        return f"{part} showed {posts[0]} above {posts[1]}"
    if not posts:
        return f"{part} showed {len(shown)} posts"
    return f"{part} {' and '.join(_showed(post, shown.count(post)) for post in posts)}"


def _showed(post: int, times: int) -> str:
    return {0: f"did not show {post}", 1: f"showed {post}"}.get(times, f"showed {post} {times} times")
