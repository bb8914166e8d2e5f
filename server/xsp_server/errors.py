"""Every error that XSP raises on purpose, as one tree.

    XspError
    ├── InvalidRequest       INVALID_ARGUMENT     the caller sent something wrong, with field paths
    │   ├── MissingField     INVALID_ARGUMENT     a field of our own messages is absent
    │   ├── Undecodable      INVALID_ARGUMENT     the bytes are not the message
    │   └── InvalidJson      INVALID_ARGUMENT     the text is not OpenRTB JSON
    │       └── JsonSyntax   INVALID_ARGUMENT     the text is not JSON
    ├── TooLarge             RESOURCE_EXHAUSTED   a limit on bytes was passed
    │   └── TooDeep          RESOURCE_EXHAUSTED   a limit on nesting was passed
    ├── DeadlineTooShort     DEADLINE_EXCEEDED    no time to ask anybody
    ├── RetryableError
    │   ├── Overloaded       RESOURCE_EXHAUSTED   too much at once; try again later
    │   └── Unavailable      UNAVAILABLE          something we depend on is away; try again later
    ├── NotBuilt             UNIMPLEMENTED        the contract has it, this server doesn't
    └── ConfigError          FAILED_PRECONDITION  a setting is wrong

`status` is a gRPC status name and `reason` a value of `xsp.rpc.v1.ErrorReason` without its prefix.
Both are plain text here, so that the pure rooms can raise errors without importing gRPC; the
service turns them into `google.rpc.Status` with details.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with one field.

    Attributes:
        path: where, as an OpenRTB path such as `imp[0].banner.w`; empty for the whole document.
        description: what was wrong and what would be right, as `expected integer, got string`.
    """

    path: str
    description: str

    def __str__(self) -> str:
        """Path and description, as a user reads them."""
        return f"{self.path}: {self.description}" if self.path else self.description


class XspError(Exception):
    """Root of the tree. The message says what was wrong, where, and what would be right.

    Attributes:
        metadata: facts for programs, as `limit` in bytes; they travel in `ErrorInfo.metadata`.
    """

    status: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "INTERNAL_FAULT"

    def __init__(self, message: str, **metadata: str | int) -> None:
        """Keeps the message for people and the facts for programs."""
        super().__init__(message)
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvalidRequest(XspError):
    """The request breaks a rule of OpenRTB or of this contract."""

    status = "INVALID_ARGUMENT"
    reason: ClassVar[str] = "REQUEST_INVALID"

    def __init__(self, *violations: Violation) -> None:
        """Keeps the violations; the message lists them all."""
        super().__init__("; ".join(map(str, violations)))
        self.violations = violations


class MissingField(InvalidRequest):
    """A field of XSP's own messages is needed and absent."""

    reason = "FIELD_REQUIRED"

    def __init__(self, path: str, expected: str) -> None:
        """Names the field and what belongs there."""
        super().__init__(Violation(path, f"missing; expected {expected}"))


class Undecodable(InvalidRequest):
    """The bytes are not a message of the type that the method takes."""

    reason = "REQUEST_UNDECODABLE"


class InvalidJson(InvalidRequest):
    """The text is not JSON, or not the JSON of the OpenRTB object that was expected."""

    reason = "JSON_WRONG_TYPE"


class JsonSyntax(InvalidJson):
    """The text is not JSON at all."""

    reason = "JSON_SYNTAX"


class TooLarge(XspError):
    """A message passed a limit on bytes."""

    status = "RESOURCE_EXHAUSTED"
    reason = "MESSAGE_TOO_LARGE"


class TooDeep(TooLarge):
    """JSON, XML or messages are nested deeper than we follow."""

    reason = "NESTING_TOO_DEEP"


class DeadlineTooShort(XspError):
    """The caller's deadline leaves no time to ask anybody."""

    status = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_TOO_SHORT"


class RetryableError(XspError):
    """An error that passes: the same call may succeed later.

    Attributes:
        retry_after: seconds after which a new attempt makes sense.
    """

    def __init__(self, message: str, *, retry_after: float, **metadata: str | int) -> None:
        """Keeps the advice on when to try again."""
        super().__init__(message, **metadata)
        self.retry_after = retry_after


class Overloaded(RetryableError):
    """More calls at once than the server is set to carry."""

    status = "RESOURCE_EXHAUSTED"
    reason = "TOO_BUSY"


class Unavailable(RetryableError):
    """The server is stopping, or something it depends on is away."""

    status = "UNAVAILABLE"
    reason = "SERVER_NOT_SERVING"


class NotBuilt(XspError):
    """A method or option that the contract has and this server doesn't offer yet."""

    status = "UNIMPLEMENTED"
    reason = "NOT_BUILT"


class ConfigError(XspError):
    """A setting is missing, wrong or unknown; the message names it, its source and what fits."""

    status = "FAILED_PRECONDITION"
    reason = "INTERNAL_FAULT"  # met at start-up, on the command line: no call ever sees it
