"""The first ten minutes of somebody who has just cloned Fathom: what they are promised, and when it was first seen.

    .venv/bin/python tests/outside/ten_minutes.py [FOLDER]

What is typed is typed in a terminal, in a fresh clone; what is pressed is pressed in a browser. FOLDER
(`.fathom/ten-minutes`) gets every terminal's text, pictures of the page and of the record, and the table that is
printed, also as JSON. Exit: 0 all was seen in time, 1 something was not seen, 2 something was seen too late, which
says as much about the machine as about Fathom. By its path, because a library of ours installs a package `tests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fathom.lab import machine

if __package__:
    from .browsing import PHONE, browsing, opened_at
    from .promises import Book
    from .terminal import COLUMNS, IN_A_TERMINAL, ROWS, SOON_S, Terminal
else:  # run by its path
    from browsing import PHONE, browsing, opened_at
    from promises import Book
    from terminal import COLUMNS, IN_A_TERMINAL, ROWS, SOON_S, Terminal

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

__all__ = ["CHECKOUT", "FOLDER", "Book", "ten_minutes"]

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / ".fathom" / "ten-minutes"
PAPER = {"width": 1024, "height": 1200}
SET_UP_S, DIVE_S = 600.0, 900.0
VOID, AGAIN = 3, 3  # a neighbour on the machine voids a dive, which says so by this exit code; so many are redone
CALM, CALM_S, CALM_WITHIN_S = 0.25, 2.0, 60.0  # of a core that others use; a dive is begun when they are quiet


@dataclasses.dataclass
class Stranger:
    """Somebody with a clone, a browser, and a folder of what they saw."""

    clone: Path
    book: Book
    browser: Browser
    toot: Path
    again: int = AGAIN

    @asynccontextmanager
    async def types(self, name: str, *words: str | Path) -> AsyncIterator[Terminal]:
        """Type a command in a terminal of its own; its text is kept under a name."""
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, COLUMNS))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-c", IN_A_TERMINAL, *map(str, words), cwd=self.clone, env=self._environment(),
                stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(slave)
        terminal = Terminal(process, master)
        try:
            yield terminal
        finally:
            await terminal.close()
            self.keep(name, f"$ {' '.join(_as_typed(word) for word in words)}\n{terminal.screen.text()}")

    def keep(self, name: str, text: str) -> None:
        (self.book.folder / f"{name}.txt").write_text(text)

    async def picture(self, page: Page, name: str, **options: Any) -> None:
        await page.screenshot(path=self.book.folder / f"{name}.png", **options)

    def _environment(self) -> dict[str, str]:
        ours = ("PYTHON", "VIRTUAL_ENV", "PYTEST", "NO_COLOR")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env |= {"TERM": "xterm-256color", "NO_PROXY": "localhost,127.0.0.1", "XDG_CONFIG_HOME": str(self.clone.parent)}
        env["XDG_DATA_HOME"] = str(self.clone.parent / "data")  # a stranger has none of before
        env["TMPDIR"] = str(self.clone.parent)  # where a dive says that it measures: others' are not to stop our demo
        return env | ({"EDITOR": "vi"} if shutil.which("vi") else {})


def _as_typed(word: str | Path) -> str:
    return word.name if isinstance(word, Path) else word


async def calm() -> None:
    """Wait until the machine's other users are quiet, for a while: a dive beside them would be void."""
    until = time.monotonic() + CALM_WITHIN_S
    while time.monotonic() < until:
        before = _busy_s()
        await asyncio.sleep(CALM_S)
        if _busy_s() - before < CALM * CALM_S:
            return


def _busy_s() -> float:
    found = machine.busy()
    return 0.0 if found is None else found.busy_s


# 1, 4, 5: dives ------------------------------------------------------------------------------------------------------

READY = r"fathom: ready: "
COUNTED = r"s  \S+: (post|home) at \S+ takes "
VERDICT = r"^the verdict\r?\n *take .*\n(?:.*\n)*? *flips .*\n(?:.*\n)*? *broken "
NEXT = r"^  \S.*  (?:\./)?fathom verify .*\n  \S.*  (?:\./)?fathom dive .*\n  \S.*  (?:\./)?fathom up "
PATH = r"^(runs/timeline/celebrity/\S+)$"


async def dived(it: Stranger, name: str, *options: str) -> tuple[Terminal, int]:
    """Dive, again where a neighbour voided it; return the last terminal and its exit code."""
    for number in itertools.count(1):
        again = f"-again-{number}" if number > 1 else ""
        await calm()
        async with it.types(f"{name}{again}", "./fathom", "dive", "timeline", "celebrity", *options) as terminal:
            with contextlib.suppress(TimeoutError):
                await terminal.until("counted once; again", SET_UP_S)
                it.keep(f"{name}{again}-while-it-runs", "\n".join(terminal.screen.display) + "\n")
            code = await terminal.ends(DIVE_S)
        if number == 1:
            first(it.book, terminal)
        if code != VOID or "breaks a law" in terminal.text:
            break
        it.again -= 1
        it.book.troubles.append(f"{name}: void, {'; '.join(re.findall(r'^  why  (.*)$', terminal.text, re.M))}")
        if it.again < 0:
            break
    return terminal, code


def first(book: Book, terminal: Terminal) -> None:
    """Note what came first, of the one dive that also set the clone up."""
    ready = terminal.seen(READY)
    if ready is None:
        return
    book.see("ready", ready, terminal.began)
    for name, pattern in {
        "engines": r"NATS \S+.*Redis \S+|Redis \S+.*NATS \S+",
        "question": r"When a celebrity posts, who pays: the writer or the readers\?",
        "coming": r"s  \S+ comes up",
        "counted": COUNTED,
    }.items():
        book.see(name, terminal.seen(pattern), ready)


async def first_dive(it: Stranger) -> None:
    terminal, code = await dived(it, "1-dive", "--quick")
    since, book = terminal.seen(READY) or terminal.began, it.book
    book.see("picture", terminal.seen(r"CPU of an average operation"), since)
    killed, back = terminal.seen(r"Redis killed at"), terminal.seen(r"Redis back at")
    book.see("killed", back if killed else None, since)
    book.see("verdict", terminal.seen(VERDICT) if "flips" in terminal.text else None, since, f"exit {code}")
    book.see("path", terminal.seen(PATH), since)
    book.see("next", terminal.seen(NEXT), since)


async def dive_with_less_fame(it: Stranger) -> None:
    terminal, code = await dived(it, "4-fame", "--set", "fame=500", "--quick")
    it.book.see("changed", terminal.seen(r"≠ not the default: .*fame = 500 instead of 10,000"), terminal.began)
    it.book.see("beside", terminal.seen(r"^beside the default"), terminal.began, f"exit {code}")


async def answer_of_my_own(it: Stranger) -> None:
    async with it.types("5-new", "./fathom", "new", "approach", "timeline", "fanout", "mine") as terminal:
        await terminal.until(r"^ +\d+  async def .*\r?\n +\d+  async def ")
        if shutil.which("vi"):
            screen = terminal.screen
            await terminal.becomes(
                lambda: "async def deliver" in screen.display[screen.cursor.y], "deliver below the cursor"
            )
            it.book.see("new", time.monotonic(), terminal.began)
            it.keep("5-editor", "\n".join(screen.display) + "\n")
            terminal.type(":q\r")
        else:
            it.book.see("new", None, terminal.began, "no editor here")
        await terminal.until(r"then: (?:\./)?fathom dive timeline \S+ --only mine,hybrid")
        await terminal.ends(SOON_S)
    terminal, code = await dived(it, "5-mine", "--only", "mine,hybrid", "--quick")
    it.book.see("mine", terminal.seen(VERDICT), terminal.began, f"exit {code}")
    file = it.clone / "src/fathom/systems/timeline/decisions/fanout/mine.py"
    right, wrong = "return await super().deliver(author, post, after)", "return None"
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong))
    terminal, code = await dived(it, "5-wrong", "--only", "mine,hybrid", "--quick")
    broken = r"mine keeps 'no acknowledged post is lost': broken"
    proof = r"operations that prove it:\r?\n *1\. at .* posted .*(?:\n.*)*?\n *2\. at .*did\s+not\s+show"
    it.book.see("wrong", terminal.seen(broken), terminal.began, f"exit {code}")
    it.book.see("proof", terminal.seen(proof), terminal.began)


async def overview(it: Stranger) -> None:
    for name, pattern in {
        "features": r"\d+ of 506 are green",
        "list": r"dives into timeline(?:.*\n)*.*celebrity",
    }.items():
        async with it.types(f"6-{name}", "./fathom", name) as terminal:
            code = await terminal.ends(SOON_S)
        it.book.see(name, terminal.seen(pattern) if code == 0 else None, terminal.began)


# 2, 3, 4: the demo ---------------------------------------------------------------------------------------------------

CACHE = "article[data-slot='part.cache']"
HARMS = {"kill": "down", "pause": "paused", "slow": "slow", "cut": "cut"}
BREAKS = (*HARMS, "wipe")  # a wiped engine is back at once, and empty
FANOUT = "section[aria-labelledby=q-fanout]"
LAMPS = "[...document.querySelectorAll('section.laws li')]"
TRIED = f"{LAMPS}.map(lamp => [lamp.dataset.state, +(lamp.innerText.match(/tried (\\d+)/) ?? [0, 0])[1]])"


async def demo(it: Stranger) -> None:
    words = ("--port", "0", "--page-port", "0")  # any that are free
    async with it.types("2-up", "./fathom", "up", "timeline", "--demo", *words) as terminal:
        url = (await terminal.until(r"timeline is up at (http://\S+)"))[1]
        address = (await terminal.until(r"page +(http://\S+)"))[1]
        login = await terminal.until(r"login +(\S+) (\S+)")
        for name, pattern in {"url": "timeline is up at http", "page": "page +http", "login": "login +\\S"}.items():
            it.book.see(name, terminal.seen(pattern), terminal.began)
        await trying(it.book, "the network", populated(it, url, login[1], login[2]))
        pages = [await opened(it.browser, it.book, address) for _ in range(3)]
        await trying(it.book, "the page", looks(it, pages[0], address))
        await trying(it.book, "breaking it", breaks(it, pages))
        await trying(it.book, "the Mastodon door", toots(it, url, login[1], login[2]))
        await trying(it.book, "the switch", switches(it, pages[0]))
        for page in pages:
            await page.context.close()
        began = time.monotonic()
        terminal.type("\x03")
        await terminal.ends(SOON_S)
        it.book.see("ended", terminal.seen(r"timeline has ended"), began)


async def opened(browser: Browser, book: Book, address: str, **context: Any) -> Page:
    return await opened_at(browser, address, book.troubles.append, **context)


async def becomes(page: Page, true: str, within_s: float = SOON_S) -> float:
    """Wait until an expression is true on the page; return when. The page itself lets nobody compile one there."""
    look = f"() => new Promise(done => {{ const look = () => ({true}) ? done() : setTimeout(look, 50); look() }})"
    async with asyncio.timeout(within_s):
        await page.evaluate(look)
    return time.monotonic()


async def populated(it: Stranger, url: str, name: str, password: str) -> None:
    """Log in at the door, and find a page of posts by many."""
    began, context = time.monotonic(), await it.browser.new_context()
    login = await context.request.post(f"{url}/api/v1/sessions", data={"name": name, "password": password})
    headers = {"authorization": f"Bearer {(await login.json())['token']}"}
    home = (await (await context.request.get(f"{url}/api/v1/home", headers=headers)).json())["posts"]
    authors = {post["author"]["name"] for post in home}
    many = len(home) == 20 and len(authors) >= 5
    it.book.see("network", time.monotonic() if many else None, began, f"{len(home)} posts by {len(authors)}")
    await context.close()


async def looks(it: Stranger, page: Page, address: str) -> None:
    """See that everything is there and lives; take its picture in the light, in the dark, and on a telephone."""
    began = time.monotonic()
    needle = "document.querySelector('.needle').getAttribute('transform')"
    at = await page.evaluate(needle)
    engines = "[...document.querySelectorAll('.engines article')]"
    named = ", ".join(f"'{what}'" for what in (*BREAKS, "heal"))
    shown = {
        "diagram": f"{engines}.length >= 3 && "
        "[...document.querySelectorAll('.rate')].every(it => /\\d/.test(it.innerText))",
        "needles": f"{needle} !== '{at}' && !{needle}.includes('-120')",
        "slider": "document.querySelector('#factor:enabled') !== null",
        "buttons": f"{engines}.every(it => [{named}].every("
        "what => [...it.querySelectorAll('button')].some(each => each.innerText === what)))",
        "switches": "[...document.querySelectorAll('section.decision')].length >= 5 && [...document.querySelectorAll("
        "'section.decision')].every(it => it.querySelectorAll('[aria-pressed=true]').length === 1)",
        "strip": "document.querySelector('polyline.answered').points.length >= 5",
        "lamps": f"{LAMPS}.filter(it => it.dataset.state === 'kept').length >= 5",
    }  # fmt: skip

    async def sees(name: str, true: str) -> None:
        it.book.see(name, await becomes(page, true), began)

    await asyncio.gather(*(trying(it.book, name, sees(name, true)) for name, true in shown.items()))
    await it.picture(page, "2-page-light", full_page=True)
    for name, context in {
        "2-page-dark": {"color_scheme": "dark"},
        "2-page-phone": {"viewport": PHONE},
    }.items():
        other = await opened(it.browser, it.book, address, **context)
        await becomes(other, shown["strip"])
        await it.picture(other, name, full_page=True)
        await other.context.close()


async def breaks(it: Stranger, pages: list[Page]) -> None:
    """Kill the cache on one page and watch all; then harm it in the other ways, and heal it by a press."""

    async def all_show(state: str) -> float:
        seen = (page.wait_for_selector(f"{CACHE}[data-state={state}]", timeout=1_000 * SOON_S) for page in pages)
        await asyncio.gather(*seen)
        return time.monotonic()

    def button(what: str) -> str:
        return f"button[aria-label='{what} cache (redis)']:not([disabled])"

    await all_show("up")
    began = time.monotonic()
    await pages[0].click(button("kill"))
    it.book.see("kill seen", await all_show("down"), began)
    await it.picture(pages[1], "2-page-killed")
    it.book.see("kill healed", await all_show("up"), began)
    for page in pages:
        await page.wait_for_selector(".marks li:has-text('kill cache')")
        await page.wait_for_selector("g.mark:has-text('kill cache')", state="attached")
    it.book.see("kill marked", time.monotonic(), began)
    await pages[0].select_option("#lasts", "until healed")
    began = time.monotonic()
    for what, state in HARMS.items():
        if what != "kill":
            await pages[0].click(button(what))
            await all_show(state)
            await pages[0].click(button("heal"))
            await all_show("up")
    await pages[0].click(button("wipe"))
    await asyncio.gather(*(page.wait_for_selector(".marks li:has-text('cache is back, empty')") for page in pages))
    it.book.see("others", time.monotonic(), began)
    await it.picture(pages[0], "2-page-marks", full_page=True)


async def toots(it: Stranger, url: str, user: str, password: str) -> None:
    """Log in as a person does: a link, a consent page, a code; then post, and look."""
    async with it.types("3-toot-login", it.toot, "login", "--instance", url) as terminal:
        link = (await terminal.until(r"(http\S+/oauth/authorize\S+)\s"))[1]
        await terminal.until(r"\[Y/n\]")
        terminal.type("n\r")
        terminal.type(f"{await consents(it, link, user, password)}\r")
        await terminal.until("Successfully logged in")
        await terminal.ends(SOON_S)
        it.book.see("toot login", terminal.seen("Successfully logged in"), terminal.began)
    async with it.types("3-toot-post", it.toot, "post", "hi") as terminal:
        await terminal.ends(SOON_S)
        it.book.see("toot post", terminal.seen(r"Toot posted: http"), terminal.began)
    async with it.types("3-toot-timeline", it.toot, "timeline", "--once") as terminal:
        await terminal.ends(SOON_S)
        it.book.see("toot timeline", terminal.seen(r"^hi\s*$"), terminal.began)


async def consents(it: Stranger, link: str, user: str, password: str) -> str:
    page = await opened(it.browser, it.book, link)
    try:
        await page.fill("[name=username]", user)
        await page.fill("[name=password]", password)
        await it.picture(page, "3-consent")
        await page.click("button[value=allow]")
        await page.wait_for_load_state()
        await it.picture(page, "3-consented")
        return await page.inner_text("code", timeout=5_000)
    finally:
        await page.context.close()


async def switches(it: Stranger, page: Page) -> None:
    tried = [number for _, number in await page.evaluate(TRIED)]
    async with it.types("4-switch", "./fathom", "switch", "timeline", "fanout=on-read") as terminal:
        await page.wait_for_selector(f"{FANOUT} button[value=on-read][aria-pressed=true]", timeout=1_000 * SOON_S)
        await page.wait_for_selector(".marks li:has-text('fanout is on-read now')")
        it.book.see("switch marked", time.monotonic(), terminal.began)
        code = await terminal.ends(SOON_S)
        answered = terminal.seen(r"fanout is on-read now; taking over took")
        it.book.see("switched", answered if code == 0 else None, terminal.began)
        grown = f"{TRIED}.filter(([state, n], at) => state === 'kept' && n > {tried}[at]).length >= 5"
        await becomes(page, f"{TRIED}.some(([state]) => state === 'broken') || {grown}")
        broken = [state for state, _ in await page.evaluate(TRIED) if state == "broken"]
        it.book.see("nothing lost", None if broken else time.monotonic(), terminal.began)
    await it.picture(page, "4-page-switched", full_page=True)


# 7: the record -------------------------------------------------------------------------------------------------------


async def record(it: Stranger) -> None:
    found = sorted(it.clone.glob("runs/timeline/celebrity/*/record.html"))
    assert found, "no dive has written a record"
    began = time.monotonic()
    for scheme in ("light", "dark"):
        page = await opened(it.browser, it.book, found[0].as_uri(), color_scheme=scheme, viewport=PAPER)
        assert await page.inner_text("h1")
        await it.picture(page, f"7-record-{scheme}", full_page=True)
        if scheme == "dark":
            it.book.see("record", time.monotonic(), began)
        else:
            printed = await page.pdf(path=it.book.folder / "7-record.pdf", prefer_css_page_size=True)
            sheets = len(re.findall(rb"/Type\s*/Page[^s]", printed))
            it.book.see("printed", time.monotonic() if sheets in (1, 2) else None, began, f"{sheets} pages")
        await page.context.close()


# All of it -----------------------------------------------------------------------------------------------------------


async def trying(book: Book, what: str, doing: Awaitable[None]) -> None:
    """Do a part; what goes wrong in it is told, and the parts after it are seen all the same."""
    try:
        await doing
    except Exception as broke:
        book.troubles.append(f"{what}: {type(broke).__name__} {str(broke).strip().partition(chr(10))[0]}".rstrip())


def cloned(clone: Path) -> str:
    """Clone this checkout, as it is committed; return the commit."""
    subprocess.run(["git", "clone", "--quiet", CHECKOUT, clone], check=True)
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    return asked.stdout.strip()


async def ten_minutes(folder: Path, toot: Path, tell: Callable[[str], None] = lambda line: None) -> Book:
    """Go through all of it in a fresh clone; return what was seen. `toot` is Mastodon's program for terminals."""
    book = Book(folder)
    with tempfile.TemporaryDirectory(prefix="fathom-stranger-") as parent:
        clone = Path(parent) / "fathom"
        book.commit = await asyncio.to_thread(cloned, clone)
        async with browsing() as browser:
            it = Stranger(clone, book, browser, toot)
            for name, part in {
                "the first dive": first_dive,
                "the demo": demo,
                "another knob": dive_with_less_fame,
                "an answer of one's own": answer_of_my_own,
                "features and list": overview,
                "the record": record,
            }.items():
                tell(name)
                await trying(book, name, part(it))
                book.write()
    return book


def main(words: list[str]) -> int:
    from strangers import environment  # by its own name: this is run by its path

    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    folder = Path(words[0]).absolute() if words else FOLDER
    book = asyncio.run(ten_minutes(folder, environment("mastodon") / "bin" / "toot", tell))
    print("\n".join([book.table(), *book.troubles, f"what was seen lies in {folder} (commit {book.commit[:12]})"]))
    return book.exit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
