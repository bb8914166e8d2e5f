"""OpenRTB JSON to messages: the quick way first, and the careful one where it gives up."""

from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from google.protobuf.message import Message

from xsp_server.errors import InvalidJson, JsonSyntax, TooDeep, Violation
from xsp_server.openrtb.codec import exact
from xsp_server.openrtb.codec.careful import MAX_PATH, MAX_REPORTED, Walk
from xsp_server.openrtb.codec.ext import Irregular
from xsp_server.openrtb.codec.quick import shape
from xsp_server.openrtb.codec.schema import Schema, schema_of

M = TypeVar("M", bound=Message)


class Parsed(NamedTuple, Generic[M]):
    """What a document held.

    Attributes:
        message: the message.
        unknown: paths of members that no field takes and that were left out, sorted; at most 100.
        coerced: paths of members whose type was wrong and that were converted, sorted; at most
            100. Empty unless asked for.
    """

    message: M
    unknown: tuple[str, ...] = ()
    coerced: tuple[str, ...] = ()


def read(message_type: type[M], data: bytes | str, *, coerce: bool, wrapper: str = "") -> Parsed[M]:
    """Reads a document of which every member `wrapper`, if it is there, is the root.

    Raises:
        JsonSyntax: not JSON.
        InvalidJson: members of wrong types, all of them.
        TooDeep: nested deeper than we follow.
    """
    text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    schema = schema_of(message_type)
    try:
        root = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _syntax(error, text) from None
    try:
        return _quick(message_type, schema, root, text, wrapper)
    except (Irregular, TypeError, ValueError):  # the latter two by the message's constructor
        pass
    return _careful(message_type, schema, text, wrapper, coerce=coerce)


def _quick(
    message_type: type[M], schema: Schema, root: Any, text: bytes, wrapper: str
) -> Parsed[M]:
    prefix = ""
    unknown: list[str] = []
    if type(root) is not dict:
        raise Irregular
    if wrapper and root.get(wrapper) is not None:
        unknown = [name for name in root if name != wrapper]
        root, prefix = root[wrapper], f"{wrapper}."
        if type(root) is not dict:
            raise Irregular
    found = shape(root, schema, exact.Source(text))
    message = message_type(**root)
    if not found and not unknown:
        return Parsed(message)
    return Parsed(message, _reported(unknown + [prefix + path for path in found or ()]))


def _careful(
    message_type: type[M], schema: Schema, text: bytes, wrapper: str, *, coerce: bool
) -> Parsed[M]:
    walk = Walk(coerce=coerce)
    try:
        arguments = walk.document(exact.load(text), schema, wrapper)
    except RecursionError:
        raise TooDeep("the document: nested deeper than we follow") from None
    return Parsed(message_type(**arguments), _reported(walk.unknown), _reported(walk.coerced))


def _reported(paths: list[str]) -> tuple[str, ...]:
    return tuple(path[:MAX_PATH] for path in sorted(paths)[:MAX_REPORTED])


def _syntax(error: orjson.JSONDecodeError, text: bytes) -> InvalidJson | TooDeep:
    if error.msg == "depth limit exceeded":
        return TooDeep("the document: expected at most 1024 levels of nesting")
    if not text.strip():
        return JsonSyntax(Violation("", "expected JSON, got an empty document"))
    try:
        text.decode()
    except UnicodeDecodeError as invalid:
        return JsonSyntax(Violation("", f"expected UTF-8, got another byte at {invalid.start}"))
    problem = _PROBLEMS.get(error.msg, error.msg)
    where = f"line {error.lineno} column {error.colno}"
    return JsonSyntax(Violation("", f"not JSON at {where}: {problem}"))


_PROBLEMS = {"failed to allocate memory": "more is opened than closed"}
"""Where orjson's words mislead: it has memory for every text that closes what it opens."""
