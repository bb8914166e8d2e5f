"""The errors of reading and writing documents.

InvalidRequest
├── VastUnreadable   VAST_UNREADABLE   the bytes are no VAST document that can be read
└── VastUnwritable   VAST_UNWRITABLE   the message can't be written as the version asked for
"""

from collections.abc import Sequence
from typing import Final

from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1 import violations_pb2
from xsp_server import errors

CODES: Final[dict["lists.FailureReason.ValueType", "lists.VastErrorCode.ValueType"]] = {
    lists.FAILURE_REASON_XML_MALFORMED: lists.VAST_ERROR_CODE_XML_PARSING_ERROR,
    lists.FAILURE_REASON_DOCTYPE_REFUSED: lists.VAST_ERROR_CODE_XML_PARSING_ERROR,
    lists.FAILURE_REASON_DOCUMENT_TOO_COMPLEX: lists.VAST_ERROR_CODE_XML_PARSING_ERROR,
    lists.FAILURE_REASON_BODY_TOO_LARGE: lists.VAST_ERROR_CODE_WRAPPER_UNAVAILABLE,
    lists.FAILURE_REASON_NOT_VAST: lists.VAST_ERROR_CODE_SCHEMA_VALIDATION_ERROR,
    lists.FAILURE_REASON_VERSION_REFUSED: lists.VAST_ERROR_CODE_VERSION_NOT_SUPPORTED,
}
"""The code that Error URLs get for each rule by which a document is refused."""


class VastUnreadable(errors.InvalidRequest):
    """The bytes are not a VAST document that can be read.

    Attributes:
        rule: what refused it.
        code: the VAST error code that goes with the rule.
        line: of the source, from 1; None where no line is to blame.
    """

    reason = "VAST_UNREADABLE"

    def __init__(
        self, rule: "lists.FailureReason.ValueType", description: str, *, line: int | None = None
    ) -> None:
        """Names the line, and keeps it and the code for programs."""
        where = "" if line is None else f"line {line}: "
        super().__init__(errors.Violation("document", where + description))
        self.rule = rule
        self.code = CODES[rule]
        self.line = line
        self.metadata["code"] = str(int(self.code))
        if line is not None:
            self.metadata["line"] = str(line)


class VastUnwritable(errors.InvalidRequest):
    """The version can't hold all of the message, or the message says no version that is known.

    Attributes:
        deviations: what the version can't hold.
    """

    reason = "VAST_UNWRITABLE"

    def __init__(
        self, description: str, deviations: Sequence[violations_pb2.Violation] = ()
    ) -> None:
        """Lists what the version can't hold, each with its path."""
        listed = [errors.Violation(each.path, each.message) for each in deviations]
        super().__init__(*(listed or [errors.Violation("", description)]))
        self.deviations = tuple(deviations)
