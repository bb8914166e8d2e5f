"""The part of resolving that takes time: it asks for documents, and pods at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.limits import Limits
from xsp_server.vast.lint import lint
from xsp_server.vast.parse import parse
from xsp_server.vast.resolver.addresses import complete, without_fragment
from xsp_server.vast.resolver.decision import (
    LOOP,
    Candidate,
    Decision,
    Place,
    Received,
    decide,
    settle,
)
from xsp_server.vast.resolver.fetcher import Document, DocumentAsk, Fetcher, Session
from xsp_server.vast.resolver.outcome import Chain, Failed, Found, Outcome
from xsp_server.vast.resolver.refused import TagRefused
from xsp_server.vast.resolver.requests import Filler
from xsp_server.vast.resolver.requirements import Refusal
from xsp_server.vast.resolver.sources import Tag
from xsp_server.vast.resolver.trace import Clock, Step, Trace
from xsp_server.vast.resolver.wishes import Wishes, seconds

_SECOND = 1_000_000_000
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Call:
    """All that the documents of one call have in common.

    Attributes:
        wishes: the caller's.
        fetcher: what fetches.
        session: whom it is for.
        filler: fills macros.
        clock: started with the call.
        trace: notes the steps.
        places: for fetches that are under way at once.
        used: requests and documents so far.
        at_once: whether other sources are asked at the same time. Then fetches need places, and
            each step counts its requests, since it may be given up before its document is here.
    """

    wishes: Wishes
    fetcher: Fetcher
    session: Session
    filler: Filler
    clock: Clock
    trace: Trace
    places: asyncio.Semaphore
    used: "Used"
    at_once: bool = False


class Driver:
    """Follows the chains of one source."""

    def __init__(self, call: Call, tag: Tag, deadline: float) -> None:
        """Takes the source; its time begins now.

        Args:
            call: that it is part of.
            tag: where to start.
            deadline: seconds on the call's clock; the source's own time may be shorter.
        """
        self._call = call
        self._tag = tag
        self._index = tag.index
        self._source = source = tag.source
        self._limits = Limits(max_bytes=call.wishes.max_body_bytes)
        self._has_branched = call.at_once
        self._deadline = deadline
        if source.HasField("timeout"):
            own = call.clock.elapsed() + seconds(source.timeout)
            self._deadline = min(self._deadline, own)

    async def run(self) -> Outcome:
        """All that the source gives.

        Raises:
            TagRefused: its tag is an address that the server must not reach.
        """
        source = self._source
        if not source.HasField("tag_uri"):
            step = self._call.trace.begin(self._index, 0, None)
            step.base = source.base_uri or None
            self._read(step, source.document, None)
            return await self._go_on(step, Place(self._index))
        tag_uri = source.tag_uri.strip()
        step = self._call.trace.begin(self._index, 0, tag_uri)
        step.url = self._call.filler.request(tag_uri, ())
        await self._ask(step)
        if step.reason in _FORBIDDEN and not (step.document and step.document.redirects):
            raise TagRefused(self._index, step.message, self._tag.path)
        return await self._go_on(step, Place(self._index, address=without_fragment(tag_uri)))

    async def _go_on(self, step: Step, place: Place) -> Outcome:
        """What becomes of a document that has come, or not.

        Where a chain has but one way to go, which most have, it is gone here, hop by hop.
        """
        while True:
            if step.vast is None:
                self._call.trace.end(step)
                return _failed(place.chain, (step.reason, step.message), step)
            if place.has_been_at(step.base):
                return self._refused(step, place.chain, LOOP)
            received = Received(step.vast, step.index, place, step.base)
            decision = decide(received, self._call.wishes)
            if decision.failure is not None:
                step.reason, step.message = decision.failure
            self._call.trace.end(step)
            only = decision.only
            if only is None:
                return await self._branch(received, decision)
            if not only.is_followed:
                return _ended(received, only)
            way = self._way(received, only)
            if isinstance(way, Outcome):
                return way
            step, place = way
            if self._has_branched:
                await self._ask(step)
            else:
                await self._fetch(step)

    async def _branch(self, received: Received, decision: Decision) -> Outcome:
        """What becomes of a document with several ads, or none."""
        if decision.takes_one:
            return settle(received, decision, (), await self._first(received, decision))
        outcomes = await self._all(received, (*decision.pod, *decision.alone))
        border = len(decision.pod)
        return settle(received, decision, outcomes[:border], outcomes[border:])

    async def _first(self, received: Received, decision: Decision) -> Sequence[Outcome]:
        """One stand-alone ad after the other, until one is found or none may stand in."""
        outcomes: list[Outcome] = []
        may_be_replaced = False
        for candidate in decision.alone:
            outcome = await self._one(received, candidate)
            outcomes.append(outcome)
            may_be_replaced = may_be_replaced or candidate.may_be_replaced
            if outcome.found or not (may_be_replaced or candidate.is_passed_over):
                break
        return outcomes

    async def _all(self, received: Received, candidates: Sequence[Candidate]) -> Sequence[Outcome]:
        """All ads at once, as far as there are places."""
        if sum(candidate.is_followed for candidate in candidates) < 2:
            return [await self._one(received, candidate) for candidate in candidates]
        self._has_branched = True
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(received, candidate)) for candidate in candidates]
        return [task.result() for task in tasks]

    async def _one(self, received: Received, candidate: Candidate) -> Outcome:
        """One ad of several."""
        if not candidate.is_followed:
            return _ended(received, candidate)
        way = self._way(received, candidate)
        if isinstance(way, Outcome):
            return way
        step, place = way
        await self._ask(step)
        return await self._go_on(step, place)

    def _way(self, received: Received, candidate: Candidate) -> tuple[Step, Place] | Outcome:
        """Where a Wrapper leads, or what becomes of it where it must not be followed."""
        place, link = received.place, candidate.link
        chain = (*place.chain, link)
        uri = link.ad.wrapper.vast_ad_tag_uri
        step = self._call.trace.begin(self._index, len(chain), uri, (received.hop, link.ad_index))
        filled = self._call.filler.request(uri, chain)
        step.url = complete(filled, received.base)
        if step.url is None:
            return self._refused(step, chain, _INCOMPLETE)
        address = step.url if filled == uri else complete(uri, received.base) or uri
        below = place.below(candidate, address, received.base, self._call.wishes)
        if isinstance(below, Place):
            return step, below
        return self._refused(step, chain, below)

    def _refused(self, step: Step, chain: Chain, refusal: Refusal) -> Outcome:
        """An address that is not asked, or that redirects must not have led to."""
        step.reason, step.message = refusal
        self._call.trace.end(step)
        return _failed(chain, refusal, step)

    async def _ask(self, step: Step) -> None:
        """Fetches a document and reads it; where branches do so at once, each in its turn."""
        if not self._has_branched:
            return await self._fetch(step)
        async with self._call.places:
            return await self._fetch(step)

    async def _fetch(self, step: Step) -> None:
        call = self._call
        left = self._deadline - call.clock.elapsed()
        if left <= 0:
            step.reason, step.message = _NO_TIME
            return
        if not call.used.take_document():
            step.reason, step.message = _TOO_MANY
            return
        ask = self._ask_for(step.url or "", min(left, call.wishes.hop_timeout))
        if call.at_once:
            ask = ask._replace(take=step.counting(ask.take))
        document = await call.fetcher.fetch(ask)
        step.document, step.base = document, document.final_url
        if document.reason == lists.FAILURE_REASON_UNSPECIFIED:
            self._read(step, document.body, document)
            self._tell_expiry(step, ask)
        elif document.reason == lists.FAILURE_REASON_HOP_TIMEOUT and ask.timeout == left:
            step.reason, step.message = _NO_TIME
        else:
            step.reason, step.message = document.reason, document.message

    def _ask_for(self, url: str, timeout: float) -> DocumentAsk:
        wishes = self._call.wishes
        return DocumentAsk(
            url=url,
            headers=wishes.headers,
            timeout=timeout,
            max_body_bytes=wishes.max_body_bytes,
            max_redirects=wishes.max_redirects,
            take=self._call.used.take_request,
            use_cache=wishes.use_cache,
            session=self._call.session,
        )

    def _read(self, step: Step, body: bytes, document: Document | None) -> None:
        """Reads a document; an answer that says it has no content is one without ads."""
        step.body = body
        if document is not None and document.http_status == _NO_CONTENT:
            step.vast = vast_pb2.Vast()
            return
        charset = document.charset if document else None
        try:
            step.vast = parse(body, charset=charset, limits=self._limits)
        except VastUnreadable as error:
            step.reason, step.message = error.rule, str(error)
        else:
            if self._call.wishes.strict:
                step.violations = lint(body, charset=charset, limits=self._limits)

    def _tell_expiry(self, step: Step, ask: DocumentAsk) -> None:
        """Lets the cache know of ads that expire: `Expires` counts from the request."""
        document, vast = step.document, step.vast
        if vast is not None and document is not None and document.requested_ns is not None:
            requested = document.requested_ns
            for ad in vast.ads:
                if ad.HasField("inline") and ad.inline.HasField("expires"):
                    self._call.fetcher.expires(ask, requested + ad.inline.expires * _SECOND)


class Used:
    """What the whole call has used up."""

    def __init__(self, max_requests: int, max_documents: int) -> None:
        """Takes what may be used.

        Args:
            max_requests: HTTP requests.
            max_documents: documents, those from the cache included.
        """
        self._requests = max_requests
        self._documents = max_documents

    def take_request(self) -> bool:
        """Whether one more may be made; if so, it counts."""
        self._requests -= 1
        return self._requests >= 0

    def take_document(self) -> bool:
        """Likewise, for a document."""
        self._documents -= 1
        return self._documents >= 0


_FORBIDDEN: Final = frozenset(
    {lists.FAILURE_REASON_SCHEME_REFUSED, lists.FAILURE_REASON_ADDRESS_REFUSED}
)
_INCOMPLETE: Final[Refusal] = (
    lists.FAILURE_REASON_URI_INVALID,
    "a relative address, and none that it could be relative to",
)
_NO_TIME: Final[Refusal] = (
    lists.FAILURE_REASON_TOTAL_TIMEOUT,
    "the time of the call, or of the source, ran out",
)
_TOO_MANY: Final[Refusal] = (
    lists.FAILURE_REASON_FETCH_LIMIT,
    "the documents of the call were used up",
)


def _failed(chain: Chain, refusal: Refusal, step: Step) -> Outcome:
    reason, message = refusal
    return Outcome(failed=[Failed(chain, reason, message, step.index, step.source)])


def _ended(received: Received, candidate: Candidate) -> Outcome:
    """What becomes of an ad that leads nowhere: it can be shown, or has failed."""
    place = received.place
    chain = (*place.chain, candidate.link)
    if candidate.refusal is None:
        return Outcome(found=[Found(chain, candidate.sequence, place.source)])
    reason, message = candidate.refusal
    return Outcome(failed=[Failed(chain, reason, message, received.hop, place.source)])
