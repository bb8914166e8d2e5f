"""The contract's message of what a resolution found. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from xsp.vast.v1 import metadata_pb2, resolution_pb2, vast_pb2, violations_pb2
from xsp.vast.v1 import resolve_options_pb2 as options_pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1.vast_lists_pb2 import VastVersion
from xsp_server.vast.merge import Link, merge, way_of
from xsp_server.vast.metadata import metadata_of
from xsp_server.vast.render import render, render_whole
from xsp_server.vast.resolver.error_plan import plan_errors
from xsp_server.vast.resolver.outcome import Chain, Found, LeftOut, Outcome
from xsp_server.vast.resolver.reasons import CODES
from xsp_server.vast.resolver.requests import Filler
from xsp_server.vast.resolver.trace import Step, Trace, timestamp
from xsp_server.vast.resolver.tracker_macros import filled
from xsp_server.vast.resolver.wishes import Wishes
from xsp_server.vast.schema import Version, name_of, version_of

Ending: TypeAlias = resolution_pb2.ResolutionOutcome.ValueType

_MERGED: Final = frozenset(
    {
        options_pb.RESOLUTION_PART_ADS,
        options_pb.RESOLUTION_PART_XML,
        options_pb.RESOLUTION_PART_ORIGINS,
        options_pb.RESOLUTION_PART_METADATA,
    }
)
"""Parts that take the whole ad."""
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Context:
    """What the answer is about, besides what became of it.

    Attributes:
        wishes: the caller's.
        filler: fills macros.
        trace: the steps.
        lost: told what the version of the merged XML can't hold, where that is anything.
    """

    wishes: Wishes
    filler: Filler
    trace: Trace
    lost: Callable[[Sequence[violations_pb2.Violation]], None]


def answer(outcome: Outcome, context: Context) -> resolution_pb2.Resolution:
    """The answer, but for the times of the call.

    Args:
        outcome: of all sources.
        context: what else there is to tell.
    """
    wishes = context.wishes
    _limit(outcome, wishes.max_ads)
    resolution = resolution_pb2.Resolution(
        outcome=_ending(outcome),
        ads=[_resolved(found, outcome, context) for found in outcome.found],
        failures=_failures(outcome),
        left_out_ads=[
            resolution_pb2.LeftOutAd(
                ad=resolution_pb2.ChainLink(**each.chain[-1].values()), reason=each.reason
            )
            for each in outcome.left_out
        ],
        source=outcome.found[0].source if outcome.found else None,
        transaction_id=context.filler.transaction_id,
        fetch_count=context.trace.fetch_count(),
    )
    expiries = [
        expiry
        for found in outcome.found
        if (expiry := _expiry_ns(found.chain, context.trace.steps))
    ]
    if expiries:
        resolution.expire_time.CopyFrom(timestamp(min(expiries)))
    if options_pb.RESOLUTION_PART_XML in wishes.parts:
        resolution.xml = _xml(resolution, outcome, context)
    if options_pb.RESOLUTION_PART_ADS not in wishes.parts:
        for ad in resolution.ads:
            ad.ClearField("ad")
    if options_pb.RESOLUTION_PART_HOPS in wishes.parts:
        resolution.MergeFrom(resolution_pb2.Resolution(hops=context.trace.hops()))
    resolution.error_plan.extend(plan_errors(outcome, context.filler.error, wishes.firing))
    return resolution


def _limit(outcome: Outcome, most: int) -> None:
    outcome.left_out += [
        LeftOut(found.chain, lists.FAILURE_REASON_AD_LIMIT) for found in outcome.found[most:]
    ]
    del outcome.found[most:]


def _ending(outcome: Outcome) -> Ending:
    if outcome.found:
        return resolution_pb2.RESOLUTION_OUTCOME_AD
    if outcome.failed:
        return resolution_pb2.RESOLUTION_OUTCOME_ERROR
    return resolution_pb2.RESOLUTION_OUTCOME_NO_AD


def _failures(outcome: Outcome) -> list[resolution_pb2.AdFailure]:
    return [
        resolution_pb2.AdFailure(
            code=CODES[failed.reason],
            reason=failed.reason,
            message=failed.message,
            chain=[resolution_pb2.ChainLink(**link.values()) for link in failed.chain],
            hop=failed.hop,
            source=failed.source,
        )
        for failed in outcome.failed
    ]


def _resolved(found: Found, outcome: Outcome, context: Context) -> resolution_pb2.ResolvedAd:
    """One ad, with the parts of it that are wanted."""
    parts = context.wishes.parts
    if parts & _MERGED:
        links = _with_macros(found, context.filler)
        origins = options_pb.RESOLUTION_PART_ORIGINS in parts
        resolved = merge(links, sequence=found.sequence, origins=origins)
        if options_pb.RESOLUTION_PART_METADATA in parts:
            resolved.metadata.CopyFrom(_metadata(resolved.ad, found.chain, context.trace.steps))
    else:
        resolved = way_of(found.chain)
    resolved.source = found.source
    if found.stands_for is not None:
        resolved.fallback_for = outcome.failed.index(found.stands_for)
    return resolved


def _with_macros(found: Found, filler: Filler) -> Sequence[Link]:
    """The way to the ad, its trackers filled where the caller wants that."""
    fill = filler.of_trackers(found.chain[-1].ad, found.sequence)
    return found.chain if fill is None else [filled(link, fill) for link in found.chain]


def _metadata(merged: vast_pb2.Ad, chain: Chain, steps: Sequence[Step]) -> metadata_pb2.AdMetadata:
    """The facts of the ad, with the hops that they came from."""
    ad, wrappers = chain[-1].ad, [link.ad.wrapper for link in chain[:-1]]
    expiry = _expiry_ns(chain, steps)
    facts = metadata_of(
        ad,
        wrappers=wrappers,
        hops=[link.hop for link in chain],
        expire_time=None if expiry is None else timestamp(expiry),
    )
    facts.ClearField("sequence")
    if merged.HasField("sequence"):
        facts.sequence = merged.sequence
    for creative in merged.inline.creatives[len(ad.inline.creatives) :]:
        facts.creatives.append(_of_companions(creative, chain))
    return facts


def _of_companions(creative: vast_pb2.Creative, chain: Chain) -> metadata_pb2.CreativeMetadata:
    """The facts of a creative that is made of Wrappers' companions."""
    facts = metadata_of(vast_pb2.Ad(inline=vast_pb2.InLine(creatives=[creative]))).creatives[0]
    for link in reversed(chain[:-1]):
        for each in link.ad.wrapper.creatives:
            pages = [one.companion_click_through for one in each.companion_ads.companions]
            if facts.HasField("click_through") and facts.click_through in pages:
                facts.click_through_hop = link.hop
                return facts
    return facts


def _expiry_ns(chain: Chain, steps: Sequence[Step]) -> int | None:
    """When an ad expires: its `Expires`, and HTTP caching of every document on the way."""
    expiries = []
    for link in chain:
        document = steps[link.hop].document
        if document is not None:
            if document.cache_expires_ns is not None:
                expiries.append(document.cache_expires_ns)
            if document.requested_ns is not None and link.ad.inline.HasField("expires"):
                expiries.append(document.requested_ns + link.ad.inline.expires * _SECOND)
    return min(expiries, default=None)


def _xml(resolution: resolution_pb2.Resolution, outcome: Outcome, context: Context) -> str:
    """All ads as one document, whole: as the version that is wanted, or one that can hold them.

    It is at least the highest version on their ways. Wrappers add to an ad what its own version may
    have no place for, such as a second `Error` in 3.0.
    """
    wanted = context.wishes.xml_version
    version = wanted or _highest(outcome)
    ads = [resolved.ad for resolved in resolution.ads]
    document = vast_pb2.Vast(version=name_of(version), ads=ads)
    rendered = render(document) if wanted else render_whole(document, version)
    left_out = [each for each in rendered.violations if not each.HasField("line")]
    if left_out:
        context.lost(left_out)
    return rendered.xml


def _highest(outcome: Outcome) -> Version:
    """The highest version on the ways to the ads; without ads the newest."""
    return max(
        (
            version_of(link.version or "") or _LOWEST
            for found in outcome.found
            for link in found.chain
        ),
        default=_NEWEST,
    )


_LOWEST: Final = VastVersion.VAST_VERSION_2_0
_NEWEST: Final = VastVersion.VAST_VERSION_4_3
