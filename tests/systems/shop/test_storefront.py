"""The storefront without a browser: what it shows, whom it lets buy, and whose forms it does not take."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from fathom.errors import Refusal
from fathom.systems.shop.api import Money, NewConcert, NewItem
from fathom.systems.shop.doors import app
from fathom.systems.shop.doors.page.html import STYLE
from fathom.systems.shop.model import ShopModel
from fathom.web.limits import Limits

from .visitor import Visitor

pytestmark = pytest.mark.slow

BASE = b"http://shop.example"


class Browser:
    """Follows redirects, keeps cookies, and sends what the form on the page has."""

    def __init__(self, door: Any) -> None:
        self.door, self.cookies = door, dict[str, str]()
        self.status, self.text, self.at, self.headers = 0, "", "/", dict[str, list[str]]()

    async def go(self, path: str, form: list[tuple[str, str]] | None = None, **more: bytes) -> Browser:
        headers = [(b"host", BASE[7:]), (b"cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()).encode())]
        headers += [(b"content-type", b"application/x-www-form-urlencoded")] if form is not None else []
        if form is not None and "origin" not in more:
            headers.append((b"origin", BASE))
        headers += [(name.replace("_", "-").encode(), value) for name, value in more.items()]
        sent, body = list[Any](), b"" if form is None else urlencode(form).encode()
        headers.append((b"content-length", str(len(body)).encode()))
        at, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "GET" if form is None else "POST",
            "path": at,
            "raw_path": quote(at).encode(),
        }
        scope |= {"query_string": query.encode(), "headers": headers, "scheme": "http", "http_version": "1.1"}
        scope |= {"client": ("192.0.2.1", 7), "server": ("shop.example", 80), "root_path": "", "state": {}}

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.door(scope, receive, send)
        self.status, self.at = sent[0]["status"], path
        self.text = b"".join(message.get("body", b"") for message in sent[1:]).decode(errors="replace")
        self.headers = {}
        for name, value in sent[0]["headers"]:
            self.headers.setdefault(name.decode().lower(), []).append(value.decode())
        for cookie in self.headers.get("set-cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return await self.go(self.headers["location"][0]) if self.status == 303 else self

    async def sends(self, action: str, *more: tuple[str, str], **headers: bytes) -> Browser:
        """Send the form with this action, with what is filled in."""
        found = re.search(rf'<form method=post action="{action}"[^>]*>(.*?)</form>', self.text, re.DOTALL)
        assert found, f"no form leads to {action} on {self.at}"
        hidden = re.findall(r'<input type=hidden name="(\w+)" value="([^"]*)">', found[1])
        return await self.go(action, [*hidden, *more], **headers)


async def opened(**limits: Any) -> tuple[ShopModel, Browser, int, int]:
    shop = ShopModel()
    keeper = await shop.join("keeper@example.org", "correct horse")
    shop.appoint(keeper.id)
    new = NewConcert(name="<Requiem>", price=Money(4_500, "EUR"), rows=2, seats=3, starts_ms=1_900_000_000_000)
    concert = await shop.add_concert(keeper.id, new)
    item = await shop.add_item(keeper.id, NewItem(name="Teapot", price=Money(1_250, "EUR"), category="tea"))
    await shop.receive(keeper.id, item.id, 3)
    return shop, Browser(app(shop, limits=Limits(per_address=None, per_identity=None, **limits))), concert.id, item.id


ANN = (("email", "ann@example.org"), ("password", "correct horse"), ("do", "join"))
ADDRESS = (("name", "Ann"), ("street", "Main Street 1"), ("postcode", "24103"), ("city", "Kiel"), ("country", "DE"))


async def entered(it: Browser) -> Browser:
    await it.go("/enter")
    return await it.sends("/enter", *ANN)


def known(shop: ShopModel, email: str) -> Any:
    return shop.passwords[email][0]


async def test_two_tickets_are_bought_from_the_front_page_on():
    _, it, concert, _ = await opened()
    await it.go("/")
    assert it.status == 200 and "&lt;Requiem&gt;" in it.text and "<Requiem>" not in it.text
    await it.go(f"/concerts/{concert}")
    assert "45.00 EUR" in it.text and "6 of 6 free" in it.text
    await it.sends(f"/concerts/{concert}", ("seat", "A1"), ("seat", "A2"))
    assert it.at.startswith("/enter"), "first they say who they are"
    await it.sends("/enter", *ANN)
    assert it.at == f"/concerts/{concert}", "and come back to where they were"
    await it.sends(f"/concerts/{concert}", ("seat", "A1"), ("seat", "A2"))
    assert it.at.startswith("/orders/") and "90.00 EUR" in it.text and "(A1, A2)" in it.text
    order = it.at
    await it.sends(f"{order}/pay")
    assert it.at == order and "Paid" in it.text and it.text.count("class=ticket") == 2
    await it.go("/orders")
    assert order in it.text and "confirmed" in it.text
    await it.go(f"/concerts/{concert}")
    assert "A1, taken" in it.text and "4 of 6 free" in it.text
    await it.sends(f"/concerts/{concert}", ("seat", "A1"))
    assert it.status == 409 and "taken" in it.text


async def test_items_go_into_the_cart_and_out_of_it_and_are_ordered():
    shop, it, _, item = await opened()
    await it.go(f"/items/{item}")
    assert "3 left" in it.text
    await it.go("/enter")
    await it.sends("/enter", *ANN)
    await it.go(f"/items/{item}")
    await it.sends("/cart", ("quantity", "2"))
    assert "25.00 EUR" in it.text
    address = [("name", "Ann"), ("street", "Main Street 1"), ("postcode", "24103"), ("city", "Kiel")]
    await it.sends("/orders", *address, ("country", "Germany"))
    assert it.status == 422 and "country" in it.text
    await it.sends("/orders", *address, ("country", "DE"))
    assert it.at.startswith("/orders/") and "2 × Teapot" in it.text
    await it.sends(f"{it.at}/cancel")
    assert "Cancelled" in it.text and (await shop.level(item)).available == 3  # pyright: ignore[reportArgumentType]
    await it.sends("/leave")
    await it.go("/orders")
    assert it.at.startswith("/enter")


async def test_a_form_that_is_sent_twice_orders_once():
    shop, it, concert, _ = await opened()
    await it.go("/enter")
    await it.sends("/enter", *ANN)
    await it.go(f"/concerts/{concert}")
    page = it.text
    for _ in range(2):
        it.text = page
        await it.sends(f"/concerts/{concert}", ("seat", "B1"))
        assert it.status == 200 and "(B1)" in it.text
    assert len(shop.placed) == 1


async def test_a_cart_that_is_sent_twice_is_ordered_once_and_as_it_was_shown():
    shop, it, _, item = await opened()
    await entered(it)
    await it.go(f"/items/{item}")
    await it.sends("/cart", ("quantity", "2"))
    page = it.text
    await shop.put(known(shop, "ann@example.org"), item, 3)  # pyright: ignore[reportArgumentType]
    for _ in range(2):
        it.text = page
        await it.sends("/orders", *ADDRESS)
        assert it.at.startswith("/orders/") and "2 × Teapot" in it.text, "not what another tab has put there since"
    assert len(shop.placed) == 1


async def test_a_cart_of_more_than_an_order_may_have_is_told_so():
    shop, it, _, _ = await opened()
    await entered(it)
    keeper, ann = known(shop, "keeper@example.org"), known(shop, "ann@example.org")
    for n in range(320):
        new = NewItem(name=f"Cup {n}", price=Money(1, "EUR"), category="tea")
        await shop.put(ann, (await shop.add_item(keeper, new)).id, 1)
    await it.go("/cart")
    await it.sends("/orders", *ADDRESS)
    assert it.status == 422 and "at most 50 items" in it.text and not shop.placed


async def test_tickets_that_cost_more_by_now_are_shown_again_and_can_be_chosen_again():
    shop, it, concert, _ = await opened()
    await entered(it)
    await it.go(f"/concerts/{concert}")
    dearer = NewItem(name="<Requiem>", price=Money(5_000, "EUR"), category="concerts")
    await shop.change_item(known(shop, "keeper@example.org"), concert, 1, dearer)  # pyright: ignore[reportArgumentType]
    await it.sends(f"/concerts/{concert}", ("seat", "B1"), ("seat", "B2"))
    assert it.status == 409 and "50.00 EUR" in it.text and "6 of 6 free" in it.text
    await it.sends(f"/concerts/{concert}", ("seat", "B1"), ("seat", "B2"))
    assert it.at.startswith("/orders/") and "100.00 EUR" in it.text


async def test_tickets_are_shown_for_as_long_as_they_are_paid_for():
    shop, it, concert, _ = await opened()
    await entered(it)
    await it.go(f"/concerts/{concert}")
    await it.sends(f"/concerts/{concert}", ("seat", "B1"))
    order = it.at
    await it.sends(f"{order}/pay")
    for verb, status in ((shop.ship, "On its way"), (shop.deliver, "It has arrived")):
        await verb(known(shop, "keeper@example.org"), int(order.rpartition("/")[2]))  # pyright: ignore[reportArgumentType]
        await it.go(order)
        assert status in it.text and it.text.count("class=ticket") == 1


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Refusal("unauthorised", "no such account"), 401),
        (Refusal("conflict", "there is an account already"), 409),
        (Refusal("invalid", "this is not an email address"), 422),
        (Refusal("too-many", "later", retry_s=7.0), 429),
        (Refusal("unavailable", "a store is away", retry_s=7.0), 503),
        (Refusal("unavailable", "a store is away"), 503),
    ],
)
async def test_who_cannot_come_in_is_told_why_and_when_to_come_again(refusal: Refusal, status: int):
    shop, it, _, _ = await opened()

    async def refuses(*asked: Any) -> Any:
        raise refusal

    shop.login = refuses
    await it.go("/enter")
    await it.sends("/enter", *ANN)
    assert it.status == status and refusal.says in it.text and "role=alert" in it.text
    assert it.headers.get("retry-after") == (["7"] if refusal.retry_s else None)


@pytest.mark.parametrize("answered", [True, False])
async def test_who_has_left_is_known_no_longer_at_any_part_of_the_door(answered: bool):
    shop, it, _, _ = await opened()
    await entered(it)
    token = Visitor(it.door, it.cookies["shop-session"])
    assert (await token.ask("GET", "/api/v1/me")).status == 200, "the door now remembers this token"
    logout = shop.logout

    async def unanswered(token: str) -> None:
        await logout(token)
        raise TimeoutError

    if not answered:
        shop.logout = unanswered
    await it.sends("/leave")
    assert (await token.ask("GET", "/api/v1/me")).status == 401


async def test_nothing_of_another_one_is_there_at_any_route():
    shop, it, concert, _ = await opened()
    await entered(it)
    await it.go(f"/concerts/{concert}")
    await it.sends(f"/concerts/{concert}", ("seat", "B1"))
    order, bob = it.at, Browser(it.door)
    await bob.go("/enter")
    await bob.sends("/enter", ("email", "bob@example.org"), ("password", "correct horse"), ("do", "join"))
    await bob.go("/cart")
    (form,) = set(re.findall(r'name="form" value="([^"]*)"', bob.text))
    theirs = [route for route in it.door.dialect.routes if route.path.startswith("/orders/:id")]
    assert len(theirs) >= 3 and all(route.needs_login for route in theirs)
    for route in theirs:
        await bob.go(route.path.replace("/orders/:id", order), [("form", form)] if route.method == "POST" else None)
        assert bob.status == 404 and "Requiem" not in bob.text, route
    assert [it.status for it in shop.placed.values()] == ["pending"]


async def test_a_form_of_another_page_does_nothing():
    shop, it, concert, _ = await opened()
    await it.go("/enter")
    await it.sends("/enter", *ANN)
    await it.go(f"/concerts/{concert}")
    page = it.text
    for headers in ({"origin": b"http://evil.example"}, {"origin": b"null"}, {"sec_fetch_site": b"cross-site"}):
        it.text = page
        await it.sends(f"/concerts/{concert}", ("seat", "B1"), **headers)
        assert it.status == 403 and "not sent from our page" in it.text
    await it.go(f"/concerts/{concert}", [("seat", "B1")])
    assert it.status == 403, "without the token of their cookie"
    visit = it.cookies.pop("shop-visit")
    it.text = page
    await it.sends(f"/concerts/{concert}", ("seat", "B1"))
    assert it.status == 403 and it.cookies.get("shop-visit") != visit
    assert not shop.placed and not shop.holds


async def test_nobody_sees_another_ones_order_and_a_wrong_password_says_so():
    _, it, concert, _ = await opened()
    await it.go("/enter")
    await it.sends("/enter", *ANN)
    await it.go(f"/concerts/{concert}")
    await it.sends(f"/concerts/{concert}", ("seat", "B1"))
    order, bob = it.at, Browser(it.door)
    await bob.go("/enter?to=//evil.example")
    await bob.sends("/enter", ("email", "ann@example.org"), ("password", "wrong horse"), ("do", "login"))
    assert bob.status == 401 and "role=alert" in bob.text
    await bob.sends("/enter", ("email", "bob@example.org"), ("password", "correct horse"), ("do", "join"))
    assert bob.at == "/", "and nobody is sent elsewhere"
    await bob.go(order)
    assert bob.status == 404 and "Requiem" not in bob.text


async def test_a_page_loads_nothing_and_cannot_be_framed_and_its_cookies_are_no_scripts():
    _, it, _, _ = await opened()
    await it.go("/enter")
    assert STYLE in it.text and "<script" not in it.text and "http" not in it.text.replace("http-equiv", "")
    policy = it.headers["content-security-policy"][0]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script-src" not in policy
    await it.sends("/enter", *ANN)
    cookies = Browser(it.door)
    await cookies.go("/enter")
    assert all("HttpOnly" in each and "SameSite" in each for each in cookies.headers["set-cookie"])


NONSENSE = ["/items/x", "/items/99999999999999999999", "/concerts/1", "/pictures/1/..", "/?after=x", "/?q=%00"]


@pytest.mark.parametrize("path", [*NONSENSE, "/orders/7\r\nset-cookie: x=1", "/orders/\u00fc", "/?category=%FF"])
async def test_nonsense_is_told_to_a_person(path: str):
    _, it, _, _ = await opened()
    await it.go(path)
    assert it.status in (200, 404, 422) and "<h1>" in it.text
