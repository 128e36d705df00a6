"""The service answers as the model does: three members with real disks behind real doors, asked by the client."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fathom.systems.kv.api import USUAL, Bucket, Found, Page, Set, Swap
from fathom.systems.kv.client import connected
from fathom.systems.kv.model import KvModel
from tests.features import feature

from .cluster import running
from .twins import Twins

STEPS = 400
KINDS = [Bucket(), Bucket(prefix=b"s:", semantics="siblings"), Bucket(prefix=b"l:", semantics="lww"),
         Bucket(prefix=b"z:", semantics="lww", sloppy=True)]  # fmt: skip


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@feature("KV-47")
async def test_it_answers_as_the_model_does(tmp_path: Path, seed: int):
    async with running(tmp_path) as cluster, connected(cluster.seeds, deadline_ms=10_000, seed=seed) as kv:
        buckets = (await kv.topology()).buckets
        twins = Twins(KvModel(now_ms, buckets), kv, seed, buckets)
        for step in range(STEPS):
            await twins.step()
            if step % 100 == 99:
                await twins.listed()
        assert not {"unknown", "not answered"} & kv.counts.keys(), "nothing failed, so nothing is in doubt"


class Unread(KvModel):
    """Writes over what nobody has read."""

    async def put(self, key, value, context=b"", expires_ms=0, terms=USUAL):  # type: ignore[no-untyped-def]
        found = await self.get(key) if key.startswith(b"s:") else Found()
        return await super().put(key, value, context or found.context, expires_ms, terms)


class Immortal(KvModel):
    """Lets nothing expire."""

    async def change(self, key, change, terms=USUAL):  # type: ignore[no-untyped-def]
        if isinstance(change, Set):
            change = Set(value=change.value)
        return await super().change(key, change, terms)


class Blind(KvModel):
    """Swaps whatever is there."""

    async def change(self, key, change, terms=USUAL):  # type: ignore[no-untyped-def]
        if isinstance(change, Swap):
            change = Set(value=change.value, expires_ms=change.expires_ms)
        return await super().change(key, change, terms)


class Forgetful(KvModel):
    """Lists one key less."""

    async def scan(self, after="", limit=100):  # type: ignore[no-untyped-def]
        page = await super().scan(after, limit)
        return page if page.after else Page(keys=page.keys[:-1])


@pytest.mark.parametrize("wrong", [Unread, Immortal, Blind, Forgetful])
async def test_a_body_that_answers_otherwise_is_noticed(wrong: type[KvModel]):
    twins = Twins(KvModel(now_ms, KINDS), wrong(now_ms, KINDS), 1, KINDS)
    with pytest.raises(AssertionError, match="seed 1"):
        for _ in range(STEPS):
            await twins.step()
        await twins.listed()


async def test_two_models_agree():
    twins = Twins(KvModel(now_ms, KINDS), KvModel(now_ms, KINDS), 1, KINDS)
    for _ in range(STEPS):
        await twins.step()
    await twins.listed()
