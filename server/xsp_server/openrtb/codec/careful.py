"""The careful walk: knows every path, and finds every violation or the same message.

It runs where the quick pass gives up: on wrong types, on right values in an unusual spelling (3.0
for an integer), and where numbers in `ext` have to be kept as they are written.
"""

import re
from typing import Any, Final

import orjson

from xsp_server.errors import InvalidJson, TooDeep, Violation
from xsp_server.openrtb.codec import exact
from xsp_server.openrtb.codec.exact import Exact
from xsp_server.openrtb.codec.ext import MAX_DEPTH, TooNested, split
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
    RAW_JSON,
    STRING,
    STRINGS,
    VALUE,
    Schema,
)
from xsp_server.openrtb.codec.values import MAX_DEPTH as MAX_VALUE_DEPTH
from xsp_server.openrtb.codec.values import is_shallow, to_value, type_name

MAX_REPORTED: Final = 100
"""Violations, unknown and coerced members that are told of one document, each."""

MAX_PATH: Final = 250
"""Characters of a path that are told: names that nobody knows may be of any length."""

Place = tuple["Place", str | int] | None
"""The way to a member: where its parent is, and its name or index. Text is made when asked for."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)


class Walk:
    """One walk through one document.

    Attributes:
        unknown: paths of members that no field takes.
        coerced: paths of members that were taken although their type was wrong.
    """

    def __init__(self, *, coerce: bool) -> None:
        """With `coerce`, text of a number is taken for the number, and a number for its text."""
        self.unknown: list[str] = []
        self.coerced: list[str] = []
        self._coerce = coerce
        self._violations: list[Violation] = []

    def document(self, root: Any, schema: Schema, wrapper: str = "") -> dict[str, Any]:
        """The arguments of the message of `root`, or of its member `wrapper` if it has one.

        Raises:
            InvalidJson: with every violation, up to MAX_REPORTED.
            TooDeep: something is nested deeper than we follow.
        """
        place: Place = None
        if wrapper and type(root) is dict and root.get(wrapper) is not None:
            self.unknown += [name for name in root if name != wrapper]
            root, place = root[wrapper], (None, wrapper)
        arguments = self._object(root, schema, place)
        if self._violations:
            raise InvalidJson(*self._violations)
        checked: dict[str, Any] = arguments
        return checked

    def _refuse(self, place: Place, description: str) -> Any:
        self._violations.append(Violation(to_path(place)[:MAX_PATH], description))
        if len(self._violations) == MAX_REPORTED:
            raise InvalidJson(*self._violations)
        return None

    def _expect(self, place: Place, expected: str, value: Any) -> Any:
        return self._refuse(place, f"expected {expected}, got {type_name(value)}")

    # Each of these gives the argument for the constructor; None where it is refused.

    def _object(self, value: Any, schema: Schema, place: Place) -> Any:
        if type(value) is not dict:
            return self._expect(place, "object", value)
        arguments = {}
        for name, each in value.items():
            member = schema.members.get(name)
            if member is None:
                self.unknown.append(to_path((place, name)))
            elif each is not None:
                argument = self._READERS[member[0]](self, each, member[1], (place, name))
                if argument is not None:
                    arguments[name] = argument
        self._check_exclusive(value, schema, place)
        return arguments

    def _check_exclusive(self, value: dict[str, Any], schema: Schema, place: Place) -> None:
        for group in schema.exclusive:
            present = [name for name in group if value.get(name) is not None]
            if len(present) > 1:
                self._refuse((place, present[0]), f"at most one of {', '.join(group)}")

    def _array(self, kind: int, value: Any, schema: Schema, place: Place) -> Any:
        if type(value) is not list:
            return self._expect(place, "array", value)
        read = self._READERS[kind]
        return [read(self, each, schema, (place, index)) for index, each in enumerate(value)]

    def _objects(self, value: Any, schema: Schema, place: Place) -> Any:
        return self._array(OBJECT, value, schema, place)

    def _strings(self, value: Any, schema: Schema, place: Place) -> Any:
        return self._array(STRING, value, schema, place)

    def _integers(self, value: Any, schema: Schema, place: Place) -> Any:
        return self._array(INTEGER, value, schema, place)

    def _ext(self, value: Any, schema: Schema, place: Place) -> Any:
        if type(value) is not dict:
            return self._expect(place, "object", value)
        try:
            typed, raw = split(value, schema, None)
        except TooNested:
            raise TooDeep(
                f"{to_path(place)}: expected at most {MAX_DEPTH} levels of nesting"
            ) from None
        arguments = self._object(typed, schema, place)
        if raw is not None:
            arguments[RAW_JSON] = raw
        return arguments

    def _value(self, value: Any, _schema: Schema, place: Place) -> Any:
        if not is_shallow(value):
            raise TooDeep(f"{to_path(place)}: expected at most {MAX_VALUE_DEPTH} levels of nesting")
        return to_value(value)

    def _numbers_by_name(self, value: Any, schema: Schema, place: Place) -> Any:
        if type(value) is not dict:
            return self._expect(place, "object", value)
        return {name: self._number(each, schema, (place, name)) for name, each in value.items()}

    def _string(self, value: Any, _schema: Schema, place: Place) -> Any:
        if type(value) is str:
            return value
        if self._coerce and type(value) in {int, float, Exact}:
            self.coerced.append(to_path(place))
            return exact.dump(value).decode()
        return self._expect(place, "string", value)

    def _number(self, value: Any, _schema: Schema, place: Place) -> Any:
        value = self._coerced(value, place)
        if type(value) is Exact:
            return float(value.text)
        if type(value) in {int, float}:
            return float(value)
        return self._expect(place, "number", value)

    def _integer(self, value: Any, _schema: Schema, place: Place) -> Any:
        value = self._coerced(value, place)
        if type(value) not in {int, float, Exact}:
            return self._expect(place, "integer", value)
        if not INT32_MIN <= float(exact.dump(value)) <= INT32_MAX:
            expected = f"integer from {INT32_MIN} to {INT32_MAX}"
            return self._refuse(place, f"expected {expected}, got {_shown(value)}")
        if isinstance(value, Exact) or value != int(value):
            return self._refuse(place, f"expected integer, got {_shown(value)}")
        return int(value)

    def _flag(self, value: Any, _schema: Schema, place: Place) -> Any:
        value = self._coerced(value, place)
        if type(value) not in {bool, int, float, Exact}:
            return self._expect(place, "0 or 1", value)
        if value not in (0, 1):
            return self._refuse(place, f"expected 0 or 1, got {_shown(value)}")
        return bool(value)

    def _coerced(self, value: Any, place: Place) -> Any:
        """The number that text spells, if numbers may come as text; else the value itself."""
        if not (self._coerce and type(value) is str and _NUMBER.fullmatch(value)):
            return value
        try:
            orjson.loads(value)  # refuses what no double can hold
        except orjson.JSONDecodeError:
            return value
        self.coerced.append(to_path(place))
        return exact.load(value.encode())

    _READERS: Final = {
        STRING: _string,
        INTEGER: _integer,
        FLAG: _flag,
        NUMBER: _number,
        STRINGS: _strings,
        INTEGERS: _integers,
        OBJECT: _object,
        OBJECTS: _objects,
        EXT: _ext,
        VALUE: _value,
        NUMBERS_BY_NAME: _numbers_by_name,
    }


def to_path(place: Place) -> str:
    """The path as text, such as `imp[0].banner.w`."""
    steps = []
    while place is not None:
        place, step = place
        steps.append(f".{step}" if isinstance(step, str) else f"[{step}]")
    return "".join(reversed(steps)).removeprefix(".")


def _shown(number: Any) -> str:
    text = exact.dump(number).decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


_MAX_SHOWN = 30
