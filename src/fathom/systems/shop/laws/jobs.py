"""Laws of pictures' jobs: none is lost, each ends once, and one that cannot be done is tried just so often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fathom.history import Broken, History, Op, tries

from .seen import given

__all__ = ["a_job_dies_of_its_last_try", "a_job_ends_once", "no_picture_is_lost"]

ENDS = ("done", "dead")
WIDTHS = (160, 480, 960)  # a picture is shown in all of them, or in none


class Look(NamedTuple):
    """A job as one answer showed it."""

    op: Op
    job: dict[str, Any]

    @property
    def tries(self) -> int:
        return self.job.get("tries", 0)


def _looks(history: History) -> Iterator[Look]:
    for op in history:
        if not op.acknowledged or op.answer is None:
            continue
        if op.call in ("add_picture", "job", "retry"):
            yield Look(op, op.answer)
        elif op.call == "jobs":
            for job in op.answer["jobs"]:
                yield Look(op, job)


def _by_job(history: History) -> dict[int, list[Look]]:
    found: defaultdict[int, list[Look]] = defaultdict(list)
    for look in _looks(history):
        found[look.job["id"]].append(look)
    return found


def _last(history: History) -> dict[int, Look]:
    """Return each job as it was when all had settled."""
    return {look.job["id"]: look for look in _looks(history) if look.op.final}


@tries(lambda history: len(history.acknowledged("add_picture")) if _last(history) else 0)
def no_picture_is_lost(history: History) -> Iterable[Broken]:
    """When all has settled, each picture that was taken has its sizes, or is dead and waits for staff."""
    last = _last(history)
    shown = {op.asked[0]: op for op in history.acknowledged("item") if op.final}
    for op in history.acknowledged("add_picture"):
        job = op.answer
        look = last.get(job["id"])
        if look is None:
            if last:
                yield _broken("no_picture_is_lost", f"job {job['id']} was taken and is not there", job["id"], op)
            continue
        state = look.job["state"]
        if state not in ENDS:
            says = f"job {job['id']} is {state} when all has settled"
            yield _broken("no_picture_is_lost", says, job["id"], op, look.op)
        elif state == "done" and (item := shown.get(job["item"])) is not None:
            sizes = [name for name in item.answer.get("pictures", []) if name.rpartition("-")[0] == job["name"]]
            if sorted(sizes) != sorted(f"{job['name']}-{width}" for width in WIDTHS):
                shows = ", ".join(sizes) or "nothing"
                says = f"job {job['id']} is done, and item {job['item']} shows of {job['name']}: {shows}"
                yield _broken("no_picture_is_lost", says, job["id"], op, look.op, item)


@tries(lambda history: sum(look.job["state"] in ENDS for look in _looks(history)))
def a_job_ends_once(history: History) -> Iterable[Broken]:
    """What is done stays done, and what is dead stays dead until staff try it again: it is never both."""
    for job, looks in _by_job(history).items():
        again = [op for op in history.of("retry") if op.code is None and op.asked[1] == job]
        ended = [look for look in looks if look.job["state"] in ENDS]
        for before, after in ((a, b) for a in ended for b in looks):
            was, became = before.job["state"], after.job["state"]
            if was == became or not before.op.before(after.op):
                continue
            tried_again = any(not op.before(before.op) and op.start_s <= (after.op.end_s or 0.0) for op in again)
            if was == "done" or not tried_again:
                says = f"job {job} was {was}, and {became} later"
                yield _broken("a_job_ends_once", says, job, before.op, after.op)
                break


@tries(lambda history: _dead(history) if given(history, "tries_max") is not None else 0)
def a_job_dies_of_its_last_try(history: History) -> Iterable[Broken]:
    """A job is dead when it was tried just as often as `given` says ("tries_max"), and never tried more often."""
    if (most := given(history, "tries_max")) is None:
        return
    for job, looks in _by_job(history).items():
        for look in looks:
            # One that is handed out after its last try is not worked on, and counted down again as it dies.
            over = look.tries > most + (look.job["state"] == "working")
            if over or (look.job["state"] == "dead" and look.tries != most):
                says = f"job {job} is {look.job['state']} after {look.tries} tries, and is to die of the {most}th"
                yield _broken("a_job_dies_of_its_last_try", says, job, look.op)
                break


def _dead(history: History) -> int:
    return sum(look.job["state"] == "dead" for look in _looks(history))


def _broken(law: str, says: str, job: int, *ops: Op) -> Broken:
    return Broken(law=law, says=says, ops=tuple(op.index for op in ops), about={"job": job})
