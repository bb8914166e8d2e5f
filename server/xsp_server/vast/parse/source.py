"""From bytes to a tree: character sets, what may not be in a document, limits, the root.

The tree is built by Python's own expat and `TreeBuilder`, both in C. Against lxml they are faster
on the whole way to a message, and they keep nothing: libxml2 keeps every name that it ever met, so
that hostile documents would fill the memory one by one.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate, XMLParserType

from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.limits import Limits
from xsp_server.vast.schema import DEEPEST, VERSIONS, name_of

_PLAIN: Final = (
    b"<VAST",
    b'<?xml version="1.0"?>',
    b'<?xml version="1.0" encoding="UTF-8"',
    b'<?xml version="1.0" encoding="utf-8"',
    b"<?xml version='1.0' encoding='UTF-8'",
)
"""How most documents begin: in UTF-8, with nothing before the XML."""

_UTF_8_NAMES: Final = frozenset({None, "utf-8", "UTF-8", "utf8", "UTF8"})

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, longest first."""

_NOT_IN_XML: Final = frozenset(
    {
        "idna",
        "mbcs",
        "oem",
        "punycode",
        "raw-unicode-escape",
        "undefined",
        "unicode-escape",
        "utf-7",
    }
)
"""Python's encodings that no document has; some of them are slow."""

_DECLARED: Final = re.compile(rb"""^[^<]{0,64}<\?xml\s[^>]*?\bencoding\s*=\s*["']([\w.:-]+)""")
_START: Final = re.compile(r"\A[ \t\r\n\v\f\0\x85\xa0\u200b\ufeff]*+(?:<\?xml\s[^>]*>)?")
"""What some servers send before the XML, where a parser allows nothing; and the declaration."""

_PASSED_OVER: Final = ((b"<![CDATA[", b"]]>"), (b"<!--", b"-->"), (b"<?", b"?>"), (b"</", b">"))
_TAG: Final = re.compile(rb"""<[^!"'>]*+(?:"[^"]*+"[^"'>]*+|'[^']*+'[^"'>]*+)*+>""")
_SMALLEST: Final = 4
"""Bytes of the smallest element, `<a/>`: what has fewer bytes an element needs no counting."""

_READ: Final = frozenset(map(name_of, VERSIONS))
_OTHER_MAJOR: Final = re.compile(r"\s*0*(?:[015-9]|[1-9]\d+)\s*(?:\.|$)", re.ASCII)
"""A version whose first number is none of 2, 3 and 4. What isn't a number at all is read."""


def tree_of(document: bytes, charset: str | None, limits: Limits) -> Element:
    """The root of a document: `VAST` of a version that is read. Names are as written.

    Raises:
        VastUnreadable: as `parse` does.
    """
    root = well_formed(document, charset, limits)
    refuse_others(root)
    return root


def well_formed(
    document: bytes,
    charset: str | None,
    limits: Limits,
    lines: dict[Element, int] | None = None,
) -> Element:
    """The root of any XML document within the limits. Names are as written.

    Args:
        document: the bytes.
        charset: as for `parse`.
        limits: how large the document may be.
        lines: where to put the line of each element; None for nowhere.

    Raises:
        VastUnreadable: not well-formed, a DOCTYPE, or beyond the limits.
    """
    if len(document) > limits.max_bytes:
        raise VastUnreadable(
            lists.FAILURE_REASON_BODY_TOO_LARGE,
            f"{len(document)} bytes; expected at most {limits.max_bytes}",
        )
    if charset not in _UTF_8_NAMES or not document.startswith(_PLAIN):
        document = _in_utf_8(document, charset)
    if len(document) > _SMALLEST * limits.max_elements:
        _refuse_too_many(document, limits.max_elements)
    builder = TreeBuilder()
    parser = ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    if lines is not None:
        parser.StartElementHandler = _with_lines(parser, builder, lines)
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(document, True)
    except ExpatError as error:
        raise VastUnreadable(
            lists.FAILURE_REASON_XML_MALFORMED,
            f"not well-formed XML: {error}",
            line=error.lineno,
        ) from None
    root = builder.close()
    if limits.max_depth < DEEPEST:
        refuse_deep(root, limits.max_depth)
    return root


def _with_lines(
    parser: XMLParserType, builder: TreeBuilder, lines: dict[Element, int]
) -> Callable[[str, dict[str, str]], None]:
    def start(name: str, attributes: dict[str, str]) -> None:
        lines[builder.start(name, attributes)] = parser.CurrentLineNumber

    return start


def refuse_deep(root: Element, max_depth: int) -> None:
    """Counts the elements within each other, level by level.

    What the schema knows is never deeper than `DEEPEST`; so documents that hold nothing else need
    no counting.

    Raises:
        VastUnreadable: more than `max_depth`.
    """
    depth, level = 0, [root]
    while level:
        depth += 1
        if depth > max_depth:
            raise _too_complex(f"more than {max_depth} elements within each other")
        level = [below for each in level for below in each]


def _in_utf_8(document: bytes, charset: str | None) -> bytes:
    """The document in UTF-8, without what stands before the first element but comments."""
    for name in _encodings(document, charset):
        try:
            text = document.decode(name)
            start = len(text) - len(_START.sub("", text, 1))
            # Lines keep their numbers.
            return b"\n" * text.count("\n", 0, start) + text[start:].encode()
        except UnicodeError:
            # A header or a declaration that contradicts the bytes is common: the next is tried.
            continue
    raise VastUnreadable(
        lists.FAILURE_REASON_XML_MALFORMED,
        "the bytes fit neither an encoding that was named nor UTF-8",
    )


def _encodings(document: bytes, charset: str | None) -> Iterator[str]:
    """Names of the encodings that the document may be in, the likeliest first.

    The bytes themselves come first, then the word from outside, then the document's own (RFC 7303).
    """
    for mark, name in _MARKS:
        if document.startswith(mark):
            yield name
    zeros = [byte == 0 for byte in document[:4]]
    if any(zeros[:2]):
        width = "32" if sum(zeros) == 3 else "16"
        yield f"utf-{width}-{'be' if zeros[0] else 'le'}"
    declared = _DECLARED.match(document)
    for given in (charset, declared and declared[1].decode("ascii")):
        name = _codec(given) if given else ""
        # Bytes that are two or four to a character were found out above.
        if name and not name.startswith(("utf-16", "utf-32")):
            yield name
    yield "utf-8"


def _codec(name: str) -> str:
    """Python's name of an encoding for text; empty for one that it doesn't have."""
    try:
        codec = codecs.lookup(name.strip("\"' "))
    except (LookupError, ValueError):
        return ""
    return codec.name if codec._is_text_encoding and codec.name not in _NOT_IN_XML else ""  # noqa: SLF001


def _refuse_too_many(document: bytes, most: int) -> None:
    """Counts before anything is built, as far as needed to know that there are too many."""
    count = 0
    for start, end in _tags(document):
        count += 1 + document.count(b"=", start, end)
        if count > most:
            raise _too_complex(f"more than {most} elements and attributes")


def _tags(document: bytes) -> Iterator[tuple[int, int]]:
    """Where each start tag begins and ends, up to where the document is not well-formed."""
    start = document.find(b"<")
    while start >= 0:
        ending = next(
            (end for begin, end in _PASSED_OVER if document.startswith(begin, start)), b""
        )
        if ending:
            end = document.find(ending, start) + len(ending)
            if end < len(ending):
                return
        else:
            tag = _TAG.match(document, start)
            if tag is None:
                return
            end = tag.end()
            yield start, end
        start = document.find(b"<", end)


def _refuse_doctype(*_: object) -> None:
    raise VastUnreadable(
        lists.FAILURE_REASON_DOCTYPE_REFUSED,
        "a document type declaration; VAST has none, and none is read",
    )


def _too_complex(description: str) -> VastUnreadable:
    return VastUnreadable(lists.FAILURE_REASON_DOCUMENT_TOO_COMPLEX, description)


def refuse_others(root: Element) -> None:
    """Refuses what is well-formed and not VAST 2.0 to 4.3."""
    version = root.get("version", "")
    if root.tag == "VAST" and version in _READ:
        return
    name = root.tag.rpartition(":")[2]
    if name == "VideoAdServingTemplate":
        raise VastUnreadable(lists.FAILURE_REASON_VERSION_REFUSED, "VAST 1.x; expected 2.0 to 4.3")
    if name != "VAST":
        raise VastUnreadable(
            lists.FAILURE_REASON_NOT_VAST, f"the root element is {name:.80}; expected VAST"
        )
    if _OTHER_MAJOR.match(version):
        raise VastUnreadable(
            lists.FAILURE_REASON_VERSION_REFUSED, f"version {version:.40}; expected 2.0 to 4.3"
        )
