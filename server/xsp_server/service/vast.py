"""VastService: chains followed, documents read and written."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.vast.v1 import vast_service_pb2 as pb
from xsp.vast.v1.resolution_pb2 import ErrorUrl, Hop, Resolution
from xsp_server.auction.privacy import PrivacyPolicy
from xsp_server.errors import MissingField, RetryableError
from xsp_server.service.planning import for_strangers
from xsp_server.service.session import Discretion, open_session
from xsp_server.service.status import Context
from xsp_server.upstream import Session
from xsp_server.upstream.documents import Documents
from xsp_server.upstream.guard import AddressRefused
from xsp_server.upstream.notices import Notice, NoticeKind, NoticeSender
from xsp_server.vast.lint import lint
from xsp_server.vast.metadata import metadata_of
from xsp_server.vast.parse import parse
from xsp_server.vast.render import render
from xsp_server.vast.resolver import OnHop, VastChainResolver


class CallersTags:
    """Where the server's resolver gets its documents: each call brings its own tags."""

    sources = ()

    def __init__(self, fetcher: Documents) -> None:
        """Takes what fetches documents."""
        self.fetcher = fetcher

    def open_session(self, user_id: str | None) -> Session:  # noqa: ARG002 - calls bring theirs
        """A session of a call that tells none."""
        return open_session(None, (), None)


class ErrorNotices:
    """Requests Error URLs by the queue of notices: bounded, guarded, each at most once."""

    def __init__(self, sender: NoticeSender) -> None:
        """Takes what sends them."""
        self._sender = sender

    def send(self, urls: Sequence[ErrorUrl]) -> None:
        """Takes the URLs of one resolution; what finds no place in the queue is dropped."""
        resolution = uuid4().hex
        for place, url in enumerate(urls):
            notice = Notice(resolution, "", str(place), NoticeKind.ERROR, url.url)
            with suppress(AddressRefused, RetryableError):
                self._sender.send(notice)


class VastServicer:
    """The methods of xsp.vast.v1.VastService."""

    def __init__(self, resolver: VastChainResolver, privacy: Callable[[], PrivacyPolicy]) -> None:
        """Takes what follows chains, and what says which policy is in force."""
        self._resolver = resolver
        self._privacy = privacy

    async def ResolveVast(  # noqa: N802
        self, request: pb.ResolveVastRequest, context: Context
    ) -> pb.ResolveVastResponse:
        """From a tag or a document to the final ads.

        Raises:
            MissingField: there is no source.
            InvalidRequest: a source, an option or a macro has a value that can't be.
            TagRefused: the caller's own tag is an address that the server must not reach.
        """
        session = _session(request, context)
        resolution = await self._resolve(request, context, session)
        return pb.ResolveVastResponse(resolution=resolution, session=session.to_message())

    async def StreamResolveVast(  # noqa: N802
        self, request: pb.StreamResolveVastRequest, context: Context
    ) -> AsyncGenerator[pb.StreamResolveVastResponse, None]:
        """The same, each hop as it ends; errors are those of ResolveVast."""
        session = _session(request, context)
        hops: asyncio.Queue[Hop | None] = asyncio.Queue()  # as many as a call may have documents
        resolving = asyncio.ensure_future(self._resolve(request, context, session, hops.put_nowait))
        resolving.add_done_callback(lambda _: hops.put_nowait(None))
        try:
            while (hop := await hops.get()) is not None:
                yield pb.StreamResolveVastResponse(hop=hop)
            resolution = await resolving
        finally:
            resolving.cancel()
        yield pb.StreamResolveVastResponse(resolution=resolution, session=session.to_message())

    async def ParseVast(  # noqa: N802
        self, request: pb.ParseVastRequest, _context: Context
    ) -> pb.ParseVastResponse:
        """Reads one document.

        Raises:
            MissingField: it is empty.
            VastUnreadable: it can't be read at all.
        """
        if not request.document:
            raise MissingField("document", "the XML of a VAST document")
        charset = request.charset if request.HasField("charset") else None
        document = parse(request.document, charset=charset)
        return pb.ParseVastResponse(
            document=document,
            violations=lint(request.document, charset=charset) if request.strict else (),
            metadata=[metadata_of(ad) for ad in document.ads],
        )

    async def RenderVast(  # noqa: N802
        self, request: pb.RenderVastRequest, _context: Context
    ) -> pb.RenderVastResponse:
        """Writes one document as one version.

        Raises:
            MissingField: there is none.
            VastUnwritable: the version isn't known, or, where `strict` is asked for, can't hold all
                of the document.
        """
        if not request.HasField("document"):
            raise MissingField("document", "the document to write")
        rendered = render(
            request.document,
            version=request.version or None,
            indent=request.indent,
            strict=request.strict,
        )
        return pb.RenderVastResponse(xml=rendered.xml, violations=rendered.violations)

    async def _resolve(
        self,
        request: pb.ResolveVastRequest | pb.StreamResolveVastRequest,
        context: Context,
        session: Session,
        on_hop: OnHop | None = None,
    ) -> Resolution:
        if not request.sources:
            raise MissingField("sources", "a tag or a document to start from")
        whom = Discretion(session, for_strangers(self._privacy(), _NO_REQUEST, session))
        return await self._resolver.resolve(
            request.sources,
            options=request.options,
            macros=request.macros,
            session=session,
            seen=whom.seen,
            judge=whom.judge,
            timeout=context.time_remaining(),
            on_hop=on_hop,
        )


_NO_REQUEST = BidRequest()


def _session(
    request: pb.ResolveVastRequest | pb.StreamResolveVastRequest, context: Context
) -> Session:
    told = request.session if request.HasField("session") else None
    return open_session(told, context.invocation_metadata(), None)
