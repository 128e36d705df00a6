"""What somebody is promised for their first ten minutes, and the book of what they saw of it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

__all__ = ["PROMISED", "Book", "Promise"]


@dataclasses.dataclass
class Promise:
    """One thing that somebody is to see, by when, and when they did."""

    step: int
    what: str
    within_s: float | None = None
    seen_s: float | None = None
    note: str = ""

    @property
    def late(self) -> bool:
        return self.seen_s is not None and self.within_s is not None and self.seen_s > self.within_s


PROMISED = {
    "ready": Promise(1, "a clone makes itself ready (of the command)"),
    "engines": Promise(1, "the engines are named and ready (of set-up, as all below)", 5.0),
    "question": Promise(1, "the question", 10.0),
    "coming": Promise(1, "a live line: what comes up now", 10.0),
    "counted": Promise(1, "a live line that counts: what an operation takes", 10.0),
    "picture": Promise(1, "a picture that grows with what is found"),
    "killed": Promise(1, "Redis killed, and back, as it happens"),
    "verdict": Promise(1, "the verdict in three lines, with the flip point"),
    "path": Promise(1, "where the record lies"),
    "next": Promise(1, "three next commands"),
    "url": Promise(2, "a URL (of the command, as the two below)"),
    "login": Promise(2, "a line: login <user> <password>"),
    "page": Promise(2, "the page's address"),
    "diagram": Promise(2, "a diagram with rates (of the opening of the page, as all to the lamps)"),
    "network": Promise(2, "a populated network: who logs in finds a page of posts by many (of the login)"),
    "needles": Promise(2, "needles that move with the traffic"),
    "slider": Promise(2, "a slider that makes more of it"),
    "buttons": Promise(2, "kill, pause, slow, cut, wipe and heal on every engine"),
    "switches": Promise(2, "a switch for every decision"),
    "strip": Promise(2, "a strip chart that draws"),
    "lamps": Promise(2, "lamps for the laws, five of them kept"),
    "kill seen": Promise(2, "a kill pressed on one page is seen on all three (of the press)", 1.0),
    "kill healed": Promise(2, "and has healed on all three (of the press)", 5.0),
    "kill marked": Promise(2, "and is marked on the strip chart (of the press)"),
    "others": Promise(2, "pause, slow, cut and wipe are seen, and healed by a press"),
    "toot login": Promise(3, "toot login, by the consent page in the browser"),
    "toot post": Promise(3, "toot post hi"),
    "toot timeline": Promise(3, "toot timeline shows it"),
    "switched": Promise(4, "switch fanout=on-read is answered"),
    "switch marked": Promise(4, "the page marks it (of the command)"),
    "nothing lost": Promise(4, "five laws tried again since, none broken (of the command)"),
    "ended": Promise(4, "Ctrl-C ends the demo (of the key)"),
    "changed": Promise(4, "--set fame=500 says what is not the default"),
    "beside": Promise(4, "and how it came out beside the default"),
    "new": Promise(5, "new approach opens at its first of two methods"),
    "mine": Promise(5, "dive --only mine,hybrid runs it, to a verdict"),
    "wrong": Promise(5, "a wrong one breaks a law"),
    "proof": Promise(5, "and the operations that prove it are told in words"),
    "features": Promise(6, "features counts what is built of the guides' 506"),
    "list": Promise(6, "list shows the system, its questions, answers and dives"),
    "record": Promise(7, "the record opens in a browser, light and dark"),
    "printed": Promise(7, "and prints on two pages"),
}  # fmt: skip


class Book:
    """What was seen of what is promised, and where its pictures lie."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.of = {name: dataclasses.replace(promise) for name, promise in PROMISED.items()}
        self.troubles: list[str] = []
        self.commit = ""

    def see(self, name: str, at: float | None, since: float, note: str = "") -> None:
        """Note when something was first seen, in seconds since `since`; None where it was not."""
        if at is not None:
            self.of[name].seen_s = round(max(0.0, at - since), 2)
        self.of[name].note = note or self.of[name].note

    @property
    def missing(self) -> list[str]:
        return [f"{each.step}: {each.what}" for each in self.of.values() if each.seen_s is None]

    @property
    def exit(self) -> int:
        return 1 if self.missing else 2 if any(each.late for each in self.of.values()) else 0

    def table(self) -> str:
        rows = [("step", "promised", "within", "seen after", "")]
        for each in self.of.values():
            within = "" if each.within_s is None else f"{each.within_s:g} s"
            seen = "not seen" if each.seen_s is None else f"{each.seen_s:.2f} s"
            rows.append((str(each.step), each.what, within, seen, "late" if each.late else each.note))
        wide = [max(len(row[at]) for row in rows) for at in range(5)]
        return "\n".join("  ".join(cell.ljust(n) for cell, n in zip(row, wide, strict=True)).rstrip() for row in rows)

    def write(self) -> None:
        told = {"commit": self.commit, "exit": self.exit, "troubles": self.troubles}
        told["promises"] = [dataclasses.asdict(each) | {"late": each.late} for each in self.of.values()]
        (self.folder / "seen.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        (self.folder / "seen.txt").write_text("\n".join([self.table(), *self.troubles]) + "\n")
