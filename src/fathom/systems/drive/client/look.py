"""How a client comes to know its own folder: what is there, what it holds, and what is left out and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable

from fathom.blocks.names import elsewhere, key, refused
from fathom.blocks.reconcile import ROOT, Node, Tie
from fathom.errors import EXIT_BROKE, FathomError

from ..core.contents import is_executable
from ..core.files import Changed, Files, Path, Scan, Seen, Stat
from ..core.ignore import IGNORE, Rules
from ..core.state import Hashed, Known
from .hashing import Asked, Hashing
from .later import Later, promised
from .place import Knobs, Tell

__all__ = ["Local", "agreed", "look", "read_rules", "said", "settled"]

COARSE_NS = 1_000_000  # a file system that stamps no finer than this may stamp every two seconds
COARSE_GRAIN_NS = 2_000_000_000


class Local:
    """The folder as it was seen, kept in step with what the client does to it."""

    def __init__(self) -> None:
        self.tree: dict[Hashable, Node] = {}
        self.seen: dict[str, Seen] = {}
        self.skipped: dict[str, str] = {}  # path → why it is not synced
        self.notes: dict[str, str] = {}  # path → what somebody should know of it
        self.busy: set[str] = set()  # ids of files that changed while they were read
        self.later = Later()  # new files that are read while others are sent: what the tree says of them is a promise
        self.steady = self.doubled = False

    def path(self, id: object) -> Path:
        """Return where something is; `Changed` if it was not seen."""
        names: list[str] = []
        while id != ROOT:
            seen = self.seen.get(str(id))
            if seen is None:
                raise Changed(f"{id} was not seen")
            names.append(seen.name)
            id = seen.parent
        return tuple(reversed(names))

    def name(self, id: object) -> str:
        """Return where something is, for a person."""
        try:
            return said(self.path(id))
        except Changed:
            return str(id)

    def put(self, id: str, seen: Seen, content: str | None) -> None:
        self.seen[id] = seen
        self.tree[id] = Node(seen.parent, seen.name, content)

    def remove(self, id: object) -> None:
        self.seen.pop(str(id), None)
        self.tree.pop(id, None)


def settled(stat: Stat, hashed: Hashed | None, grain_ns: int) -> bool:
    """Tell whether a file holds what it held when it was read: as long ago as its stamps can tell changes apart.

    It is `ctime` that is believed: whoever writes cannot set it.
    """
    if hashed is None or (hashed.size, hashed.mtime_ns, hashed.ctime_ns) != (stat.size, stat.mtime_ns, stat.ctime_ns):
        return False
    grain_ns = grain_ns if stat.ctime_ns % COARSE_NS else COARSE_GRAIN_NS
    return hashed.at_ns - stat.ctime_ns >= grain_ns


def said(path: Path) -> str:
    """Return a path as it can be printed, whatever bytes are in it."""
    return "/".join(path).encode(errors="backslashreplace").decode()


async def read_rules(files: Files) -> Rules:
    try:
        _, text = await files.read((IGNORE,), 0, 1 << 20)
    except (OSError, Changed):
        return Rules()
    return Rules(text.decode(errors="replace").splitlines())


async def look(files: Files, known: Known, knobs: Knobs, tell: Tell, *, promise: bool = False) -> Local:
    """Return the folder as it is. Raises FathomError if something else lies in its place.

    With `promise` new files are left to be read later, where nothing can come of that: neither is anything gone whose
    place one of them might take, nor does anything want its name.
    """
    await _ours(files, known)
    rules = await read_rules(files)
    wanted = _wanted(known)

    def enter(path: Path, id: str) -> bool:
        return id in known.ties.of_local or not rules.ignore(path, True) or (key(path[-1]) in wanted)

    scan = await files.scan(enter)
    await _ours(files, known)  # it may have gone away meanwhile, and all that was in it
    local = Local()
    local.steady = scan.steady
    hashing = _gather(local, scan, known, rules, wanted)
    anew = _unsettled(local, hashing, known, knobs)
    if promise and local.steady and not known.coming and agreed(local, known):
        anew = _for_now(local, anew, files, known, knobs, tell)
    await _contents(local, anew, files, known, knobs, tell)
    _blind(local, scan, known)
    for id in [id for id in known.files if id not in local.seen]:
        known.forget(id)
    await known.keep()
    return local


async def _ours(files: Files, known: Known) -> None:
    try:
        marker = await files.marker()
    except OSError as fault:
        marker = f"({fault})"
    if marker != known.about.folder:
        raise FathomError(
            "the synced folder is not there",
            why=f"another folder, or none, is in its place{f': its mark is {marker[:80]!r}' if marker else ''}",
            fix="mount it, or move it back; nothing is deleted anywhere because of this",
            code=EXIT_BROKE,
        )


def _wanted(known: Known) -> set[str]:
    """Return names that the drive has and this folder has not yet: who was interrupted may have just made them."""
    return {key(node.name) for node in known.remote.values() if node.id not in known.ties.of_remote}


def _gather(local: Local, scan: Scan, known: Known, rules: Rules, wanted: set[str]) -> list[str]:
    """Take in what was seen; return those files whose content is asked for."""
    hashing: list[str] = []
    links: defaultdict[str, int] = defaultdict(int)
    for seen in scan.seen:
        stat = seen.stat
        if seen.parent != ROOT and seen.parent not in local.seen:
            continue  # in a folder that is left out
        id = stat.id
        if links[stat.id] and (stat.kind == "folder" or not scan.steady):
            local.doubled = True  # it moved while this was looked at; where it was seen first is as good
            continue
        if n := links[stat.id]:
            id = f"{stat.id}/{n}"  # another name of the same file: a file of its own to everybody else
        links[stat.id] += 1
        local.seen[id] = seen
        path = local.path(id)
        tie = known.ties.of_local.get(id)
        why = _left_out(seen)
        if not why and tie is None and rules.ignore(path, stat.kind == "folder") and key(seen.name) not in wanted:
            why = "ignored"
        if why:
            local.skipped[said(path)] = why
            if tie is None:
                del local.seen[id]
            else:
                local.tree[id] = Node(seen.parent, tie.name, tie.content)
            continue
        if note := elsewhere(seen.name):
            local.notes[said(path)] = note
        local.tree[id] = Node(seen.parent, seen.name, None)
        if stat.kind == "file":
            hashing.append(id)
    return hashing


def _left_out(seen: Seen) -> str:
    if seen.stat.kind == "link":
        return "a symbolic link"
    if seen.stat.kind == "special":
        return "neither a file nor a folder"
    return refused(seen.name)


def _unsettled(local: Local, hashing: list[str], known: Known, knobs: Knobs) -> list[str]:
    """Return those files that have to be read; the others hold what they held."""
    anew: list[str] = []
    for id in hashing:
        hashed = known.files.get(id)
        if hashed is not None and settled(local.seen[id].stat, hashed, knobs.grain_ns):
            local.tree[id] = local.tree[id]._replace(content=hashed.content)
        else:
            anew.append(id)
    return anew


def agreed(local: Local, known: Known) -> bool:
    """Tell whether all that the drive has is here, and is there where both last agreed that it is."""

    def still(tie: Tie) -> bool:
        node = known.remote.get(tie.remote)  # type: ignore[call-overload]
        return (
            node is not None and tie.local in local.tree and (node.parent or ROOT, node.name) == (tie.parent, tie.name)
        )

    return len(known.remote) == len(known.ties) and all(map(still, known.ties))


def _for_now(local: Local, anew: list[str], files: Files, known: Known, knobs: Knobs, tell: Tell) -> list[str]:
    """Leave new files for later whose names nothing else has; return those that are to be read now."""
    folders = {local.seen[id].parent for id in anew}
    names = Counter((node.parent, key(node.name)) for node in local.tree.values() if node.parent in folders)
    now: list[str] = []
    later: list[Asked] = []
    for id in anew:
        node = local.tree[id]
        if id in known.ties.of_local or names[node.parent, key(node.name)] > 1:
            now.append(id)
        else:
            stat = local.seen[id].stat
            later.append(Asked(id, local.path(id), stat, known.files.get(id), stat.executable and files.executables))
            local.tree[id] = node._replace(content=promised(id))

    def took(asked: Asked, hashed: Hashed | None) -> None:
        seen = local.seen.get(asked.id)
        if seen is None or seen.stat is not asked.stat:
            return  # it is gone, and what has its inode by now is another one
        if hashed is None:
            tell("busy", local.name(asked.id))
            local.remove(asked.id)
            return
        known.hashed(asked.id, hashed)
        local.tree[asked.id] = local.tree[asked.id]._replace(content=hashed.content)
        tell("hashed", local.name(asked.id))

    if later:
        local.later = Later(later, Hashing(files, known.about.cutting, knobs).all, took)
        tell("left for later", str(len(later)))
    return now


async def _contents(local: Local, anew: list[str], files: Files, known: Known, knobs: Knobs, tell: Tell) -> None:
    """Find out what files hold; one that cannot be read holds what was last agreed, or is left out."""

    def asked(id: str) -> Asked:
        stat, tie = local.seen[id].stat, known.ties.of_local.get(id)
        program = stat.executable if files.executables else tie is not None and is_executable(tie.content)
        return Asked(id, local.path(id), stat, known.files.get(id), program)

    def took(asked: Asked, hashed: Hashed | None, why: str) -> None:
        id, tie = asked.id, known.ties.of_local.get(asked.id)
        if hashed is not None:
            if hashed != known.files.get(id):
                known.hashed(id, hashed)
            local.tree[id] = local.tree[id]._replace(content=hashed.content)
            tell("hashed", "/".join(asked.path))
            return
        if why:
            local.skipped[said(asked.path)] = why
        else:
            local.busy.add(id)
            tell("busy", "/".join(asked.path))
        if tie is None:
            local.remove(id)
        else:
            local.tree[id] = local.tree[id]._replace(content=tie.content)

    await Hashing(files, known.about.cutting, knobs).all([asked(id) for id in anew], took)


def _blind(local: Local, scan: Scan, known: Known) -> None:
    """What was in a folder that cannot be read now is taken to be as it was."""
    for id, why in scan.blind.items():
        if id in local.seen:
            local.skipped[said(local.path(id))] = why
    if not scan.blind:
        return
    within: defaultdict[object, list[str]] = defaultdict(list)
    for tie in known.ties:
        within[tie.parent].append(str(tie.local))
    waiting = [id for id in scan.blind if id in known.ties.of_local]
    while waiting:
        folder = waiting.pop()
        for id in within[known.ties.of_local[folder].remote]:
            if id not in local.tree:
                tie = known.ties.of_local[id]
                local.tree[id] = Node(folder, tie.name, tie.content)
                waiting.append(id)
