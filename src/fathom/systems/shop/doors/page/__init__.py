"""The storefront: plain pages on the door's own port, good enough to buy two tickets on a phone, with no script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import quote

from fathom.errors import Refusal
from fathom.web.app import Answering, Gate, Reply, Spoken, Visit
from fathom.web.problems import Problem

from ...api import Shop, UserId
from .asked import Asked, goes_to
from .buying import Buying
from .entry import Entry
from .goods import Goods
from .html import document, escape, page
from .tickets import Tickets

__all__ = ["Storefront"]


class Route(NamedTuple):
    """A method and a path, whose `:word` is anything without a slash; who may ask; and what answers."""

    method: str
    path: str
    answer: Callable[[Asked], Awaitable[Reply]]
    needs_login: bool = False


class Storefront:
    """Finds the page, knows who asks, and lets nobody post who was not on a page of ours."""

    def __init__(self, shop: Shop, gate: Gate[UserId]) -> None:
        self._shop = shop
        goods, tickets, buying, entry = Goods(shop), Tickets(shop), Buying(shop), Entry(shop, gate)
        self.routes = [
            Route("GET", "/", goods.front),
            Route("GET", "/items/:id", goods.item),
            Route("GET", "/pictures/:id/:name", goods.picture),
            Route("GET", "/concerts/:id", tickets.concert),
            Route("POST", "/concerts/:id", tickets.order, True),
            Route("GET", "/cart", buying.cart, True),
            Route("POST", "/cart", buying.put, True),
            Route("POST", "/orders", buying.order, True),
            Route("GET", "/orders", buying.orders, True),
            Route("GET", "/orders/:id", buying.shown, True),
            Route("POST", "/orders/:id/pay", buying.pay, True),
            Route("POST", "/orders/:id/cancel", buying.cancel, True),
            Route("GET", "/enter", entry.asks),
            Route("POST", "/enter", entry.enters),
            Route("POST", "/leave", entry.leaves),
        ]
        self._by_shape: dict[tuple[str, int], list[tuple[list[str], Spoken]]] = {}
        for route in self.routes:
            steps = _steps(route.path)
            spoken = Spoken(_operation(route), self._answering(route, steps))
            self._by_shape.setdefault((route.method, len(steps)), []).append((steps, spoken))
        self.operations = frozenset(map(_operation, self.routes))

    def find(self, method: str, path: str) -> Spoken | None:
        """Return what answers this."""
        steps = _steps(path)
        for pattern, spoken in self._by_shape.get((method, len(steps)), ()):
            if all(want[:1] == ":" or want == step for want, step in zip(pattern, steps, strict=True)):
                return spoken
        return None

    def problem(self, it: Problem) -> Reply:
        """Say a problem to a person."""
        says = escape(it.detail or it.title)
        body = f"<p class='said wrong' role=alert>{says}</p><p><a href='/'>Back to the shop</a></p>"
        return page(it.status, document("This cannot be done", "", body))

    def _answering(self, route: Route, pattern: list[str]) -> Answering:
        async def answer(visit: Visit, body: bytes) -> Reply:
            steps = zip(pattern, _steps(visit.scope["path"]), strict=True)
            asked = Asked(visit, [step for want, step in steps if want[:1] == ":"], body)
            if route.method == "POST" and not asked.from_our_page:
                raise Refusal("forbidden", "this form was not sent from our page, or it lay open for too long")
            if asked.session:
                try:
                    asked.user = await self._shop.whoami(asked.session)
                except Refusal as refusal:
                    if refusal.code != "unauthorised":
                        raise
            if route.needs_login and asked.user is None:
                back = visit.scope["path"] if route.method == "GET" or pattern[0] == "concerts" else "/"
                return goes_to(f"/enter?to={quote(back)}")
            return await route.answer(asked)

        return answer


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/") if step] if path != "/" else []


def _operation(route: Route) -> str:
    """Return the name under which a page is counted and limited."""
    words = [word for word in _steps(route.path) if word[0] != ":"]
    return " ".join(["page", route.method, *(words or ["front"])]) + (" one" if ":" in route.path else "")
