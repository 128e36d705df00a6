"""Tokens and passwords: strangers stay strangers, and cannot make others wait."""

from __future__ import annotations

import asyncio

import pytest

from fathom.errors import Refusal
from fathom.web.auth import Bearer, Passwords, same


class Accounts:
    def __init__(self) -> None:
        self.tokens = {"good": 7}
        self.asked = 0
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()

    async def whoami(self, token: str) -> int:
        self.asked += 1
        self.begun.set()
        found = self.tokens.get(token)
        await self.go.wait()
        if found is None:
            raise Refusal("unauthorised", "nobody has this token")
        return found


def quick() -> Passwords:
    return Passwords(memory_kib=8, passes=1, threads=1, waiting_max=1)


@pytest.mark.parametrize(
    "header",
    [None, b"", b"good", b"Basic good", b"Bearer", b"Bearer ", b"Bearer a b", b"Bearer \xff", b"Bearer " + b"x" * 600],
)
async def test_a_header_that_is_no_token_is_refused_without_asking(header: bytes | None):
    accounts = Accounts()
    with pytest.raises(Refusal) as refused:
        await Bearer(accounts.whoami).identify(header)
    assert refused.value.code == "unauthorised"
    assert accounts.asked == 0


@pytest.mark.parametrize("header", [b"Bearer good", b"bearer good", b"BEARER  good"])
async def test_a_good_token_says_who(header: bytes):
    assert await Bearer(Accounts().whoami).identify(header) == 7


async def test_an_answer_is_remembered_and_a_refusal_is_not():
    accounts = Accounts()
    bearer = Bearer(accounts.whoami)
    for _ in range(3):
        assert await bearer.identify(b"Bearer good") == 7
    assert accounts.asked == 1
    for _ in range(2):
        with pytest.raises(Refusal):
            await bearer.identify(b"Bearer new")
    accounts.tokens["new"] = 8
    assert await bearer.identify(b"Bearer new") == 8


async def test_what_is_remembered_grows_old():
    accounts = Accounts()
    bearer = Bearer(accounts.whoami, fresh_s=0.0)
    await bearer.identify(b"Bearer good")
    await bearer.identify(b"Bearer good")
    assert accounts.asked == 2


async def test_a_token_that_ended_is_worthless_at_once():
    accounts = Accounts()
    bearer = Bearer(accounts.whoami)
    await bearer.identify(b"Bearer good")
    del accounts.tokens["good"]
    bearer.forget("good")
    with pytest.raises(Refusal):
        await bearer.identify(b"Bearer good")


async def test_an_answer_that_was_on_its_way_when_the_token_ended_is_not_remembered():
    accounts = Accounts()
    bearer = Bearer(accounts.whoami)
    accounts.go.clear()
    late = asyncio.create_task(bearer.identify(b"Bearer good"))
    await accounts.begun.wait()
    del accounts.tokens["good"]
    bearer.forget("good")
    accounts.go.set()
    await late
    with pytest.raises(Refusal):
        await bearer.identify(b"Bearer good")


async def test_it_remembers_no_more_than_it_may():
    async def anybody(token: str) -> str:
        return token

    bearer = Bearer(anybody, tokens_max=3)
    for n in range(10):
        await bearer.identify(b"Bearer t%d" % n)
    assert len(bearer._known) == 3
    assert bearer.remembered(b"Bearer t9") == "t9"
    assert bearer.remembered(b"Bearer t0") is None


def test_two_secrets_are_the_same_or_not():
    assert same("abc", b"abc")
    assert not same("abc", "abd")
    assert not same("abc", "abcd")
    assert not same("", "x")


async def test_a_password_is_told_from_another_and_kept_apart_from_its_equal():
    with quick() as passwords:
        kept, again = await passwords.hash("correct horse"), await passwords.hash("correct horse")
        assert kept != again
        assert await passwords.verify(kept, "correct horse")
        assert not await passwords.verify(kept, "battery staple")
        assert not await passwords.verify("no hash at all", "correct horse")
        assert not passwords.outdated(kept)
    with Passwords(memory_kib=16, passes=1) as dearer:
        assert dearer.outdated(kept)


async def test_an_unknown_name_costs_as_much_as_a_wrong_password():
    """Told by what is done, not by the clock: both run argon2 once, at the same cost."""
    with quick() as passwords:
        kept = await passwords.hash("a password")
        await passwords.verify(None, "warm")  # makes the hash of nobody's password
        runs: list[str] = []
        verify = passwords._verify

        def counted(kept: str, password: str) -> bool:
            runs.append(kept.rpartition("$")[0].rpartition("$")[0])
            return verify(kept, password)

        passwords._verify = counted
        assert not await passwords.verify(None, "wrong")
        assert not await passwords.verify(kept, "wrong")
        assert runs[0] == runs[1]


async def test_too_many_at_once_are_refused_and_the_room_comes_back():
    with quick() as passwords:
        outcomes = await asyncio.gather(*(passwords.hash("x" * 8) for _ in range(10)), return_exceptions=True)
        refused = [it for it in outcomes if isinstance(it, Refusal)]
        assert len(refused) == 8
        assert {it.code for it in refused} == {"unavailable"}
        assert await passwords.hash("afterwards")


async def test_a_caller_who_leaves_does_not_take_the_room_along():
    with quick() as passwords:
        for _ in range(5):
            leaving = asyncio.create_task(passwords.hash("x" * 8))
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await asyncio.to_thread(passwords._pool.submit(bool).result)  # one thread: after what was cancelled
            await asyncio.sleep(0)
        assert await passwords.hash("afterwards")


@pytest.mark.parametrize("password", ["x" * 1025, "é" * 513, "\ud800"])
async def test_what_nobody_types_is_no_password(password: str):
    with quick() as passwords:
        with pytest.raises(Refusal):
            await passwords.hash(password)
        assert not await passwords.verify(None, password)
