"""Before anybody is asked: who is asked for what, and what each may see of the request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction import MediaType
from xsp_server.auction import plan as eligibility
from xsp_server.auction.plan import Channel, Offering, Plan
from xsp_server.auction.privacy import BidderPrivacy, Change, PrivacyPolicy, Refusal
from xsp_server.auction.privacy import Plan as PrivacyPlan
from xsp_server.auction.schain import ChainNode, append_node
from xsp_server.service.session import View, signals_of
from xsp_server.upstream import Ask, Session, UpstreamConfig
from xsp_server.values import value


@dataclass(frozen=True, slots=True)
class Brief:
    """What planning knows of one bidder.

    Attributes:
        bidder: its name.
        offering: what it may be asked for.
        privacy: what its own settings say about privacy.
    """

    bidder: str
    offering: Offering
    privacy: BidderPrivacy


@value
class Asked:
    """What one bidder is asked, or why it is not.

    Attributes:
        plan: the imps it is asked for and those it is not.
        ask: the request as it sees it; None: it is not asked.
        changes: what privacy took from its request.
        refusal: set where privacy forbids to ask it.
    """

    plan: Plan
    ask: Ask | None = None
    changes: tuple[Change, ...] = ()
    refusal: Refusal | None = None


class Planner:
    """Plans auctions: eligibility, then privacy, then our node in the supply chain."""

    def __init__(
        self, policy: PrivacyPolicy, node: ChainNode | None, briefs: Sequence[Brief]
    ) -> None:
        """Takes the policy of the exchange, its node if it appends one, and the bidders."""
        self._policy = policy
        self._node = node
        self._briefs = tuple(briefs)
        self._offerings = tuple(brief.offering for brief in briefs)

    @property
    def policy(self) -> PrivacyPolicy:
        """What anybody may see."""
        return self._policy

    @classmethod
    def from_settings(
        cls,
        privacy: Mapping[str, Any],
        schain: Mapping[str, Any] | None,
        bidders: Sequence[UpstreamConfig],
    ) -> Self:
        """A planner out of the sections of the settings.

        Raises:
            ConfigError: a section doesn't fit.
        """
        policy = PrivacyPolicy.from_mapping(privacy)
        node = None if schain is None else ChainNode.from_mapping(schain)
        briefs = [
            Brief(
                bidder.name,
                _offering(bidder),
                policy.bidder(bidder.privacy, f"bidders[{index}].privacy"),
            )
            for index, bidder in enumerate(bidders)
        ]
        return cls(policy, node, briefs)

    def plan(self, request: BidRequest, timeout_ms: float, session: Session) -> list[Asked]:
        """What every bidder is asked, in the order of the settings.

        Bidders that see the same share one message, and with it the encodings made of it.

        Args:
            request: as it came; it stays as it is.
            timeout_ms: what bidders are given; their `tmax` (section 3.2.1).
            session: what it says about privacy holds too, and bidders see of it what they may.
        """
        outgoing = BidRequest()
        outgoing.CopyFrom(request)
        outgoing.tmax = max(int(timeout_ms), 1)
        if self._node is not None:
            outgoing = append_node(outgoing, self._node)
        signals = self._policy.read(signals_of(outgoing, session))
        views: dict[tuple[int, tuple[str, ...]], Asked] = {}
        asked = []
        plans = eligibility.plan(outgoing, self._offerings)
        for brief, plan in zip(self._briefs, plans, strict=True):
            if not plan.imps:
                asked.append(Asked(plan))
                continue
            privacy = self._policy.plan(signals, brief.privacy)
            key = (id(privacy), plan.imps)  # the plan lives as long as this loop
            view = views.get(key)
            if view is None:
                disclosure = privacy.apply(outgoing)
                if isinstance(disclosure, Refusal):
                    view = Asked(plan, refusal=disclosure)
                else:
                    seen = eligibility.asked_for(disclosure.request, plan)
                    # To find out that a session is seen as it is would take 15 us.
                    whole = privacy.takes_nothing
                    ask = Ask(seen, session=session if whole else View(session, privacy.apply))
                    view = Asked(plan, ask, disclosure.changes)
                views[key] = view
            asked.append(
                view if view.plan is plan else Asked(plan, view.ask, view.changes, view.refusal)
            )
        return asked


def for_strangers(policy: PrivacyPolicy, request: BidRequest, session: Session) -> PrivacyPlan:
    """What is done for who is no bidder, such as the ad servers of a VAST chain.

    They count as a bidder without settings of its own: without a vendor id, and nothing waived.

    Args:
        policy: of the exchange.
        request: of the auction; an empty one where there is none.
        session: what it says about privacy holds too.
    """
    return policy.plan(policy.read(signals_of(request, session)), _STRANGER)


_STRANGER = BidderPrivacy()


def imps_asked(asked: Sequence[Asked]) -> dict[str, tuple[str, ...]]:
    """The imps of each bidder that was asked for some of them only, for `auction.run`."""
    return {each.plan.bidder: each.plan.imps for each in asked if each.plan.skipped}


def _offering(bidder: UpstreamConfig) -> Offering:
    return Offering(
        bidder=bidder.name,
        media_types=frozenset(MediaType[name.upper()] for name in bidder.media_types),
        channels=frozenset(map(Channel, bidder.channels)),
        countries=frozenset(bidder.countries),
        blocked_countries=frozenset(bidder.blocked_countries),
        currencies=frozenset(bidder.currencies),
        publishers=frozenset(bidder.publishers),
        inventory=frozenset(bidder.inventory),
    )
