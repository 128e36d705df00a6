"""A cart, orders, and paying for them."""

from __future__ import annotations

from urllib.parse import quote

from fathom.errors import Refusal
from fathom.web.app import Reply

from ...api import LINES_MAX, Address, Basket, ItemId, Money, Order, Shop, Wanted
from ...model.views import PAID
from .asked import Asked, goes_to, number
from .html import button, escape, field, hidden, money

__all__ = ["Buying"]

METHOD = "card"
AGAIN_S = 2
_SAYS = {
    "pending": "Kept for you. Pay to make it yours.",
    "payment-processing": "The bank has not answered yet. This page looks again by itself; you will not pay twice.",
    "confirmed": "Paid. It is yours.",
    "shipped": "On its way.",
    "delivered": "It has arrived.",
    "cancelled": "Cancelled. What you paid is given back.",
}
_ADDRESS = (
    ("Name", "name", "autocomplete=name maxlength=200"),
    ("Street and number", "street", "autocomplete=street-address maxlength=200"),
    ("Postcode", "postcode", "autocomplete=postal-code maxlength=200"),
    ("City", "city", "autocomplete=address-level2 maxlength=200"),
    ("Country, two letters", "country", "autocomplete=country pattern='[A-Z]{2}' maxlength=2 value=DE"),
)


class Buying:
    """What is in the cart, what was ordered, and what became of it."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def cart(self, asked: Asked, wrong: str = "", status: int = 200) -> Reply:
        assert asked.user is not None
        said = f"<p class='said wrong' role=alert>{escape(wrong)}</p>" if wrong else ""
        cart = await self._shop.cart(asked.user)
        if not cart.lines:
            return asked.shows("Your cart", f"{said}<p>It is empty.</p>", status)
        listed, sums = "", dict[str, int]()
        for line in cart.lines:
            item = await self._shop.item(line.item)
            sums[item.price.currency] = sums.get(item.price.currency, 0) + line.quantity * item.price.amount
            gone = asked.posts(
                "/cart", hidden(item=item.id, quantity=0)
                + button("Take out", quiet=True, more=f"aria-label='Take out {escape(item.name)}'"),
            )  # fmt: skip
            cost = money(Money(line.quantity * item.price.amount, item.price.currency))
            listed += f"<tr><td>{line.quantity} × <a href='/items/{item.id}'>{escape(item.name)}</a>{gone}<td>{cost}"
        total = " + ".join(money(Money(amount, currency)) for currency, amount in sums.items())
        body = f"{said}<table><tbody>{listed}<tfoot><tr><td>Together<td>{total}</table><h2>Where it goes</h2>"
        # The form has what it shows: sent twice it asks for the same, though the cart is empty by then.
        # One more than an order may have is refused as all of them would be, and is no form too large to be read.
        sent = cart.lines[: LINES_MAX + 1]
        inside = "".join(hidden(line=f"{line.item}:{line.quantity}") for line in sent)
        inside += "".join(field(label, name, f"{more} required") for label, name, more in _ADDRESS)
        if len(sums) == 1:
            ((currency, amount),) = sums.items()
            inside += hidden(amount=amount, currency=currency)
        return asked.shows("Your cart", body + asked.posts("/orders", inside + button("Order")), status)

    async def put(self, asked: Asked) -> Reply:
        assert asked.user is not None
        await self._shop.put(asked.user, ItemId(asked.number("item")), asked.number("quantity"))
        return goes_to("/cart")

    async def order(self, asked: Asked) -> Reply:
        assert asked.user is not None
        address = Address(**{name: asked.said(name) for _, name, _ in _ADDRESS})
        wanted = [_wanted(line) for line in asked.form.get("line", ())]
        basket = Basket(lines=wanted, address=address, total=asked.money())
        try:
            order = await self._shop.checkout(asked.user, basket, asked.said("key"))
        except Refusal as refusal:
            if refusal.code not in ("conflict", "invalid"):
                raise
            says = f"{refusal.says[:1].upper()}{refusal.says[1:]}."
            return await self.cart(asked, says, 409 if refusal.code == "conflict" else 422)
        return goes_to(f"/orders/{order.id}")

    async def orders(self, asked: Asked) -> Reply:
        assert asked.user is not None
        found = await self._shop.orders(asked.user, asked.said("after"), 20)
        listed = "".join(
            f"<li><a href='/orders/{order.id}'>{escape(_names(order))}</a><br>"
            f"<span class=price>{money(order.total)}</span> · {order.status}</li>"
            for order in found.orders
        )
        body = f"<ul class=plain>{listed}</ul>" if listed else "<p>You have not ordered anything.</p>"
        if found.after:
            body += f"<p><a href='/orders?after={quote(found.after)}'>Older ones</a></p>"
        return asked.shows("My orders", body)

    async def shown(self, asked: Asked, wrong: str = "", status: int = 200) -> Reply:
        assert asked.user is not None
        order = await self._shop.order(asked.user, asked.id())
        body = f"<p class='said wrong' role=alert>{escape(wrong)}</p>" if wrong else ""
        body += f"<p class=said role=status>{_SAYS[order.status]}"
        body += f" {escape(order.because[:1].upper() + order.because[1:])}.</p>" if order.because else "</p>"
        tickets = [(line.name, seat) for line in order.lines for seat in line.seats]
        if order.status in PAID:
            body += "".join(
                f"<div class=ticket>{escape(name)}<br>Seat <b>{seat}</b><br>"
                f"<span class=soft>Order {order.id}</span></div>"
                for name, seat in tickets
            )
        listed = "".join(
            f"<tr><td>{line.quantity} × {escape(line.name)}{_in(line.seats)}"
            f"<td>{money(Money(line.quantity * line.price.amount, line.price.currency))}"
            for line in order.lines
        )
        body += f"<table><tbody>{listed}<tfoot><tr><td>Together<td>{money(order.total)}</table>"
        if order.status == "pending":
            pays = f"Pay {money(order.total)}" if order.total.amount else "Confirm"
            body += f"<p>{asked.posts(f'/orders/{order.id}/pay', button(pays))}</p>"
        if order.status in ("pending", "confirmed"):
            body += asked.posts(f"/orders/{order.id}/cancel", button("Cancel this order", quiet=True))
        refresh_s = AGAIN_S if order.status == "payment-processing" else 0
        return asked.shows(f"Your order: {_names(order)}", body, status, refresh_s=refresh_s)

    async def pay(self, asked: Asked) -> Reply:
        assert asked.user is not None
        try:
            order = await self._shop.pay(asked.user, asked.id(), METHOD, asked.said("key"))
        except Refusal as refusal:
            if refusal.code != "conflict":
                raise
            return await self.shown(asked, f"{refusal.says[:1].upper()}{refusal.says[1:]}.", 409)
        return goes_to(f"/orders/{order.id}")

    async def cancel(self, asked: Asked) -> Reply:
        assert asked.user is not None
        try:
            order = await self._shop.cancel(asked.user, asked.id())
        except Refusal as refusal:
            if refusal.code != "conflict":
                raise
            return await self.shown(asked, f"{refusal.says[:1].upper()}{refusal.says[1:]}.", 409)
        return goes_to(f"/orders/{order.id}")


def _wanted(line: str) -> Wanted:
    """Return a line of a cart as the form has it."""
    item, _, quantity = line.partition(":")
    return Wanted(ItemId(number(item, "item")), number(quantity, "quantity"))


def _in(seats: list[str]) -> str:
    return f" ({', '.join(seats)})" if seats else ""


def _names(order: Order) -> str:
    return ", ".join(line.name for line in order.lines)
