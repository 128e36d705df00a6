"""What a command is: its name, how many words it takes, where its keys are, and what it plans to do.

A plan is one of

* the bytes of a reply, or a value that `replies.encoded` knows: it is answered at once;
* a call to the store: asked at once, beside other commands of the connection on other keys; `say` makes the reply;
* a call with its own `say`, as a pair;
* a coroutine, which is run alone: after all that was sent before it, before all that was sent after it. Commands with
  several keys or several steps are of this kind, so that a pipeline takes effect in its order.

It raises `Wrong` for what cannot be done as it was asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from ...core.calls import Answer, Call, Found, Within
from ...core.topology import Topology
from .replies import Wrong

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Answer", "Command", "Plan", "Say", "Store", "arity_fault", "unknown_command"]

Say: TypeAlias = Callable[["Session", list[bytes], Any], bytes]
Plan: TypeAlias = Callable[["Session", list[bytes]], Any]


class Store(Protocol):
    """One node of the store, as a door sees it."""

    me: str

    @property
    def topology(self) -> Topology:
        """The newest that this node knows."""
        ...

    def alive(self, node: str) -> bool:
        """Whether this node believes that another answers: clients are sent to those that do."""
        ...

    @property
    def sums(self) -> Mapping[int, int]:
        """Slot → the sum of the digests of what lies here of it: equal where replicas are."""
        ...

    @property
    def owing(self) -> int:
        """How many records are kept here for owners who could not be reached."""
        ...

    def peek(self, key: bytes, /) -> Found | None:
        """Read a key at once, where this node needs nobody for it; None: ask."""
        ...

    def ask(self, call: Call | Within, *, deadline_ms: int | None = None) -> Awaitable[Answer]:
        """Ask the cluster. A coroutine whose first step is taken outside of a task, so that what is answered from
        memory costs no turn of the loop: it awaits futures, and its deadline is the node's, no `asyncio.timeout`."""
        ...


class Command(msgspec.Struct, kw_only=True):
    """`arity` as Redis has it: so many words with the name; negative: at least. `keys`: first, last (from the end where
    negative) and step, zeros where there are none."""

    name: str
    arity: int
    plan: Plan | None = None
    says: str = ""
    flags: tuple[str, ...] = ()
    keys: tuple[int, int, int] = (0, 0, 0)
    group: str = "generic"
    since: str = "1.0.0"
    say: Say | None = None
    alike: bool = False  # the same words, sent in one go, have the same answer: asked once
    free: bool = False  # may be asked before the token is shown
    under: Mapping[bytes, Command] = {}  # second words
    tips: tuple[str, ...] = ()  # whom a client of a cluster should ask, and what to make of several answers

    def fits(self, args: list[bytes]) -> bool:
        return len(args) == self.arity if self.arity > 0 else len(args) >= -self.arity

    def keys_of(self, args: list[bytes]) -> list[bytes]:
        first, last, step = self.keys
        if not first:
            return []
        return args[first : len(args) + last + 1 if last < 0 else last + 1 : step]


def arity_fault(command: Command) -> Wrong:
    return Wrong(f"ERR wrong number of arguments for '{command.name}' command")


def unknown_command(args: list[bytes]) -> Wrong:
    """Return the error in exactly the words of Redis, by which clients know it."""
    begins = ""
    for arg in args[1:]:
        if len(begins) >= 128:
            break
        begins += f"'{_shown(arg[: 128 - len(begins)])}' "
    return Wrong(f"ERR unknown command '{_shown(args[0][:128])}', with args beginning with: {begins}")


def unknown_second(command: Command, args: list[bytes]) -> Wrong:
    return Wrong(f"ERR unknown subcommand '{_shown(args[1][:128])}'. Try {command.name.upper()} HELP.")


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
