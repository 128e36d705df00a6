"""The consent page in a real browser: whoever presses Allow there gives a code, and another page's form gives none."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from fathom.systems.timeline.model.checks import OUT_OF_BAND

from .browsing import browsing, page_of
from .open_door import timeline_at

pytestmark = [pytest.mark.outside, pytest.mark.slow]

PASSWORD = "correct horse"


async def test_whoever_presses_allow_is_shown_a_code_that_gives_a_token():
    async with timeline_at() as (url, timeline, _), browsing() as browser:
        app = await timeline.register("browser", [OUT_OF_BAND], ["read"])
        ann = await timeline.join("ann", PASSWORD)
        asking = {"response_type": "code", "client_id": app.id, "redirect_uri": OUT_OF_BAND, "scope": "read"}
        page = await browser.new_page()
        await page.goto(f"{url}/oauth/authorize?{urlencode(asking)}")
        await page.fill("input[name=username]", "ann")
        await page.fill("input[name=password]", PASSWORD)
        await page.click("button[value=allow]")
        code = await page.inner_text("code", timeout=5_000)
        token = await timeline.redeem(app.id, app.secret, code, OUT_OF_BAND)
        assert (await timeline.granted(token)).user == ann.id


async def test_a_form_on_another_page_gives_no_code():
    async with timeline_at() as (url, timeline, _), browsing() as browser:
        app = await timeline.register("browser", [OUT_OF_BAND], ["read"])
        await timeline.join("ann", PASSWORD)
        said = {"response_type": "code", "client_id": app.id, "redirect_uri": OUT_OF_BAND, "scope": "read"}
        said |= {"username": "ann", "password": PASSWORD, "decision": "allow"}
        fields = "".join(f'<input name="{name}" value="{value}">' for name, value in said.items())
        evil = f'<form method=post action="{url}/oauth/authorize">{fields}<button>Press me</button></form>'
        async with page_of(evil.encode()) as elsewhere:
            page = await browser.new_page()
            await page.goto(f"{url}/oauth/authorize?{urlencode(said)}")  # the cookie of our own page is there
            await page.goto(elsewhere)
            async with page.expect_response(f"{url}/oauth/authorize") as answered:
                await page.click("button")
            assert (await answered.value).status == 403
