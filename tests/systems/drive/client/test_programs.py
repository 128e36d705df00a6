"""Files that may be started: they may be on all devices, whatever else becomes of them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from fathom.systems.drive.core.contents import eased

from .device import Device, all_one, device, devices, joined, model


def bits(device: Device, name: str) -> int:
    return stat.S_IMODE((device.root / name).stat().st_mode)


def starts(device: Device, name: str, *, may: bool = True) -> None:
    (device.root / name).chmod(0o755 if may else 0o644)


def given(device: Device) -> int:
    return device.did["given"]


async def test_a_program_is_one_on_all_devices_and_saying_so_moves_no_byte(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("run", "#!/bin/sh")
        laptop.write("words", "words")
        starts(laptop, "run")
        await all_one(laptop, phone)
        assert bits(phone, "run") & 0o111 and not bits(phone, "words") & 0o111
        before = given(laptop)
        starts(laptop, "words")
        starts(laptop, "run", may=False)
        await all_one(laptop, phone)
        assert bits(phone, "words") & 0o111 and not bits(phone, "run") & 0o111
        assert given(laptop) == before and phone.did["fetched"] == 2, "bytes that were there moved again"
        starts(phone, "run")
        await all_one(laptop, phone)
        assert bits(laptop, "run") & 0o111


async def test_who_writes_a_program_anew_lets_it_be_one(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("run", "#!/bin/sh")
        starts(laptop, "run")
        await all_one(laptop, phone)
        (phone.root / "run").chmod(0o700)  # nobody else may read it there: that is not the drive's business
        await all_one(laptop, phone)
        assert bits(laptop, "run") == 0o755
        laptop.write("run", "#!/bin/sh -e")
        assert await all_one(laptop, phone) == {"run": "#!/bin/sh -e"}
        assert bits(phone, "run") == 0o700


async def test_equal_bytes_are_in_no_conflict_though_one_of_them_may_be_started(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        for each in (laptop, phone):
            each.write("run", "#!/bin/sh")
        starts(laptop, "run")
        await laptop.sync()
        assert await all_one(laptop, phone) == {"run": "#!/bin/sh"}
        for each in (laptop, phone):
            each.write("run", "#!/bin/sh -e")
        starts(laptop, "run", may=not bits(laptop, "run") & 0o100)
        await laptop.sync()
        assert await all_one(laptop, phone) == {"run": "#!/bin/sh -e"}
        assert bits(laptop, "run") == bits(phone, "run")


async def test_what_is_edited_here_and_let_start_there_is_both_kept(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("run", "one")
        await all_one(laptop, phone)
        laptop.write("run", "two")
        starts(phone, "run")
        await laptop.sync()
        found = await all_one(laptop, phone)
        assert sorted(text or "" for text in found.values()) == ["one", "two"] and found["run"] == "two"


async def test_a_disk_that_knows_of_no_programs_takes_that_from_none(tmp_path: Path):
    place = await joined(model())

    def ignorant(disk: Any) -> Any:
        disk.executables = False
        return disk

    async with (
        device("laptop", tmp_path / "laptop", place) as laptop,
        device("pc", tmp_path / "pc", place, files=ignorant) as pc,
    ):
        laptop.write("run", "one")
        starts(laptop, "run")
        await all_one(laptop, pc)
        assert not bits(pc, "run") & 0o111
        pc.write("run", "two")
        assert await all_one(laptop, pc) == {"run": "two"}
        assert bits(laptop, "run") & 0o111, "who knows nothing of it said that it is none"


@pytest.mark.parametrize(
    ("base", "local", "remote", "then"),
    [("", "+x", "", "remote"), ("", "", "+x", "local"), ("+x", "", "+x", "remote"), ("+x", "+x", "", "local")],
)
def test_who_changed_it_has_it_their_way(base: str, local: str, remote: str, then: str):
    from fathom.blocks.reconcile import Node, Put, Tie, plan

    here, there = {"l": Node("root", "a", f"new{local}")}, {1: Node("root", "a", f"new{remote}")}
    tree, ties = eased(here, there, [Tie("l", 1, "root", "a", f"old{base}")])
    (op,) = plan(tree, there, ties, lambda name, content, n: f"{name} {n}")
    assert isinstance(op, Put) and op.side == then
