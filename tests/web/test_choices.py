"""An approach takes over whole or not at all."""

from __future__ import annotations

import asyncio

import pytest

from fathom.design import Choice, System
from fathom.errors import FathomError, Refusal
from fathom.web.choices import Choices


def test_what_was_not_chosen_is_the_default(sample: System):
    choices = Choices(sample, None)
    assert choices.chosen == {"greeting": Choice("plain")}
    assert choices.greeting.times == 1
    assert Choices(sample, None, {"greeting": Choice("plain", {"times": 3})}).greeting.times == 3


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"greting": Choice("plain")}, "did you mean 'greeting'"),
        ({"greeting": Choice("plian")}, "did you mean 'plain'"),
        ({"greeting": Choice("plain", {"time": 1})}, "did you mean 'times'"),
        ({"greeting": Choice("plain", {"times": "many"})}, "whole number"),
        ({"greeting": Choice("plain", {"times": 1.5})}, "whole number"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_a_guess(sample: System, chosen: dict[str, Choice], says: str):
    with pytest.raises(FathomError, match=says):
        Choices(sample, None, chosen)


def test_an_unknown_decision_is_named(sample: System):
    with pytest.raises(AttributeError, match="this system decides greeting"):
        Choices(sample, None).greting  # noqa: B018


async def test_another_takes_over_while_calls_run(sample: System):
    choices = Choices(sample, None)
    assert await choices.greeting.greet("Ann") == "hello Ann"
    assert await choices.switch("greeting", Choice("grand")) >= 0
    assert await choices.greeting.greet("Ann") == "your excellency Ann"
    await choices.switch("greeting", Choice("plain", {"times": 2}))
    assert await choices.greeting.greet("Ann") == "hello hello Ann"
    assert choices.chosen == {"greeting": Choice("plain", {"times": 2})}


async def test_what_serves_already_is_left_alone(sample: System):
    choices = Choices(sample, None)
    before = choices.greeting
    await choices.switch("greeting", Choice("plain", {"times": 1}))
    assert choices.greeting is before


async def test_who_cannot_take_over_does_not_and_the_old_one_goes_on(sample: System, caplog: pytest.LogCaptureFixture):
    choices = Choices(sample, None)
    with pytest.raises(FathomError) as failed:
        await choices.switch("greeting", Choice("stubborn"))
    assert "could not take over" in failed.value.what
    assert "it would rather not" in failed.value.why
    assert await choices.greeting.greet("Ann") == "hello Ann"
    assert choices.chosen == {"greeting": Choice("plain")}
    await choices.switch("greeting", Choice("grand"))  # nothing is left locked


async def test_one_switch_at_a_time(sample: System):
    choices = Choices(sample, None)
    begun, go = asyncio.Event(), asyncio.Event()

    async def adopt(self: object, previous: object) -> None:
        begun.set()
        await go.wait()

    slow = sample.decision("greeting").approach("grand")
    adopt_before = slow.adopt
    slow.adopt = adopt  # pyright: ignore[reportAttributeAccessIssue]
    try:
        switching = asyncio.create_task(choices.switch("greeting", Choice("grand")))
        await begun.wait()
        assert await choices.greeting.greet("Ann") == "hello Ann"
        with pytest.raises(Refusal, match="under way"):
            await choices.switch("greeting", Choice("plain", {"times": 2}))
        switching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await switching
        assert await choices.greeting.greet("Ann") == "hello Ann"  # who gives up, leaves it as it was
        go.set()
        await choices.switch("greeting", Choice("grand"))
        assert await choices.greeting.greet("Ann") == "your excellency Ann"
    finally:
        slow.adopt = adopt_before  # pyright: ignore[reportAttributeAccessIssue]
