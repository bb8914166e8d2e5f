"""What rare calls say of themselves, kept in the store: any server knows them by their request ids.

Calls whose moves have ids are known to the store by these. The others keep what they must not
forget, a plan before they act or an answer after it, as moves without entries in a book of the
call's own. What is kept first stands.
"""

import base64
from typing import Final

from google.protobuf.message import Message

from xsp_server.state.backend import CONTENT_MAX, Book, Kind, Known, Move, StateBackend, Status
from xsp_server.state.faults import RequestIdReused
from xsp_server.state.messages import Clock, differences, digest, packed, unpacked

_PART: Final = CONTENT_MAX - 16
"""Characters of one part of what is kept; the first one also has the number of parts."""

_PERSONAL: Final = "subject"
"""Field of a request that is not kept."""


class Answered:
    """Keeps texts of calls, and finds them again."""

    def __init__(self, backend: StateBackend, clock: Clock, keep_ms: int) -> None:
        """Takes the store.

        Args:
            backend: the store.
            clock: milliseconds since 1970.
            keep_ms: how long a call is known.
        """
        self._backend = backend
        self._clock = clock
        self._keep_ms = keep_ms

    async def find(self, what: str, request_id: str, request: Message) -> bytes | None:
        """What was kept of a call; None: nothing.

        Raises:
            RequestIdReused: it had other content.
            StoreAway: the store can't be reached.
        """
        text = await self._text(_book(request_id, request), what)
        if text is None:
            return None
        content, first, data = text.split(" ")
        if content != _content(request):
            raise _reused(request_id, first, request)
        return base64.b64decode(data)

    async def keep(self, what: str, request_id: str, request: Message, data: bytes) -> bytes:
        """Keeps something of a call; what is kept now, which is what came first.

        Raises:
            RequestIdReused: the call came before with other content.
            StoreAway: the store can't be reached; whether it is kept is not known.
        """
        text = " ".join((_content(request), _shown(request), base64.b64encode(data).decode()))
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        parts[0] = f"{len(parts)} {parts[0]}"
        moves = [
            Move(Kind.COUNT, (), f"{what}/{place}", part, self._keep_ms)
            for place, part in enumerate(parts)
        ]
        outcomes = await self._backend.apply(_book(request_id, request), moves, self._clock())
        if outcomes[0].status is not Status.REUSED:
            return data
        first = await self.find(what, request_id, request)
        return data if first is None else first

    async def _text(self, book: Book, what: str) -> str | None:
        """All parts of a text that was kept, put together."""
        [first] = await self._find(book, [f"{what}/0"])
        if first is None:
            return None
        number, _, text = first.content.partition(" ")
        others = [f"{what}/{place}" for place in range(1, int(number))]
        rest = await self._find(book, others) if others else []
        told = [each.content for each in rest if each is not None]
        return "".join((text, *told)) if len(told) == len(rest) else None

    async def _find(self, book: Book, ids: list[str]) -> list[Known | None]:
        return await self._backend.find(book.name, ids, self._clock())


def _book(request_id: str, request: Message) -> Book:
    return Book(f"call/{type(request).__name__}/{request_id}")


def _content(request: Message) -> str:
    """The digest of all that a request says."""
    return digest(request.SerializeToString(deterministic=True))


def _shown(request: Message) -> str:
    """What is kept of a request, to tell how another one differs; of a long one nothing."""
    text = packed(_impersonal(request))
    return text if len(text) < _PART else ""


def _impersonal(request: Message) -> Message:
    """The request without the people whom it names."""
    told = type(request).FromString(request.SerializeToString())
    if _PERSONAL in told.DESCRIPTOR.fields_by_name:
        told.ClearField(_PERSONAL)
    return told


def _reused(request_id: str, first: str, request: Message) -> RequestIdReused:
    """What a call is told whose id came before with other content."""
    different: dict[str, str] = {}
    if first:
        new = _impersonal(request)
        different = differences(unpacked(first, type(new)), new) or {_PERSONAL: "differs"}
    return RequestIdReused(
        f"request_id {request_id!r} came before with other {', '.join(different) or 'content'}; "
        "expected an id of its own for other content",
        **different,
    )
