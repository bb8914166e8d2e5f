"""Which element and attribute goes to which field, drawn from the table of the schema."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as with_default
from enum import IntEnum
from typing import Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from xsp.vast.v1 import vast_pb2
from xsp_server.vast.schema import VAST, Element

Read = Callable[[str], object]
"""Reads text as a field's value; None where it doesn't read as the field's type."""


Glossary = Mapping[str, object]
"""Values as documents write them, and as fields hold them: a look-up costs less than reading."""


class Kind(IntEnum):
    """What becomes of a child element."""

    MESSAGES = 0  # one more of a list of messages
    MESSAGE = 1  # a message
    TEXTS = 2  # one more of a list of strings
    TEXT = 3  # a string
    GROUP = 4  # nothing itself: its children have fields here
    EXTENSION = 5  # one more of a list of extensions
    NUMBER = 6  # an integer


class Child(NamedTuple):
    """An element that a message knows.

    Attributes:
        kind: what becomes of it.
        field: where it goes; empty for a group.
        shape: of its message, or of what a group holds.
        rival: another field of the same `oneof`; empty without one.
    """

    kind: int
    field: str
    shape: "Shape"
    rival: str = ""


@dataclass(slots=True)
class Shape:
    """What an element may hold.

    Attributes:
        text: the field for its own text; empty for none.
        attributes: by name, in every spelling of the standard: field, and the commonest values as
            written and as read (None: text).
        folded: by name in lower case: field, and how any value is read (None: text).
        plain: the attributes that are strings and named as their fields are.
        children: by name, without namespace.
    """

    text: str = ""
    attributes: dict[str, tuple[str, Glossary | None]] = with_default(default_factory=dict)
    folded: dict[str, tuple[str, Read | None]] = with_default(default_factory=dict)
    plain: set[str] = with_default(default_factory=set)
    children: dict[str, Child] = with_default(default_factory=dict)


_INTEGER: Final = re.compile(r"\s*[+-]?[0-9]{1,19}\s*", re.ASCII)
_WORDS_OF_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}


def read_int32(text: str) -> int | None:
    """An integer of 32 bits."""
    number = int(text) if _INTEGER.fullmatch(text) else 1 << 31
    return number if -(1 << 31) <= number < 1 << 31 else None


def read_int64(text: str) -> int | None:
    """An integer of 64 bits."""
    number = int(text) if _INTEGER.fullmatch(text) else 1 << 63
    return number if -(1 << 63) <= number < 1 << 63 else None


def read_bool(text: str) -> bool | None:
    """A flag: true, 1, false or 0, in any case."""
    return _WORDS_OF_TRUTH.get(text.strip().lower())


_READS: Final[dict[int, Read]] = {
    FieldDescriptor.TYPE_INT32: read_int32,
    FieldDescriptor.TYPE_INT64: read_int64,
    FieldDescriptor.TYPE_BOOL: read_bool,
}
_NUMBERS: Final = {str(number): number for number in range(4097)}
_AT_A_GLANCE: Final[dict[Read | None, Glossary]] = {
    read_int32: _NUMBERS,
    read_int64: _NUMBERS,
    read_bool: _WORDS_OF_TRUTH,
}


def _message_shape(known: dict[str, Shape], descriptor: Descriptor, element: Element) -> Shape:
    """The shape of a message, with what this element adds to it.

    InLine and Wrapper share messages, so that a shape is drawn from several elements.
    """
    shape = known.setdefault(descriptor.name, Shape())
    if element.type != "container" and not shape.text:
        shape.text = "url" if "url" in descriptor.fields_by_name else "value"
    for attribute in element.attributes:
        read = _READS.get(descriptor.fields_by_name[attribute.field].type)
        shape.attributes[attribute.name] = attribute.field, _AT_A_GLANCE.get(read)
        shape.folded[attribute.name.lower()] = attribute.field, read
        if attribute.field == attribute.name and read is None:
            shape.plain.add(attribute.name)
    _add_children(known, shape, descriptor, element)
    return shape


def _add_children(
    known: dict[str, Shape], shape: Shape, descriptor: Descriptor, element: Element
) -> None:
    for each in element.children:
        child = shape.children.get(each.name) or _child(known, descriptor, each)
        shape.children[each.name] = child
        if child.kind == Kind.GROUP:
            _add_children(known, child.shape, descriptor, each)
        elif message := _message_of(descriptor, each):
            _message_shape(known, message, each)


def _child(known: dict[str, Shape], descriptor: Descriptor, element: Element) -> Child:
    if not element.field:
        return Child(int(Kind.GROUP), "", Shape())
    field = descriptor.fields_by_name[element.field]
    rivals = field.containing_oneof.fields if field.containing_oneof else []
    rival = next((other.name for other in rivals if other.name != field.name), "")
    shape = Shape()
    if element.type == "xml":
        kind = Kind.EXTENSION
    elif message := _message_of(descriptor, element):
        kind = Kind.MESSAGES if field.is_repeated else Kind.MESSAGE
        shape = known.setdefault(message.name, shape)
    elif field.type == FieldDescriptor.TYPE_STRING:
        kind = Kind.TEXTS if field.is_repeated else Kind.TEXT
    else:
        kind = Kind.NUMBER
    return Child(int(kind), element.field, shape, rival)


def _message_of(descriptor: Descriptor, element: Element) -> Descriptor | None:
    """The message that an element is; None for a string, a number and what is kept as text."""
    return descriptor.fields_by_name[element.field].message_type if element.type != "xml" else None


VAST_SHAPE: Final = _message_shape({}, vast_pb2.Vast.DESCRIPTOR, VAST)
"""The shape of the root."""
