"""The JSON form of every OpenRTB message as tables, made once from the descriptors."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1

RAW_JSON: Final = "raw_json"
"""The field of an `Ext` message that holds the text of all members without a field."""

EMBEDDED: Final = {"request_native": "request", "adm_native": "adm"}
"""Fields that JSON has as text under another name: `Imp.native.request` and `Bid.adm`."""

# What a member holds in JSON. Plain numbers, because the passes compare them for every member; the
# constructor of a message does for STRING and INTEGER all that there is to do, and for their arrays
# most.
STRING: Final = 0
INTEGER: Final = 1
STRINGS: Final = 2
INTEGERS: Final = 3
FLAG: Final = 4  # bool in the message, 0 or 1 in JSON
OBJECT: Final = 5
EXCLUSIVE_OBJECT: Final = 6  # an OBJECT of a oneof, in `Schema.special` only
NUMBER: Final = 7  # double
OBJECTS: Final = 8
EXT: Final = 9
VALUE: Final = 10  # google.protobuf.Value: any JSON
NUMBERS_BY_NAME: Final = 11  # map<string, double>

_SINGULAR = {
    FieldDescriptor.TYPE_STRING: STRING,
    FieldDescriptor.TYPE_INT32: INTEGER,
    FieldDescriptor.TYPE_BOOL: FLAG,
    FieldDescriptor.TYPE_DOUBLE: NUMBER,
}
_REPEATED = {
    FieldDescriptor.TYPE_STRING: STRINGS,
    FieldDescriptor.TYPE_INT32: INTEGERS,
}


@dataclass(slots=True, eq=False)
class Schema:
    """One message type as JSON.

    Attributes:
        members: kind and, for objects, schema by JSON name; what JSON doesn't have is missing.
        plain: names whose values the message's constructor checks and takes as JSON has them.
        special: all other members.
        exclusive: groups of names of which at most one may be present; all are objects.
        open: names of members that hold an `ext` or any JSON, at some depth.
        has_numbers: a double is in here at some depth, outside of what `raw_json` holds.
    """

    members: dict[str, "Member"]
    plain: frozenset[str]
    special: dict[str, "Member"]
    exclusive: tuple[tuple[str, ...], ...]
    open: frozenset[str]
    has_numbers: bool


Member = tuple[int, Schema]


def schema_of(message_type: type[Message]) -> Schema:
    """The schema of a message type.

    Raises:
        TypeError: a field is of a type that OpenRTB's JSON doesn't have.
    """
    schema = _schemas.get(message_type)
    if schema is None:
        schema = _schemas[message_type] = _schema(message_type.DESCRIPTOR)
    return schema


def is_ext(descriptor: Descriptor) -> bool:
    """Tells whether this is the message of an `ext` object."""
    return RAW_JSON in descriptor.fields_by_name


def kind_of(descriptor: FieldDescriptor) -> int:
    """What the member of this field holds in JSON.

    Raises:
        TypeError: OpenRTB's JSON has no such type.
    """
    message = descriptor.message_type
    if message is None:
        kind = (_REPEATED if descriptor.is_repeated else _SINGULAR).get(descriptor.type)
        if kind is None:
            raise TypeError(f"{descriptor.full_name}: OpenRTB JSON has no form for this type")
        return kind
    if message.full_name == "google.protobuf.Value":
        return VALUE
    if message.GetOptions().map_entry:
        kind_of(message.fields_by_name["value"])
        return NUMBERS_BY_NAME
    if is_ext(message):
        return EXT
    return OBJECTS if descriptor.is_repeated else OBJECT


@cache
def _schema(descriptor: Descriptor) -> Schema:
    members: dict[str, Member] = {}
    has_numbers = False
    for each in descriptor.fields:
        if each.name in EMBEDDED or each.name == RAW_JSON:
            continue
        kind = kind_of(each)
        inner = _NOTHING
        if each.message_type is not None and kind in {OBJECT, OBJECTS, EXT}:
            inner = _schema(each.message_type)
        members[each.name] = (kind, inner)
        has_numbers |= kind in {NUMBER, VALUE, NUMBERS_BY_NAME} or inner.has_numbers
    groups = [
        tuple(each.name for each in oneof.fields if each.name in members)
        for oneof in descriptor.oneofs
    ]
    exclusive = tuple(group for group in groups if len(group) > 1)
    special = {name: member for name, member in members.items() if member[0] not in _PLAIN}
    special |= {name: (EXCLUSIVE_OBJECT, members[name][1]) for group in exclusive for name in group}
    plain = frozenset(members.keys() - special.keys())
    is_open = frozenset(
        name for name, (kind, inner) in members.items() if kind in {EXT, VALUE} or inner.open
    )
    return Schema(members, plain, special, exclusive, is_open, has_numbers)


_schemas: dict[type[Message], Schema] = {}
_PLAIN = frozenset({STRING, INTEGER})
_NOTHING = Schema({}, frozenset(), {}, (), frozenset(), has_numbers=False)
