"""`VastChainResolver`: the public face of this room."""

import asyncio
import time
from collections.abc import Callable, Sequence
from random import SystemRandom

import structlog

from xsp.vast.v1 import macros_pb2, resolution_pb2, resolve_options_pb2, violations_pb2
from xsp.vast.v1 import resolve_options_pb2 as options_pb
from xsp_server.errors import Violation
from xsp_server.vast.macros import Judge, MacroChoices, careful
from xsp_server.vast.resolver.answer import Context, answer
from xsp_server.vast.resolver.discretion import seen_by_servers
from xsp_server.vast.resolver.driver import Call, Used
from xsp_server.vast.resolver.error_plan import FIRED_BY_SERVER
from xsp_server.vast.resolver.fetcher import Session, Upstream
from xsp_server.vast.resolver.groups import ask
from xsp_server.vast.resolver.requests import Filler, Origin, RandBits
from xsp_server.vast.resolver.sources import arranged
from xsp_server.vast.resolver.trace import Clock, Trace, duration, timestamp
from xsp_server.vast.resolver.wishes import InvalidOptions, ResolverSettings, Wishes, read

Source = resolve_options_pb2.VastSource
OnHop = Callable[[resolution_pb2.Hop], None]
Fire = Callable[[Sequence[resolution_pb2.ErrorUrl]], None]

log = structlog.get_logger(__name__)

_RANDBITS = SystemRandom().getrandbits
_NO_OPTIONS = resolve_options_pb2.ResolveOptions()
_NO_MACROS = macros_pb2.MacroOptions()


class VastChainResolver:
    """Follows tags and documents to the InLine ads, with all that their chains add.

    resolution = await VastChainResolver(upstream).resolve("https://ads.example/tag")

    It keeps nothing between calls; any number of them may run at once.
    """

    def __init__(  # noqa: PLR0913 - what it works with, each with a default
        self,
        upstream: Upstream,
        *,
        settings: ResolverSettings | None = None,
        fire: Fire | None = None,
        judge: Judge = careful,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        randbits: RandBits = _RANDBITS,
    ) -> None:
        """Takes what it works with.

        Args:
            upstream: where documents come from.
            settings: the most that a call may cost.
            fire: requests Error URLs, after it has returned; it must not wait for them. None: all
                stay with the caller, and calls that leave them to the server are refused.
            judge: what privacy leaves of the values of macros, and of sessions that are not judged.
            wall: the time, ns since 1970-01-01 UTC.
            monotonic: seconds, never going back.
            randbits: randomness that nobody can guess.
        """
        self._upstream = upstream
        self._settings = settings or ResolverSettings()
        self._fire = fire
        self._judge = judge
        self._wall = wall
        self._monotonic = monotonic
        self._randbits = randbits

    async def resolve(  # noqa: PLR0913 - the source, and what else there is to say of it
        self,
        source: Source | str | bytes | Sequence[Source] | None = None,
        *,
        user_id: str | None = None,
        max_hops: int = 5,
        options: resolve_options_pb2.ResolveOptions = _NO_OPTIONS,
        macros: macros_pb2.MacroOptions = _NO_MACROS,
        session: Session | None = None,
        seen: Session | None = None,
        judge: Judge | None = None,
        timeout: float | None = None,
        on_hop: OnHop | None = None,
    ) -> resolution_pb2.Resolution:
        """One resolution.

        A chain that ends in an error code is an answer, not an exception.

        Args:
            source: a tag's address, a document's bytes, or the contract's message of either;
                several are a waterfall, and a group may stand in the place of one. None: the
                upstream's own.
            user_id: whom it is for, where there is no session.
            max_hops: Wrappers followed on the way to one InLine, where the options don't say.
            options: limits and wishes.
            macros: values and spellings of macros.
            session: whom it is for. None: one is opened for the call.
            seen: the session as the servers that are asked may see it, in headers and cookies.
                None: what the judge leaves of it.
            judge: what privacy leaves of the values of macros in this call, and of the session.
                None: what the resolver's own does.
            timeout: seconds that the caller waits; the options' times hold too. None: they alone.
            on_hop: told of each hop when it ends.

        Raises:
            InvalidOptions: sources or options have values that can't be, or leave Error URLs to a
                resolver that requests none.
            InvalidMacros: likewise, macros.
            TagRefused: the source's own tag is an address that the server must not reach.
        """
        clock, judge = Clock(self._wall, self._monotonic), judge or self._judge
        sources = self._upstream.sources if source is None else _sources(source)
        group = arranged(sources)
        wishes = read(options, self._settings, max_hops=max_hops, timeout=timeout)
        if self._fire is None and wishes.firing in FIRED_BY_SERVER:
            raise InvalidOptions(_NOBODY_FIRES)
        is_fresh = session is None or not session.was_told
        session = session or self._upstream.open_session(user_id)
        filler = Filler(
            MacroChoices.from_message(macros),
            wishes,
            session,
            Origin(judge, clock.now_ns, self._randbits, is_fresh),
        )
        bodies = options_pb.RESOLUTION_PART_SOURCE_DOCUMENTS in wishes.parts
        trace = Trace(clock, on_hop, with_bodies=bodies)
        call = Call(
            wishes=wishes,
            fetcher=self._upstream.fetcher,
            session=seen or seen_by_servers(session, judge),
            filler=filler,
            clock=clock,
            trace=trace,
            places=asyncio.Semaphore(self._settings.concurrency),
            used=Used(wishes.max_fetches, self._settings.max_documents),
        )
        outcome = await ask(call, group, wishes.total_timeout)
        resolution = answer(outcome, Context(wishes, filler, trace, _log_lost))
        self._fire_errors(resolution, wishes)
        resolution.start_time.CopyFrom(timestamp(clock.start_ns))
        resolution.elapsed.CopyFrom(duration(clock.elapsed()))
        return resolution

    def _fire_errors(self, resolution: resolution_pb2.Resolution, wishes: Wishes) -> None:
        """Hands over what the server requests, and leaves out the plan where it isn't wanted."""
        planned = [url for url in resolution.error_plan if url.fired_by_server]
        if self._fire is not None and planned:
            self._fire(planned)
        if options_pb.RESOLUTION_PART_ERROR_PLAN not in wishes.parts:
            resolution.ClearField("error_plan")


_NOBODY_FIRES = Violation(
    "options.error_firing",
    "expected ERROR_FIRING_CALLER: this resolver has no `fire` to request Error URLs with",
)
_MOST_PATHS, _LONGEST_PATH = 20, 200


def _log_lost(violations: Sequence[violations_pb2.Violation]) -> None:
    """Logs what the merged XML lacks, by path: the answer has no field for it."""
    paths = [each.path[:_LONGEST_PATH] for each in violations[:_MOST_PATHS]]
    log.debug("merged VAST incomplete", left_out=len(violations), paths=paths)


def _sources(source: Source | str | bytes | Sequence[Source]) -> Sequence[Source]:
    if isinstance(source, str):
        return [Source(tag_uri=source)]
    if isinstance(source, bytes):
        return [Source(document=source)]
    return [source] if isinstance(source, Source) else source
