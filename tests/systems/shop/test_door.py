"""The shop's door: nobody gets what is not theirs, keys are answered byte for byte, and nothing sent breaks it."""

from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest

from fathom.errors import Refusal
from fathom.systems.shop.api import Basket, Money, NewConcert
from fathom.systems.shop.doors import app
from fathom.systems.shop.model import ShopModel
from fathom.web.limits import Limits
from tests.features import feature

from .visitor import Visitor
from .world import World

pytestmark = pytest.mark.slow

# Who may be asked by anybody. Whatever else the door ever gets is tested as a stranger, without anybody's doing.
PUBLIC = {
    "join", "login", "items", "search", "item", "level", "concerts", "concert", "seats", "picture",
}  # fmt: skip
STAFF = {
    "add-item", "change-item", "receive", "add-concert", "all-orders", "ship", "deliver", "taken", "events", "sales",
    "tallies", "replay", "add-picture", "job", "jobs", "retry",
}  # fmt: skip
HOME = {"name": "Ann", "street": "Main Street 1", "city": "Kiel", "postcode": "24103", "country": "DE"}
EURO = {"amount": 1250, "currency": "EUR"}
# What fits each body that there is, so that only the right to send it is in question.
FITTING: dict[str, Any] = {
    "add-item": {"name": "Teapot", "price": EURO, "category": "tea"},
    "change-item": {"name": "Teapot", "price": EURO, "category": "tea", "version": 1},
    "receive": {"quantity": 3},
    "put": {"quantity": 1},
    "checkout": {"lines": [{"item": 1, "quantity": 1}], "address": HOME},
    "pay": {"method": "card-ok"},
    "add-concert": {"name": "Requiem", "price": EURO, "rows": 2, "seats": 3},
    "hold": {"seats": ["A1"]},
    "add-picture": {"png": "iVBORw0KGgo="},
}


def door(shop: Any) -> Any:
    return app(shop, limits=Limits(per_address=None, per_identity=None, operations={}))


DOOR = door(ShopModel())
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in DOOR.openapi["paths"].items()
    for method, operation in operations.items()
]
GUARDED = [(method, path, it) for method, path, it in OPERATIONS if it["operationId"] not in PUBLIC]


def concrete(path: str, id: int = 777) -> str:
    return path.replace("{id}", str(id)).replace("{name}", "small")


def fitting(operation: dict[str, Any]) -> dict[str, Any]:
    name = operation["operationId"]
    sent: dict[str, Any] = {"body": FITTING.get(name)}
    return sent | {"key": "a-key"} if name in ("checkout", "pay", "hold") else sent


def named(it: Any) -> str:
    return it["operationId"] if isinstance(it, dict) else ""


def test_the_route_table_is_what_we_think():
    names = {it["operationId"] for _, _, it in OPERATIONS}
    assert names >= PUBLIC | STAFF and len(GUARDED) > 25
    assert all("security" in it for _, _, it in GUARDED)


async def test_a_stranger_is_asked_who_they_are_at_every_route():
    for header in (None, "Bearer wrong", "Basic YW5uOmhvcnNl", "Bearer " + "a" * 600):
        for method, path, operation in GUARDED:
            stranger = Visitor(DOOR)
            headers = {} if header is None else {"authorization": header}
            asked = concrete(path) + ("?status=pending" if operation["operationId"] == "all-orders" else "")
            answer = await stranger.ask(method, asked, **fitting(operation), headers=headers)
            assert (answer.status, answer.code) == (401, "unauthorised"), (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_what_is_for_staff_is_forbidden_to_everybody_else_at_every_route():
    ann = await Visitor(door(ShopModel())).joins("ann@example.org")
    for method, path, operation in OPERATIONS:
        if operation["operationId"] in STAFF:
            asked = concrete(path) + ("?status=pending" if operation["operationId"] == "all-orders" else "")
            answer = await ann.ask(method, asked, **fitting(operation))
            assert (answer.status, answer.code) == (403, "forbidden"), (method, path, answer)


async def test_a_logged_out_token_is_worthless_at_once():
    ann = await Visitor(door(ShopModel())).joins("ann@example.org")
    assert (await ann.ask("GET", "/api/v1/me")).status == 200, "the door now remembers this token"
    assert (await ann.ask("DELETE", "/api/v1/sessions")).status == 204
    assert (await ann.ask("GET", "/api/v1/me")).status == 401


@pytest.mark.asyncio(loop_scope="session")
@feature("SHOP-22", "SHOP-01")
async def test_an_order_is_its_buyers_alone_and_a_key_is_answered_byte_for_byte(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 5)
        ann, bob = [await Visitor(door(shop)).joins(f"{name}@example.org") for name in ("ann", "bob")]
        again = await Visitor(door(shop)).ask(
            "POST", "/api/v1/users", {"email": "Ann@Example.ORG", "password": "correct horse"}
        )
        assert (again.status, again.code) == (409, "conflict")
        basket = {"lines": [{"item": thing.id, "quantity": 2}], "address": HOME}
        bare = await ann.ask("POST", "/api/v1/orders", basket)
        assert (bare.status, bare.code) == (422, "invalid")
        first, second = [await ann.ask("POST", "/api/v1/orders", basket, key="one") for _ in range(2)]
        assert first.status == 201 and (first.body, first.headers["location"]) == (
            second.body,
            second.headers["location"],
        )
        other = await ann.ask("POST", "/api/v1/orders", basket | {"address": HOME | {"city": "Bonn"}}, key="one")
        assert (other.status, other.code) == (422, "invalid")
        theirs = await bob.ask("POST", "/api/v1/orders", basket, key="one")  # a key is its user's
        assert theirs.status == 201 and theirs.json()["id"] != first.json()["id"]
        place = f"/api/v1/orders/{first.json()['id']}"
        paid = await ann.ask("POST", place + "/payments", {"method": "card-ok"}, key="p")
        assert paid.json()["status"] == "confirmed" and paid.json()["charged"] == 2_500
        assert (await shop.level(thing.id)).sold == 2


async def test_what_is_another_ones_is_not_there_at_every_route():
    shop = ShopModel()
    ann, bob = [await Visitor(door(shop)).joins(f"{name}@example.org") for name in ("ann", "bob")]
    keeper = await shop.join("keeper@example.org", "correct horse")
    shop.appoint(keeper.id)
    new = NewConcert(name="Requiem", price=Money(1_250, "EUR"), rows=2, seats=3)
    concert = await shop.add_concert(keeper.id, new)
    mine = await shop.whoami(str(ann.token))
    ordered, held = [await shop.hold(mine, concert.id, [seat]) for seat in ("A1", "A2")]
    order = await shop.checkout(mine, Basket(hold=ordered.id))
    await shop.pay(mine, order.id, "card")
    owned = {"orders": order.id, "holds": held.id}
    asked: set[str] = set()
    for method, path, operation in GUARDED:
        kind = path.removeprefix("/api/v1/").partition("/")[0]
        if operation["operationId"] in STAFF or "{id}" not in path or kind not in owned:
            continue
        asked.add(operation["operationId"])
        answer = await bob.ask(method, concrete(path, owned[kind]), **fitting(operation))
        assert (answer.status, answer.code) == (404, "not-found"), (method, path)
    with_hold = await bob.ask("POST", "/api/v1/orders", {"hold": held.id}, key="k")
    assert (with_hold.status, with_hold.code) == (404, "not-found"), with_hold
    assert asked >= {"order", "history", "attempts", "pay", "cancel", "renew", "release"}
    everybodys = {op["operationId"] for _, path, op in GUARDED if "{id}" in path} - STAFF - asked
    assert everybodys == {"put", "hold"}, "items and concerts are nobody's: whatever else comes has an owner"
    assert shop.placed[order.id].status == "confirmed" and held.id not in shop.over


@pytest.mark.asyncio(loop_scope="session")
async def test_an_address_that_is_written_otherwise_gives_nobody_more_guesses(world: World):
    async with world.open() as shop:
        await shop.join("ann@example.org", "a good password")
        said: list[str] = []
        for n in range(60):
            written = " " * (n % 3) + ("ann", "Ann")[n % 2] + "@example.org" + "\t " * (n % 5)
            with pytest.raises(Refusal) as refused:
                await shop.login(written, f"a wrong password, {n}")
            said.append(refused.value.code)
        assert said[0] == "unauthorised" and said[-1] == "too-many"


async def test_any_request_gets_a_documented_answer():
    dice = random.Random(11)
    values = [None, True, -1, 0, 1, 777, 1 << 60, 1.5, "", "x", "\x00", "A1", "a" * 5_000, [], [1], {}, {"x": 1}]
    shop = ShopModel()
    visitor = Visitor(door(shop))
    ann = await visitor.joins("ann@example.org")
    keeper = await visitor.joins("keeper@example.org")
    shop.appoint(await shop.whoami(str(keeper.token)))
    for method, path, operation in OPERATIONS:
        for _ in range(25):
            good = FITTING.get(operation["operationId"])
            body: Any = dice.choice(values)
            if isinstance(good, dict) and dice.random() < 0.8:
                body = good | {dice.choice([*good, "more"]): dice.choice(values)}
            query = "&".join(
                f"{dice.choice(['limit', 'after', 'status', 'state', 'q', 'category', 'x'])}="
                f"{dice.choice(['', '0', '1', '-1', '9' * 17, 'dead', 'pending', '%00', '%ff', 'a+b'])}"
                for _ in range(dice.randint(0, 2))
            )
            who = dice.choice((ann, keeper, visitor))
            place = concrete(path, dice.choice((1, 0, 777, 1 << 60)))
            key = dice.choice((None, "k", "\xe9", "k" * 65, '"k"'))
            answer = await who.ask(method, f"{place}?{query}" if query else place, body, key=key)
            assert answer.status < 500, (method, place, query, body, answer)
            fits(answer, operation)


def fits(answer: Any, operation: dict[str, Any]) -> None:
    """Assert that an answer is one that the document describes."""
    described = operation["responses"].get(str(answer.status), operation["responses"]["default"])
    if answer.status == 204 or "image/png" in answer.headers.get("content-type", ""):
        return
    media = answer.headers["content-type"].partition(";")[0]
    schema = described["content"][media]["schema"]
    jsonschema.validate(answer.json(), {**schema, "components": DOOR.openapi["components"]})
