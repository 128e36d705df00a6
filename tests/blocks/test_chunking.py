"""Chunks lie where a plain reading of the paper puts them, and an edit moves few of them."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fathom.blocks.chunking import KIB, MIB, Cutting, plain_ends

SMALL = Cutting("content", 64, 256, 1024)
texts = st.builds(
    lambda seed, length, letters: bytes(random.Random(seed).choices(range(letters), k=length)),
    st.integers(0, 1 << 16),
    st.integers(0, 6_000),
    st.sampled_from([2, 4, 256]),
)


def noise(n: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(n)


def pieces(cutting: Cutting, data: bytes) -> list[bytes]:
    ends = cutting.ends(data)
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@given(texts, st.sampled_from([256, 300, 512, 724, 726]), st.integers(0, 2) | st.integers(0, (1 << 63) - 1))
@example(b"", 256, 0)
@example(bytes(5_000), 256, 0)
def test_the_native_code_cuts_where_the_plain_one_does(data: bytes, usual: int, key: int):
    cutting = Cutting("content", 64, usual, 1024, key)
    assert cutting.ends(data) == plain_ends(cutting, data)


@given(texts, st.lists(st.integers(0, 2_000), max_size=12), st.sampled_from([SMALL, Cutting.fixed(100)]))
def test_what_comes_bit_by_bit_is_cut_as_the_whole(data: bytes, steps: list[int], cutting: Cutting):
    ends, done, read = list[int](), 0, 0
    for step in [*steps, len(data)]:
        read = min(len(data), read + step)
        told = cutting.ends(data[done:read], last=read == len(data))
        ends += [done + end for end in told]
        done = ends[-1] if ends else 0
        assert read - done < cutting.most or read == len(data)
        if read == len(data):
            break
    assert ends == cutting.ends(data)


@given(texts, st.sampled_from([SMALL, Cutting.fixed(7), Cutting.fixed(4096)]))
def test_the_chunks_together_are_the_file_and_of_the_sizes_that_were_promised(data: bytes, cutting: Cutting):
    cut = pieces(cutting, data)
    assert b"".join(cut) == data
    assert all(0 < len(piece) <= cutting.most for piece in cut)
    assert all(len(piece) >= cutting.least for piece in cut[:-1])


@pytest.mark.slow
def test_an_insertion_changes_a_few_chunks_by_content_and_all_that_follow_by_size():
    data = noise(8 * MIB)
    edited = data[:1_000] + b"a few bytes more" + data[1_000:]
    for cutting, shared in ((Cutting.content(64 * KIB), 0.95), (Cutting.fixed(64 * KIB), 0.0)):
        before, after = ({hashlib.sha256(piece).digest() for piece in pieces(cutting, text)} for text in (data, edited))
        kept = len(before & after) / len(after)
        assert kept >= shared if shared else kept == 0, cutting.id


@pytest.mark.slow
@pytest.mark.parametrize("usual", [16 * KIB, 64 * KIB, 256 * KIB])
def test_chunks_of_noise_are_about_as_large_as_usual(usual: int):
    data = noise(200 * usual)
    assert 0.8 * usual < len(data) / len(Cutting.content(usual).ends(data)) < 1.6 * usual


def test_who_does_not_know_the_key_does_not_know_the_sizes():
    data = noise(64 * KIB)
    one, other = (set(Cutting("content", 64, 256, 1024, key).ends(data)) for key in (11, 12))
    assert len(one & other) < 0.1 * len(one)


@pytest.mark.parametrize(
    ("cutting", "says"),
    [
        (Cutting.content(MIB), "fastcdc2020-262144-1048576-4194304"),
        (Cutting.content(4 * MIB, key=255), "fastcdc2020-1048576-4194304-16777216-00000000000000ff"),
        (Cutting.fixed(MIB), "fixed-1048576"),
    ],
)
def test_an_id_is_for_good(cutting: Cutting, says: str):
    assert cutting.id == says and Cutting.of(says) == cutting


def test_what_was_cut_years_ago_is_cut_there_today():
    """Other cuts share no chunk with what is stored: a release of the library that moves them must be noticed here."""
    data = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(8_192))
    ends = Cutting.content(16 * KIB).ends(data)
    assert hashlib.sha256(repr(ends).encode()).hexdigest()[:16] == "e967ea420e857dca"


@pytest.mark.parametrize(
    "id", ["", "fixed-", "fixed-0", "fixed-12 ", "fastcdc2020-1-2-3", "fastcdc2020-64-256-1024-ff"]
)
def test_an_id_of_nothing_is_refused(id: str):
    with pytest.raises(ValueError, match=r"no way to cut|chunks of"):
        Cutting.of(id)


@pytest.mark.parametrize(
    "sizes", [(0, 256, 1024), (64, 255, 1024), (64, 256, 255), (300, 256, 1024), (64, 256, 32 * MIB), (65, 256, 1024)]
)
def test_sizes_that_no_chunks_have_are_refused(sizes: tuple[int, int, int]):
    with pytest.raises(ValueError, match="cannot be cut by content"):
        Cutting("content", *sizes)
