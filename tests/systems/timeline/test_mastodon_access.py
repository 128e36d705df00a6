"""Nobody acts for anybody who did not let them: programs, consent, scopes and strangers at the Mastodon door."""

from __future__ import annotations

import base64
import html
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from fathom.systems.timeline.doors import app as door_of
from fathom.systems.timeline.doors.mastodon.routes import ANYBODY, CLIENT, PROGRAM, Route
from fathom.systems.timeline.model import TimelineModel
from fathom.systems.timeline.model.checks import challenge_of

from .client import BACK, PASSWORD, Client, Program, program
from .clients import app
from .visitor import Answer

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
__all__ = ["app"]  # a fixture

ROUTES: list[Route] = door_of(TimelineModel()).dialect.routes  # pyright: ignore[reportOptionalMemberAccess]
GUARDED = [route for route in ROUTES if route.needs not in (ANYBODY, CLIENT)]
# Who may be asked by anybody. Whatever else the door ever gets is tested as a stranger, without anybody's doing.
PUBLIC = {
    "GET /.well-known/nodeinfo", "GET /.well-known/oauth-authorization-server", "GET /nodeinfo/2.0",
    "GET /api/v1/instance", "GET /api/v2/instance", "GET /api/v1/instance/extended_description",
    "GET /api/v1/instance/languages", "GET /api/v1/instance/translation_languages", "GET /api/v1/instance/peers",
    "GET /api/v1/instance/rules", "GET /api/v1/custom_emojis", "GET /api/v1/trends", "GET /api/v1/trends/statuses",
    "GET /api/v1/trends/tags", "GET /api/v1/trends/links", "GET /avatars/:file", "GET /headers/:file",
    "GET /pictures/:name/:file",
    "POST /api/v1/apps", "POST /oauth/token", "POST /oauth/revoke", "GET /oauth/authorize", "POST /oauth/authorize",
    "GET /api/v1/accounts", "GET /api/v1/accounts/lookup", "GET /api/v1/accounts/:id",
    "GET /api/v1/accounts/:id/statuses", "GET /api/v1/accounts/:id/followers", "GET /api/v1/accounts/:id/following",
    "GET /api/v1/statuses", "GET /api/v1/statuses/:id", "GET /api/v1/statuses/:id/context",
    "GET /api/v1/statuses/:id/favourited_by", "GET /api/v1/statuses/:id/reblogged_by",
    "GET /api/v1/timelines/public", "GET /api/v1/timelines/tag/:tag",
    "GET /api/v1/streaming/health", "GET /api/v1/streaming/public", "GET /api/v1/streaming/public/local",
}  # fmt: skip


def test_what_anybody_may_ask_is_what_we_think() -> None:
    assert {f"{it.method} {it.path}" for it in ROUTES if it.needs in (ANYBODY, CLIENT)} == PUBLIC
    assert len(GUARDED) > 40


def at(route: Route, id: str = "1") -> str:
    return re.sub(r":\w+", id, route.path)


@pytest.mark.parametrize("route", GUARDED, ids=lambda it: f"{it.method} {it.path}")
async def test_a_stranger_is_asked_who_they_are(app: Program, route: Route) -> None:
    """Nothing at all, a wrong token, our own door's token, a revoked one: none gets past any route."""
    bob = await app.joined("bob")
    status = await bob.toots("mine")
    ours = (await app.stranger.post("/api/v1/sessions", {"name": "bob", "password": PASSWORD})).json()["token"]
    revoked = await app.for_("bob")
    gone = {"client_id": app.id, "client_secret": app.secret, "token": revoked.token or ""}
    assert (await app.stranger.send("POST", "/oauth/revoke", gone)).status == 200
    for header in (None, "", "Bearer wrong", "Basic Ym9iOng=", f"Bearer {ours}", f"Bearer {revoked.token}"):
        answer = await app.stranger.send(
            route.method, at(route, status["id"]), headers={} if header is None else {"authorization": header}
        )
        assert (answer.status, list(answer.json())) == (401, ["error"]), header
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert [it["favourites_count"] for it in await bob.sees("timelines/home")] == [0], "nothing has changed"
    assert (await bob.sees("accounts/verify_credentials"))["followers_count"] == 0


@pytest.mark.parametrize(
    "route", [route for route in GUARDED if route.needs != PROGRAM], ids=lambda it: f"{it.method} {it.path}"
)
async def test_a_program_does_only_what_it_was_allowed(app: Program, route: Route) -> None:
    await app.stranger.timeline.join("ann", PASSWORD)
    kind = route.needs.partition(":")[0]
    other = await app.for_("ann", "write" if kind in ("read", "profile") else "read push")
    answer = await other.send(route.method, at(route))
    assert (answer.status, list(answer.json())) == (403, ["error"])
    alone = (await app.token(grant_type="client_credentials", scope="read write follow")).json()["access_token"]
    answer = await Client(app.stranger.door, alone).send(route.method, at(route))
    assert answer.status == 401, "it acts for nobody"


async def test_a_part_of_a_scope_allows_that_part_only(app: Program) -> None:
    ann = await app.joined("ann", "write:statuses read:accounts")
    assert (await ann.toots("hello"))["content"] == "<p>hello</p>"
    assert (await ann.get("/api/v1/timelines/home")).status == 403
    assert (await ann.send("POST", "/api/v1/accounts/1/follow")).status == 403


async def test_the_scope_profile_shows_oneself_and_nothing_else(app: Program) -> None:
    app = await program(app.stranger, "read write profile")
    ann = await app.joined("ann", "profile")
    me = await ann.sees("accounts/verify_credentials")
    assert me["acct"] == "ann"
    assert (await ann.get(f"/api/v1/accounts/relationships?id={me['id']}")).status == 403
    known: list[str] = (await app.stranger.get("/.well-known/oauth-authorization-server")).json()["scopes_supported"]
    assert known == ["read", "write", "follow", "profile"], "there is no push to be allowed"


# Programs and tokens


@pytest.mark.parametrize(
    "said",
    [
        {"client_name": ""},
        {"redirect_uris": ""},
        {"redirect_uris": "javascript:alert(1)"},
        {"redirect_uris": "JavaScript://x/%0aalert(1)"},
        {"redirect_uris": "data:text/html,x"},
        {"redirect_uris": "https://app.example/#fragment"},
        {"redirect_uris": "/relative"},
        {"redirect_uris": "https://[x"},
        {"redirect_uris": 'https://app.example/"><script>'},
        {"scopes": "admin:read"},
        {"scopes": "everything"},
    ],
)
async def test_a_program_that_makes_no_sense_is_not_registered(app: Program, said: dict[str, str]) -> None:
    whole = {"client_name": "x", "redirect_uris": BACK, "scopes": "read", **said}
    assert (await app.stranger.send("POST", "/api/v1/apps", whole)).status == 422


async def test_a_token_needs_the_programs_secret_the_right_password_and_registered_scopes(app: Program) -> None:
    await app.stranger.timeline.join("ann", PASSWORD)
    good = {"grant_type": "password", "username": "ann@localhost", "password": PASSWORD, "scope": "read"}
    for wrong, error in (
        ({"client_secret": "guess"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"password": "guess guess"}, "invalid_grant"),
        ({"username": "nobody"}, "invalid_grant"),
        ({"scope": "read admin:read"}, "invalid_scope"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "guess"}, "invalid_grant"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
    ):
        answer = await app.token(**{**good, **wrong})
        assert (answer.status in (400, 401), answer.json()["error"]) == (True, error), wrong
    answer = await app.token(**good)
    assert answer.json()["scope"] == "read"
    pair = base64.b64encode(f"{app.id}:{app.secret}".encode()).decode()
    basic = await app.stranger.send("POST", "/oauth/token", good, {"authorization": f"Basic {pair}"})
    assert basic.status == 200, "a program may say who it is in the header"


async def test_only_the_program_itself_can_revoke_its_token(app: Program) -> None:
    ann, other = await app.joined("ann"), await program(app.stranger)
    said = {"client_id": other.id, "client_secret": other.secret, "token": ann.token or ""}
    await app.stranger.send("POST", "/oauth/revoke", said)
    assert (await ann.get("/api/v1/timelines/home")).status == 200
    answer = await app.stranger.send("POST", "/oauth/revoke", {**said, "client_id": app.id})
    assert (answer.status, answer.json()["error"]) == (403, "unauthorized_client")
    await app.stranger.send("POST", "/oauth/revoke", {**said, "client_id": app.id, "client_secret": app.secret})
    assert (await ann.get("/api/v1/timelines/home")).status == 401, "at once, although the door had remembered it"


async def test_a_program_can_open_an_account_and_act_for_it(app: Program) -> None:
    alone = (await app.token(grant_type="client_credentials", scope="read write")).json()["access_token"]
    client = Client(app.stranger.door, alone)
    assert (await client.sees("apps/verify_credentials"))["name"] == "An <app>"
    wrong = await client.send("POST", "/api/v1/accounts", {"username": "zoe", "password": "", "agreement": "false"})
    assert (wrong.status, sorted(wrong.json()["details"])) == (422, ["agreement", "password"])
    for field, text in (("username", "z o e"), ("password", "short"), ("password", "x" * 257)):
        said = {"username": "zoe", "password": "swordfish", "agreement": "true", field: text}
        wrong = await client.send("POST", "/api/v1/accounts", said)
        assert (wrong.status, list(wrong.json()["details"])) == (422, [field])
    said = {"username": "zoe", "email": "z@example.com", "password": "swordfish", "agreement": "true"}
    token = (await client.send("POST", "/api/v1/accounts", said)).json()["access_token"]
    zoe = Client(app.stranger.door, token)
    assert (await zoe.sees("accounts/verify_credentials"))["acct"] == "zoe"
    taken = await client.send("POST", "/api/v1/accounts", said)
    assert taken.json()["details"]["username"][0]["error"] == "ERR_TAKEN"


# The consent page


class Browser:
    """Somebody's browser on the consent page: keeps its cookie, and sends its form."""

    def __init__(self, app: Program) -> None:
        self.app = app
        self.cookie = ""

    async def opens(self, **said: str) -> Answer:
        answer = await self.app.stranger.get(f"/oauth/authorize?{urlencode(self.app.asking(**said))}")
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer

    def form(self, page: Answer) -> dict[str, str]:
        hidden = re.findall(r'<input type=hidden name="(\w+)" value="([^"]*)">', page.body.decode())
        return {name: html.unescape(value) for name, value in hidden}

    async def sends(self, form: dict[str, str], decision: str = "allow", **headers: str) -> Answer:
        sent = {**form, "username": "ann", "password": PASSWORD, "decision": decision}
        fields = {"cookie": self.cookie, "origin": "http://localhost", "sec-fetch-site": "same-origin", **headers}
        return await self.app.stranger.send(
            "POST", "/oauth/authorize", sent, {name.replace("_", "-"): value for name, value in fields.items() if value}
        )


@pytest.fixture
async def browser(app: Program) -> Browser:
    await app.stranger.timeline.join("ann", PASSWORD)
    return Browser(app)


def sent_back(answer: Answer) -> dict[str, str]:
    assert answer.status == 303, answer
    where = urlsplit(answer.headers["location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == BACK
    return {name: values[0] for name, values in parse_qs(where.query).items()}


async def test_who_allows_it_is_sent_back_with_a_code_that_gives_one_token(app: Program, browser: Browser) -> None:
    page = await browser.opens(state="a&b", scope="read")
    assert "An &lt;app&gt;" in page.body.decode(), "its name is text"
    back = sent_back(await browser.sends(browser.form(page)))
    assert back["state"] == "a&b"
    redeem = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": BACK}
    assert (await app.token(**{**redeem, "redirect_uri": OUT_OF_BAND})).json()["error"] == "invalid_grant"
    answer = await app.token(**redeem)
    assert answer.json()["scope"] == "read"
    ann = Client(app.stranger.door, answer.json()["access_token"])
    assert (await ann.sees("accounts/verify_credentials"))["acct"] == "ann"
    assert (await app.token(**redeem)).json()["error"] == "invalid_grant", "a code is good once"


async def test_out_of_band_the_code_is_shown_to_the_person(app: Program, browser: Browser) -> None:
    answer = await browser.sends(browser.form(await browser.opens(redirect_uri=OUT_OF_BAND)))
    assert answer.status == 200
    code = re.findall("<code>([^<]+)</code>", answer.body.decode())[0]
    assert (await app.token(grant_type="authorization_code", code=code, redirect_uri=OUT_OF_BAND)).status == 200


async def test_a_code_with_a_challenge_is_redeemed_by_whoever_knows_the_verifier(
    app: Program, browser: Browser
) -> None:
    verifier = "v" * 50
    said = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    for tried, status in ((None, 400), ("w" * 50, 400), (verifier, 200)):
        code = sent_back(await browser.sends(browser.form(await browser.opens(**said))))["code"]
        more = {} if tried is None else {"code_verifier": tried}
        answer = await app.token(grant_type="authorization_code", code=code, redirect_uri=BACK, **more)
        assert answer.status == status
    assert sent_back(await browser.opens(code_challenge="x"))["error"] == "invalid_request", "plain challenges are none"


async def test_who_denies_it_sends_back_no_code(browser: Browser) -> None:
    back = sent_back(await browser.sends(browser.form(await browser.opens(state="s")), "deny"))
    assert (back["error"], back["state"], "code" in back) == ("access_denied", "s", False)


async def test_a_wrong_password_shows_the_page_again(browser: Browser) -> None:
    page = await browser.opens()
    answer = await browser.app.stranger.send(
        "POST",
        "/oauth/authorize",
        {**browser.form(page), "username": "ann", "password": "wrong wrong", "decision": "allow"},
        {"cookie": browser.cookie},
    )
    assert (answer.status, "location" in answer.headers) == (401, False)
    assert "No account has this name and password" in answer.body.decode()


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"cookie": ""}, {}),
        ({"cookie": "fathom-consent=other"}, {}),
        ({"origin": "https://evil.example"}, {}),
        ({"origin": "http://localhost:1234"}, {}),
        ({"origin": "null"}, {}),
        ({"sec_fetch_site": "cross-site"}, {}),
        ({"sec_fetch_site": "same-site"}, {}),
        ({}, {"form": ""}),
        ({}, {"form": "0" * 64}),
        ({}, {"scope": "read write follow"}),
        ({}, {"redirect_uri": OUT_OF_BAND}),
        ({}, {"state": "another"}),
    ],
    ids=lambda it: "-".join(f"{name}={value[:20]}" for name, value in it.items()) or "as-it-was",
)
async def test_a_form_from_elsewhere_allows_nothing(
    app: Program, browser: Browser, headers: dict[str, str], form: dict[str, str]
) -> None:
    page = await browser.opens()
    answer = await browser.sends({**browser.form(page), **form}, **headers)
    assert (answer.status, "location" in answer.headers) == (403, False)
    assert "<code>" not in answer.body.decode()


async def test_an_address_that_was_not_registered_is_told_nothing(browser: Browser) -> None:
    other: dict[str, Any]
    for other in ({"redirect_uri": "https://evil.example/"}, {"redirect_uri": f"{BACK}/more"}, {"client_id": "nobody"}):
        page = await browser.opens(**other)
        assert (page.status, "location" in page.headers, "<form" in page.body.decode()) == (400, False, False)
    assert sent_back(await browser.opens(response_type="token"))["error"] == "unsupported_response_type"
    assert sent_back(await browser.opens(scope="admin:read"))["error"] == "invalid_scope"


async def test_the_page_runs_nothing_and_lies_in_nobodys_frame(browser: Browser) -> None:
    page = await browser.opens(state='"><script>alert(1)</script>')
    assert "<script" not in page.body.decode()
    policy = page.headers["content-security-policy"]
    for part in (
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self' https://app.example",
    ):
        assert part in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "same-origin", "with no-referrer browsers send the form from null"
    cookie = page.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/oauth/authorize", "Max-Age="))
