"""Calls that a client may repeat: the same request_id gets the same answer."""

import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from xsp_server.errors import (
    InvalidRequest,
    RequestIdReused,
    Violation,
)

MAX_BYTES = 16 * 1024 * 1024
"""Calls that a method remembers with their answers; the oldest are forgotten first."""
MAX_DIFFERENCES = 8
"""Fields that are told when a request_id comes with other content."""

Answer = TypeVar("Answer", bound=Message)


class RequestIdInvalid(InvalidRequest):
    """A request has no `request_id`, or one that can't be."""

    reason = "REQUEST_ID_INVALID"


def check_request_id(request_id: str) -> None:
    """Refuses what can't be a `request_id`.

    Raises:
        RequestIdInvalid: it is not 1 to 128 printable ASCII characters.
    """
    if not _REQUEST_ID.fullmatch(request_id):
        found = f"{len(request_id)} characters" if len(request_id) > 128 else repr(request_id)
        expected = "expected 1 to 128 printable ASCII characters, made by the client"
        raise RequestIdInvalid(Violation("request_id", f"{expected}; got {found}"))


_REQUEST_ID = re.compile("[\x20-\x7e]{1,128}")


def content_of(request: Message) -> bytes:
    """All that a request says: equal bytes for equal content."""
    return request.SerializeToString(deterministic=True)


class Answers(Generic[Answer]):
    """The answers of one method to the calls of a while."""

    def __init__(
        self,
        answer: type[Answer],
        keep: float,
        clock: Callable[[], float],
        personal: Collection[str] = ("session",),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Starts with none.

        Args:
            answer: what the method answers with.
            keep: how long an answer is remembered, while there is room.
            clock: what that is told by, in seconds or whatever else.
            personal: fields of the request whose values an error must not repeat.
            max_bytes: the room.
        """
        self._answer = answer
        self._keep = keep
        self._clock = clock
        self._personal = frozenset(personal)
        self._bytes = 0
        self._max_bytes = max_bytes
        self._calls: OrderedDict[str, tuple[float, bytes, bytes]] = OrderedDict()

    def find(self, request_id: str, request: Message) -> Answer | None:
        """The answer to the same call before; None: there was none.

        Raises:
            RequestIdReused: there was one with other content.
        """
        now = self._clock()
        while self._calls and next(iter(self._calls.values()))[0] <= now:
            self._drop_first()
        known = self._calls.get(request_id)
        if known is None:
            return None
        _, content, answer = known
        if content == content_of(request):
            return self._answer.FromString(answer)
        raise self.reused(request_id, content, request)

    def reused(self, request_id: str, content: bytes, request: Message) -> RequestIdReused:
        """What a call is told whose `request_id` came before with other content."""
        first = type(request).FromString(content)
        different = dict(islice(self._differences("", first, request), MAX_DIFFERENCES))
        return RequestIdReused(
            f"request_id {request_id!r} came before with other {', '.join(different)}; "
            "expected an id of its own for other content",
            **different,
        )

    def add(self, request_id: str, content: bytes, answer: Answer) -> None:
        """Remembers a call that `find` did not know, by the `content_of` its request."""
        known = (self._clock() + self._keep, content, answer.SerializeToString())
        if request_id in self._calls:  # of the same call, made twice at once
            self._bytes -= _size(self._calls.pop(request_id))
        self._calls[request_id] = known
        self._bytes += _size(known)
        while self._bytes > self._max_bytes:
            self._drop_first()

    def _drop_first(self) -> None:
        self._bytes -= _size(self._calls.popitem(last=False)[1])

    def _differences(self, path: str, first: Message, new: Message) -> Iterator[tuple[str, str]]:
        """Fields that differ, with both values."""
        for descriptor in first.DESCRIPTOR.fields:
            name = f"{path}.{descriptor.name}" if path else descriptor.name
            one, other = _value(first, descriptor), _value(new, descriptor)
            if one == other:
                continue
            if name in self._personal:
                yield name, "differs"
            elif descriptor.is_repeated:
                yield from self._differences_in_list(name, one, other)
            elif isinstance(one, Message) and isinstance(other, Message):
                yield from self._differences(name, one, other)
            else:
                yield name, f"first {_shown(one)}, now {_shown(other)}"

    def _differences_in_list(
        self, path: str, first: Sequence[Any], new: Sequence[Any]
    ) -> Iterator[tuple[str, str]]:
        if len(first) != len(new):
            yield path, f"first {len(first)} of them, now {len(new)}"
        for index, (one, other) in enumerate(zip(first, new, strict=False)):
            if isinstance(one, Message):
                yield from self._differences(f"{path}[{index}]", one, other)
            elif one != other:
                yield f"{path}[{index}]", f"first {_shown(one)}, now {_shown(other)}"


def _value(message: Message, descriptor: Any) -> Any:
    """None where the field is absent, which differs from its default."""
    if descriptor.has_presence and not message.HasField(descriptor.name):
        return None
    return getattr(message, descriptor.name)


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(str(value)[:100])


def _size(known: tuple[float, bytes, bytes]) -> int:
    return len(known[1]) + len(known[2])
