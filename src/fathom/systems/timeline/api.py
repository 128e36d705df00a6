"""A social timeline: posts, follows, and a home that shows each follower each post once, newest first."""

from __future__ import annotations

from typing import Literal, NewType, Protocol

import msgspec

__all__ = [
    "BODY_CHARS_MAX",
    "DESCRIPTION_CHARS_MAX",
    "MEDIA_BYTES_MAX",
    "MEDIA_OF_A_POST_MAX",
    "MEDIA_PIXELS_MAX",
    "NOTICE_KINDS",
    "PAGE_POSTS_MAX",
    "PLAIN",
    "TRENDING_HOURS_MAX",
    "TRENDING_POSTS",
    "App",
    "File",
    "Focus",
    "Form",
    "Grant",
    "Manner",
    "Mark",
    "Media",
    "MediaId",
    "Mention",
    "Notice",
    "NoticeId",
    "NoticeKind",
    "Notices",
    "Page",
    "People",
    "Piece",
    "Post",
    "PostId",
    "Reach",
    "Relation",
    "Slice",
    "Source",
    "Thread",
    "Timeline",
    "Trending",
    "User",
    "UserId",
]

UserId = NewType("UserId", int)
PostId = NewType("PostId", int)  # ordered by time, unique, below 2**53 so that a double holds it exactly
NoticeId = NewType("NoticeId", int)  # ordered by time, unique among the notices of one account
MediaId = NewType("MediaId", int)

BODY_CHARS_MAX = 500
MEDIA_BYTES_MAX = 8 << 20  # of a picture as it is sent
MEDIA_PIXELS_MAX = 16_777_216  # of one frame; unpacked that is 64 MiB
MEDIA_OF_A_POST_MAX = 4
DESCRIPTION_CHARS_MAX = 1_500
PAGE_POSTS_MAX = 40
TRENDING_POSTS = 20
TRENDING_HOURS_MAX = 24


class User(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An account as others see it. `joined_ms` is Unix time in milliseconds; boosts are not among its `posts`."""

    id: UserId
    name: str
    followers: int = 0
    following: int = 0
    posts: int = 0
    display: str = ""  # the name that is shown; empty: none was given
    note: str = ""
    joined_ms: int = 0


class Post(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A post. `at_ms` is Unix time in milliseconds; `name` is its author's, which never changes.

    A boost is a post of its own, without a body: `boosted` is the post that its author shows to their followers.
    """

    id: PostId
    author: UserId
    name: str
    body: str
    at_ms: int
    likes: int = 0
    boosts: int = 0
    replies: int = 0
    reply_to: PostId | None = None
    warning: str = ""  # what readers are told before they see the body
    listed: bool = True  # among everybody's posts
    boost_of: PostId | None = None
    boosted: Post | None = None


class Manner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a post is written: as an answer, behind a warning, not among everybody's posts, or with pictures.

    `media` are uploads of its author's that no post shows; with one of them a post needs no text. `sensitive`: the
    pictures are shown only to who asks for them.
    """

    reply_to: PostId | None = None
    warning: str = ""
    listed: bool = True
    media: list[MediaId] = []
    sensitive: bool = False


PLAIN = Manner()


class Page(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which posts of a list: at most `limit`, newest first.

    `max_id`: only older ones. `since_id`: only newer ones, the newest of them. `min_id`: only newer ones, the
    *oldest* of them, so that walking up with it closes a gap of any length (a `since_id` walk does not).
    Of a home that is not shown as it was written, what lies below a page is asked for with that page's `older` alone:
    it stands for a place in an order that is kept for a while. Whoever takes the last post's id instead is given what
    is older than that, and newest first.
    """

    limit: int = 20
    max_id: PostId | None = None
    since_id: PostId | None = None
    min_id: PostId | None = None


Source = Literal["feed", "pull", "fallback"]  # from the pushed feed; put together by design; because a store is down


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A page of posts, newest first, and where it came from.

    `older` is the max_id of the page below and `newer` the min_id of the page above. Both come from the position
    that was scanned, not from what is visible: a page may be short and yet have an `older`. None: there is no more.
    `ranked`: its posts are in another order, which goes on at `older`; what is `newer` came after all of that order.
    """

    posts: list[Post]
    older: PostId | None = None
    newer: PostId | None = None
    source: Source = "pull"
    ranked: bool = False


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a list that grows at its head, newest first.

    `next` is the cursor of the piece below: a word that says nothing to whoever brings it back. None: there is no more.
    """

    posts: list[Post]
    next: str | None = None


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far a post has come to its author's followers, of posts written lately; of others only whether it has.

    Followers are told in pieces of work of bounded size. `behind` and `beside` say who was served while this post
    waited for its first piece: pieces of others that had had one already, and first pieces of others.
    """

    told: bool
    pieces: int = 0
    behind: int = 0
    beside: int = 0


class Trending(msgspec.Struct, frozen=True, kw_only=True):
    """The posts of some hours that are liked most, most liked first, as that was at `made_ms` (Unix time).

    It is given to nobody `fresh_s` seconds later or more. Making it took `took_ms`; `anew` says that it was made for
    this very call. What a post says of itself, and whether it may be seen, is as of now.
    """

    posts: list[Post]
    made_ms: int
    took_ms: float
    fresh_s: float
    anew: bool


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """What a post answers, the oldest first, at most 40; and what answers it, by age, at most 400."""

    above: list[Post]
    below: list[Post]


class People(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts, by id, the highest first; `older` and `newer` as in a `Slice`."""

    users: list[User]
    older: UserId | None = None
    newer: UserId | None = None


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """What is between the viewer and another account."""

    id: UserId
    following: bool = False
    followed_by: bool = False
    blocking: bool = False
    muting: bool = False


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom a post names."""

    id: UserId
    name: str


Form = Literal["png", "jpeg", "webp"]  # in which pictures are kept; a GIF is kept as one of these
Focus = tuple[float, float]  # what should stay in sight when a picture is cut: (0, 0) is its middle, (1, 1) top right


class Media(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture, and a small one of it. `name` is drawn: who has it may read both, as who is told of the picture must.

    Sizes are in pixels. The small one's form is always WebP.
    """

    id: MediaId
    name: str
    form: Form
    width: int
    height: int
    small_width: int
    small_height: int
    description: str = ""
    focus: Focus | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept under a picture's name: its size in bytes and its SHA-256, in hex digits."""

    form: Form
    bytes: int
    digest: str


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be said of a post to one viewer: what they did with it, whom it names and answers, what it shows.

    `media` is empty unless the viewer may see the post.
    """

    post: PostId
    liked: bool = False
    boosted: bool = False
    mentions: list[Mention] = []
    answers: UserId | None = None
    media: list[Media] = []
    sensitive: bool = False


NoticeKind = Literal["follow", "like", "boost", "mention"]
NOTICE_KINDS: tuple[NoticeKind, ...] = ("follow", "like", "boost", "mention")


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody followed you, liked or boosted a post of yours, or named you in one of theirs."""

    id: NoticeId
    kind: NoticeKind
    who: UserId
    at_ms: int
    post: PostId | None = None


class Notices(msgspec.Struct, frozen=True, kw_only=True):
    """A page of notices, newest first; `older` and `newer` as in a `Slice`."""

    notices: list[Notice]
    older: NoticeId | None = None
    newer: NoticeId | None = None


class App(msgspec.Struct, frozen=True, kw_only=True):
    """A program that acts for people who allow it. `secret` is said once, when it is registered."""

    id: str
    name: str
    redirects: list[str]
    scopes: list[str]
    website: str | None = None
    secret: str = ""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a program may do, and for whom; None: for nobody, only what needs no account."""

    app: str
    scopes: list[str]
    user: UserId | None = None
    at_ms: int = 0


class Timeline(Protocol):
    """What a client can ask. Every verb may raise Refusal; none has half happened when it does."""

    async def join(self, name: str, password: str) -> User:
        """Open an account. Names are 1 to 30 of a-z, 0-9 and _, unique; passwords have at least 8 characters."""
        ...

    async def login(self, name: str, password: str) -> str:
        """Return a fresh bearer token, valid for 30 days."""
        ...

    async def logout(self, token: str) -> None:
        """Make a token worthless."""
        ...

    async def whoami(self, token: str) -> UserId:
        """Return whose token this is; refuse with `unauthorised`."""
        ...

    async def identify(self, name: str, password: str) -> UserId:
        """Return whose name and password these are, without a token for it."""
        ...

    async def describe(self, user: UserId, display: str | None = None, note: str | None = None) -> User:
        """Say how an account is shown: a name of at most 30 characters, a note of at most 500; None: as before."""
        ...

    async def post(self, author: UserId, body: str, key: str | None = None, manner: Manner = PLAIN) -> Post:
        """Write a post, durable when this returns. The same `key` within a day gives the same post.

        Whoever is named in it with @name gets a notice.
        """
        ...

    async def delete(self, author: UserId, post: PostId) -> None:
        """Delete one's own post: nobody sees it from now on. Deleting it again is fine."""
        ...

    async def read(self, viewer: UserId, post: PostId) -> Post:
        """Return one post."""
        ...

    async def reach(self, author: UserId, post: PostId) -> Reach:
        """Return how far one's own post has come to one's followers."""
        ...

    async def follow(self, follower: UserId, followee: UserId) -> None:
        """From now on the follower's home has all of the followee's posts, old ones too."""
        ...

    async def unfollow(self, follower: UserId, followee: UserId) -> None:
        """From now on the follower's home has none of them."""
        ...

    async def block(self, blocker: UserId, blocked: UserId) -> None:
        """Neither follows the other any more nor can; neither sees the other's posts."""
        ...

    async def unblock(self, blocker: UserId, blocked: UserId) -> None:
        """Lift a block. Follows do not come back by themselves."""
        ...

    async def like(self, user: UserId, post: PostId) -> int:
        """Like a post, once; return how many do, as far as they are counted."""
        ...

    async def unlike(self, user: UserId, post: PostId) -> int:
        """Take a like back; return how many are left, as far as they are counted."""
        ...

    async def profile(self, viewer: UserId, name: str) -> User:
        """Return an account by name, with its counts."""
        ...

    async def users(self, viewer: UserId, ids: list[UserId]) -> list[User]:
        """Return these accounts, at most 1,000, in this order; leave out those unknown or hidden from the viewer."""
        ...

    async def posts(self, viewer: UserId, author: UserId, page: Page) -> Slice:
        """Return an author's own posts."""
        ...

    async def home(self, reader: UserId, page: Page) -> Slice:
        """Return the posts of those the reader follows, and the reader's own."""
        ...

    async def latest(self, viewer: UserId, cursor: str | None = None, limit: int = 20) -> Piece:
        """Return everybody's listed posts, newest first, without those of whom a block parts from the viewer.

        Boosts are not among them: what they show is there itself. Whom the viewer mutes is, as here somebody goes to
        look. `cursor` is the `next` of the piece above; nothing else is one.
        """
        ...

    async def newer(self, viewer: UserId, than: PostId, limit: int = 20) -> list[Post]:
        """Return the oldest of everybody's listed posts above this one, oldest first, without those of the blocked.

        Who asks again and again from the last one they were given sees every post, each after a moment.
        """
        ...

    async def trending(self, viewer: UserId, hours: int = TRENDING_HOURS_MAX) -> Trending:
        """Return the 20 listed posts of the last 1 to 24 hours that are liked most, as of `made_ms`."""
        ...

    async def likers(self, viewer: UserId, post: PostId) -> list[UserId]:
        """Return who likes a post, at most the 1,000 newest, newest first."""
        ...

    async def liked(self, user: UserId, page: Page) -> Slice:
        """Return the posts that somebody likes; the newest post first, whenever it was liked."""
        ...

    async def boost(self, user: UserId, post: PostId) -> Post:
        """Show a post to one's followers, once; return the boost.

        A home has a boost only if it has not the post itself, and of several boosts of one post the first.
        """
        ...

    async def unboost(self, user: UserId, post: PostId) -> None:
        """Take a boost of a post back."""
        ...

    async def boosters(self, viewer: UserId, post: PostId) -> list[UserId]:
        """Return who boosts a post, at most the 1,000 newest, newest first."""
        ...

    async def thread(self, viewer: UserId, post: PostId) -> Thread:
        """Return what a post answers and what answers it."""
        ...

    async def marks(self, viewer: UserId, posts: list[PostId]) -> list[Mark]:
        """Return a mark for each of these posts, at most 1,000, in this order."""
        ...

    async def public(self, viewer: UserId, page: Page) -> Slice:
        """Return everybody's posts, but not boosts, answers, the unlisted, and those of whom the viewer mutes."""
        ...

    async def tagged(self, viewer: UserId, tag: str, page: Page) -> Slice:
        """Return everybody's listed posts that say #tag, in capitals or not, answers too."""
        ...

    async def mute(self, muter: UserId, muted: UserId, lasts_s: int = 0) -> None:
        """Have nothing of somebody in one's home, in `public` and `tagged`, or among one's notices. They never know.

        `lasts_s`: it is lifted by itself, no earlier than then; 0: not at all.
        """
        ...

    async def unmute(self, muter: UserId, muted: UserId) -> None:
        """Lift a mute: all is back where it was."""
        ...

    async def followers(self, viewer: UserId, user: UserId, page: Page) -> People:
        """Return who follows somebody."""
        ...

    async def following(self, viewer: UserId, user: UserId, page: Page) -> People:
        """Return whom somebody follows."""
        ...

    async def muted(self, user: UserId, page: Page) -> People:
        """Return whom somebody mutes: only they themselves may ask."""
        ...

    async def blocked(self, user: UserId, page: Page) -> People:
        """Return whom somebody blocks: only they themselves may ask."""
        ...

    async def relations(self, viewer: UserId, users: list[UserId]) -> list[Relation]:
        """Return what is between the viewer and these accounts, at most 1,000; leave out whom `users` leaves out."""
        ...

    async def search(self, viewer: UserId, text: str, limit: int = 20, followed: bool = False) -> list[User]:
        """Return accounts whose name, or the name shown, begins so: that very name first, then by followers."""
        ...

    async def upload(self, owner: UserId, body: bytes, description: str = "", focus: Focus | None = None) -> Media:
        """Keep a picture, durable when this returns. What no post shows within a day goes again.

        PNG, JPEG, GIF or WebP, whatever it is called; it is written anew, smaller, without what cameras put into it.
        """
        ...

    async def uploaded(self, owner: UserId, media: MediaId) -> Media:
        """Return an upload of one's own that no post shows."""
        ...

    async def caption(
        self, owner: UserId, media: MediaId, description: str | None = None, focus: Focus | None = None
    ) -> Media:
        """Say what is to be seen on an upload of one's own that no post shows; None: as before."""
        ...

    async def discard(self, owner: UserId, media: MediaId) -> None:
        """Let an upload of one's own go that no post shows."""
        ...

    async def file(self, name: str, small: bool = False) -> File:
        """Return what is kept under a picture's name. Whoever knows the name may ask, and nobody can guess it."""
        ...

    async def content(self, name: str, small: bool, first: int, length: int) -> bytes:
        """Return a part of what is kept under a picture's name."""
        ...

    async def notices(self, reader: UserId, page: Page, kinds: list[NoticeKind] | None = None) -> Notices:
        """Return what others did that concerns the reader, each once, for as long as it is so."""
        ...

    async def dismiss(self, reader: UserId, notice: NoticeId | None = None) -> None:
        """Put a notice away, or all there are: they do not come back."""
        ...

    async def register(self, name: str, redirects: list[str], scopes: list[str], website: str | None = None) -> App:
        """Make a program known; return it with its secret."""
        ...

    async def app(self, id: str) -> App:
        """Return a program, without its secret."""
        ...

    async def prove(self, app: str, secret: str) -> App:
        """Return the program that has this secret; refuse with `unauthorised`."""
        ...

    async def authorise(
        self, app: str, user: UserId, scopes: list[str], redirect: str, challenge: str | None = None
    ) -> str:
        """Let a program act for somebody; return a code, good once and for ten minutes.

        `challenge` (RFC 7636, S256): whoever redeems the code has to know what it was made of.
        """
        ...

    async def redeem(self, app: str, secret: str, code: str, redirect: str, verifier: str | None = None) -> str:
        """Return the token that a code stands for."""
        ...

    async def grant(self, app: str, secret: str | None, scopes: list[str], user: UserId | None = None) -> str:
        """Return a token for a program that knows the user's password, or that acts for nobody.

        `secret` None: the caller has made sure in another way that it is this program.
        """
        ...

    async def granted(self, token: str) -> Grant:
        """Return what a token lets its bearer do; refuse with `unauthorised`. A login's token is none of these."""
        ...

    async def revoke(self, app: str, secret: str, token: str) -> None:
        """Make a token of this program worthless."""
        ...

    async def settled(self) -> None:
        """Return when everything accepted before this call has taken effect everywhere."""
        ...
