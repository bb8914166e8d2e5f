"""The quick pass: makes regular JSON fit for a message's constructor.

The constructor is C and refuses most of what is wrong by itself: integers given as anything else
or out of range, strings given as anything else, objects of another type. What it would let pass is
looked at here, and only that: `keys() - plain` leaves the few members that need it.
"""

from typing import Any

from xsp_server.openrtb.codec.exact import Source
from xsp_server.openrtb.codec.ext import Irregular, split
from xsp_server.openrtb.codec.schema import (
    EXCLUSIVE_OBJECT,
    EXT,
    FLAG,
    INTEGERS,
    NUMBER,
    OBJECTS,
    RAW_JSON,
    VALUE,
    Schema,
)
from xsp_server.openrtb.codec.values import is_shallow, to_value


def shape(  # noqa: C901, PLR0912 - it runs for every member, where calls are dear
    members: dict[str, Any], schema: Schema, source: Source
) -> list[str] | None:
    """Turns an object's members into arguments of its message, in place.

    `source` is the whole document. Returns the paths of unknown members, which are
    taken out; None if there are none.

    Raises:
        Irregular: something is wrong, or right in an unusual way.
    """
    plain, special = schema.plain, schema.special
    unknown: list[str] | None = None
    nested: list[str] | None = None
    for name in members:  # noqa: PLC0206 - most are plain, and pairs cost more
        if name in plain:
            continue
        try:
            kind, inner = special[name]
        except KeyError:
            unknown = unknown or []
            unknown.append(name)
            continue
        value = members[name]
        if value is None:  # absent, for the constructor too
            continue
        if kind == FLAG:
            if value not in (0, 1):
                raise Irregular
        elif kind <= INTEGERS:
            if type(value) is not list:
                raise Irregular
        elif kind <= EXCLUSIVE_OBJECT:
            if type(value) is not dict:
                raise Irregular
            if kind == EXCLUSIVE_OBJECT:
                _check_exclusive(members, schema)
            if below := shape(value, inner, source):
                nested = nested or []
                nested += [f"{name}.{path}" for path in below]
        elif kind == OBJECTS:
            if type(value) is not list:
                raise Irregular
            for index, item in enumerate(value):
                if type(item) is not dict:
                    raise Irregular
                if below := shape(item, inner, source):
                    nested = nested or []
                    nested += [f"{name}[{index}].{path}" for path in below]
        elif kind == EXT:
            members[name] = _ext(value, inner, source)
        elif kind == NUMBER:
            if type(value) is not float and type(value) is not int:
                raise Irregular
        else:
            members[name] = _open(value, kind)
    if not unknown:
        return nested
    for name in unknown:
        del members[name]
    return unknown + nested if nested else unknown


def _check_exclusive(members: dict[str, Any], schema: Schema) -> None:
    for group in schema.exclusive:
        if len(members.keys() & group) > 1:
            raise Irregular


def _ext(ext: Any, schema: Schema, source: Source) -> dict[str, Any]:
    if type(ext) is not dict:
        raise Irregular
    typed, raw = split(ext, schema, source)
    if not schema.open.isdisjoint(typed):  # for the rest, to survive was the harder test
        shape(typed, schema, source)
    if raw is not None:
        typed[RAW_JSON] = raw
    return typed


def _open(value: Any, kind: int) -> Any:
    """The members whose names or types a message leaves open."""
    if kind == VALUE:
        if not is_shallow(value):
            raise Irregular
        return to_value(value)
    if type(value) is not dict:
        raise Irregular
    if any(type(number) not in {float, int} for number in value.values()):
        raise Irregular
    return value
