"""Collecting violations while a message is walked."""

from typing import Final, TypeAlias

from xsp_server.openrtb.validation.result import Rule, Severity, ValidationResult, Violation

LIMIT: Final = 100
"""Violations of each severity that a result keeps; more are only counted."""

_SHOWN: Final = 60
"""Characters of a found value that a violation repeats."""

# A place is the way from the message's root to an object: where its parent is, the field that
# holds it, and its index there (NO_INDEX outside lists). It becomes text only when something is
# wrong, so a good message costs no string.
Place: TypeAlias = "tuple[Place, str, int] | None"
ROOT: Final = None
NO_INDEX: Final = -1


class Findings:
    """The violations found so far in one message."""

    __slots__ = ("_kept", "error_count", "warning_count")

    def __init__(self) -> None:
        self._kept: list[Violation] = []
        self.error_count = 0
        self.warning_count = 0

    def report(  # noqa: PLR0913 - the facts of one violation
        self,
        rule: Rule,
        place: Place,
        found: str,
        *,
        index: int = NO_INDEX,
        expected: str = "",
        field: str | None = None,
    ) -> None:
        """Notes one violation.

        Args:
            rule: the rule that is broken.
            place: the object in which it is broken.
            found: what is there; `shown` makes it from a value.
            index: the item of the rule's field, if that is a list.
            expected: what would be right here; the rule's own words by default.
            field: the field at fault where the rule leaves it open.
        """
        if rule.severity is Severity.ERROR:
            self.error_count += 1
            count = self.error_count
        else:
            self.warning_count += 1
            count = self.warning_count
        if count <= LIMIT:
            name = rule.field if field is None else field
            path = path_of((place, name, index) if name else place)
            self._kept.append(
                Violation(path, rule.id, rule.severity, found, expected or rule.expected)
            )

    def any_error_in(self, place: Place) -> bool:
        """Whether an object, or anything below it, has an error among those kept."""
        path = path_of(place)
        return any(
            violation.severity is Severity.ERROR
            and (violation.path == path or violation.path.startswith(f"{path}."))
            for violation in self._kept
        )

    def result(self) -> ValidationResult:
        """What was found, as the caller gets it."""
        return ValidationResult(tuple(self._kept), self.error_count, self.warning_count)


def path_of(place: Place) -> str:
    """The place in OpenRTB's spelling: `imp[0].video`."""
    parts: list[str] = []
    while place is not None:
        place, name, index = place
        parts.append(name if index == NO_INDEX else f"{name}[{index}]")
    return ".".join(reversed(parts))


def shown(value: object) -> str:
    """A value as a violation repeats it: JSON-like and short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= _SHOWN else f'"{value[:_SHOWN]}…"'
    return repr(value)[:_SHOWN]
