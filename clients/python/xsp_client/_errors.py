"""Every error of the client, as one tree.

    XspClientError                the root; also every gRPC status that has no class of its own
    ├── InvalidRequestError       INVALID_ARGUMENT, or refused before it was sent; a ValueError
    ├── InvalidMessageError       bytes or `ext` text that can't be read; a ValueError
    ├── DeadlineExceededError     DEADLINE_EXCEEDED; a TimeoutError
    ├── ResourceExhaustedError    RESOURCE_EXHAUSTED
    ├── UnavailableError          UNAVAILABLE
    └── UnimplementedError        UNIMPLEMENTED

A cancelled call raises `asyncio.CancelledError`, as everywhere in asyncio.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with one field of a request.

    Attributes:
        path: where, as an OpenRTB path such as `imp[0].banner.w`; empty for the whole request.
        description: what was wrong and what would be right, as `expected integer, got string`.
    """

    path: str
    description: str

    def __str__(self) -> str:
        """Path and description, as a user reads them."""
        return f"{self.path}: {self.description}" if self.path else self.description


@dataclass(frozen=True, slots=True)
class Facts:
    """What a status tells besides its message, from the standard google.rpc details."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    violations: tuple[Violation, ...] = ()
    retry_after: float | None = None


class XspClientError(Exception):
    """Root of the tree. The message says what happened, where, and what to do.

    Attributes:
        status: the gRPC status; None when nothing was sent, or an answer can't be read.
        reason: a value of `xsp.rpc.v1.ErrorReason` without its prefix, such as
            `REQUEST_INVALID`; empty when the status has none.
        metadata: facts that go with the reason, such as `limit`.
        violations: the fields that are wrong; empty unless the request was refused.
        retry_after: seconds after which a new attempt makes sense; None when the server does not
            say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: grpc.StatusCode | None = None,
        facts: Facts = Facts(),
    ) -> None:
        """Keeps what the status told."""
        super().__init__(message)
        self.status = status
        self.reason = facts.reason
        self.metadata = facts.metadata
        self.violations = facts.violations
        self.retry_after = facts.retry_after


class InvalidRequestError(XspClientError, ValueError):
    """The request breaks a rule of OpenRTB or of the contract; see `violations`."""


class InvalidMessageError(XspClientError, ValueError):
    """The server's bytes are no message of the contract, or the text of an `ext` is no JSON."""


class DeadlineExceededError(XspClientError, TimeoutError):
    """No answer came in time."""


class ResourceExhaustedError(XspClientError):
    """A limit on size, depth or load was passed; `retry_after` is set if waiting helps."""


class UnavailableError(XspClientError):
    """The server can't be reached, or is starting or stopping."""


class UnimplementedError(XspClientError):
    """The server doesn't offer this method or option."""


def refused(violations: Iterable[Violation]) -> InvalidRequestError:
    """The error of a dict that can't be put into the contract; nothing was sent."""
    facts = Facts(violations=tuple(violations))
    return InvalidRequestError(
        f"not OpenRTB: {'; '.join(map(str, facts.violations))}",
        facts=facts,
    )


def from_rpc(error: grpc.aio.AioRpcError, called: str, timeout: float) -> XspClientError:
    """The error of a call that ended with a status other than OK.

    Args:
        error: what gRPC raised.
        called: method and target, for the message.
        timeout: seconds that the call had.
    """
    status, facts = error.code(), _facts(error)
    kind, advice = _KINDS.get(status, (XspClientError, ""))
    told = (error.details() or "no details").rstrip(".")
    if facts.retry_after is not None:
        advice = "Try again in {retry_after:g} s."
    parts = (
        f"{called}: {status.name}: {told}.",
        advice.format(timeout=timeout, retry_after=facts.retry_after),
    )
    return kind(" ".join(filter(None, parts)), status=status, facts=facts)


_KINDS: Mapping[grpc.StatusCode, tuple[type[XspClientError], str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (
        InvalidRequestError,
        "Correct the request; .violations names the fields.",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        DeadlineExceededError,
        "The call had {timeout:g} s; give more by timeout= or the request's tmax.",
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        ResourceExhaustedError,
        "Send less, or raise the limit that is named.",
    ),
    grpc.StatusCode.UNAVAILABLE: (
        UnavailableError,
        "Check the address, TLS and that the server runs.",
    ),
    grpc.StatusCode.UNIMPLEMENTED: (
        UnimplementedError,
        "Call a server that offers it.",
    ),
}


def _facts(error: grpc.aio.AioRpcError) -> Facts:
    try:
        status = rpc_status.from_call(error)
        return Facts() if status is None else _read(status.details)
    except (ValueError, DecodeError):
        # Details that contradict the status, or are no details: the status itself still holds.
        return Facts()


def _read(details: Iterable[Any]) -> Facts:
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in details:
        for target in (info, bad, retry):
            detail.Unpack(target)  # does nothing to a message of another type
    delay = retry.retry_delay.ToTimedelta().total_seconds()
    return Facts(
        reason=info.reason,
        metadata=MappingProxyType(dict(info.metadata)),
        violations=tuple(Violation(v.field, v.description) for v in bad.field_violations),
        retry_after=delay if retry.HasField("retry_delay") else None,
    )
