"""A concert's seats: chosen on a plan, held, and ordered in one step."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import groupby

from fathom.errors import Refusal
from fathom.web.app import Reply

from ...api import SEATS_MAX, Basket, Hold, Money, Order, Seat, Shop, UserId
from .asked import Asked, goes_to
from .goods import when
from .html import button, escape, hidden, money

__all__ = ["Tickets"]

_ROW = re.compile(r"[A-Z]+")


class Tickets:
    """The plan of a concert, and ordering from it."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def concert(self, asked: Asked, wrong: str = "", status: int = 200) -> Reply:
        concert = await self._shop.concert(asked.id())
        seats = await self._shop.seats(concert.id)
        free = sum(seat.state == "free" for seat in seats)
        said = f"<p class='said wrong' role=alert>{escape(wrong)}</p>" if wrong else ""
        starts = f"{when(concert.starts_ms)} · " if concert.starts_ms else ""
        facts = (
            f"<p>{starts}<span class=price>{money(concert.price)}</span> a seat · {free:,} of {len(seats):,} free</p>"
        )
        if not free:
            return asked.shows(concert.name, f"{said}{facts}<p class=said>Sold out.</p>", status)
        chosen = set(asked.form.get("seat", ()))
        rows = "".join(
            f"<div class=row role=group aria-label='Row {name}'><b aria-hidden=true>{name}</b>"
            f"{''.join(_seat(seat, seat.seat in chosen) for seat in those)}</div>"
            for name, those in groupby(seats, key=_row)
        )
        plan = (
            f"<fieldset><legend>Choose up to {SEATS_MAX} seats</legend><p class=soft>The stage is above row A.</p>"
            f"<div class=map tabindex=0 role=group aria-label='Plan of the seats'>{rows}</div></fieldset>"
        )
        asks = "Order these seats" if asked.user else "Log in to order"
        price = hidden(amount=concert.price.amount, currency=concert.price.currency)
        form = asked.posts(f"/concerts/{concert.id}", f"{price}{plan}<p>{button(asks)}</p>")
        return asked.shows(concert.name, f"{said}{facts}{form}", status)

    async def order(self, asked: Asked) -> Reply:
        assert asked.user is not None
        key, seats = asked.said("key"), asked.form.get("seat", [])
        if not seats:
            return await self.concert(asked, "Choose a seat first.", 422)
        try:
            hold = await self._shop.hold(asked.user, asked.id(), seats, f"{key}-hold")
            order = await self._order(asked.user, hold, asked.money(), f"{key}-order")
        except Refusal as refusal:
            if refusal.code not in ("conflict", "invalid"):
                raise
            says = f"{refusal.says[:1].upper()}{refusal.says[1:]}."
            return await self.concert(asked, says, 409 if refusal.code == "conflict" else 422)
        return goes_to(f"/orders/{order.id}")

    async def _order(self, user: UserId, hold: Hold, each: Money | None, key: str) -> Order:
        """Order seats at what each was shown for; refused, they are let go, so that they can be chosen again."""
        total = Money(len(hold.seats) * each.amount, each.currency) if each else None
        try:
            return await self._shop.checkout(user, Basket(hold=hold.id, total=total), key)
        except Refusal as refusal:
            if refusal.code in ("conflict", "invalid"):
                with suppress(Refusal):
                    await self._shop.release(user, hold.id)
            raise


def _row(seat: Seat) -> str:
    found = _ROW.match(seat.seat)
    return found[0] if found else ""


def _seat(seat: Seat, chosen: bool) -> str:
    number = seat.seat.removeprefix(_row(seat))
    taken = "" if seat.state == "free" else " disabled"
    checked = " checked" if chosen and not taken else ""
    label = f"{seat.seat}{', taken' if taken else ''}"
    return (
        f"<label class=seat><input type=checkbox name=seat value='{seat.seat}' aria-label='{label}'{taken}{checked}>"
        f"<span aria-hidden=true>{number}</span></label>"
    )
