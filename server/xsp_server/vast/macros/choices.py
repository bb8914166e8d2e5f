"""What a caller wants of macros: the contract's `MacroOptions`, read and checked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from xsp.vast.v1 import macros_pb2 as pb
from xsp_server.errors import InvalidRequest, Violation
from xsp_server.vast.macros.filling import Spelling
from xsp_server.vast.macros.names import MACROS, SETTLED
from xsp_server.vast.macros.values import Absence, Value, Values

_OF_TRACKERS: Final = SETTLED | {"TRANSACTIONID"}


class InvalidMacros(InvalidRequest):
    """A field of the macro options has a value that it can't have."""

    reason = "FIELD_INVALID"


@dataclass(frozen=True, slots=True)
class MacroChoices:
    """What a caller wants of macros.

    Attributes:
        given: values that come before those of the session and of the server.
        spellings: filled besides [NAME].
        of_trackers: names that are filled also in the trackers of the ads given back.
    """

    given: Values = field(default_factory=dict)
    spellings: frozenset[Spelling] = frozenset()
    of_trackers: frozenset[str] = frozenset()

    @classmethod
    def from_message(cls, message: pb.MacroOptions, path: str = "macros") -> Self:
        """The options as values.

        Args:
            message: the contract's message.
            path: where it stands, for errors.

        Raises:
            InvalidMacros: a name or a spelling is none that the contract allows.
        """
        if not message.ByteSize():  # as most callers have it
            return cls()
        violations = tuple(_violations(message, path))
        if violations:
            raise InvalidMacros(*violations)
        given = {name: _value(value) for name, value in message.values.items()}
        return cls(
            {name: value for name, value in given.items() if value is not None},
            frozenset(_SPELLINGS[spelling] for spelling in message.spellings),
            frozenset(message.tracker_macros),
        )


_SPELLINGS: Mapping[int, Spelling] = {
    pb.MACRO_SPELLING_PERCENT_SIGNS: Spelling.PERCENT_SIGNS,
    pb.MACRO_SPELLING_LOWER_CASE: Spelling.LOWER_CASE,
    pb.MACRO_SPELLING_ENCODED_BRACKETS: Spelling.ENCODED_BRACKETS,
    pb.MACRO_SPELLING_RANDOM: Spelling.RANDOM,
}

_ABSENCES: Mapping[int, Absence] = {
    pb.MACRO_ABSENCE_UNKNOWN: Absence.UNKNOWN,
    pb.MACRO_ABSENCE_WITHHELD: Absence.WITHHELD,
}


def _violations(message: pb.MacroOptions, path: str) -> Iterator[Violation]:
    for name in sorted(message.values.keys() - MACROS.keys()):
        yield Violation(
            f'{path}.values["{name[:50]}"]',
            "expected a macro that VAST lists, without brackets and in upper case, as PAGEURL",
        )
    for index, spelling in enumerate(message.spellings):
        if spelling not in _SPELLINGS:
            described = f"expected 1 to {len(_SPELLINGS)}, got {spelling}"
            yield Violation(f"{path}.spellings[{index}]", described)
    for index, name in enumerate(message.tracker_macros):
        if name not in _OF_TRACKERS:
            described = f"expected one of {', '.join(sorted(_OF_TRACKERS))}"
            yield Violation(f"{path}.tracker_macros[{index}]", described)


def _value(message: pb.MacroValue) -> Value | None:
    """A value; None: as if it were not given."""
    match message.WhichOneof("kind"):
        case "text":
            return message.text
        case "items":
            return tuple(message.items.items)
        case "absence":
            return _ABSENCES.get(message.absence)
        case _:
            return None
