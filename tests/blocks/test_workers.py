"""No two workers mint the same id, whatever their clocks say and however long one of them sleeps."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from fathom.blocks.ids import EPOCH_MS, NARROW, SCATTER_BITS, Ids
from fathom.blocks.workers import Lent, Workers
from tests.features import feature

START_MS = EPOCH_MS + 1_000_000


class Worker:
    """One that mints with a borrowed number, by a clock of its own that is wrong by so much."""

    def __init__(self, wrong_ms: int, *, by_own_clock: bool) -> None:
        self.wrong_ms, self.by_own_clock = wrong_ms, by_own_clock
        self.lent: Lent | None = None

    def borrow(self, lent: Lent | None) -> None:
        if lent is not None and (
            self.lent is None or self.lent.worker != lent.worker or lent.from_ms != self.lent.from_ms
        ):
            above = 0 if self.by_own_clock else (lent.from_ms - EPOCH_MS - 1) << SCATTER_BITS
            self.ids = Ids(lent.worker, after=above)
        self.lent = lent

    def mint(self, true_ms: int) -> int | None:
        if self.lent is None:
            return None
        now_ms = true_ms + self.wrong_ms
        if self.by_own_clock:  # the bug: the lease is judged by a clock, and what others minted is not thought of
            return self.ids.mint(now_ms) if now_ms < self.lent.until_ms else None
        minted = self.ids.mint(now_ms)
        return minted if self.lent.covers(NARROW.parts(minted)[0]) else None


def minted(seed: int, *, by_own_clock: bool) -> Counter[int]:
    """Let five workers share two numbers, with clocks up to 200 ms wrong, some of them asleep now and then."""
    dice, found = random.Random(seed), Counter[int]()
    numbers = Workers(2, lasts_ms=100)
    crowd = [Worker(dice.randint(-200, 200), by_own_clock=by_own_clock) for _ in range(5)]
    for true_ms in range(START_MS, START_MS + 2_500):
        for worker in crowd:
            if dice.random() < 0.02:
                worker.borrow(numbers.renew(worker.lent, true_ms) if worker.lent else numbers.lend(true_ms))
            if dice.random() < 0.5 and (new := worker.mint(true_ms)) is not None:
                found[new] += 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@feature("SHOP-05")
def test_no_id_is_minted_twice_and_a_lease_that_is_judged_by_clocks_mints_some(seed: int):
    ours = minted(seed, by_own_clock=False)
    assert len(ours) > 300 and max(ours.values()) == 1
    assert max(minted(seed, by_own_clock=True).values()) > 1, f"the bug is not seen, seed {seed}"


@pytest.mark.parametrize("seed", range(3))
def test_the_stretches_of_one_number_never_overlap(seed: int):
    dice, numbers, held = random.Random(seed), Workers(2, lasts_ms=50), dict[tuple[int, int], int]()
    now_ms, known = 1_000, list[Lent]()
    for _ in range(1_000):
        now_ms += dice.choice((0, 1, 20, -10))  # its own clock steps back, too
        lent = numbers.renew(dice.choice(known), now_ms) if known and dice.random() < 0.5 else numbers.lend(now_ms)
        if lent is not None:
            known.append(lent)
            held[lent.worker, lent.from_ms] = lent.until_ms
    for number in range(2):
        stretches = sorted((begin, end) for (worker, begin), end in held.items() if worker == number)
        assert len(stretches) > 3
        assert all(end <= begin for (_, end), (begin, _) in pairwise(stretches))


@pytest.mark.parametrize("seed", range(3))
def test_a_lender_that_starts_again_lends_nothing_that_is_still_held(seed: int):
    """Killed at any step: before it wrote down what it lends, which then nobody has, or after."""
    dice, written, held, now_ms = random.Random(seed), tuple[int, ...](), list[Lent](), 1_000
    numbers = Workers(3, lasts_ms=50)
    for _ in range(600):
        now_ms += dice.choice((0, 10, 30, -3))
        renewed = dice.choice(held[-3:]) if held and dice.random() < 0.1 else None
        lent = numbers.renew(renewed, now_ms) if renewed else numbers.lend(now_ms)
        if dice.random() < 0.1:
            numbers = Workers(3, lasts_ms=50, until_ms=written)
            continue
        written = numbers.until_ms
        if lent is not None:
            if renewed:
                held.remove(renewed)
            held.append(lent)
    assert len(held) > 10
    for number in range(3):
        stretches = sorted((each.from_ms, each.until_ms) for each in held if each.worker == number)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(stretches)), f"seed {seed}"


@pytest.mark.parametrize(("count", "lasts_ms", "until_ms"), [(0, 1, ()), (1, 0, ()), (2, 1, (5,))])
def test_what_lends_nothing_is_refused(count: int, lasts_ms: int, until_ms: tuple[int, ...]):
    with pytest.raises(ValueError, match="to lend"):
        Workers(count, lasts_ms=lasts_ms, until_ms=until_ms)
