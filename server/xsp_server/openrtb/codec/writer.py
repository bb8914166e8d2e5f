"""Messages to OpenRTB JSON, driven by tables that are made once from the descriptors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.errors import InvalidJson, Violation
from xsp_server.openrtb.codec.defaults import DEFAULTS
from xsp_server.openrtb.codec.ext import join
from xsp_server.openrtb.codec.schema import (
    EMBEDDED,
    EXT,
    FLAG,
    INTEGER,
    INTEGERS,
    NUMBER,
    NUMBERS_BY_NAME,
    OBJECT,
    OBJECTS,
    RAW_JSON,
    STRING,
    STRINGS,
    VALUE,
    kind_of,
)
from xsp_server.openrtb.codec.values import finite, from_value

PLAIN: Final = -1  # goes to JSON as it is
RAW: Final = -2  # an `ext` without typed members
TEXT: Final = -3  # a message that JSON has as text

_list_fields: Callable[[Message], Sequence[tuple[FieldDescriptor, Any]]] = BidRequest.ListFields
"""Any message's `ListFields`: looking methods up on a message costs as much as a field."""


@dataclass(slots=True, eq=False)
class Form:
    """One message type as it is written: name, kind and form by field, and values to begin with."""

    fields: dict[FieldDescriptor, tuple[str, int, "Form"]] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)


def write(message: Message, *, defaults: bool) -> bytes:
    """The JSON of a message, with the specification's defaults where it has none, if asked for.

    Raises:
        InvalidJson: the message holds what JSON can't: numbers that are not finite, or `raw_json`
            that is no JSON object.
    """
    form = _form(message.DESCRIPTOR, defaults)
    try:
        return orjson.dumps(_members(message, form))
    except ValueError:
        raise InvalidJson(*_faults(message, form, "")) from None


def _members(message: Message, form: Form) -> dict[str, Any]:
    members = form.defaults.copy()
    fields = form.fields
    for descriptor, value in _list_fields(message):
        name, kind, inner = fields[descriptor]
        if kind == PLAIN:
            members[name] = value
        elif kind == FLAG:
            members[name] = +value
        elif kind == OBJECT:
            members[name] = _members(value, inner)
        elif kind == STRINGS:
            members[name] = value[:]
        elif kind == OBJECTS:
            members[name] = [_members(each, inner) for each in value[:]]
        else:
            members[name] = _RARE[kind](value, inner)
    return members


def _raw(value: Any, _form: Form) -> Any:
    raw = value.raw_json
    return join({}, raw) if raw or value.HasField(RAW_JSON) else {}


def _ext(value: Message, form: Form) -> Any:
    typed = _members(value, form)
    raw = typed.pop(RAW_JSON, None)
    return typed if raw is None else join(typed, raw)


def _text(value: Message, form: Form) -> str:
    return orjson.dumps(_members(value, form)).decode()


_RARE: dict[int, Callable[[Any, Form], Any]] = {
    NUMBER: lambda value, _form: finite(value),
    RAW: _raw,
    EXT: _ext,
    TEXT: _text,
    VALUE: lambda value, _form: from_value(value),
    NUMBERS_BY_NAME: lambda value, _form: {name: finite(value[name]) for name in value},
}


def _faults(message: Message, form: Form, path: str) -> list[Violation]:
    """Finds again, with their paths, what can't be written."""
    found = []
    for descriptor, value in _list_fields(message):
        name, kind, inner = form.fields[descriptor]
        place = f"{path}.{name}" if path else name
        below = []
        if kind in {OBJECT, TEXT, EXT, RAW}:
            below = _faults(value, inner, place)
        elif kind == OBJECTS:
            for index, each in enumerate(value):
                below += _faults(each, inner, f"{place}[{index}]")
        if kind in _RARE and not below:
            try:
                _RARE[kind](value, inner)
            except ValueError as error:
                below = [Violation(place, str(error))]
        found += below
    return found


@cache
def _form(descriptor: Descriptor, filled: bool) -> Form:
    fields = {}
    for each in descriptor.fields:
        kind = PLAIN if each.name == RAW_JSON else kind_of(each)
        inner = Form()
        if each.message_type is not None and kind in {OBJECT, OBJECTS, EXT}:
            inner = _form(each.message_type, filled)
        if each.name in EMBEDDED:
            kind = TEXT
        elif kind == EXT and len(inner.fields) == 1:
            kind = RAW
        elif kind in {STRING, INTEGER}:
            kind = PLAIN
        elif kind == INTEGERS:
            kind = STRINGS  # written alike
        fields[each] = EMBEDDED.get(each.name, each.name), kind, inner
    name = descriptor.full_name.removeprefix(_PACKAGE)
    return Form(fields, dict(DEFAULTS.get(name, {})) if filled else {})


_PACKAGE: Final = "xsp.openrtb.v2."
