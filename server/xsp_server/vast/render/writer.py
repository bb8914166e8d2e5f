"""Writes messages by their plans."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from xml.parsers.expat import ExpatError, ParserCreate

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from xsp.vast.v1 import vast_pb2, violations_pb2
from xsp_server.vast.parse.fragments import escaped, quoted
from xsp_server.vast.render.plans import LABELS, ChildPlan, Plan, plan_of
from xsp_server.vast.schema import Version, name_of

Fields = dict[FieldDescriptor, Any]
"""The fields of a message that are set."""

Contents = Sequence[vast_pb2.UnknownContent]
"""What no field is for."""

Unknown = dict[str, list[vast_pb2.UnknownContent]]
"""The same by path."""

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

OF_VERSION: Final = frozenset({_NOT_IN_VERSION, _ATTRIBUTE_NOT_IN_VERSION, _REPEATED})
"""The rules by which one version leaves out what another may hold."""


class NotWhole(Exception):
    """The version can't hold all of the message."""


class Writer:
    """Writes one document.

    Attributes:
        parts: the document in pieces.
        left_out: what the version, or XML itself, can't hold.
        lacking: what the version requires and the message lacks.
    """

    def __init__(self, version: Version, *, indent: bool = False, whole: bool = False) -> None:
        """Starts with nothing.

        Args:
            version: to write.
            indent: whether the XML is spread over lines.
            whole: whether to raise `NotWhole` at the first thing that the version can't hold.
        """
        self.parts: list[str] = []
        self.left_out: list[violations_pb2.Violation] = []
        self.lacking: list[violations_pb2.Violation] = []
        self._version = version
        self._whole = whole
        self._margin = "\n" if indent else ""  # what stands before a tag
        self._step = "  " if indent else ""
        self._line = 1
        self._counted = 0  # parts whose lines are in `_line`

    def document(self, vast: vast_pb2.Vast) -> None:
        """Writes a document, which has the version."""
        self.parts.append(_DECLARATION)
        self._message(vast, "VAST", plan_of(self._version), "VAST")

    def _message(self, message: Message, name: str, plan: Plan, path: str) -> None:
        """Writes the element of a message; `path` is as violations have it."""
        fields: Fields = dict(message.ListFields())
        unknown = _by_path(fields.pop(plan.unknown)) if plan.unknown in fields else {}
        fits = plan.fields.issuperset(fields)
        if self._whole and not fits:  # told before anything is written for nothing
            raise NotWhole
        own = unknown.pop("", ()) if unknown else ()
        attributes = self._attributes(fields, plan, own, path)
        text = self._text(fields[plan.text], path) if plan.text and plan.text in fields else ""
        if plan.children or own:
            self.parts.append(f"{self._margin}<{name}{attributes}>{text}")
            inside = len(self.parts)
            self._inside(fields, plan, unknown, own, path)
            margin = self._margin if len(self.parts) > inside else ""
            self.parts.append(f"{margin}</{name}>")
        else:
            self.parts.append(f"{self._margin}<{name}{attributes}>{text}</{name}>")
        if not fits:
            self._leave_out_fields(message, fields.keys() - plan.fields, path)
        for where in unknown:
            self._leave_out(f"{path}/{where}", _NOT_IN_VERSION, "its element is not written")
        if plan.content and plan.content.isdisjoint(fields):
            self._lack(path, _AD_CONTENT, "neither InLine nor Wrapper; expected one of them")

    def _inside(
        self, fields: Fields, plan: Plan, unknown: Unknown, own: Contents, path: str
    ) -> None:
        """Writes the elements in an element; `own` is what no field is for, right in it."""
        margin = self._margin
        self._margin += self._step
        for child in plan.children:
            below = f"{path}/{child.name}"
            if child.field is None:
                self._group(child, fields, unknown, below)
            elif child.field not in fields:
                if child.required:
                    self._lack(below, _MISSING, "missing")
            elif child.repeated:
                self._list(child, fields[child.field], unknown, below)
            else:
                self._child(child, fields[child.field], 1, unknown, below)
        if own:
            self._fragments(own, path, self._margin)
        self._margin = margin

    def _group(self, child: ChildPlan, fields: Fields, unknown: Unknown, path: str) -> None:
        """Writes an element that has no message of its own, if there is anything in it.

        Where the schema wants it and nothing in it, an empty one is written.
        """
        assert child.plan is not None  # noqa: S101  (groups have one)
        if child.plan.fields.isdisjoint(fields) and child.name not in unknown:
            if not child.required:
                return
            if any(below.required for below in child.plan.children):
                self._lack(path, _MISSING, "missing")
                return
        own = unknown.pop(child.name, ())
        attributes = self._unknown_attributes(own, set(), path)
        self.parts.append(f"{self._margin}<{child.name}{attributes}>")
        self._inside(fields, child.plan, unknown, own, path)
        self.parts.append(f"{self._margin}</{child.name}>")

    def _list(self, child: ChildPlan, values: Iterable[Any], unknown: Unknown, path: str) -> None:
        is_leaf = child.plan is not None and not child.plan.children
        for index, value in enumerate(values, 1):
            if is_leaf and child.most is None:
                leaf = _leaf(value, child)
                if leaf:
                    self.parts.append(self._margin + leaf)
                    continue
            numbered = f"{path}[{index}]"
            if child.most is not None and index > child.most:
                problem = f"VAST {name_of(self._version)} has at most {child.most}"
                self._leave_out(numbered, _REPEATED, problem)
            else:
                self._child(child, value, index, unknown, numbered)

    def _child(self, child: ChildPlan, value: Any, index: int, unknown: Unknown, path: str) -> None:
        """Writes one element, the `index`-th of its name."""
        if child.plan:
            self._message(value, child.name, child.plan, path)
        elif child.opaque:
            self._extension(child.name, value, path)
        elif unknown:
            own = unknown.pop(child.name if index == 1 else f"{child.name}[{index}]", ())
            attributes = self._unknown_attributes(own, set(), path)
            text = self._text(str(value), path)
            self.parts.append(f"{self._margin}<{child.name}{attributes}>{text}")
            self._fragments(own, path, "")
            self.parts.append(f"</{child.name}>")
        else:
            text = self._text(str(value), path)
            self.parts.append(f"{self._margin}<{child.name}>{text}</{child.name}>")

    def _extension(self, name: str, extension: vast_pb2.Extension, path: str) -> None:
        written = ""
        if extension.HasField("type"):
            written = f" type={self._value(extension.type, path)}"
        written += self._foreign(extension.attributes, {"type"}, path)
        self.parts.append(f"{self._margin}<{name}{written}>")
        if _well_formed(extension.xml):
            self.parts.append(extension.xml)
        else:
            self._leave_out(path, _VALUE, "content that is not well-formed XML")
        self.parts.append(f"</{name}>")

    def _attributes(self, fields: Fields, plan: Plan, own: Contents, path: str) -> str:
        written = plan.declarations
        for name, field, required in plan.attributes:
            if field in fields:
                value = fields[field]
                text = value if isinstance(value, str) else str(value).lower()
                written += f" {name}={self._value(text, path)}"
            elif required:
                self._lack(f"{path}/@{name}", _ATTRIBUTE_MISSING, "missing")
        if not own:
            return written
        used = {name for name, field, _ in plan.attributes if field in fields}
        return written + self._unknown_attributes(own, used, path)

    def _unknown_attributes(self, own: Contents, used: set[str], path: str) -> str:
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
                    written += f" xmlns:{prefix}={self._value(each.namespace, path)}"
            if name in used or not _is_name(each.name):
                self._leave_out(
                    f"{path}/@{name}", _ATTRIBUTE_VALUE, "not a name, or given a second time"
                )
                continue
            used.add(name)
            written += f" {name}={self._value(each.value, path)}"
        return written

    def _fragments(self, own: Contents, path: str, margin: str) -> None:
        """Elements that the model has no field for."""
        for each in own:
            if not each.HasField("xml"):
                continue
            if _well_formed(each.xml):
                self.parts.append(margin + each.xml)
            else:
                self._leave_out(path, _VALUE, "content that is not well-formed XML")

    def _text(self, text: str, path: str) -> str:
        """Text as it stands in an element: with markup in it, as CDATA."""
        if not (text.isascii() and text.isprintable()):
            text = self._held(text, path)
        if "<" not in text and "&" not in text:
            return escaped(text) if ">" in text or "\r" in text else text
        if "\r" in text:
            return escaped(text)
        return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"

    def _value(self, text: str, path: str) -> str:
        """Text as it stands in an attribute, with its quotes."""
        if not (text.isascii() and text.isprintable()):
            return quoted(self._held(text, path))
        return quoted(text) if '"' in text or "&" in text or "<" in text else f'"{text}"'

    def _held(self, text: str, path: str) -> str:
        """The text, with U+FFFD for characters that XML can't hold."""
        held = _NOT_IN_XML.sub("\ufffd", text)
        if held != text:
            self._leave_out(path, _VALUE, "control characters; U+FFFD stands for each")
        return held

    def _lack(
        self, path: str, rule: "violations_pb2.ViolationRule.ValueType", problem: str
    ) -> None:
        self._line += sum(part.count("\n") for part in self.parts[self._counted :])
        self._counted = len(self.parts)
        message = f"{problem}; VAST {name_of(self._version)} requires it"
        self.lacking.append(_violation(path, rule, message, line=self._line))

    def _leave_out_fields(
        self, message: Message, fields: Iterable[FieldDescriptor], path: str
    ) -> None:
        for field in sorted(fields, key=lambda each: each.number):
            label = LABELS.get((message.DESCRIPTOR.name, field.name), field.name)
            is_attribute = label.startswith("@")
            rule = _ATTRIBUTE_NOT_IN_VERSION if is_attribute else _NOT_IN_VERSION
            self._leave_out(f"{path}/{label}", rule, f"VAST {name_of(self._version)} has none here")

    def _leave_out(
        self, path: str, rule: "violations_pb2.ViolationRule.ValueType", problem: str
    ) -> None:
        if self._whole and rule in OF_VERSION:
            raise NotWhole
        self.left_out.append(_violation(path, rule, f"left out: {problem}"))


def _leaf(message: Message, child: ChildPlan) -> str:
    """An element without any in it, such as a tracker; empty where anything has to be looked at.

    It writes what `Writer` does, for nothing but text that stands in XML as it is.
    """
    plan = child.plan
    assert plan is not None  # noqa: S101  (as for whoever asks)
    fields: Fields = dict(message.ListFields())
    if not plan.fields.issuperset(fields):
        return ""
    written = f"<{child.name}"
    text = fields.get(plan.text, "") if plan.text else ""
    for name, field, required in plan.attributes:
        value = fields.get(field)
        if value is None:
            if required:
                return ""
            continue
        if not isinstance(value, str):
            value = str(value).lower()
        if not _PLAIN.fullmatch(value):
            return ""
        written = f'{written} {name}="{value}"'
    if _PLAIN.fullmatch(text):
        return f"{written}>{text}</{child.name}>"
    if _IN_CDATA.fullmatch(text) and "]]>" not in text and ("&" in text or "<" in text):
        return f"{written}><![CDATA[{text}]]></{child.name}>"
    return ""


_PLAIN: Final = re.compile("[ !#-%'-;=?-~]*")
"""Text that is the same between tags and in an attribute."""
_IN_CDATA: Final = re.compile("[ -~]*")


def _violation(
    path: str, rule: "violations_pb2.ViolationRule.ValueType", message: str, line: int | None = None
) -> violations_pb2.Violation:
    return violations_pb2.Violation(
        line=line, path=path, rule=rule, message=message, severity=_ERROR
    )


def _by_path(contents: Contents) -> Unknown:
    by_path: Unknown = {}
    for each in contents:
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
