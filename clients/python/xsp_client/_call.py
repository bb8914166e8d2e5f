"""What every call of the client takes, and how the client's parts make one."""

from collections.abc import Mapping
from typing import Protocol, TypedDict, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


class CallOptions(TypedDict, total=False):
    """What every call takes by keyword."""

    timeout: float | None
    """Seconds until the call ends with DeadlineExceededError, retries included. Default: the
    request's tmax, else the client's timeout."""
    metadata: Mapping[str, str | bytes]
    """gRPC metadata to send, besides the client's; names in any case, those of bytes end in
    `-bin`."""
    wait_for_ready: bool | None
    """True: wait for a connection until the deadline. False, the default: a server that can't be
    reached raises UnavailableError once the attempts are used up."""


class Caller(Protocol):
    """Makes one unary call on the client's channel."""

    async def __call__(self, path: str, request: Message, kind: type[M], call: CallOptions) -> M:
        """The answer, a message of `kind`.

        Raises:
            XspClientError: the call failed.
        """
        ...
