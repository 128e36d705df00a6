"""How much is let in: requests per caller, requests at once, bytes per request."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from fathom.blocks.limiter import Limiter, Rate, Taken
from fathom.errors import Refusal

__all__ = ["Admission", "Limits", "Rate", "Throttle", "address_of"]


PER_ADDRESS = Rate(per_s=500, burst=2_000)
PER_IDENTITY = Rate(per_s=100, burst=300)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one door lets in. None: no limit of that kind.

    Addresses are limited before anything else is looked at, so that guessing tokens is limited too.
    `operations` adds a stricter rate per address for single operations, by their operation id; those named together
    share one rate, such as all ways to try a password.
    """

    body_bytes_max: int = 64 * 1024
    body_s: float = 10.0  # for the whole body, however slowly it drips
    answer_s: float = 30.0
    in_flight_max: int = 512
    per_address: Rate | None = PER_ADDRESS
    per_identity: Rate | None = PER_IDENTITY
    operations: Mapping[str | tuple[str, ...], Rate] = field(default_factory=dict)
    keys_max: int = 50_000


class Throttle:
    """A limiter on the wall's clock, with its header fields (draft-ietf-httpapi-ratelimit-headers-10)."""

    def __init__(self, name: str, rate: Rate, *, keys_max: int = 50_000) -> None:
        self.name = name
        self._limiter = Limiter(rate, keys_max=keys_max)
        window_s = max(1, math.ceil(rate.burst / rate.per_s))
        self._policy = (b"ratelimit-policy", f'"{name}";q={rate.burst};w={window_s}'.encode())
        self._start = f'"{name}";r='.encode()
        self._line = b"ratelimit-policy: %s\r\nratelimit: %s" % (self._policy[1], self._start)

    def take(self, key: Hashable) -> Taken:
        """Take one token of `key`, if there is one."""
        return self._limiter.take(key, time.monotonic())

    def refusal(self, taken: Taken) -> Refusal:
        """Return what to tell whoever got none: how many are too many, and when to come again."""
        rate = self._limiter.rate
        return Refusal(
            "too-many",
            f"at most {rate.burst} requests at once and {rate.per_s:g} per second ({self.name})",
            retry_s=taken.retry_s,
        )

    def fields(self, taken: Taken) -> list[tuple[bytes, bytes]]:
        """Return the two header fields that tell the caller how much is left."""
        return [self._policy, (b"ratelimit", b"%s%d;t=%d" % (self._start, taken.remaining, math.ceil(taken.full_s)))]

    def lines(self, taken: Taken) -> bytes:
        """Return the same two as lines of a head."""
        return b"%s%d;t=%d\r\n" % (self._line, taken.remaining, math.ceil(taken.full_s))


class Admission:
    """At most so many requests at once; one too many is told to come again, at once and cheaply."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.in_flight = 0
        self.turned_away = 0

    def enter(self) -> None:
        """Begin a request; each must be ended with `leave`. Raise `unavailable` when there is no room."""
        if self.in_flight >= self.most:
            self.turned_away += 1
            raise Refusal("unavailable", f"{self.most} requests are already under way", retry_s=1)
        self.in_flight += 1

    def leave(self) -> None:
        self.in_flight -= 1


def address_of(client: tuple[str, int] | None) -> str:
    """Return whose address that is for a limit: one IPv4 address, or a /64, which is one customer in IPv6.

    >>> address_of(("2001:db8::1", 4)) == address_of(("2001:db8::2", 5))
    True
    """
    if client is None:
        return "unix"
    host = client[0]
    if ":" not in host:
        return host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{int(address) >> 64:x}::/64"
    return host
