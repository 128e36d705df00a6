"""A request with a key happens once, whatever is sent how often."""

from __future__ import annotations

import asyncio

import pytest

from fathom.errors import Refusal
from fathom.web.idempotency import Reply, fingerprint, once, read_key


class InMemory:
    """The store of one process, as the store's Protocol asks."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[bytes, Reply | None]] = {}

    async def begin(self, who: str, key: str, print_: bytes) -> Reply | bytes | None:
        known = self.kept.get((who, key))
        if known is None:
            self.kept[who, key] = (print_, None)
            return None
        taken_by, reply = known
        return reply if reply is not None and taken_by == print_ else taken_by

    async def keep(self, who: str, key: str, reply: Reply) -> None:
        self.kept[who, key] = (self.kept[who, key][0], reply)

    async def drop(self, who: str, key: str) -> None:
        del self.kept[who, key]


class Acts:
    def __init__(self, error: Exception | None = None) -> None:
        self.times, self.error = 0, error
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()

    async def __call__(self) -> Reply:
        self.times += 1
        self.begun.set()
        await self.go.wait()
        if self.error:
            raise self.error
        return Reply(201, b'{"id":%d}' % self.times)


@pytest.mark.parametrize("given", ["abc-1", '"abc-1"', b"abc-1", ' "abc-1" '])
def test_a_key_is_read_with_or_without_its_quotes(given: str | bytes):
    assert read_key(given) == "abc-1"


@pytest.mark.parametrize("given", ["", '""', "a b", "a\x00b", "x" * 65, "ключ", '"a"b', "a,b"])
def test_a_key_that_is_none_is_refused(given: str):
    with pytest.raises(Refusal, match="1 to 64"):
        read_key(given)


def test_a_missing_key_is_refused_only_where_it_is_needed():
    assert read_key(None) is None
    with pytest.raises(Refusal, match="needs an Idempotency-Key"):
        read_key(None, required=True)


def test_fingerprints_know_where_a_part_ends():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint("POST", b"{}") == fingerprint(b"POST", "{}")


async def test_a_repetition_gets_the_first_reply_and_does_nothing():
    store, acts = InMemory(), Acts()
    first = await once(store, "ann", "k", b"1", acts)
    again = await once(store, "ann", "k", b"1", acts)
    assert first == (Reply(201, b'{"id":1}'), False)
    assert again == (Reply(201, b'{"id":1}'), True)
    assert acts.times == 1


async def test_another_request_with_the_same_key_is_refused():
    store, acts = InMemory(), Acts()
    await once(store, "ann", "k", b"1", acts)
    with pytest.raises(Refusal) as refused:
        await once(store, "ann", "k", b"2", acts)
    assert refused.value.status == 422
    assert (await once(store, "bob", "k", b"2", acts))[1] is False  # keys are everybody's own


async def test_a_repetition_while_the_first_is_under_way_is_told_to_wait():
    store, acts = InMemory(), Acts()
    acts.go.clear()
    first = asyncio.create_task(once(store, "ann", "k", b"1", acts))
    await acts.begun.wait()
    with pytest.raises(Refusal) as refused:
        await once(store, "ann", "k", b"1", acts)
    assert (refused.value.status, refused.value.retry_s) == (409, 1)
    acts.go.set()
    assert (await first)[1] is False


async def test_a_refused_request_gives_its_key_back():
    store, acts = InMemory(), Acts(Refusal("invalid", "no"))
    for _ in range(2):
        with pytest.raises(Refusal, match="no"):
            await once(store, "ann", "k", b"1", acts)
    assert acts.times == 2


async def test_after_an_unexpected_error_nobody_guesses():
    store, acts = InMemory(), Acts(RuntimeError("lost the connection"))
    with pytest.raises(RuntimeError):
        await once(store, "ann", "k", b"1", acts)
    with pytest.raises(Refusal) as refused:
        await once(store, "ann", "k", b"1", acts)
    assert refused.value.code == "conflict"
    assert acts.times == 1
