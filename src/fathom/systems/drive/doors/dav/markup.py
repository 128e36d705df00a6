"""XML as WebDAV needs it: read within bounds and without what a DOCTYPE can do, written with its namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from fathom.errors import Refusal

__all__ = ["DAV", "XML_BYTES_MAX", "Element", "local", "parsed", "tag", "text", "written"]

DAV = "DAV:"
XML_BYTES_MAX = 256 << 10
_DEPTH_MAX, _ELEMENTS_MAX = 40, 5_000
_XML = "http://www.w3.org/XML/1998/namespace"
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def tag(name: str) -> str:
    """Return the full name of an element of WebDAV's own.

    >>> tag("prop")
    '{DAV:}prop'
    """
    return f"{{{DAV}}}{name}"


def parsed(raw: bytes) -> Element:
    """Return the root of a document; refuse what is none, is too deep, or declares anything of its own."""
    builder, parser = TreeBuilder(), expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > _DEPTH_MAX or count > _ELEMENTS_MAX:
            raise Refusal("invalid", "the XML is too deep, or has too many elements")
        builder.start(_full(name), {_full(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_full(name))

    def declares(*said: object) -> None:
        raise Refusal("invalid", "XML with a DOCTYPE is not read")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = declares
    parser.EntityDeclHandler = declares
    try:
        parser.Parse(raw, True)
        return builder.close()
    except (expat.ExpatError, ValueError, AssertionError) as unfit:
        raise Refusal("invalid", f"the XML cannot be read: {unfit}") from None


def written(element: Element, within: str | None = None) -> str:
    """Return an element as text that says its own namespaces, to be put where `within` is the default one.

    >>> written(parsed(b'<a:x xmlns:a="DAV:" k="1"><a:y/>&lt;</a:x>'))
    '<x xmlns="DAV:" k="1"><y/>&lt;</x>'
    """
    space, name = _split(str(element.tag))
    said = name if space == within else f"{name} xmlns={quoteattr(space)}"
    for number, (key, value) in enumerate(element.attrib.items()):
        its, plain = _split(key)
        if its == _XML:
            said += f" xml:{plain}={quoteattr(value)}"
        elif its:
            said += f" xmlns:a{number}={quoteattr(its)} a{number}:{plain}={quoteattr(value)}"
        else:
            said += f" {plain}={quoteattr(value)}"
    inside = text(element.text or "") + "".join(written(it, space) + text(it.tail or "") for it in element)
    return f"<{said}>{inside}</{name}>" if inside else f"<{said}/>"


def text(words: str) -> str:
    """Return text as it is written in XML; what cannot be is left out."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", words))


def local(name: str, inside: str | Iterable[str] = "") -> str:
    """Return an element of WebDAV's, in a document that calls its namespace `D`."""
    body = inside if isinstance(inside, str) else "".join(inside)
    return f"<D:{name}>{body}</D:{name}>" if body else f"<D:{name}/>"


def _full(name: str) -> str:
    return "{" + name if "}" in name else name


def _split(name: str) -> tuple[str, str]:
    space, _, plain = name[1:].rpartition("}") if name[:1] == "{" else ("", "", name)
    return space, plain
