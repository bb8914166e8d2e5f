"""OpenRTB JSON as Python dicts <-> messages of the contract, driven by the descriptors.

Flags are 0 and 1 in a dict (True and False are taken too). None as a member's value is the same
as no such member. An `ext` dict is kept whole: members that IAB Tech Lab defines go into typed
fields where these hold the value exactly, everything else into the text `raw_json`; both come
back as one dict.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from xsp_client._errors import InvalidMessageError, Violation, refused

M = TypeVar("M", bound=Message)

RAW = "raw_json"
TEXT_OF = {"request_native": "request", "adm_native": "adm"}
"""Native objects as messages: OpenRTB's JSON has them as text, in these members."""
INT32 = range(-(2**31), 2**31)


def to_message(value: Mapping[str, Any], kind: type[M]) -> M:
    """The message of an OpenRTB object.

    Args:
        value: the object, as `json.loads` gives it or as a TypedDict of `xsp_client.openrtb`.
        kind: the message class, such as `xsp.openrtb.v2.bid_request_pb2.BidRequest`.

    Raises:
        InvalidRequestError: members that OpenRTB doesn't have or that have the wrong type; every
            one is in `violations`, with its path.
    """
    violations: list[Violation] = []
    message = kind()
    _fill(message, value, "", violations)
    if violations:
        raise refused(violations)
    return message


def to_dict(message: Message) -> dict[str, Any]:
    """The OpenRTB object of a message, ready for `json.dumps`. What is absent stays absent.

    A native object that travels as a message (`adm_native`, `request_native`) becomes the JSON
    text that OpenRTB has in its place (`adm`, `request`).

    Raises:
        InvalidMessageError: the `raw_json` of an ext is not the text of a JSON object.
    """
    result: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name in TEXT_OF:
            result[TEXT_OF[field.name]] = _text_of(to_dict(value))
        elif field.name != RAW:
            result[field.name] = _plain(field, value)
    return {**_raw_members(message), **result}


class _Misfit(ValueError):
    """A value that its field can't hold."""

    def __init__(self, expected: str, got: object) -> None:
        super().__init__(f"expected {expected}, got {got}")


def _fill(message: Message, value: object, path: str, violations: list[Violation]) -> None:
    if not isinstance(value, Mapping):
        violations.append(Violation(path, str(_Misfit("object", _kind(value)))))
        return
    members = _members(message.DESCRIPTOR)
    for name, item in value.items():
        here = f"{path}.{name}" if path else str(name)
        if name not in members:
            violations.append(Violation(here, "not a member of OpenRTB here; others go into ext"))
        elif item is not None:
            _set(message, members[name], item, here, violations)


@cache
def _members(kind: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {f.name: f for f in kind.fields if f.name != RAW and f.name not in TEXT_OF}


def _set(
    message: Message, field: FieldDescriptor, item: object, path: str, violations: list[Violation]
) -> None:
    try:
        _refuse_second(message, field)
        if _is_free(field):
            _set_free(message, field, item)
        elif field.is_repeated:
            _extend(message, field, item, path, violations)
        elif field.message_type is None:
            setattr(message, field.name, _SCALARS[field.type](item))
        else:
            child = getattr(message, field.name)
            child.SetInParent()  # an empty object is present
            fill = _fill_ext if field.name == "ext" else _fill
            fill(child, item, path, violations)
    except _Misfit as misfit:
        violations.append(Violation(path, str(misfit)))


def _refuse_second(message: Message, field: FieldDescriptor) -> None:
    """Setting the second member of a oneof would drop the first without a word."""
    if field.containing_oneof is None:
        return
    first = message.WhichOneof(field.containing_oneof.name)
    if first is not None:
        names = [f.name for f in field.containing_oneof.fields]
        raise _Misfit(f"at most one of {', '.join(names)}", f"{first} as well")


@cache
def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_free(field: FieldDescriptor) -> bool:
    """Whether the field takes JSON of no fixed shape: a map, or a google.protobuf.Value."""
    return _is_map(field) or field.message_type is Value.DESCRIPTOR


def _set_free(message: Message, field: FieldDescriptor, item: object) -> None:
    try:
        json_format.ParseDict({field.name: item}, message)
    except (json_format.ParseError, ArithmeticError, TypeError, ValueError) as error:
        raise _Misfit("JSON that protobuf can hold", error) from None


def _extend(
    message: Message, field: FieldDescriptor, item: object, path: str, violations: list[Violation]
) -> None:
    if not isinstance(item, list | tuple):
        raise _Misfit("array", _kind(item))
    items = getattr(message, field.name)
    for index, element in enumerate(item):
        here = f"{path}[{index}]"
        if field.message_type is not None:
            _fill(items.add(), element, here, violations)
            continue
        try:
            items.append(_SCALARS[field.type](element))
        except _Misfit as misfit:
            violations.append(Violation(here, str(misfit)))


def _fill_ext(ext: Message, value: object, path: str, violations: list[Violation]) -> None:
    if not isinstance(value, Mapping):
        raise _Misfit("object", _kind(value))
    rest = {name: item for name, item in value.items() if not _taken(ext, name, item)}
    if rest:
        try:
            text = _text_of(rest)
        except (TypeError, ValueError, RecursionError) as error:
            violations.append(Violation(path, f"expected JSON values: {error}"))
        else:
            setattr(ext, RAW, _text(text))


def _taken(ext: Message, name: str, item: object) -> bool:
    """Puts a member into its typed field if it comes back from there unchanged."""
    if name not in _members(ext.DESCRIPTOR):
        return False
    trial = type(ext)()
    _fill(trial, {name: item}, "", [])
    try:
        unchanged = to_dict(trial) == {name: item}
    except RecursionError:  # nested just deep enough to be written, but not to be compared
        unchanged = False
    if unchanged:
        ext.MergeFrom(trial)
    return unchanged


def _flag(value: object) -> bool:
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise _Misfit("0 or 1", _shown(value) if isinstance(value, int) else _kind(value))


def _integer(value: object) -> int:
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise _Misfit("integer", _kind(value))
    if number not in INT32:
        raise _Misfit(f"integer from {INT32.start} to {INT32.stop - 1}", _shown(number))
    return number


def _shown(number: int) -> str:
    return str(number) if abs(number) < 2**63 else "a larger one"


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Misfit("number", _kind(value))
    try:
        number = float(value)
    except OverflowError:
        raise _Misfit("number that a double holds", "a larger one") from None
    if not math.isfinite(number):
        raise _Misfit("finite number", number)
    return number


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Misfit("string", _kind(value))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Misfit("text that UTF-8 can carry", "a lone surrogate") from None
    return value


_SCALARS: Mapping[int, Callable[[object], bool | int | float | str]] = {
    FieldDescriptor.TYPE_BOOL: _flag,
    FieldDescriptor.TYPE_INT32: _integer,
    FieldDescriptor.TYPE_DOUBLE: _number,
    FieldDescriptor.TYPE_STRING: _text,
}

_JSON_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    ((list, tuple), "array"),
    (Mapping, "object"),
)


def _kind(value: object) -> str:
    """JSON's word for the type of a value; Python's for what JSON doesn't have."""
    for kind, name in _JSON_KINDS:
        if isinstance(value, kind):
            return name
    return type(value).__name__


def _text_of(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if _is_map(field):
        return dict(value)
    if field.is_repeated:
        return [_plain_one(field, item) for item in value]
    return _plain_one(field, value)


def _plain_one(field: FieldDescriptor, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_BOOL:
        return int(value)
    if field.message_type is None:
        return value
    return _plain_free(value) if isinstance(value, Value) else to_dict(value)


def _plain_free(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return {name: _plain_free(item) for name, item in value.struct_value.fields.items()}
        case "list_value":
            return [_plain_free(item) for item in value.list_value.values]
        case None | "null_value":
            return None
        case scalar:
            return getattr(value, scalar)


def _raw_members(message: Message) -> dict[str, Any]:
    """Members of an ext that are kept as text."""
    if RAW not in message.DESCRIPTOR.fields_by_name or not message.HasField(RAW):
        return {}
    name = message.DESCRIPTOR.full_name
    try:
        members = json.loads(getattr(message, RAW))
    except (ValueError, RecursionError) as error:
        raise InvalidMessageError(f"{name}.{RAW}: expected a JSON object: {error}") from None
    if not isinstance(members, dict):
        raise InvalidMessageError(f"{name}.{RAW}: expected a JSON object, got {_kind(members)}")
    return members
