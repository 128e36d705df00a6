"""Bytes from a Redis client → commands, incrementally: a stream means the same however it is cut.

Two readers of one grammar. The quick one takes whole commands of small arguments apart with a single `split`: a header
`$n` that is followed by a token of n bytes up to the next line end is the argument, whatever else is in it; where that
does not hold, the other reader goes on from there, byte by byte where it must. It keeps its place in a command, so that
nothing is read twice, and what is too large is read past, never kept.

The protocol: redis.io/docs/latest/develop/reference/protocol-spec. The errors are in the words of Redis (networking.c).
"""

from __future__ import annotations

from .limits import Limits

__all__ = ["Parser", "Unread", "whole_number"]

CRLF = b"\r\n"
STAR, DOLLAR, NEWLINE = 42, 36, b"\n"
QUICK_BYTES_MAX = 64 << 10
QUICK_COUNTS = {b"*%d" % n: 2 * n for n in range(1, 17)}
QUICK_LENGTHS = tuple(b"$%d" % n for n in range(2_049))
KEPT_BYTES = 64  # what Python keeps of an argument besides its bytes, at least
STRANGER_ELEMENTS_MAX, STRANGER_BULK_MAX = 10, 16_384  # as Redis has it


class Unread(list[bytes]):
    """Stands where a command was that cannot be executed, with what to answer: it was too large, and read past; or
    nothing after it can be read either (`ends`). It has no name, so nobody takes it for another."""

    def __init__(self, says: str, *, ends: bool = False) -> None:
        super().__init__((b"",))
        self.says, self.ends = says, ends


def whole_number(raw: bytes) -> int | None:
    """Return a number as Redis reads it: no sign but a minus, no zero before it, nothing around it; None: it is none.

    >>> whole_number(b"-12"), whole_number(b"+12"), whole_number(b"012"), whole_number(b"0"), whole_number(b"-0")
    (-12, None, None, 0, None)
    """
    digits = raw[1:] if raw[:1] == b"-" else raw
    if not digits.isdigit() or len(digits) > 19 or (digits[0] == 48 and len(raw) > 1):
        return None
    return int(raw)


class Parser:
    """Of one connection. After an error of the protocol (`broken`) nothing more is read."""

    __slots__ = (
        "_args",
        "_bytes",
        "_chunks",
        "_left",
        "_limits",
        "_missing",
        "_quick",
        "_rest",
        "_says",
        "_skip",
        "_too_large",
        "broken",
        "stranger",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # No command that the quick reader takes exceeds a limit.
        self._quick = limits.value_bytes_max >= len(QUICK_LENGTHS) and limits.command_bytes_max >= QUICK_BYTES_MAX
        self.broken = False
        self.stranger = False  # has not shown its token: less is read from it, and one command at a time
        self._rest = b""  # the beginning of a line
        self._args: list[bytes] | None = None  # of a command that is not yet whole
        self._left = 0  # arguments that it still lacks
        self._bytes = 0  # that it takes so far
        self._missing = 0  # bytes of the argument that is being read, with its line end
        self._chunks: list[bytes] = []
        self._skip = 0  # bytes of it to read past
        self._too_large = ""
        self._says = ""  # what is wrong

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Take what has come, and return the commands that are whole now."""
        found: list[list[bytes]] = []
        if self.broken:
            return found
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        if self._quick and self._args is None and not self.stranger and len(data) <= QUICK_BYTES_MAX:
            at = _quick(data, found)
        if at < len(data):
            self._slow(data, at, found)
        if self._says:
            found.append(Unread(f"ERR Protocol error: {self._says}", ends=True))
            self._says, self.broken = "", True
        return found

    def _slow(self, data: bytes, at: int, found: list[list[bytes]]) -> None:
        end = len(data)
        while at < end and not self._says:
            if self._args is None:
                if self.stranger and found:
                    self._rest = data[at:]
                    return
                at = self._begin(data, at, found)
            elif self._missing:
                at = self._more(data, at, end)
            else:
                at = self._argument(data, at)
            if self._args is not None and not self._left and not self._missing:
                found.append(self._whole())

    # A command -------------------------------------------------------------------------------------------------------

    def _begin(self, data: bytes, at: int, found: list[list[bytes]]) -> int:
        """Read the header of a command, or an inline command; return where to go on."""
        if data[at] != STAR:
            return self._inline(data, at, found)
        line = self._line(data, at, CRLF, "too big mbulk count string")
        if line is None:
            return len(data)
        count = whole_number(line[1:])
        if count is None or count > self._limits.elements_max:
            self._break("invalid multibulk length")
        elif self.stranger and count > STRANGER_ELEMENTS_MAX:
            self._break("unauthenticated multibulk length")
        elif count > 0:
            self._args, self._left, self._bytes, self._too_large = [], count, 0, ""
        return at + len(line) + 2

    def _argument(self, data: bytes, at: int) -> int:
        """Read the header of an argument, and the argument where it is all there."""
        if data[at] != DOLLAR:
            self._break(f"expected '$', got '{chr(data[at]) if 32 <= data[at] < 127 else '?'}'")
            return at
        line = self._line(data, at, CRLF, "too big bulk count string")
        if line is None:
            return len(data)
        length, limits = whole_number(line[1:]), self._limits
        if length is None or length < 0 or length > limits.bulk_bytes_max:
            self._break("invalid bulk length")
            return at
        if self.stranger and length > STRANGER_BULK_MAX:
            self._break("unauthenticated bulk length")
            return at
        at += len(line) + 2
        self._left -= 1
        self._bytes += length + KEPT_BYTES
        if length > limits.value_bytes_max:
            self._too_large = f"an argument has {length:,} bytes: at most {limits.value_bytes_max:,} are taken"
        elif self._bytes > limits.command_bytes_max:
            self._too_large = f"the command has over {limits.command_bytes_max:,} bytes: send fewer keys at once"
        if self._too_large:
            self._skip, length = length, 0
        self._missing = length + 2
        return at

    def _more(self, data: bytes, at: int, end: int) -> int:
        """Read on in an argument."""
        if self._skip:
            past = min(self._skip, end - at)
            self._skip -= past
            return at + past
        stop = at + self._missing
        if stop > end:
            self._chunks.append(data[at:])
            self._missing -= end - at
            return end
        assert self._args is not None
        if self._chunks:
            argument = b"".join((*self._chunks, data[at:stop]))
            self._chunks = []
            ended, argument = argument[-2:], argument[:-2]
        else:
            ended, argument = data[stop - 2 : stop], data[at : stop - 2]
        self._missing = 0
        if ended != CRLF:
            self._break("expected a line end after a bulk string")
        elif not self._too_large or not self._args:  # the name is said with the error
            self._args.append(argument)
        return stop

    def _whole(self) -> list[bytes]:
        args, self._args = self._args, None
        assert args is not None
        if self._too_large:
            name = args[0].decode("utf-8", "replace")[:128] if args else ""
            args = Unread(f"ERR '{name}' was not done: {self._too_large}")
        return args

    # Lines -----------------------------------------------------------------------------------------------------------

    def _line(self, data: bytes, at: int, ending: bytes, too_big: str) -> bytes | None:
        """Return the line that begins here without its end; None: the rest of it has not come."""
        stop = data.find(ending, at)
        if (len(data) if stop < 0 else stop) - at > self._limits.line_bytes_max:
            self._break(too_big)
            return None
        if stop < 0:
            self._rest = data[at:]
            return None
        return data[at:stop]

    def _inline(self, data: bytes, at: int, found: list[list[bytes]]) -> int:
        line = self._line(data, at, NEWLINE, "too big inline request")
        if line is None:
            return len(data)
        args = _words(line.removesuffix(b"\r"))
        if args is None:
            self._break("unbalanced quotes in request")
        elif args:
            found.append(args)
        return at + len(line) + 1

    def _break(self, says: str) -> None:
        self._says = says
        self._rest, self._args, self._chunks = b"", None, []


def _quick(data: bytes, found: list[list[bytes]]) -> int:
    """Take apart what can be with one `split`; return where it has to be read more carefully."""
    tokens = data.split(CRLF)
    last, at = len(tokens) - 1, 0  # the last token is what follows the last line end
    try:
        while at < last:
            end = at + 1 + QUICK_COUNTS[tokens[at]]
            if end > last:
                break
            args = tokens[at + 2 : end : 2]
            if tokens[at + 1 : end : 2] != [QUICK_LENGTHS[len(arg)] for arg in args]:
                break
            found.append(args)
            at = end
        else:
            return len(data) - len(tokens[last])
    except (KeyError, IndexError):
        pass  # many arguments, or a large one, or no array
    return sum(map(len, tokens[:at])) + 2 * at


def _words(line: bytes) -> list[bytes] | None:
    """Split an inline command as Redis does; None: a quote does not end, or something follows it at once."""
    if b'"' not in line and b"'" not in line:
        return line.split()
    words: list[bytes] = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at : at + 1].isspace():
            at += 1
        if at >= end:
            return words
        word = bytearray()
        while at < end and not line[at : at + 1].isspace():
            quote = line[at : at + 1]
            if quote in (b'"', b"'"):
                at = _quoted(line, at + 1, quote, word)
                if at < 0 or (at < end and not line[at : at + 1].isspace()):
                    return None
            else:
                word += quote
                at += 1
        words.append(bytes(word))


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def _quoted(line: bytes, at: int, quote: bytes, word: bytearray) -> int:
    """Read up to the closing quote; return what is after it, or -1."""
    while at < len(line):
        char, after = line[at : at + 1], line[at + 1 : at + 2]
        if char == quote:
            return at + 1
        if char == b"\\" and quote == b'"' and after:
            digits = line[at + 2 : at + 4]
            if after == b"x" and len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits):
                word.append(int(digits, 16))
                at += 4
            else:
                word += _ESCAPES.get(after, after)
                at += 2
        elif char == b"\\" and after == b"'" and quote == b"'":
            word += b"'"
            at += 2
        else:
            word += char
            at += 1
    return -1
