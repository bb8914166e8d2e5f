"""Every error that XSP raises on purpose, as one tree.

    XspError
    ├── CampaignNotFound         NOT_FOUND
    ├── ConfigError              FAILED_PRECONDITION
    ├── DeadlinePassed           DEADLINE_EXCEEDED
    ├── DeadlineTooShort         DEADLINE_EXCEEDED
    ├── InvalidRequest           INVALID_ARGUMENT
    │   ├── CurrencyMismatch     INVALID_ARGUMENT
    │   ├── CurrencyUnknown      INVALID_ARGUMENT
    │   ├── DuplicateId          INVALID_ARGUMENT
    │   ├── InvalidField         INVALID_ARGUMENT
    │   ├── InvalidJson          INVALID_ARGUMENT
    │   │   └── JsonSyntax       INVALID_ARGUMENT
    │   ├── MissingField         INVALID_ARGUMENT
    │   ├── RequestEmpty         INVALID_ARGUMENT
    │   ├── Undecodable          INVALID_ARGUMENT
    │   ├── RequestIdInvalid     INVALID_ARGUMENT     service.request_ids
    │   ├── PageTokenInvalid     INVALID_ARGUMENT     state.faults
    │   ├── TimeZoneUnknown      INVALID_ARGUMENT     state.faults
    │   ├── VastUnreadable       INVALID_ARGUMENT     vast.faults
    │   ├── VastUnwritable       INVALID_ARGUMENT     vast.faults
    │   ├── InvalidMacros        INVALID_ARGUMENT     vast.macros.choices
    │   └── InvalidOptions       INVALID_ARGUMENT     vast.resolver.wishes
    ├── NotBuilt                 UNIMPLEMENTED
    ├── RequestIdReused          ALREADY_EXISTS
    ├── RetryableError           INTERNAL
    │   ├── Overloaded           RESOURCE_EXHAUSTED
    │   ├── Unavailable          UNAVAILABLE
    │   │   └── StoreAway        UNAVAILABLE          state.backend
    │   │       └── StoreBusy    RESOURCE_EXHAUSTED   state.guarded
    │   └── NoticeQueueFull      RESOURCE_EXHAUSTED   upstream.notices
    ├── SessionClosed            FAILED_PRECONDITION
    ├── TooLarge                 RESOURCE_EXHAUSTED
    │   ├── TooDeep              RESOURCE_EXHAUSTED
    │   └── TooManyItems         RESOURCE_EXHAUSTED
    ├── BidNotFound              NOT_FOUND            service.bid_ledger
    ├── NoticeAmbiguous          FAILED_PRECONDITION  service.bid_ledger
    ├── NoticeConflict           FAILED_PRECONDITION  service.notify
    ├── RecordError              INTERNAL             service.record
    ├── ItemIdInFlight           ALREADY_EXISTS       service.stream
    ├── CampaignChanged          ABORTED              state.faults
    ├── CampaignCurrencyFixed    FAILED_PRECONDITION  state.faults
    ├── CampaignHasChildren      FAILED_PRECONDITION  state.faults
    ├── CampaignHasReservations  FAILED_PRECONDITION  state.faults
    ├── CampaignKeyTaken         ALREADY_EXISTS       state.faults
    ├── CampaignParentInvalid    FAILED_PRECONDITION  state.faults
    ├── Overflow                 OUT_OF_RANGE         state.faults
    ├── ReservationIdReused      ALREADY_EXISTS       state.faults
    ├── ReservationNotFound      NOT_FOUND            state.faults
    ├── ReservationResolved      FAILED_PRECONDITION  state.faults
    ├── AddressRefused           PERMISSION_DENIED    upstream.guard.refusal
    └── TagRefused               PERMISSION_DENIED    vast.resolver.refused

The module is named where it is another than this one.
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


class InvalidField(InvalidRequest):
    """A field of XSP's own messages, or an argument in its place, has a value it can't have."""

    reason = "FIELD_INVALID"

    def __init__(self, path: str, description: str) -> None:
        """Names the field and says `expected …, got …`; never the value of personal data."""
        super().__init__(Violation(path, description))


class RequestEmpty(InvalidRequest):
    """A request has nothing where something is needed."""

    reason = "REQUEST_EMPTY"


class DuplicateId(InvalidRequest):
    """An id stands twice in a list whose ids must differ."""

    reason = "DUPLICATE_ID"

    def __init__(self, path: str, first: int, second: int, field: str = "") -> None:
        """Names both places.

        Args:
            path: of the list, as `notices`.
            first: index of the entry that has the id first.
            second: index of the one that has it again.
            field: of the entry, as `.notice_id`; empty: the entry is the id.
        """
        super().__init__(
            Violation(f"{path}[{first}]{field}", f"the same as {path}[{second}]{field}"),
            Violation(f"{path}[{second}]{field}", "named twice; expected an id of its own"),
        )


class CurrencyUnknown(InvalidRequest):
    """A currency is not three capital letters of ISO 4217."""

    reason = "CURRENCY_UNKNOWN"


class CurrencyMismatch(InvalidRequest):
    """An amount is in another currency than what it is for; `metadata` has both."""

    reason = "CURRENCY_MISMATCH"

    def __init__(self, path: str, expected: str, found: str, whose: str = "the campaign's") -> None:
        """Names both, and whose currency the expected one is."""
        super().__init__(Violation(path, f"expected {expected}, as {whose}, got {found}"))
        self.metadata = {"expected": expected, "found": found}


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


class TooManyItems(TooLarge):
    """A list has more entries than one call may have."""

    reason = "TOO_MANY_ITEMS"


class RequestIdReused(XspError):
    """A `request_id` came before with other content; `metadata` has the fields that differ."""

    status = "ALREADY_EXISTS"
    reason = "REQUEST_ID_REUSED"


class CampaignNotFound(XspError):
    """No campaign has this id or key; `metadata` repeats it."""

    status = "NOT_FOUND"
    reason = "CAMPAIGN_NOT_FOUND"


class SessionClosed(XspError):
    """A session was used after its end."""

    status = "FAILED_PRECONDITION"
    reason = "INTERNAL_FAULT"  # a slip in our own code: no call ever sees it


class DeadlinePassed(XspError):
    """The time of a stream's item ran out before its auction could begin."""

    status = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_PASSED"


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
