"""Writes messages by their plans."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate

from google.protobuf.message import Message

from xsp.vast.v1 import vast_pb2, violations_pb2
from xsp_server.vast.parse.fragments import escaped, quoted
from xsp_server.vast.render.plans import LABELS, ChildPlan, Plan, plan_of
from xsp_server.vast.schema import NAMESPACE, Version, name_of

Fields = dict[str, Any]
"""The fields of a message that are set, by name."""

Unknown = dict[str, list[vast_pb2.UnknownContent]]
"""What no field is for, by path."""

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'

_NOT_IN_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 can't hold, not even escaped."""

_NAME: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_BETWEEN: Final = frozenset(" \t\r\n:=\"'<>/&")
"""Characters that end a name, or divide it."""

_PREFIXES: Final = {
    "http://www.w3.org/XML/1998/namespace": "xml",
    "http://www.w3.org/2001/XMLSchema-instance": "xsi",
}

_MISSING: Final = violations_pb2.VIOLATION_RULE_ELEMENT_MISSING
_ATTRIBUTE_MISSING: Final = violations_pb2.VIOLATION_RULE_ATTRIBUTE_MISSING
_NOT_IN_VERSION: Final = violations_pb2.VIOLATION_RULE_ELEMENT_NOT_IN_VERSION
_ATTRIBUTE_NOT_IN_VERSION: Final = violations_pb2.VIOLATION_RULE_ATTRIBUTE_NOT_IN_VERSION
_REPEATED: Final = violations_pb2.VIOLATION_RULE_ELEMENT_REPEATED
_VALUE: Final = violations_pb2.VIOLATION_RULE_ELEMENT_VALUE
_ATTRIBUTE_VALUE: Final = violations_pb2.VIOLATION_RULE_ATTRIBUTE_VALUE
_AD_CONTENT: Final = violations_pb2.VIOLATION_RULE_AD_CONTENT
_ERROR: Final = violations_pb2.VIOLATION_SEVERITY_ERROR


class Place(NamedTuple):
    """Where an element goes.

    Attributes:
        path: as violations have it.
        depth: elements around it.
    """

    path: str
    depth: int


class Writer:
    """Writes one document.

    Attributes:
        parts: the document in pieces.
        left_out: what the version, or XML itself, can't hold.
        lacking: what the version requires and the message lacks.
    """

    def __init__(self, version: Version, *, indent: bool) -> None:
        """Starts with nothing."""
        self.parts: list[str] = []
        self.left_out: list[violations_pb2.Violation] = []
        self.lacking: list[violations_pb2.Violation] = []
        self._version = version
        self._indent = indent
        self._line = 1

    def document(self, vast: vast_pb2.Vast) -> None:
        """Writes a document, which has the version."""
        self._write(_DECLARATION)
        self._message(vast, "VAST", plan_of(self._version), Place("VAST", 0))

    def _message(self, message: Message, name: str, plan: Plan, place: Place) -> None:
        """Writes the element of a message."""
        fields = {field.name: value for field, value in message.ListFields()}
        unknown = _unknown(fields)
        own = unknown.pop("", [])
        self._start(name, self._attributes(fields, plan, own, place.path), place.depth)
        if plan.text:
            self._write(self._text(fields.get(plan.text, ""), place.path))
        inside = len(self.parts)
        self._children(fields, plan, unknown, place)
        self._fragments(own, place.path, place.depth + 1)
        self._end(name, place.depth if len(self.parts) > inside else None)
        for field in fields.keys() - plan.fields - {"unknown"}:
            self._leave_out_field(message, field, place.path)
        for where in unknown:
            self._leave_out(f"{place.path}/{where}", _NOT_IN_VERSION, "its element is not written")
        if "content" in message.DESCRIPTOR.oneofs_by_name and not message.WhichOneof("content"):
            self._lack(place.path, _AD_CONTENT, "neither InLine nor Wrapper; expected one of them")

    def _children(self, fields: Fields, plan: Plan, unknown: Unknown, place: Place) -> None:
        for child in plan.children:
            inner = Place(f"{place.path}/{child.name}", place.depth + 1)
            if child.field:
                value = fields.get(child.field)
                if value is None:
                    self._require(child, inner.path)
                elif isinstance(value, str | int | Message):
                    self._child(child, value, 1, unknown, inner)
                else:
                    self._list(child, value, unknown, inner)
            elif child.plan and (child.name in unknown or not child.plan.fields.isdisjoint(fields)):
                self._group(child, fields, unknown, inner)
            elif child.plan and child.required:
                # Where the schema wants it and nothing in it, an empty one is written.
                if any(below.required for below in child.plan.children):
                    self._require(child, inner.path)
                else:
                    self._group(child, fields, unknown, inner)

    def _group(self, child: ChildPlan, fields: Fields, unknown: Unknown, place: Place) -> None:
        """Writes an element that has no message of its own."""
        assert child.plan is not None  # noqa: S101  (groups have one)
        own = unknown.pop(child.name, [])
        self._start(child.name, self._unknown_attributes(own, set(), place.path), place.depth)
        self._children(fields, child.plan, unknown, place)
        self._fragments(own, place.path, place.depth + 1)
        self._end(child.name, place.depth)

    def _list(
        self, child: ChildPlan, values: Iterable[Any], unknown: Unknown, place: Place
    ) -> None:
        for index, value in enumerate(values, 1):
            numbered = Place(f"{place.path}[{index}]", place.depth)
            if child.most is not None and index > child.most:
                problem = f"VAST {name_of(self._version)} has at most {child.most}"
                self._leave_out(numbered.path, _REPEATED, problem)
            else:
                self._child(child, value, index, unknown, numbered)

    def _child(
        self, child: ChildPlan, value: Any, index: int, unknown: Unknown, place: Place
    ) -> None:
        """Writes one element, the `index`-th of its name."""
        if child.opaque:
            self._extension(child.name, value, place)
        elif child.plan:
            self._message(value, child.name, child.plan, place)
        else:
            own = unknown.pop(child.name if index == 1 else f"{child.name}[{index}]", [])
            attributes = self._unknown_attributes(own, set(), place.path)
            self._start(child.name, attributes, place.depth)
            self._write(self._text(str(value), place.path))
            self._fragments(own, place.path, None)
            self._end(child.name, None)

    def _extension(self, name: str, extension: vast_pb2.Extension, place: Place) -> None:
        written = ""
        if extension.HasField("type"):
            written = f" type={quoted(self._held(extension.type, place.path))}"
        written += self._foreign(extension.attributes, {"type"}, place.path)
        self._start(name, written, place.depth)
        if _well_formed(extension.xml):
            self._write(extension.xml)
        else:
            self._leave_out(place.path, _VALUE, "content that is not well-formed XML")
        self._end(name, None)

    def _attributes(
        self, fields: Fields, plan: Plan, own: Sequence[vast_pb2.UnknownContent], path: str
    ) -> str:
        written, used = "", set()
        if path == "VAST" and self._version >= 40:
            written = f" xmlns={quoted(NAMESPACE)}"
        for name, field, required in plan.attributes:
            value = fields.get(field)
            if value is not None:
                used.add(name)
                text = str(value).lower() if isinstance(value, bool) else str(value)
                written += f" {name}={quoted(self._held(text, path))}"
            elif required:
                self._lack(f"{path}/@{name}", _ATTRIBUTE_MISSING, "missing")
        return written + self._unknown_attributes(own, used, path) if own else written

    def _unknown_attributes(
        self, own: Iterable[vast_pb2.UnknownContent], used: set[str], path: str
    ) -> str:
        given = [each.attribute for each in own if each.HasField("attribute")]
        return self._foreign(given, used, path) if given else ""

    def _foreign(
        self, attributes: Iterable[vast_pb2.XmlAttribute], used: set[str], path: str
    ) -> str:
        """Attributes of any name and namespace, but for names that are used already."""
        written, prefixes = "", dict(_PREFIXES)
        for each in attributes:
            name = each.name
            if each.namespace:
                prefix = prefixes.get(each.namespace, f"a{len(prefixes)}")
                name = f"{prefix}:{name}"
                if prefix != "xml" and f"xmlns:{prefix}" not in used:
                    used.add(f"xmlns:{prefix}")
                    prefixes[each.namespace] = prefix
                    written += f" xmlns:{prefix}={quoted(self._held(each.namespace, path))}"
            if name in used or not _is_name(each.name):
                self._leave_out(
                    f"{path}/@{name}", _ATTRIBUTE_VALUE, "not a name, or given a second time"
                )
                continue
            used.add(name)
            written += f" {name}={quoted(self._held(each.value, path))}"
        return written

    def _fragments(
        self, own: Iterable[vast_pb2.UnknownContent], path: str, depth: int | None
    ) -> None:
        """Elements that the model has no field for."""
        for each in own:
            if not each.HasField("xml"):
                continue
            if _well_formed(each.xml):
                self._write(self._margin(depth) + each.xml)
            else:
                self._leave_out(path, _VALUE, "content that is not well-formed XML")

    def _text(self, text: str, path: str) -> str:
        """Text as it stands in an element: with markup in it, as CDATA."""
        text = self._held(text, path)
        if "\r" in text or ("<" not in text and "&" not in text):
            return escaped(text)
        return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"

    def _held(self, text: str, path: str) -> str:
        """The text, with U+FFFD for characters that XML can't hold."""
        held = text if text.isascii() and text.isprintable() else _NOT_IN_XML.sub("\ufffd", text)
        if held != text:
            self._leave_out(path, _VALUE, "control characters; U+FFFD stands for each")
        return held

    def _start(self, name: str, attributes: str, depth: int) -> None:
        self._write(f"{self._margin(depth)}<{name}{attributes}>")

    def _end(self, name: str, depth: int | None) -> None:
        self._write(f"{self._margin(depth)}</{name}>")

    def _margin(self, depth: int | None) -> str:
        return "\n" + "  " * depth if self._indent and depth is not None else ""

    def _write(self, piece: str) -> None:
        self.parts.append(piece)
        self._line += piece.count("\n")

    def _require(self, child: ChildPlan, path: str) -> None:
        if child.required:
            self._lack(path, _MISSING, "missing")

    def _lack(
        self, path: str, rule: "violations_pb2.ViolationRule.ValueType", problem: str
    ) -> None:
        message = f"{problem}; VAST {name_of(self._version)} requires it"
        self.lacking.append(_violation(path, rule, message, line=self._line))

    def _leave_out_field(self, message: Message, field: str, path: str) -> None:
        label = LABELS.get((message.DESCRIPTOR.name, field), field)
        is_attribute = label.startswith("@")
        rule = _ATTRIBUTE_NOT_IN_VERSION if is_attribute else _NOT_IN_VERSION
        self._leave_out(f"{path}/{label}", rule, f"VAST {name_of(self._version)} has none here")

    def _leave_out(
        self, path: str, rule: "violations_pb2.ViolationRule.ValueType", problem: str
    ) -> None:
        self.left_out.append(_violation(path, rule, f"left out: {problem}"))


def _violation(
    path: str, rule: "violations_pb2.ViolationRule.ValueType", message: str, line: int | None = None
) -> violations_pb2.Violation:
    return violations_pb2.Violation(
        line=line, path=path, rule=rule, message=message, severity=_ERROR
    )


def _unknown(fields: Fields) -> Unknown:
    by_path: Unknown = {}
    for each in fields.get("unknown", ()):
        by_path.setdefault(each.path, []).append(each)
    return by_path


def _is_name(text: str) -> bool:
    """Whether an attribute can be called so."""
    if text.isascii():
        return bool(_NAME.fullmatch(text)) and text != "xmlns"
    return _BETWEEN.isdisjoint(text) and _well_formed(f'<x {text}=""/>')


def _well_formed(xml: str) -> bool:
    """Whether text can stand between tags without changing what stands around it."""
    if "<" not in xml and "&" not in xml and not _NOT_IN_XML.search(xml):
        return "]]>" not in xml
    parser = ParserCreate("utf-8", " ")
    try:
        parser.Parse(f"<x>{xml}</x>".encode(), True)
    except ExpatError:
        return False
    return True
