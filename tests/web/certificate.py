"""A certificate for localhost, made on the spot: no key lies in the repository, and no program is needed."""

from __future__ import annotations

import base64
import datetime
import hashlib
import secrets
from pathlib import Path

# The curve P-256 (FIPS 186-4).
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def make(folder: Path) -> tuple[Path, Path]:
    """Write cert.pem and key.pem, valid for a day; return their paths."""
    secret = secrets.randbelow(N - 1) + 1
    public = _times(secret, G)
    assert public is not None
    raw = b"\x04" + public[0].to_bytes(32, "big") + public[1].to_bytes(32, "big")
    certificate = _certificate(secret, raw)
    key = _seq(_int(1), _tag(0x04, secret.to_bytes(32, "big")), _tag(0xA0, _oid(1, 2, 840, 10045, 3, 1, 7)))
    paths = folder / "cert.pem", folder / "key.pem"
    for path, kind, der in zip(paths, ("CERTIFICATE", "EC PRIVATE KEY"), (certificate, key), strict=True):
        body = base64.encodebytes(der).decode()
        path.write_text(f"-----BEGIN {kind}-----\n{body}-----END {kind}-----\n")
    return paths


def _certificate(secret: int, public: bytes) -> bytes:
    signed_with = _seq(_oid(1, 2, 840, 10045, 4, 3, 2))  # ecdsa-with-SHA256
    name = _seq(_tag(0x31, _seq(_oid(2, 5, 4, 3), _tag(0x0C, b"localhost"))))
    now = datetime.datetime.now(datetime.UTC)
    days = [now + datetime.timedelta(days=by) for by in (-1, 1)]
    valid = _seq(*(_tag(0x17, day.strftime("%y%m%d%H%M%SZ").encode()) for day in days))
    key = _seq(_seq(_oid(1, 2, 840, 10045, 2, 1), _oid(1, 2, 840, 10045, 3, 1, 7)), _bits(public))
    names = _seq(_tag(0x82, b"localhost"), _tag(0x87, bytes((127, 0, 0, 1))))
    extensions = _tag(0xA3, _seq(_seq(_oid(2, 5, 29, 17), _tag(0x04, names))))
    told = _seq(_tag(0xA0, _int(2)), _int(secrets.randbits(63)), signed_with, name, valid, name, key, extensions)
    return _seq(told, signed_with, _bits(_signature(secret, told)))


def _signature(secret: int, told: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(told).digest(), "big")
    while True:
        once = secrets.randbelow(N - 1) + 1
        point = _times(once, G)
        assert point is not None
        r = point[0] % N
        s = pow(once, -1, N) * (digest + r * secret) % N
        if r and s:
            return _seq(_int(r), _int(s))


def _times(scalar: int, point: Point) -> Point:
    total: Point = None
    while scalar:
        if scalar & 1:
            total = _plus(total, point)
        point = _plus(point, point)
        scalar >>= 1
    return total


def _plus(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P) if one == other else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


# DER.


def _tag(number: int, body: bytes) -> bytes:
    size = len(body)
    if size < 128:
        return bytes((number, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((number, 0x80 | len(length))) + length + body


def _seq(*parts: bytes) -> bytes:
    return _tag(0x30, b"".join(parts))


def _int(value: int) -> bytes:
    return _tag(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(body: bytes) -> bytes:
    return _tag(0x03, b"\x00" + body)


def _oid(first: int, second: int, *rest: int) -> bytes:
    body = bytearray((40 * first + second,))
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        body += bytes(reversed(groups))
    return _tag(0x06, bytes(body))
