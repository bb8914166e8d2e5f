"""`ext` objects: members with a field go there if they survive it, all others stay text."""

from collections.abc import Container
from typing import Any, Final

import orjson

from xsp_server.openrtb.codec.exact import Source, dump, has_fraction, load
from xsp_server.openrtb.codec.schema import (
    EXT,
    FLAG,
    INT32_MAX,
    INT32_MIN,
    INTEGER,
    INTEGERS,
    NUMBER,
    NUMBERS_BY_NAME,
    OBJECT,
    OBJECTS,
    STRING,
    STRINGS,
    Member,
    Schema,
)
from xsp_server.openrtb.codec.values import is_double, is_shallow, is_value, type_name

MAX_DEPTH: Final = 254
"""Levels of nesting in one `ext` object; orjson writes no more."""


class Irregular(Exception):
    """The quick pass met something that only the careful walk can judge."""


class TooNested(Irregular):
    """An `ext` object is nested deeper than MAX_DEPTH."""


def split(
    ext: dict[str, Any], schema: Schema, source: Source | None
) -> tuple[dict[str, Any], str | None]:
    """Parts an `ext` object into members for typed fields and the text of all others, if any.

    The former are taken out of `ext`.

    A member goes to its field only if its value comes back from there unchanged: the right type,
    and nothing unknown, null or empty inside. `source` is the document, if its numbers may have
    been rounded when they were read.

    Raises:
        TooNested: `ext` is nested too deep.
        Irregular: `source` has to be read with exact numbers.
    """
    if schema.has_numbers:
        _text(ext, source)
    known = schema.members
    typed = {}
    for name in [*ext] if known else ():
        if name in known and _survives(ext[name], known[name]):
            typed[name] = ext.pop(name)
    return typed, (_text(ext, source) if ext else None)


def join(typed: dict[str, Any], raw: str) -> Any:
    """One object of typed and raw members, for orjson to write. On a clash typed wins.

    Raises:
        ValueError: `raw` is not the text of a JSON object.
    """
    try:
        members = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"raw_json is not JSON: {error}") from None
    if type(members) is not dict:
        raise ValueError(f"expected object in raw_json, got {type_name(members)}")
    if not typed:
        return orjson.Fragment(raw)
    if not typed.keys().isdisjoint(members):
        members, raw = _without(typed, raw)
    if not members:
        return typed
    return orjson.Fragment(orjson.dumps(typed)[:-1] + b"," + raw.strip()[1:].encode())


def _without(names: Container[str], raw: str) -> tuple[dict[str, Any], str]:
    """The members of a raw object but for some names, and their text."""
    try:
        members = {name: value for name, value in load(raw.encode()).items() if name not in names}
        return members, dump(members).decode()
    except (RecursionError, orjson.JSONEncodeError):
        raise ValueError(f"expected at most {MAX_DEPTH} levels of nesting in raw_json") from None


def _text(members: dict[str, Any], source: Source | None) -> str:
    try:
        text = dump(members)
    except orjson.JSONEncodeError:
        raise TooNested from None
    if source is not None and has_fraction(text) and source.may_round():
        raise Irregular
    return text.decode()


def _survives(value: Any, member: Member) -> bool:  # noqa: PLR0911 - one line a kind
    """Tells whether a field gives the value back as it was."""
    kind, schema = member
    if kind == STRING:
        return type(value) is str
    if kind == INTEGER:
        return type(value) is int and INT32_MIN <= value <= INT32_MAX
    if kind == FLAG:
        return type(value) in {int, bool} and value in {0, 1}
    if kind == OBJECT:
        return type(value) is dict and _all_survive(value, schema)
    if kind == EXT:
        return type(value) is dict
    if kind in {STRINGS, INTEGERS, OBJECTS}:
        return type(value) is list and value != [] and _items_survive(value, member)
    return _survives_open(value, kind)


def _all_survive(members: dict[str, Any], schema: Schema) -> bool:
    known = schema.members
    for name in members:  # noqa: PLC0206 - a generator costs more than there is to do
        if name not in known or not _survives(members[name], known[name]):
            return False
    return True


def _items_survive(items: list[Any], member: Member) -> bool:
    kind, schema = member
    types = set(map(type, items))
    if kind == STRINGS:
        return types == {str}
    if kind == INTEGERS:
        return types == {int} and INT32_MIN <= min(items) <= max(items) <= INT32_MAX
    return types == {dict} and all(_all_survive(item, schema) for item in items)


def _survives_open(value: Any, kind: int) -> bool:
    """The same for members whose numbers are doubles, or whose names or types are open."""
    if kind == NUMBER:
        return is_double(value)
    if kind == NUMBERS_BY_NAME:
        return type(value) is dict and value != {} and all(map(is_double, value.values()))
    return value is not None and is_shallow(value) and is_value(value)
