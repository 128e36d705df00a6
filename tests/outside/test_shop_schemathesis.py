"""schemathesis, which nobody here wrote, reads the shop's OpenAPI and tries to make the door break its word."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from fathom.systems.shop.api import Address, Basket, Money, NewConcert, NewItem, Wanted

from .shop_door import shop_at

SEED = 20_260_101
LASTS_S = int(os.environ.get("FATHOM_SCHEMATHESIS_S", "120"))
# What a schema cannot say: an order has an address or a hold, its items are there, and so is enough of them.
OPERATIONS = (
    "checkout", "pay", "cancel", "ship", "deliver", "put", "receive", "hold", "renew", "release", "add-picture",
    "change-item", "add-item", "add-concert", "job", "retry", "search", "join", "login", "items", "orders",
    "summaries", "all-orders", "jobs", "concerts", "events",
)  # fmt: skip
BEYOND_SCHEMAS = "".join(
    f"""
[[operations]]
include-operation-id = "{operation}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "413", "422", "429"]
"""
    for operation in OPERATIONS
)

pytestmark = [pytest.mark.outside, pytest.mark.slow, pytest.mark.timeout(LASTS_S + 300)]


async def test_it_finds_nothing_in_all_that_it_makes_up(tmp_path: Path) -> None:
    async with shop_at() as (url, shop, stores):
        keeper = await shop.join("keeper@example.org", "correct horse")
        await stores.accounts.appoint("keeper@example.org")
        item = await shop.add_item(keeper.id, NewItem(name="Teapot", price=Money(1_250, "EUR"), category="tea"))
        await shop.receive(keeper.id, item.id, 1_000)
        await shop.add_concert(keeper.id, NewConcert(name="Requiem", price=Money(4_500, "EUR"), rows=2, seats=8))
        home = Address(name="Ann", street="Main Street 1", city="Kiel", postcode="24103", country="DE")
        await shop.checkout(keeper.id, Basket(lines=[Wanted(item.id, 1)], address=home))
        token = await shop.login("keeper@example.org", "correct horse")
        settings = tmp_path / "schemathesis.toml"
        settings.write_text(f'hooks = "{Path(__file__).with_name("own_keys.py")}"\n{BEYOND_SCHEMAS}')
        running = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"), "--config-file", settings,
            "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--seed", str(SEED),
            "--no-color", "--checks", "all", "--exclude-operation-id", "logout", "--max-time", str(LASTS_S),
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        try:
            told = (await running.communicate())[0].decode()
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        assert running.returncode == 0, told[-12_000:]
        assert re.search(r"Tested: +40", told), "an operation was left out"
