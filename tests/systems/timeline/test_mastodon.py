"""The Mastodon door keeps the field's promises: what each route takes, answers, and refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fathom.systems.timeline.doors.mastodon.asked import FIELDS_MAX

from .client import Client, Program
from .clients import ann, app, bob
from .visitor import neighbours

__all__ = ["ann", "app", "bob"]  # fixtures


async def id_of(client: Client) -> str:
    return (await client.sees("accounts/verify_credentials"))["id"]


async def follows(one: Client, other: Client) -> None:
    assert (await one.does(f"accounts/{await id_of(other)}/follow"))["following"] is True


def texts(page: Any) -> list[str]:
    return [status["content"] for status in page]


# Statuses


async def test_a_status_is_the_same_however_its_parameters_are_sent(ann: Client) -> None:
    said = {"status": "hello", "spoiler_text": "careful", "visibility": "unlisted"}
    parts = "".join(
        f'--x\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in said.items()
    )
    answers = [
        await ann.send("POST", "/api/v1/statuses", said),
        await ann.post("/api/v1/statuses", said),
        await ann.ask(
            "POST",
            "/api/v1/statuses",
            raw=f"{parts}--x--\r\n".encode(),
            headers={"content-type": "multipart/form-data; boundary=x"},
        ),
    ]
    for answer in answers:
        assert answer.status == 200, answer
        it = answer.json()
        assert (it["content"], it["spoiler_text"], it["visibility"]) == ("<p>hello</p>", "careful", "unlisted")
    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_the_same_idempotency_key_gives_one_status(ann: Client) -> None:
    key = {"idempotency-key": "8e03978e-40d5"}
    first = await ann.send("POST", "/api/v1/statuses", {"status": "once"}, key)
    again = await ann.send("POST", "/api/v1/statuses", {"status": "once"}, key)
    assert first.status == again.status == 200
    assert first.json()["id"] == again.json()["id"]
    assert len(await ann.sees("timelines/home")) == 1
    other = await ann.send("POST", "/api/v1/statuses", {"status": "once", "spoiler_text": "but"}, key)
    assert other.status == 422, "it is another status under the same key"


async def test_a_retry_is_answered_though_what_it_answers_is_gone(ann: Client, bob: Client) -> None:
    parent = await bob.toots("root")
    said = {"status": "yes", "in_reply_to_id": parent["id"]}
    first = await ann.send("POST", "/api/v1/statuses", said, {"idempotency-key": "one"})
    assert (await bob.send("DELETE", f"/api/v1/statuses/{parent['id']}")).status == 200
    again = await ann.send("POST", "/api/v1/statuses", said, {"idempotency-key": "one"})
    assert (again.status, again.json()["id"]) == (200, first.json()["id"])
    assert (await ann.send("POST", "/api/v1/statuses", said, {"idempotency-key": "two"})).status == 404


async def test_what_a_status_cannot_keep_is_refused_and_not_lost(ann: Client) -> None:
    for said in (
        {"visibility": "private"},
        {"visibility": "direct"},
        {"visibility": "foobar"},
        {"media_ids[]": "1"},
        {"poll[options][]": ["a", "b"]},
        {"scheduled_at": "4000-01-01"},
        {"sensitive": "true"},
    ):
        answer = await ann.send("POST", "/api/v1/statuses", {"status": "for few", **said})
        assert (answer.status, list(answer.json())) == (422, ["error"]), said
    assert (await ann.send("POST", "/api/v1/statuses", {"status": " "})).status == 422
    assert await ann.sees("timelines/home") == []


async def test_markup_in_a_status_is_text(ann: Client, bob: Client) -> None:
    it = await ann.toots("<script>alert(1)</script> @bob & @nobody\n\"x\" #Tag <a href='/'>")
    assert "<script" not in it["content"]
    assert "&lt;script&gt;" in it["content"]
    assert it["content"].count("<a ") == 1, "only bob is known"
    assert [mention["acct"] for mention in it["mentions"]] == ["bob"]
    assert [tag["name"] for tag in it["tags"]] == ["tag"]


async def test_a_thread_is_the_context_of_each_of_its_statuses(ann: Client, bob: Client) -> None:
    root = await ann.toots("root")
    answer = await bob.toots("@ann yes", in_reply_to_id=root["id"])
    leaf = await ann.toots("well", in_reply_to_id=answer["id"])
    assert (answer["in_reply_to_id"], answer["in_reply_to_account_id"]) == (root["id"], root["account"]["id"])
    context = await ann.sees(f"statuses/{answer['id']}/context")
    assert [it["id"] for it in context["ancestors"]] == [root["id"]]
    assert [it["id"] for it in context["descendants"]] == [leaf["id"]]
    assert (await ann.sees(f"statuses/{root['id']}"))["replies_count"] == 1
    assert (await bob.send("DELETE", f"/api/v1/statuses/{answer['id']}")).json()["text"] == "@ann yes"
    assert (await ann.sees(f"statuses/{root['id']}"))["replies_count"] == 0
    assert (
        await ann.send("POST", "/api/v1/statuses", {"status": "to it", "in_reply_to_id": answer["id"]})
    ).status == 404


@pytest.mark.feature("SOCIAL-25")
async def test_a_feed_has_boosts_answers_and_pictures_in_it(app: Program, ann: Client, bob: Client) -> None:
    cleo = await app.joined("cleo")
    await follows(ann, bob)
    status = await cleo.toots("worth it")
    await ann.toots("@cleo indeed", in_reply_to_id=status["id"])
    boost = await bob.does(f"statuses/{status['id']}/reblog")
    shown = [it for it in await ann.sees("timelines/home") if it["reblog"]]
    assert [it["id"] for it in shown] == [boost["id"]]
    it = shown[0]
    assert (it["account"]["acct"], it["reblog"]["account"]["acct"]) == ("bob", "cleo")
    assert (it["reblog"]["reblogs_count"], it["reblog"]["replies_count"]) == (1, 1)
    picture = await ann.get(it["reblog"]["account"]["avatar"].removeprefix("http://localhost"))
    assert (picture.status, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert picture.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_boost_is_in_a_home_once_and_only_if_the_status_itself_is_not(
    app: Program, ann: Client, bob: Client
) -> None:
    cleo, dora = await app.joined("cleo"), await app.joined("dora")
    await follows(ann, bob)
    await follows(ann, cleo)
    status = await dora.toots("worth it")
    first = await bob.does(f"statuses/{status['id']}/reblog")
    assert (await bob.does(f"statuses/{status['id']}/reblog"))["id"] == first["id"]
    await cleo.does(f"statuses/{status['id']}/reblog")
    assert [it["id"] for it in await ann.sees("timelines/home")] == [first["id"]]
    await follows(ann, dora)
    assert [it["id"] for it in await ann.sees("timelines/home")] == [status["id"]]
    await bob.does(f"statuses/{status['id']}/unreblog")
    await ann.does(f"accounts/{await id_of(dora)}/unfollow")
    assert [it["account"]["acct"] for it in await ann.sees("timelines/home")] == ["cleo"]
    assert [it["acct"] for it in await ann.sees(f"statuses/{status['id']}/reblogged_by")] == ["cleo"]


async def test_our_own_door_shows_a_boost_with_what_it_boosts(app: Program, ann: Client, bob: Client) -> None:
    cleo = await app.joined("cleo")
    await follows(ann, bob)
    status = await cleo.toots("worth it", spoiler_text="long")
    await bob.does(f"statuses/{status['id']}/reblog")
    credentials = {"name": "ann", "password": "correct horse"}
    token = (await app.stranger.post("/api/v1/sessions", credentials)).json()["token"]
    for path in ("/api/v1/home", "/api/v1/home/"):
        (post,) = (await app.stranger.get(path, token=token)).json()["posts"]
        assert (post["author"]["name"], post["body"], post["engagement"]) == ("bob", "", {"likes": 0})
        shown = post["boosted"]
        assert (shown["author"]["name"], shown["body"], shown["warning"]) == ("cleo", "worth it", "long")
        assert shown["engagement"] == {"likes": 0, "boosts": 1}


async def test_what_is_done_to_a_boost_is_done_to_what_it_shows(ann: Client, bob: Client) -> None:
    status = await ann.toots("mine")
    boost = await bob.does(f"statuses/{status['id']}/reblog")
    assert (await bob.does(f"statuses/{boost['id']}/favourite"))["id"] == status["id"]
    assert [it["acct"] for it in await ann.sees(f"statuses/{boost['id']}/favourited_by")] == ["bob"]
    assert [it["id"] for it in await bob.sees("favourites")] == [status["id"]]
    assert (await bob.does(f"statuses/{boost['id']}/unfavourite"))["favourited"] is False
    assert (await bob.send("DELETE", f"/api/v1/statuses/{boost['id']}")).status == 200
    assert (await ann.sees(f"statuses/{status['id']}"))["reblogs_count"] == 0


async def test_nobody_deletes_what_is_not_theirs(ann: Client, bob: Client) -> None:
    status = await ann.toots("mine")
    assert (await bob.send("DELETE", f"/api/v1/statuses/{status['id']}")).status == 404
    assert (await ann.sees(f"statuses/{status['id']}"))["content"] == "<p>mine</p>"


# Pages


async def test_walking_up_by_min_id_closes_a_gap_that_since_id_leaves_open(ann: Client, bob: Client) -> None:
    await follows(ann, bob)
    known = (await bob.toots("known"))["id"]
    ids = [(await bob.toots(f"status {n}"))["id"] for n in range(8)]

    async def walked(cursor: str) -> list[str]:
        """Go up page by page, each from the newest that was seen, until there is nothing newer."""
        seen: list[str] = []
        path = f"/api/v1/timelines/home?limit=3&{cursor}={known}"
        while page := (answer := await ann.get(path)).json():
            assert len(seen) <= len(ids), "the walk never ends"
            seen += [it["id"] for it in page]
            newest = max(page, key=lambda it: int(it["id"]))["id"]
            path = f"/api/v1/timelines/home?limit=3&{cursor}={newest}"
            if cursor == "min_id":
                assert neighbours(answer)["prev"] == path, "the Link header leads the same way"
        return sorted(seen, key=int)

    assert await walked("min_id") == ids
    assert await walked("since_id") == ids[-3:], "the newest three, and nothing of the gap below them"


async def test_a_walk_down_by_the_links_visits_each_status_once(ann: Client, bob: Client) -> None:
    await follows(ann, bob)
    ids = [(await bob.toots(f"status {n}"))["id"] for n in range(7)]
    seen: list[str] = []
    path: str | None = "/api/v1/timelines/home?limit=2"
    while path is not None:
        answer = await ann.get(path)
        seen += [it["id"] for it in answer.json()]
        await bob.toots("meanwhile")
        path = neighbours(answer).get("next")
        assert len(seen) <= len(ids)
    assert seen == ids[::-1]


async def test_links_keep_what_was_asked_for(ann: Client, bob: Client) -> None:
    await follows(bob, ann)
    for n in range(3):
        await bob.toots(f"@ann {n}")
    answer = await ann.get("/api/v1/notifications?limit=2&types[]=mention&types[]=follow")
    assert len(answer.json()) == 2
    below = await ann.get(neighbours(answer)["next"])
    assert [it["type"] for it in below.json()] == ["mention", "follow"]


async def test_the_links_of_a_tag_in_any_script_lead_to_its_pages(ann: Client) -> None:
    for n in range(2):
        await ann.toots(f"{n} #größe")
    below = neighbours(await ann.get("/api/v1/timelines/tag/gr%C3%B6%C3%9Fe?limit=1"))["next"]
    assert [it["content"] for it in (await ann.get(below)).json()] == ["<p>0 #größe</p>"]


async def test_a_limit_that_is_too_large_means_as_many_as_there_can_be(ann: Client) -> None:
    assert (await ann.get("/api/v1/timelines/home?limit=800")).status == 200
    for query in ("limit=x", "max_id=-1", "min_id=x", "max_id=%D9%A3", "min_id=99999999999999999999999"):
        assert (await ann.get(f"/api/v1/timelines/home?{query}")).status == 422, query


async def test_everybodys_timeline_has_what_is_listed_and_no_answers(app: Program, ann: Client, bob: Client) -> None:
    status = await ann.toots("for all #Hoot")
    await ann.toots("for whoever looks #hoot", visibility="unlisted")
    await bob.toots("@ann yes #hoot", in_reply_to_id=status["id"])
    await bob.does(f"statuses/{status['id']}/reblog")
    assert [it["id"] for it in await app.stranger.sees("timelines/public")] == [status["id"]]
    assert len(await app.stranger.sees("timelines/tag/HOOT")) == 2
    await bob.does(f"accounts/{status['account']['id']}/mute")
    assert await bob.sees("timelines/public") == []


# People


async def test_a_mute_hides_from_home_and_notifications_and_an_unmute_brings_all_back(ann: Client, bob: Client) -> None:
    await follows(ann, bob)
    await bob.toots("@ann look")
    whom = await id_of(bob)
    assert (await ann.does(f"accounts/{whom}/mute"))["muting"] is True
    assert await ann.sees("timelines/home") == []
    assert await ann.sees("notifications") == []
    assert [it["acct"] for it in await ann.sees("mutes")] == ["bob"]
    assert (await bob.sees(f"accounts/relationships?id[]={await id_of(ann)}"))[0]["followed_by"] is True
    assert len(await ann.sees(f"accounts/{whom}/statuses")) == 1, "who looks for it finds it"
    assert (await ann.does(f"accounts/{whom}/unmute"))["muting"] is False
    assert len(await ann.sees("timelines/home")) == len(await ann.sees("notifications")) == 1


async def test_a_block_hides_each_from_the_other(ann: Client, bob: Client) -> None:
    await follows(bob, ann)
    status = await ann.toots("hello @bob")
    assert (await ann.does(f"accounts/{await id_of(bob)}/block"))["blocking"] is True
    assert [it["acct"] for it in await ann.sees("blocks")] == ["bob"]
    assert await bob.sees("timelines/home") == await bob.sees("notifications") == []
    for path in (f"statuses/{status['id']}", f"accounts/{status['account']['id']}", "accounts/lookup?acct=ann"):
        assert (await bob.get(f"/api/v1/{path}")).status == 404, path
    assert await bob.sees("accounts/search?q=ann") == []
    assert await bob.sees(f"accounts/relationships?id[]={status['account']['id']}") == []


async def test_followers_and_followees_are_listed_and_counted(ann: Client, bob: Client) -> None:
    await follows(ann, bob)
    one, other = await id_of(ann), await id_of(bob)
    assert [it["acct"] for it in await ann.sees(f"accounts/{other}/followers")] == ["ann"]
    assert [it["acct"] for it in await bob.sees(f"accounts/{one}/following")] == ["bob"]
    assert (await ann.sees(f"accounts/{other}"))["followers_count"] == 1
    assert (await bob.does(f"accounts/{one}/remove_from_followers"))["followed_by"] is False
    assert await ann.sees(f"accounts/{other}/followers") == []


async def test_people_are_found_by_the_beginning_of_either_name(ann: Client, bob: Client) -> None:
    await bob.send("PATCH", "/api/v1/accounts/update_credentials", {"display_name": "Zoë", "note": "I <walk>"})
    assert [it["acct"] for it in await ann.sees("accounts/search?q=b")] == ["bob"]
    found = (await ann.get("/api/v2/search?q=zo%C3%AB")).json()
    assert [(it["display_name"], it["note"]) for it in found["accounts"]] == [("Zoë", "<p>I &lt;walk&gt;</p>")]
    status = await bob.toots("look me up")
    found = (await ann.get(f"/api/v2/search?type=statuses&resolve=true&q={status['url']}")).json()
    assert [it["id"] for it in found["statuses"]] == [status["id"]]
    for wanted in ("%25", "_", "b_b"):
        assert await ann.sees(f"accounts/search?q={wanted}") == [], "what is asked for is no pattern"


async def test_what_trends_is_what_is_liked_most(app: Program, ann: Client, bob: Client) -> None:
    ids = [(await ann.toots(f"number {n}"))["id"] for n in range(3)]
    for client, liked in ((ann, ids[1]), (bob, ids[1]), (bob, ids[2])):
        await client.does(f"statuses/{liked}/favourite")
    trending = [it["id"] for it in await app.stranger.sees("trends/statuses")]
    assert trending[:2] == [ids[1], ids[2]]
    assert [it["id"] for it in await bob.sees("trends/statuses?limit=1&offset=1")] == trending[1:2]
    assert await bob.sees("trends/statuses?offset=40") == []


async def test_a_search_that_finds_nobody_is_no_error(ann: Client, bob: Client) -> None:
    assert [it["acct"] for it in await ann.sees("accounts/search?q=bob@localhost")] == ["bob"]
    for wanted in ("bob@mastodon.social", "b" * 31, "@", "bob&offset=1", "bob&offset=40"):
        assert await ann.sees(f"accounts/search?q={wanted}") == [], wanted
        found = (await ann.get(f"/api/v2/search?q={wanted}")).json()
        assert found == {"accounts": [], "statuses": [], "hashtags": []}
    assert (await ann.get(f"/api/v1/accounts/search?q=bob&offset={'1' * 4_301}")).status == 422
    assert (await ann.get("/api/v1/accounts/lookup?acct=bob@mastodon.social")).status == 404


async def test_what_an_account_cannot_keep_is_refused(ann: Client) -> None:
    for said in (
        {"locked": "true"},
        {"source[privacy]": "private"},
        {"fields_attributes[0][name]": "x"},
        {"avatar": "x"},
        {"discoverable": "false"},
        {"source[sensitive]": "true"},
        {"source[language]": "de"},
    ):
        answer = await ann.send("PATCH", "/api/v1/accounts/update_credentials", {"display_name": "Ann", **said})
        assert answer.status == 422, said
    assert (await ann.sees("accounts/verify_credentials"))["display_name"] == ""


async def test_what_a_follow_or_a_mute_cannot_keep_is_refused(ann: Client, bob: Client) -> None:
    at = f"accounts/{await id_of(bob)}"
    for verb, said in (
        ("follow", {"reblogs": "false"}),
        ("follow", {"notify": "true"}),
        ("follow", {"languages[]": ["de"]}),
        ("mute", {"notifications": "false"}),
    ):
        assert (await ann.send("POST", f"/api/v1/{at}/{verb}", said)).status == 422, said
    between = (await ann.sees(f"accounts/relationships?id={await id_of(bob)}"))[0]
    assert (between["following"], between["muting"]) == (False, False)
    assert (await ann.does(f"{at}/follow", reblogs="true", notify="false"))["following"]
    assert (await ann.does(f"{at}/mute", notifications="true"))["muting"]
    assert (await ann.toots("x", sensitive="true", spoiler_text="y"))["sensitive"]


# Notifications


async def test_each_thing_that_others_do_gives_one_notification(ann: Client, bob: Client) -> None:
    status = await ann.toots("mine")
    at = f"statuses/{status['id']}"
    for _ in range(2):  # taken back and done again, it is no news
        await follows(bob, ann)
        for done, back in (("favourite", "unfavourite"), ("reblog", "unreblog")):
            await bob.does(f"{at}/{done}")
            await bob.does(f"{at}/{back}")
            await bob.does(f"{at}/{done}")
        await bob.does(f"accounts/{status['account']['id']}/unfollow")
        await follows(bob, ann)
    await bob.toots("@ann @ann @bob")
    await ann.does(f"{at}/favourite")
    told = await ann.sees("notifications")
    assert [it["type"] for it in told] == ["mention", "reblog", "favourite", "follow"]
    assert {it["account"]["acct"] for it in told} == {"bob"}
    assert [it.get("status", {}).get("id") for it in told][1:] == [status["id"], status["id"], None]
    assert await bob.sees("notifications") == [], "nobody is told what they did themselves"
    await bob.does(f"{at}/unfavourite")
    assert "favourite" not in {it["type"] for it in await ann.sees("notifications")}, "it is no longer so"


async def test_a_notification_can_be_read_alone_and_put_away_for_good(ann: Client, bob: Client) -> None:
    await follows(bob, ann)
    await bob.toots("@ann hi")
    first, second = await ann.sees("notifications")
    assert (await ann.sees(f"notifications/{second['id']}"))["type"] == "follow"
    assert (await ann.sees("notifications/unread_count")) == {"count": 2}
    assert [it["id"] for it in await ann.sees("notifications?exclude_types[]=follow")] == [first["id"]]
    assert await ann.sees("notifications?types[]=poll") == []
    await ann.does(f"notifications/{first['id']}/dismiss")
    assert (await ann.get(f"/api/v1/notifications/{first['id']}")).status == 404
    assert (await bob.get(f"/api/v1/notifications/{second['id']}")).status == 404, "it is ann's"
    await ann.does("notifications/clear")
    assert await ann.sees("notifications") == []
    await bob.does(f"accounts/{await id_of(ann)}/unfollow")
    await follows(bob, ann)
    assert await ann.sees("notifications") == []


# The door itself


async def test_what_clients_ask_for_at_their_start_is_there(ann: Client) -> None:
    first, second = await ann.sees("instance/"), (await ann.get("/api/v2/instance")).json()
    assert first["version"].startswith("4.")
    assert first["configuration"]["statuses"]["max_characters"] == 500
    assert (second["domain"], first["uri"]) == ("localhost", "localhost")
    nodeinfo = (await ann.get("/.well-known/nodeinfo")).json()["links"][0]["href"]
    assert (await ann.get(nodeinfo.removeprefix("http://localhost"))).json()["software"]["name"] == "fathom"
    for path in ("custom_emojis", "announcements", "filters", "lists", "follow_requests", "conversations", "bookmarks"):
        assert await ann.sees(path) == [], path
    assert (await ann.get("/api/v2/filters")).json() == []
    assert "posting:default:visibility" in await ann.sees("preferences")


async def test_errors_are_said_in_mastodons_words_on_its_paths_and_in_ours_on_ours(ann: Client) -> None:
    theirs = await ann.get("/api/v1/statuses/999999")
    assert (theirs.status, list(theirs.json())) == (404, ["error"])
    ours = await ann.get("/api/v1/posts/999999")
    assert (ours.status, ours.code) == (401, "unauthorised"), "a program's token opens only the door it was made for"
    nowhere = await ann.get("/api/v1/nothing")
    assert (nowhere.status, nowhere.code) == (404, "not-found")


@pytest.mark.parametrize(("fields", "status"), [(FIELDS_MAX, 200), (FIELDS_MAX + 1, 422)])
async def test_a_form_has_so_many_parts_and_its_end_is_none(ann: Client, fields: int, status: int) -> None:
    part = '--x\r\ncontent-disposition: form-data; name="{}"\r\n\r\nhello\r\n'
    raw = "".join(part.format(name) for name in ["status"] + ["other"] * (fields - 1)) + "--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await ann.ask("POST", "/api/v1/statuses", raw=raw.encode(), headers=headers)
    assert answer.status == status, answer


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("application/json", b"{"),
        ("application/json", b'["status"]'),
        ("application/json", b'{"status": {"a": {"b": {"c": {"d": 1}}}}}'),
        ("application/json", b'{"status": "\\u0000"}'),
        ("application/json", b'{"status": "\\ud800"}'),
        ("application/x-www-form-urlencoded", b"status=%ff"),
        ("application/x-www-form-urlencoded", b"status=%00"),
        ("application/x-www-form-urlencoded", "status=é".encode()),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(300))),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data", b"--x"),
        ("text/plain", b"status=hello"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(ann: Client, form: str, raw: bytes) -> None:
    answer = await ann.ask("POST", "/api/v1/statuses", raw=raw, headers={"content-type": form})
    assert answer.status in (400, 415, 422), answer
    assert list(json.loads(answer.body)) == ["error"]
    assert await ann.sees("timelines/home") == []
