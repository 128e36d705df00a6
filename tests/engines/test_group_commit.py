"""A sync covers what was written before it began, and nothing else; after one that failed nothing is durable."""

from __future__ import annotations

import asyncio
from queue import SimpleQueue

import pytest

from fathom.engines.group_commit import GroupCommit


class Disk:
    """A sync that ends when it is told to, and how."""

    def __init__(self) -> None:
        self.ends: SimpleQueue[Exception | None] = SimpleQueue()
        self.began: SimpleQueue[bool] = SimpleQueue()
        self.syncs = 0

    def sync(self) -> None:
        self.syncs += 1
        self.began.put(True)
        if fault := self.ends.get(timeout=10):
            raise fault


async def begun(disk: Disk) -> None:
    await asyncio.to_thread(disk.began.get, True, 10)


async def test_what_is_written_while_a_sync_is_under_way_waits_for_the_next():
    disk, synced, failed = Disk(), list[int](), list[Exception]()
    commits = GroupCommit(disk.sync, synced=synced.append, failed=failed.append)
    assert commits.write() == 1
    await begun(disk)
    assert commits.write() == 2
    disk.ends.put(None)
    await commits.wait(1)
    assert commits.durable == 1
    await begun(disk)
    assert commits.durable == 1, "the second was not there when the first sync began"
    disk.ends.put(None)
    await commits.close()
    assert synced == [1, 2] and not failed and disk.syncs == 2


async def test_what_comes_together_is_synced_together():
    disk, synced = Disk(), list[int]()
    commits = GroupCommit(disk.sync, synced=synced.append, failed=pytest.fail)

    async def writer() -> None:
        await commits.wait(commits.write())

    disk.ends.put(None)
    await asyncio.gather(*(writer() for _ in range(50)))
    assert synced == [50] and disk.syncs == 1
    await commits.close()


async def test_after_a_sync_that_failed_nothing_becomes_durable_any_more():
    disk, failed = Disk(), list[Exception]()
    commits = GroupCommit(disk.sync, synced=pytest.fail, failed=failed.append)
    fault = OSError("the disk is gone")
    disk.ends.put(fault)
    disk.ends.put(None)
    with pytest.raises(OSError, match="is gone"):
        await commits.wait(commits.write())
    with pytest.raises(OSError, match="is gone"):
        await commits.wait(commits.write())
    with pytest.raises(OSError, match="is gone"):
        await commits.close()
    assert failed == [fault] and disk.syncs == 1 and commits.durable == 0


async def test_without_a_sync_a_write_is_called_durable_a_turn_later():
    synced = list[int]()
    commits = GroupCommit(None, synced=synced.append, failed=pytest.fail)
    assert [commits.write(), commits.write()] == [1, 2] and not synced
    await commits.close()
    assert synced == [2]


async def test_nobody_can_wait_for_a_write_that_was_not_made():
    commits = GroupCommit(None, synced=lambda ticket: None, failed=pytest.fail)
    with pytest.raises(ValueError, match="ticket 1 is not made"):
        await commits.wait(1)
    await commits.close()


async def test_who_is_cancelled_while_closing_waits_for_the_thread_and_holds_nobody_up():
    disk = Disk()
    commits = GroupCommit(disk.sync, synced=lambda ticket: None, failed=pytest.fail)
    commits.write()
    await begun(disk)
    closing = asyncio.ensure_future(commits.close())
    await asyncio.sleep(0)
    closing.cancel()
    asyncio.get_running_loop().call_later(0.01, disk.ends.put, None)  # a loop that is held up never gets here
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert commits._thread is not None and not commits._thread.is_alive() and commits.durable == 1
