"""What can be asked at all: the same for the model and the service."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fathom.errors import Refusal

from ..api import (
    AMOUNT_MAX,
    JOB_STATES,
    KEY_CHARS_MAX,
    LINES_MAX,
    PAGE_MAX,
    QUANTITY_MAX,
    SEATS_MAX,
    STATUSES,
    Address,
    Basket,
    Item,
    ItemId,
    Line,
    Money,
    NewConcert,
    NewItem,
    Wanted,
)

__all__ = [
    "CONCERTS",
    "ID_MAX",
    "checked_address",
    "checked_basket",
    "checked_category",
    "checked_email",
    "checked_id",
    "checked_key",
    "checked_method",
    "checked_new_concert",
    "checked_new_item",
    "checked_other_category",
    "checked_password",
    "checked_quantity",
    "checked_seats",
    "checked_state",
    "checked_status",
    "checked_words",
    "page_below",
    "page_limit",
    "priced",
    "summed",
]

CONCERTS = "concerts"  # the category of what has seats, and of nothing else
ID_MAX = 2**53 - 1  # the largest id that every JSON reader holds exactly
EMAIL_CHARS_MAX = 254
PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX = 8, 256
NAME_CHARS_MAX, TEXT_CHARS_MAX, ADDRESS_CHARS_MAX = 200, 4_000, 200
WORDS_CHARS_MAX = 200
METHOD_CHARS_MAX = 64
ROWS_MAX, ROW_SEATS_MAX = 200, 200

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+")
_KEY = re.compile(rf"[A-Za-z0-9._:~+/=-]{{0,{KEY_CHARS_MAX}}}")
_CATEGORY = re.compile(r"[a-z0-9-]{1,40}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_SEAT = re.compile(r"[A-Z]{1,2}[1-9][0-9]{0,2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def _invalid(says: str) -> Refusal:
    return Refusal("invalid", says)


def checked_email(email: str) -> str:
    """Return an address in the form in which it is kept."""
    email = email.strip().lower()
    if len(email) > EMAIL_CHARS_MAX or not _EMAIL.fullmatch(email) or not email.isprintable():
        raise _invalid("this is not an email address")
    return email


def checked_password(password: str) -> None:
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX or not _encodable(password):
        raise _invalid(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")


def checked_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise _invalid(f"a key is at most {KEY_CHARS_MAX} letters, digits and . _ : ~ + / = -")


def checked_method(method: str) -> None:
    """Refuse what no provider knows as a method."""
    if not (0 < len(method) <= METHOD_CHARS_MAX and method.isascii() and method.isprintable()):
        raise _invalid(f"a method is a word of at most {METHOD_CHARS_MAX} characters, as the provider has it")


def checked_id(id: int, what: str) -> None:
    """Refuse a number that nothing can have; it is asked of no database."""
    if not 0 < id <= ID_MAX:
        raise Refusal("not-found", f"there is no such {what}")


def checked_quantity(quantity: int, *, least: int = 1, most: int = QUANTITY_MAX) -> None:
    if not least <= quantity <= most:
        raise _invalid(f"a quantity is {least} to {most:,}")


def checked_category(category: str) -> None:
    if not _CATEGORY.fullmatch(category):
        raise _invalid("a category is 1 to 40 small letters, digits and -")


def checked_other_category(before: str, after: str) -> None:
    """Refuse to make a concert of what is none, or something else of a concert: its seats would be nobody's."""
    if before != after and CONCERTS in (before, after):
        raise _invalid(f"the category {CONCERTS} is of what has seats, and stays with it")


def checked_money(money: Money) -> None:
    if not 0 <= money.amount <= AMOUNT_MAX or not _CURRENCY.fullmatch(money.currency):
        raise _invalid("an amount is a whole number of minor units, and a currency has three capital letters")


def checked_new_item(new: NewItem) -> None:
    _text("a name", new.name, 1, NAME_CHARS_MAX)
    _text("a description", new.description.replace("\n", " "), 0, TEXT_CHARS_MAX)
    checked_category(new.category)
    checked_money(new.price)


def checked_new_concert(new: NewConcert) -> None:
    _text("a name", new.name, 1, NAME_CHARS_MAX)
    checked_money(new.price)
    if not (1 <= new.rows <= ROWS_MAX and 1 <= new.seats <= ROW_SEATS_MAX and 0 <= new.starts_ms <= ID_MAX):
        raise _invalid(f"a concert has 1 to {ROWS_MAX} rows of 1 to {ROW_SEATS_MAX} seats")


def checked_seats(seats: Sequence[str]) -> list[str]:
    """Return seats sorted, each once."""
    found = sorted(set(seats))
    if not 1 <= len(found) <= SEATS_MAX or not all(map(_SEAT.fullmatch, found)):
        raise _invalid(f"say 1 to {SEATS_MAX} seats, each by its row and number: C7")
    return found


def checked_address(address: Address) -> None:
    for name in ("name", "street", "city", "postcode"):
        _text(f"an address's {name}", getattr(address, name), 1, ADDRESS_CHARS_MAX)
    if not _COUNTRY.fullmatch(address.country):
        raise _invalid("a country has two capital letters")


def checked_basket(basket: Basket) -> None:
    """Refuse what cannot be ordered, whatever there is."""
    if bool(basket.lines) == bool(basket.hold):
        raise _invalid("order some items, or the seats of a hold")
    if basket.total is not None:
        checked_money(basket.total)
    if basket.hold:
        checked_id(basket.hold, "hold")
        return
    checked_address(basket.address)
    for line in basket.lines[: LINES_MAX * 4]:
        checked_id(line.item, "item")
        checked_quantity(line.quantity)
    wanted = summed(basket.lines)
    if len(basket.lines) > LINES_MAX * 4 or len(wanted) > LINES_MAX:
        raise _invalid(f"an order has at most {LINES_MAX} items")
    for want in wanted:
        checked_quantity(want.quantity)


def checked_status(status: str) -> None:
    if status not in STATUSES:
        raise _invalid(f"a status is one of {', '.join(STATUSES)}")


def checked_state(state: str) -> None:
    if state not in JOB_STATES:
        raise _invalid(f"a state is one of {', '.join(JOB_STATES)}")


def checked_words(words: str) -> str:
    if not words.strip() or len(words) > WORDS_CHARS_MAX or not _encodable(words) or "\x00" in words:
        raise _invalid(f"say some words, at most {WORDS_CHARS_MAX} characters")
    return words


def page_below(after: str) -> int:
    """Return the id that a page's own are below."""
    if not after:
        return ID_MAX + 1
    if not (after.isascii() and after.isdigit() and len(after) <= 16 and 0 < int(after) <= ID_MAX):
        raise _invalid("`after` is that of the page before")
    return int(after)


def page_limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_MAX:
        raise _invalid(f"a page has 1 to {PAGE_MAX}")
    return limit


def summed(lines: Sequence[Wanted]) -> list[Wanted]:
    """Return what is wanted by item: each once, sorted.

    >>> summed([Wanted(ItemId(2), 1), Wanted(ItemId(1), 1), Wanted(ItemId(2), 2)])
    [Wanted(item=1, quantity=1), Wanted(item=2, quantity=3)]
    """
    found: dict[ItemId, int] = {}
    for line in lines:
        found[line.item] = found.get(line.item, 0) + line.quantity
    return [Wanted(item, found[item]) for item in sorted(found)]


def priced(
    wanted: Sequence[Wanted], items: Mapping[ItemId, Item], shown: Money | None, seats: Sequence[str] = ()
) -> tuple[list[Line], Money]:
    """Return an order's lines at these items' prices, and their sum; refuse if that is not what was shown."""
    if missing := [want.item for want in wanted if want.item not in items]:
        raise Refusal("not-found", f"there is no item {missing[0]}")
    lines = [
        Line(
            item=want.item,
            name=items[want.item].name,
            quantity=want.quantity,
            price=items[want.item].price,
            seats=list(seats),
        )
        for want in wanted
    ]
    currencies = {line.price.currency for line in lines}
    if len(currencies) > 1:
        raise _invalid(f"one order is in one currency, and this one would be in {' and '.join(sorted(currencies))}")
    total = Money(sum(line.price.amount * line.quantity for line in lines), currencies.pop())
    if total.amount > AMOUNT_MAX:
        raise _invalid("an order cannot cost that much")
    if shown is not None and shown != total:
        raise Refusal("conflict", f"this costs {total.amount} {total.currency} by now: look at it again")
    return lines, total


def _text(what: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most or _CONTROL.search(text) or (least and not text.strip()):
        raise _invalid(f"{what} has {least} to {most:,} characters, and none that control")


def _encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
