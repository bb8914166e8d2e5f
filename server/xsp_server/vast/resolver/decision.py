"""What a document means for the chain that led to it. Pure.

`decide` says for each of its ads whether it can be shown, is to be followed, has failed or is left
out; `settle` puts together what became of them. Between the two lies all that takes time.
"""

import re
from collections.abc import Callable, Sequence
from itertools import count, repeat
from typing import Final, NamedTuple

from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.merge import Link, blocked_by, blocked_category, with_more
from xsp_server.vast.resolver.addresses import without_fragment
from xsp_server.vast.resolver.outcome import Chain, Failed, Found, LeftOut, NoAd, Outcome
from xsp_server.vast.resolver.reasons import Reason
from xsp_server.vast.resolver.requirements import Refusal, refusal_of, refusal_of_wrapper
from xsp_server.vast.resolver.wishes import Wishes


class Place(NamedTuple):
    """Where in a chain a document stands.

    Attributes:
        source: the source of the chain.
        chain: the Wrappers above.
        sequence: place in the player's pod that the document fills; None: none in particular.
        allows_many: whether more than the first stand-alone ad may be used.
        follows: whether its Wrappers may be followed.
        address: the document's own, as written; empty: the caller gave it.
        visited: addresses that the chain has been to above: as written, and where the documents
            came from. Like the former without fragments, which no server sees.
    """

    source: int
    chain: Chain = ()
    sequence: int | None = None
    allows_many: bool = True
    follows: bool = True
    address: str = ""
    visited: frozenset[str] = frozenset()

    def has_been_at(self, final: str | None) -> bool:
        """Whether an address that redirects ended at is one of a document above."""
        return final is not None and without_fragment(final) in self.visited

    def below(
        self, candidate: "Candidate", address: str, base: str | None, wishes: Wishes
    ) -> "Place | Refusal":
        """The place of the document that a Wrapper leads to, or why it is not gone to.

        Args:
            candidate: the Wrapper's ad.
            address: complete, with macros as written.
            base: the address that the Wrapper's document came from; None: nobody knows.
            wishes: of the caller.
        """
        if len(self.chain) >= wishes.max_hops:
            message = f"one Wrapper more than the {wishes.max_hops} that are followed"
            return lists.FAILURE_REASON_HOP_LIMIT, message
        visited = self.visited.union((self.address, without_fragment(base or "")))
        asked = without_fragment(address)
        if asked in visited:
            return LOOP
        link = candidate.link
        return Place(
            source=self.source,
            chain=(*self.chain, link),
            sequence=candidate.sequence,
            # What a Wrapper above doesn't allow, none below can.
            allows_many=self.allows_many and _allows_many(link, wishes),
            follows=_follows(link.ad.wrapper, wishes),
            address=asked,
            visited=visited,
        )


class Received(NamedTuple):
    """A document of a chain.

    Attributes:
        document: what it says.
        hop: that it came by.
        place: where it stands.
        base: the address it came from; None: the caller gave it without one.
    """

    document: vast_pb2.Vast
    hop: int
    place: Place
    base: str | None = None


class Candidate(NamedTuple):
    """An ad of a document that may be used, if all goes well.

    Attributes:
        link: the ad.
        sequence: place in the player's pod; None: stand-alone.
        refusal: why it has failed already; None: it hasn't. A Wrapper is to be followed then, an
            InLine can be shown.
        may_be_replaced: whether another ad of the document may stand in for it.
        is_followed: whether it is a Wrapper to follow.
    """

    link: Link
    sequence: int | None
    refusal: Refusal | None = None
    may_be_replaced: bool = False
    is_followed: bool = False

    @property
    def is_passed_over(self) -> bool:
        """Whether the next ad is tried in any case: it is no ad at all, or of a blocked category.

        For the latter VAST 4.3 section 3.19.2 says so.
        """
        return self.refusal is not None and self.refusal[0] in _PASSED_OVER


class Decision(NamedTuple):
    """What to do with the ads of a document.

    Attributes:
        pod: by sequence.
        alone: stand-alone ads, in document order.
        takes_one: whether only the first of `alone` counts; the others may stand in for it.
        left_out: ads that a rule leaves out.
        failure: why none can be used; None: some can, or the document is a first one without ads.
    """

    pod: Sequence[Candidate] = ()
    alone: Sequence[Candidate] = ()
    takes_one: bool = False
    left_out: Sequence[LeftOut] = ()
    failure: Refusal | None = None

    @property
    def only(self) -> Candidate | None:
        """The one ad of a document that has no other; None: it has several, or none."""
        if self.left_out or len(self.pod) + len(self.alone) != 1:
            return None
        return (*self.pod, *self.alone)[0]


def decide(received: Received, wishes: Wishes) -> Decision:
    """What to do with the ads of a document."""
    document, hop, place = received.document, received.hop, received.place
    if not document.ads:
        return Decision(failure=_EMPTY if place.chain else None)
    version = document.version if document.HasField("version") else None
    if len(document.ads) == 1 and place.follows:
        ad = document.ads[0]
        if place.allows_many or not ad.HasField("sequence"):
            return _single(Link(ad, hop, 0, version), place, wishes)
    links = [Link(ad, hop, index, version) for index, ad in enumerate(document.ads)]
    left_out: list[LeftOut] = []
    if not place.allows_many:
        links = _without(
            _is_in_pod, links, left_out, place, lists.FAILURE_REASON_MULTIPLE_ADS_NOT_ALLOWED
        )
    refusal = None
    if not place.follows:
        if links and all(map(_is_wrapper, links)):
            refusal = _NOT_FOLLOWED
        else:
            links = _without(
                _is_wrapper, links, left_out, place, lists.FAILURE_REASON_WRAPPER_NOT_ALLOWED
            )
    if not links:
        return Decision(left_out=left_out, failure=_NOTHING_ALLOWED)
    return _arranged(links, left_out, place, wishes, refusal)


def settle(
    received: Received, decision: Decision, pod: Sequence[Outcome], alone: Sequence[Outcome]
) -> Outcome:
    """What becomes of a document when it is known what became of its ads.

    Args:
        received: that `decide` was about.
        decision: what it said.
        pod: of each candidate of the pod.
        alone: of each stand-alone candidate; shorter, where the others were not needed.
    """
    document, hop, place = received.document, received.hop, received.place
    outcome = Outcome(left_out=list(decision.left_out))
    root_errors = () if document.ads else tuple(document.errors)
    if decision.failure is not None:
        reason, message = decision.failure
        outcome.failed.append(Failed(place.chain, reason, message, hop, place.source, root_errors))
    elif not document.ads:
        outcome.no_ads.append(NoAd(hop, root_errors))
    outcome.left_out += [
        LeftOut((*place.chain, candidate.link), lists.FAILURE_REASON_MULTIPLE_ADS_NOT_ALLOWED)
        for candidate in decision.alone[len(alone) :]
    ]
    _replace(decision, pod, alone)
    outcome.add((*pod, *alone))
    outcome.found.sort(key=_order)
    return outcome


def _order(found: Found) -> tuple[bool, int]:
    """The pod by sequence, then the others; what is alike stays in its order."""
    return found.sequence is None, found.sequence or 0


def _replace(decision: Decision, pod: Sequence[Outcome], alone: Sequence[Outcome]) -> None:
    """Lets stand-alone ads stand in for those that failed, each for one, in document order.

    For a stand-alone ad only those behind it do: those before it are shown anyway.
    """
    spare = [(place, found) for place, outcome in enumerate(alone) for found in outcome.found]
    for place, candidate, outcome in (
        *zip(repeat(-1, len(pod)), decision.pod, pod, strict=True),
        *zip(count(), decision.alone, alone, strict=False),
    ):
        if candidate.may_be_replaced and outcome.failed and not outcome.found:
            behind = [each for each in spare if each[0] > place]
            if behind:
                spare.remove(behind[0])
                stand_in = behind[0][1]
                stand_in.stands_for = outcome.failed[0]
                if candidate.sequence is not None:
                    stand_in.sequence = candidate.sequence


LOOP: Final[Refusal] = (lists.FAILURE_REASON_LOOP, "the chain came back to an address")
_EMPTY: Final[Refusal] = (lists.FAILURE_REASON_NO_AD, "a document without any ad")
_NOTHING_ALLOWED: Final[Refusal] = (
    lists.FAILURE_REASON_NO_AD,
    "no stand-alone ad; a Wrapper above allows only one, and no pod",
)
_NOT_FOLLOWED: Final[Refusal] = (
    lists.FAILURE_REASON_WRAPPER_NOT_ALLOWED,
    "a Wrapper, and nothing else, below one that allows no further Wrappers",
)
_PASSED_OVER: Final = frozenset(
    {lists.FAILURE_REASON_AD_UNUSABLE, lists.FAILURE_REASON_CATEGORY_BLOCKED}
)
_UNUSABLE: Final = lists.FAILURE_REASON_AD_UNUSABLE


def _is_in_pod(link: Link) -> bool:
    return link.ad.HasField("sequence")


def _is_wrapper(link: Link) -> bool:
    return link.ad.HasField("wrapper")


def _without(
    unwanted: Callable[[Link], bool],
    links: list[Link],
    left_out: list[LeftOut],
    place: Place,
    reason: Reason,
) -> list[Link]:
    """The links without some, which are noted as left out."""
    if not any(map(unwanted, links)):
        return links
    left_out += [LeftOut((*place.chain, link), reason) for link in links if unwanted(link)]
    return [link for link in links if not unwanted(link)]


def _single(link: Link, place: Place, wishes: Wishes) -> Decision:
    """The one ad of a document, as most have, where no rule about several leaves it out."""
    candidates = (_candidate(link, place, wishes, None),)
    if link.ad.HasField("sequence"):
        return Decision(pod=candidates, takes_one=not place.allows_many)
    return Decision(alone=candidates, takes_one=not place.allows_many)


def _arranged(
    links: Sequence[Link],
    left_out: list[LeftOut],
    place: Place,
    wishes: Wishes,
    refusal: Refusal | None,
) -> Decision:
    """The candidates as pod and stand-alone ads, no more than are wanted."""
    pod = [link for link in links if link.ad.HasField("sequence")]
    if pod:
        pod.sort(key=lambda link: link.ad.sequence)
        links = [*pod, *(link for link in links if not link.ad.HasField("sequence"))]
    if len(links) > wishes.max_ads:
        left_out += [
            LeftOut((*place.chain, link), lists.FAILURE_REASON_AD_LIMIT)
            for link in links[wishes.max_ads :]
        ]
    candidates = [_candidate(link, place, wishes, refusal) for link in links[: wishes.max_ads]]
    return Decision(
        pod=candidates[: len(pod)],
        alone=candidates[len(pod) :],
        takes_one=not place.allows_many,
        left_out=left_out,
    )


def _candidate(link: Link, place: Place, wishes: Wishes, refusal: Refusal | None) -> Candidate:
    ad = link.ad
    kind = ad.WhichOneof("content")
    sequence = place.sequence
    if sequence is None and ad.HasField("sequence"):
        sequence = ad.sequence
    refusal = refusal or _unusable(ad, kind)
    if kind == "wrapper":
        if refusal is None and wishes.requirements is not None:
            refusal = refusal_of_wrapper(ad, wishes.requirements)
        wanted = wishes.fallback_on_no_ad
        replaced = ad.wrapper.fallback_on_no_ad if wanted is None else wanted
        return Candidate(link, sequence, refusal, replaced, is_followed=refusal is None)
    if refusal is None:
        refusal = _blocked(ad.inline, place, wishes)
        if refusal is None and wishes.requirements is not None:
            refusal = refusal_of(ad, wishes.requirements)
    return Candidate(link, sequence, refusal)


def _unusable(ad: vast_pb2.Ad, kind: str | None) -> Refusal | None:
    if kind is None:
        return _UNUSABLE, "an Ad with neither InLine nor Wrapper"
    for unknown in ad.unknown:
        match = _CONTENT.match(unknown.xml)
        if match and match[1].lower() != kind:
            return _UNUSABLE, "an Ad with both InLine and Wrapper"
    if kind == "wrapper" and not ad.wrapper.vast_ad_tag_uri:
        return _UNUSABLE, "a Wrapper without VASTAdTagURI"
    return None


_CONTENT: Final = re.compile(r"<(?:[\w.-]+:)?(InLine|Wrapper)[\s/>]", re.IGNORECASE)


def _blocked(inline: vast_pb2.InLine, place: Place, wishes: Wishes) -> Refusal | None:
    if not (wishes.enforce_blocked_categories and inline.categories):
        return None
    blocked = with_more(
        blocked_by(link.ad.wrapper for link in place.chain), wishes.blocked_categories
    )
    category = blocked_category(inline, blocked)
    if category is None:
        return None
    described = f"category {category.value!r:.50} of {category.authority!r:.50} is blocked"
    return lists.FAILURE_REASON_CATEGORY_BLOCKED, described


def _allows_many(link: Link, wishes: Wishes) -> bool:
    """Whether the document behind a Wrapper may give several ads; 2.0 knew no limit."""
    if wishes.allow_multiple_ads is not None:
        return wishes.allow_multiple_ads
    wrapper = link.ad.wrapper
    if wrapper.HasField("allow_multiple_ads"):
        return wrapper.allow_multiple_ads
    return (link.version or "").startswith("2")


def _follows(wrapper: vast_pb2.Wrapper, wishes: Wishes) -> bool:
    if wishes.follow_additional_wrappers is not None:
        return wishes.follow_additional_wrappers
    if wrapper.HasField("follow_additional_wrappers"):
        return wrapper.follow_additional_wrappers
    return True
