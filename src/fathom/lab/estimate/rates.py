"""What a sheet may take from the book of prices: money, machines, limits, and the ranges of what nobody measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fathom.blocks.quantities import Quantity, unit
from fathom.errors import FathomError, nearest
from fathom.lab.estimate.shown import shown
from fathom.lab.prices import Assumption, Prices

__all__ = ["asks", "range_of"]


def asks(prices: Callable[[], Prices]) -> Mapping[str, Callable[..., Quantity]]:
    """Return the functions of a formula that ask the book; it is read when the first of them is called.

    price("disk"), price("between_zones"); machine("redis", "usd") and "vcpus", "memory", "network" of the machine on
    which a kind of process stands; limit("redis", "cores") of one, and "parts", how many there can be.
    """

    def price(name: str) -> Quantity:
        paid = {key: getattr(prices().prices, key) for key in prices().prices.__struct_fields__}
        found = paid[_known("price", name, paid)]
        return unit(f"USD/{found.unit.replace('-', '/')}").of(found.usd)

    def machine(kind: str, what: str) -> Quantity:
        found = prices().machine_of(kind)
        amounts = {
            "usd": unit("USD/h").of(found.usd_per_hour),
            "vcpus": Quantity(float(found.vcpus)),
            "memory": unit("B").of(float(found.memory_bytes)),
            "network": unit("B/s").of(float(found.network_bytes_per_s)),
        }
        return amounts[_known("of a machine", what, amounts)]

    def limit(kind: str, what: str) -> Quantity:
        found = prices().limits[_known("limit", kind, prices().limits)]
        amounts = {"cores": found.cores, "parts": float("inf") if found.parts is None else float(found.parts)}
        return Quantity(amounts[_known("of a limit", what, amounts)])

    return {"price": price, "machine": machine, "limit": limit, "shown": shown}


def range_of(prices: Prices, name: str) -> Assumption:
    """Return what the book assumes of something."""
    ranges = {key: getattr(prices.assumptions, key) for key in prices.assumptions.__struct_fields__}
    return ranges[_known("assumption", name, ranges)]


def _known(what: str, name: str, known: Mapping[str, object]) -> str:
    if name in known:
        return name
    raise FathomError(
        f"the book of prices has no {what} '{name}'",
        why=f"it has {', '.join(known)}",
        fix=nearest(name, known, f"say one of {', '.join(known)}"),
    )
