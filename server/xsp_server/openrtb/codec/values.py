"""`google.protobuf.Value` and JSON, both ways; and what JSON's types are called."""

from math import isfinite
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

from xsp_server.openrtb.codec.exact import Exact

MAX_DEPTH: Final = 16
"""Levels of nesting in one `Value` that we read: each costs up to three of protobuf's 100."""
MAX_WRITTEN_DEPTH: Final = 64
"""Levels in one that we write; bytes can't hold more within protobuf's limit."""
MAX_EXACT: Final = 2**53
"""The greatest integer up to which a double holds every integer."""


def to_value(json: Any) -> Value:
    """JSON as `Value`; it must be one that `is_value` accepts, or numbers may be rounded."""
    kind = type(json)
    if kind is str:
        return Value(string_value=json)
    if kind is bool:
        return Value(bool_value=json)
    if kind is dict:
        members = {name: to_value(each) for name, each in json.items()}
        return Value(struct_value=Struct(fields=members))
    if kind is list:
        return Value(list_value=ListValue(values=[to_value(each) for each in json]))
    if kind is Exact:
        return Value(number_value=float(json.text))
    return Value(null_value=NullValue.NULL_VALUE) if json is None else Value(number_value=json)


def from_value(value: Value, levels: int = MAX_WRITTEN_DEPTH) -> Any:
    """`Value` as JSON; integers as int.

    Raises:
        ValueError: a number is not finite, nothing is set, or it is nested too deep.
    """
    if not levels:
        raise ValueError(f"expected at most {MAX_WRITTEN_DEPTH} levels of nesting")
    match value.WhichOneof("kind"):
        case "null_value":
            return None
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            members = value.struct_value.fields
            return {name: from_value(members[name], levels - 1) for name in members}
        case "list_value":
            return [from_value(each, levels - 1) for each in value.list_value.values]
        case "number_value":
            number = finite(value.number_value)
            small = number.is_integer() and abs(number) <= MAX_EXACT
            return int(number) if small else number
        case _:
            raise ValueError("expected a value, got google.protobuf.Value with nothing set")


def is_shallow(json: Any, levels: int = MAX_DEPTH) -> bool:
    """Tells whether JSON is nested no deeper than so many levels."""
    kind = type(json)
    if kind is dict:
        json = json.values()
    elif kind is not list:
        return True
    return levels > 0 and all(is_shallow(each, levels - 1) for each in json)


def is_value(json: Any) -> bool:
    """Tells whether `Value` holds this JSON unchanged, but for the order of members.

    JSON must be shallow.
    """
    kind = type(json)
    if kind is dict:
        return all(is_value(each) for each in json.values())
    if kind is list:
        return all(is_value(each) for each in json)
    return is_double(json) or kind is str or kind is bool or json is None


def is_double(json: Any) -> bool:
    """Tells whether this is a number that a double holds unchanged."""
    kind = type(json)
    return kind is float or (kind is int and -MAX_EXACT <= json <= MAX_EXACT)


def finite(number: float) -> float:
    """The number itself.

    Raises:
        ValueError: it is not finite, which JSON can't say.
    """
    if not isfinite(number):
        raise ValueError(f"expected finite number, got {number}")
    return number


def type_name(json: Any) -> str:
    """What JSON calls the type; numbers without a fraction are integers."""
    return _TYPE_NAMES.get(type(json), "number")


_TYPE_NAMES = {
    dict: "object",
    list: "array",
    str: "string",
    int: "integer",
    bool: "boolean",
    type(None): "null",
}
