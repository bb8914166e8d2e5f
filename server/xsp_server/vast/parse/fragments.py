"""XML that is kept as text: extensions, and whatever the model has no field for.

The text stands by itself: prefixes that it uses and that are declared outside of it are declared
in it again. VAST's own namespace is left out, so that the text fits into a document of any version.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final
from xml.etree.ElementTree import Element

from xsp_server.vast.limits import Limits
from xsp_server.vast.parse.source import refuse_deep
from xsp_server.vast.schema import NAMESPACE

_XML: Final = "http://www.w3.org/XML/1998/namespace"
KNOWN_PREFIXES: Final = {"xml": _XML, "xsi": "http://www.w3.org/2001/XMLSchema-instance"}
"""Prefixes that need no declaration: the first by the standard, the second is often forgotten."""

_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_VALUE: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)

Scope = dict[str, str]
"""Namespaces by prefix; the empty prefix is that of the default namespace."""


def escaped(text: str) -> str:
    """Text as XML between tags."""
    return text.translate(_TEXT)


def quoted(value: str) -> str:
    """An attribute's value as XML, in quotes."""
    return f'"{value.translate(_VALUE)}"'


class Fragments:
    """Writes parts of one document as text.

    Attributes:
        kept: the lists of what was kept, one for each message that has any.
    """

    def __init__(self, root: Element, limits: Limits) -> None:
        """Notes what to ask when the first part is written: most documents have none."""
        self.kept: list[list[dict[str, Any]]] = []
        self._root = root
        self._max_depth = limits.max_depth

    def name_of(self, element: Element, name: str) -> str:
        """An attribute's name, without its prefix if nobody declared that."""
        return _attribute_name(name, self._scope(element)) if ":" in name else name

    def attribute(self, element: Element, name: str, value: str) -> dict[str, Any]:
        """An attribute of an element as an `XmlAttribute`."""
        prefix, _, local = name.rpartition(":")
        attribute = {"name": local, "value": value}
        space = self._scope(element).get(prefix) if prefix else None
        if space:
            attribute["namespace"] = space
        return attribute

    def element(self, element: Element) -> str:
        """An element with all that is in it."""
        around = self._scope(self._parents.get(element))
        scope, wanted = self._declared(element, around, {})
        text = "".join(self._pieces(element, scope, wanted, ""))
        # Values may use prefixes too (`xsi:type`), so what looks like a use counts as one.
        for prefix, space in scope.items():
            if prefix and space not in self._own and space != _XML and f"{prefix}:" in text:
                wanted[prefix] = space
        start = len(self._name(element.tag, scope)) + 1
        return text[:start] + _declarations(wanted) + text[start:]

    def inside(self, element: Element) -> str:
        """What stands between an element's tags, white space at both ends trimmed."""
        parts = [escaped(element.text or "")]
        for each in element:
            parts += self.element(each), escaped(each.tail or "")
        return "".join(parts).strip()

    @cached_property
    def _parents(self) -> dict[Element | None, Element]:
        """Parents of all elements, whose depth is counted for once."""
        refuse_deep(self._root, self._max_depth)
        return {child: parent for parent in self._root.iter() for child in parent}

    @cached_property
    def _own(self) -> frozenset[str]:
        """VAST's own namespaces: the root's, and IAB's."""
        prefix = self._root.tag.rpartition(":")[0]
        return frozenset({"", NAMESPACE, declarations_of(self._root).get(prefix, "")})

    def _scope(self, element: Element | None) -> Scope:
        """The namespaces that are declared where an element stands, and on it."""
        line = []
        while element is not None:
            line.append(element)
            element = self._parents.get(element)
        scope = dict(KNOWN_PREFIXES)
        for each in reversed(line):
            scope |= declarations_of(each)
        return scope

    def _pieces(
        self, element: Element, scope: Scope, declared: Scope, declarations: str
    ) -> Iterator[str]:
        """An element's text; `declared` is what is declared where it stands in the text."""
        name = self._name(element.tag, scope)
        attributes = {
            _attribute_name(key, scope): value
            for key, value in element.items()
            if not declares(key)
        }
        written = "".join(f" {key}={quoted(value)}" for key, value in attributes.items())
        if not len(element) and not element.text:
            yield f"<{name}{declarations}{written}/>"
            return
        yield f"<{name}{declarations}{written}>{escaped(element.text or '')}"
        for each in element:
            inner, wanted = self._declared(each, scope, declared)
            yield from self._pieces(each, inner, declared | wanted, _declarations(wanted))
            yield escaped(each.tail or "")
        yield f"</{name}>"

    def _declared(self, element: Element, around: Scope, declared: Scope) -> tuple[Scope, Scope]:
        """The namespaces in force on an element, and those that its text has to declare.

        They are those that it declares itself, and those that its names use.
        """
        here = declarations_of(element)
        scope = around | here if here else around
        wanted = {
            prefix: space
            for prefix, space in here.items()
            if around.get(prefix) != space and space not in self._own
        }
        prefix = element.tag.rpartition(":")[0]
        space = scope.get(prefix, "")
        if space in self._own:
            prefix, space = "", ""
        wanted[prefix] = space
        for key in element.attrib:
            prefix, colon, _ = key.rpartition(":")
            if colon and prefix not in {"xmlns", "xml"} and scope.get(prefix):
                wanted[prefix] = scope[prefix]
        return scope, {
            prefix: space for prefix, space in wanted.items() if declared.get(prefix, "") != space
        }

    def _name(self, tag: str, scope: Scope) -> str:
        """An element's name: VAST's own have no prefix, nor have those that nobody declared."""
        prefix, _, local = tag.rpartition(":")
        return tag if prefix and scope.get(prefix, "") not in self._own else local


def _attribute_name(key: str, scope: Scope) -> str:
    prefix, colon, local = key.rpartition(":")
    return key if not colon or scope.get(prefix) else local


def declares(name: str) -> bool:
    """Whether an attribute declares a namespace, so that it isn't content."""
    return name == "xmlns" or name.startswith("xmlns:")


def declarations_of(element: Element) -> Scope:
    """The namespaces that an element declares."""
    return {name.partition(":")[2]: space for name, space in element.items() if declares(name)}


def _declarations(scope: Scope) -> str:
    """Declarations as XML, by prefix."""
    return "".join(
        f" xmlns:{prefix}={quoted(space)}" if prefix else f" xmlns={quoted(space)}"
        for prefix, space in sorted(scope.items())
    )
