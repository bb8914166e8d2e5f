"""The words in which the tables say what is known about fields and objects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeAlias

from google.protobuf.message import Message

from xsp_server.openrtb.validation.result import Severity


@dataclass(frozen=True, slots=True)
class Required:
    """The field must be there, and not be empty text."""

    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Holds:
    """Each value of the field passes a test.

    Attributes:
        what: last part of the rule's id.
        test: true for a right value; must not raise.
        expected: what would be right.
    """

    what: str
    test: Callable[[Any], bool]
    expected: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Excludes:
    """None of the other fields may be there along with this one."""

    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """One of the other fields must be there along with this one."""

    others: tuple[str, ...]
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Deprecated:
    """The field still works but should give way to another; empty if there is none."""

    instead: str = ""


@dataclass(frozen=True, slots=True)
class UniqueIds:
    """No two objects of the list have the same id."""


Fact: TypeAlias = Required | Holds | Excludes | Needs | Deprecated | UniqueIds


@dataclass(frozen=True, slots=True)
class OneOf:
    """At least one of the fields must be there.

    Attributes:
        fields: the candidates.
        what: last part of the rule's id.
        at: the field that the violation names; empty for the object.
    """

    fields: tuple[str, ...]
    what: str
    at: str = ""
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one object.

    Attributes:
        name: first part of its rules' ids.
        message: the object's class.
        source: section of the standard.
        fields: facts by field. A field that isn't named may hold anything.
        one_of: groups of which one field must be there.
    """

    name: str
    message: type[Message]
    source: str
    fields: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)
    one_of: tuple[OneOf, ...] = ()


def between(low: float, high: float) -> Holds:
    """A number from low to high, both included."""
    return Holds("range", lambda value: low <= value <= high, f"{low} to {high}")


def at_least(low: float) -> Holds:
    """A finite number from low upward."""
    return Holds("range", lambda value: low <= value < inf, f"at least {low}")


def above(low: float) -> Holds:
    """A finite number greater than low."""
    return Holds("range", lambda value: low < value < inf, f"more than {low}")


def text(test: Callable[[str], bool], expected: str, severity: Severity = Severity.ERROR) -> Holds:
    """Text of a format."""
    return Holds("format", test, expected, severity)
