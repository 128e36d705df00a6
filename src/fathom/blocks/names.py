"""What files may be called so that every device can have them, and which names are one to somebody.

What is two files to Linux is one to a Mac or to Windows where names differ in case or in how an accent is written.
`key` is equal for such names: Unicode's canonical caseless match (The Unicode Standard, 3.13, D145). What a name must
not be is taken from POSIX, and from Microsoft's *Naming Files, Paths, and Namespaces*.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["BYTES_MAX", "conflicted", "elsewhere", "is_conflicted", "key", "refused"]

BYTES_MAX = 255  # of a name, in UTF-8; Windows and macOS count 255 units of UTF-16, which are never more

_PORTS = "0123456789\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}"
_WINDOWS = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", *(kind + port for kind in ("com", "lpt") for port in _PORTS)]
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_WINDOWS = frozenset('<>:"\\|?*')
_CONFLICT = re.compile(r" \(conflict [^()]{1,40} [0-9a-f]{8}\)")
_DEVICE_MAX = 40


def key(name: str) -> str:
    """Return what is equal of two names that some file system takes for one.

    >>> key("Ström.TXT") == key("stro\N{COMBINING DIAERESIS}m.txt")
    True
    >>> key("strasse") == key("STRA\N{LATIN SMALL LETTER SHARP S}E")
    True
    """
    if name.isascii():
        return name.lower()
    decomposed = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", decomposed.casefold()).casefold())


def refused(name: str) -> str:
    """Say why no file is called so anywhere; nothing if one may be.

    >>> refused("a/b")
    'a name has no slash'
    """
    if name in ("", ".", ".."):
        return "that is no name of a file"
    if "/" in name:
        return "a name has no slash"
    if _CONTROL.search(name):
        return "a name has no control characters"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "a name is text: this one has bytes that are not UTF-8"
    return f"a name has at most {BYTES_MAX} bytes, and this one has {length}" if length > BYTES_MAX else ""


def elsewhere(name: str) -> str:
    """Say why a name that is good here cannot be had on Windows; nothing if it can.

    >>> elsewhere("aux.c")
    'Windows keeps the name aux for a device'
    """
    if not _NOT_IN_WINDOWS.isdisjoint(name):
        found = sorted(_NOT_IN_WINDOWS.intersection(name))
        return f"no name on Windows has {' or '.join(found)}"
    if name.endswith((".", " ")):
        return "no name on Windows ends with a dot or a space"
    stem = name.partition(".")[0].rstrip(" ")
    return f"Windows keeps the name {stem} for a device" if stem.casefold() in _WINDOWS else ""


def conflicted(name: str, device: str, version: str) -> str:
    """Return what a device's own version of a file is called where another one came first.

    The same version of the same device is called the same each time, so that who was interrupted makes no second
    copy; a copy of a copy has one such mark. `version` is hexadecimal, of at least eight digits.

    >>> conflicted("plan.tar.gz", "ann's laptop", "5f3a99c0")
    "plan (conflict ann's laptop 5f3a99c0).tar.gz"
    >>> conflicted("plan (conflict bob 00000000).txt", "ann", "5f3a99c0")
    'plan (conflict ann 5f3a99c0).txt'
    """
    if not re.fullmatch("[0-9a-f]{8,}", version):
        raise ValueError(f"a version is told by at least eight hexadecimal digits, not {version[:40]!r}")
    known = re.sub(r"[()/\x00-\x1f\x7f]", "", device).strip()[:_DEVICE_MAX].strip() or "a device"
    plain = _CONFLICT.sub("", name)
    head = plain[:1]  # a name that begins with a dot is hidden, not an extension
    stem, dot, ending = plain[1:].partition(".")
    mark, ending = f" (conflict {known} {version[:8]})", dot + ending
    return _shortened(head + stem, BYTES_MAX - len((mark + ending).encode())) + mark + ending


def is_conflicted(name: str) -> bool:
    """Tell whether a name is one that `conflicted` gave."""
    return _CONFLICT.search(name) is not None


def _shortened(text: str, bytes_max: int) -> str:
    """Cut text so that it fits, between letters and not within one."""
    cut = text.encode()[: max(1, bytes_max)].decode(errors="ignore")
    while cut and len(cut) < len(text) and unicodedata.combining(text[len(cut)]):
        cut = cut[:-1]
    return cut
