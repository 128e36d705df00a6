"""Names that some device takes for one have one key, and a conflict's copy is called the same each time."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fathom.blocks.names import BYTES_MAX, conflicted, elsewhere, is_conflicted, key, refused

ACUTE, SHARP_S = "\N{COMBINING ACUTE ACCENT}", "\N{LATIN SMALL LETTER SHARP S}"
E_ACUTE, DOTLESS = "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{LATIN SMALL LETTER DOTLESS I}"
letters = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/")
texts = st.text(letters, min_size=1, max_size=80)
names = texts.filter(lambda name: not refused(name))
versions = st.text("0123456789abcdef", min_size=8, max_size=40)


@given(texts)
def test_the_key_of_a_key_is_itself(name: str):
    assert key(key(name)) == key(name)


@given(texts, st.sampled_from(["NFC", "NFD"]))
def test_however_accents_are_written_it_is_one_name(name: str, form):
    assert key(unicodedata.normalize(form, name)) == key(name)


@given(texts)
def test_in_capitals_it_is_one_name(name: str):
    assert key(name.casefold()) == key(name)
    assert key(name.swapcase().casefold()) == key(name.swapcase())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("README", "readme"),
        (f"{E_ACUTE}t{E_ACUTE}", f"e{ACUTE}TE{ACUTE}"),
        ("\N{OHM SIGN}", "\N{GREEK SMALL LETTER OMEGA}"),
        ("\N{KELVIN SIGN}", "k"),
        (f"stra{SHARP_S}e", "STRASSE"),
        ("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK CAPITAL LETTER SIGMA}"),
        ("a\N{COMBINING DOT BELOW}\N{COMBINING DOT ABOVE}", "a\N{COMBINING DOT ABOVE}\N{COMBINING DOT BELOW}"),
    ],
)
def test_names_that_clash_somewhere_have_one_key(one: str, other: str):
    assert one != other and key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("a", "b"), ("a.txt", "a.txt "), ("resume", f"r{E_ACUTE}sume"), ("i", DOTLESS)]
)
def test_names_that_are_two_everywhere_have_two_keys(one: str, other: str):
    assert key(one) != key(other)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "no name"),
        ("..", "no name"),
        ("a/b", "slash"),
        ("a\0b", "control"),
        ("two\nlines", "control"),
        ("caf\udce9", "not UTF-8"),
        (E_ACUTE * 128, "at most 255 bytes, and this one has 256"),
    ],
)
def test_what_no_file_may_be_called_is_said(name: str, says: str):
    assert says in refused(name)


@pytest.mark.parametrize("name", ["a", "...", ".hidden", "a b ", "nul", "x" * 255, "\N{EURO SIGN}" * 85])
def test_all_else_may_be_had_here(name: str):
    assert not refused(name)


@pytest.mark.parametrize(
    "name",
    ["a:b", "what?", "a\\b", "end.", "end ", "CON", "nul.txt", "Com1.tar.gz", "lpt\N{SUPERSCRIPT TWO}", "aux .c"],
)
def test_what_windows_cannot_have_is_said(name: str):
    assert not refused(name) and elsewhere(name)


@pytest.mark.parametrize("name", ["console", "com", "com10", "null", ".con", "a.aux", "lpt\N{SUPERSCRIPT FOUR}"])
def test_what_only_looks_like_a_device_is_none(name: str):
    assert not elsewhere(name)


@given(names, st.text(max_size=60), versions)
def test_a_copy_has_a_name_that_can_be_had_and_says_what_it_is(name: str, device: str, version: str):
    copy = conflicted(name, device.encode(errors="replace").decode(), version)
    assert not refused(copy) and is_conflicted(copy) and copy != name
    assert copy == conflicted(name, device.encode(errors="replace").decode(), version)


@given(names, versions, versions)
def test_a_copy_of_a_copy_has_one_mark(name: str, first: str, then: str):
    assume(not is_conflicted(name))
    copy = conflicted(conflicted(name, "ann", first), "bob", then)
    assert copy.count("(conflict ") - name.count("(conflict ") == 1 and then[:8] in copy


@given(names, versions, versions)
def test_other_versions_are_other_copies(name: str, one: str, other: str):
    assume(one[:8] != other[:8])
    assert conflicted(name, "ann", one) != conflicted(name, "ann", other)


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("notes.txt", "notes (conflict ann 0123abcd).txt"),
        ("notes", "notes (conflict ann 0123abcd)"),
        (".profile", ".profile (conflict ann 0123abcd)"),
        (".config.json", ".config (conflict ann 0123abcd).json"),
        ("a.tar.gz", "a (conflict ann 0123abcd).tar.gz"),
    ],
)
def test_it_opens_with_what_the_file_opened_with(name: str, copy: str):
    assert conflicted(name, "ann", "0123abcd99") == copy


def test_a_name_that_is_full_gives_way_to_the_mark_between_letters():
    copy = conflicted(f"e{ACUTE}" * 83 + ".pdf", "ann", "0123abcd")
    assert len(copy.encode()) <= BYTES_MAX and copy.endswith(" (conflict ann 0123abcd).pdf")
    assert copy.partition(" (")[0].endswith(f"e{ACUTE}")


@pytest.mark.parametrize("version", ["", "12", "g" * 8, "ABCDEF01"])
def test_a_version_that_tells_nothing_apart_is_refused(version: str):
    with pytest.raises(ValueError, match="eight hexadecimal"):
        conflicted("a", "ann", version)
