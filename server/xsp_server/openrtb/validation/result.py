"""What a validation says: rules, violations of them, and the result as a whole."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from xsp_server.values import value


class Severity(StrEnum):
    """What a violation means for the message."""

    ERROR = "error"
    """The standard or the request forbids it: refuse the message."""
    WARNING = "warning"
    """Allowed, but deprecated, without effect or most likely not meant."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is checked.

    Attributes:
        id: stable name, `<object>.<field>.<what>`, as `video.mimes.required`.
        field: the field at fault, relative to the object; empty for the object itself.
        severity: what breaking it means.
        expected: what would be right, for people.
        source: section of OpenRTB 2.6 unless another document is named.
    """

    id: str
    field: str
    severity: Severity
    expected: str
    source: str


RULES: Final[dict[str, Rule]] = {}
"""Every rule by its id. `define` fills it while the package is imported; read-only after that."""


def define(
    rule_id: str,
    field: str,
    expected: str,
    source: str,
    severity: Severity = Severity.ERROR,
) -> Rule:
    """Makes a rule and enters it in `RULES`.

    Raises:
        ValueError: the id is taken.
    """
    if rule_id in RULES:
        raise ValueError(f"rule {rule_id} is defined twice; ids must be unique")
    rule = RULES[rule_id] = Rule(rule_id, field, severity, expected, source)
    return rule


@value
class Violation:
    """One rule broken in one place.

    Attributes:
        path: where, in OpenRTB's spelling: `imp[0].video.mimes`; empty for the whole message.
        rule: id of the rule.
        severity: the rule's.
        found: what is there, shortened; `nothing` when it is absent.
        expected: what would be right.
    """

    path: str
    rule: str
    severity: Severity
    found: str
    expected: str

    @property
    def description(self) -> str:
        """What was wrong and what would be right, without the place."""
        return f"expected {self.expected}, found {self.found}"

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.severity} {self.path or '(message)'}: {self.description} [{self.rule}]"


@value
class ValidationResult:
    """The verdict on one message.

    Attributes:
        violations: in the order in which they were found, at most `LIMIT` of each severity.
        error_count: all errors, also those beyond the limit.
        warning_count: all warnings, also those beyond the limit.
    """

    violations: tuple[Violation, ...]
    error_count: int
    warning_count: int

    @property
    def ok(self) -> bool:
        """No errors; there may be warnings."""
        return not self.error_count

    @property
    def errors(self) -> tuple[Violation, ...]:
        """The violations that refuse the message."""
        return tuple(v for v in self.violations if v.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """The violations that don't."""
        return tuple(v for v in self.violations if v.severity is Severity.WARNING)

    @property
    def truncated(self) -> bool:
        """Some violations were counted and not kept."""
        return len(self.violations) < self.error_count + self.warning_count
