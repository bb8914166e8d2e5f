"""Pods: which eligible bids fill a break best, and in which order its ads go."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from operator import or_
from xml.sax.saxutils import unescape

from xsp_server.auction.bids import Bid, best_first, worth
from xsp_server.auction.packing import Ad, Break, Packing, pack
from xsp_server.auction.packing.problem import bits
from xsp_server.auction.rules import Rules, Separation
from xsp_server.auction.terms import DEFAULT_TAXONOMY, AuctionTerms, PodTerms, read_pod
from xsp_server.openrtb.matching import HIERARCHICAL_TAXONOMY

FIRST, LAST, EITHER = 1, -1, 2
"""AdCOM slot positions in a pod that a bid can demand."""

_DEDUPE_ADOMAIN, _DEDUPE_CAT, _DEDUPE_CRID, _DEDUPE_MEDIA = 1, 2, 3, 4
"""AdCOM pod deduplication settings; 5 asks for nothing."""


@dataclass(slots=True, eq=False)
class Pod:
    """The imps of one break.

    Attributes:
        id: `podid`.
        imps: by imp id, in the order of the request.
    """

    id: str
    imps: dict[str, PodTerms] = field(default_factory=dict)

    @property
    def poddedupe(self) -> frozenset[int]:
        """What ads of the pod may not share, as any of its imps asks for."""
        return frozenset(setting for terms in self.imps.values() for setting in terms.poddedupe)


@dataclass(slots=True)
class PodFilling:
    """The best filling of a pod.

    Attributes:
        winners: by imp id, in the order of their slots.
        exact: whether no filling is better.
        gap: what its value might lack to the best, at most: CPM in the auction currency, of the
            greatest class that was not searched to the end; 0 when exact.
        conflicts: pairs of bids that may not be in one filling for what they share.
    """

    winners: dict[str, list[Bid]] = field(default_factory=dict)
    exact: bool = True
    gap: Fraction = Fraction(0)
    conflicts: int = 0


def read_pods(auction: AuctionTerms) -> list[Pod]:
    """The pods of a request, in the order of their first imp."""
    pods: dict[str, Pod] = {}
    for imp_id, place in auction.imp_index.items():
        terms = read_pod(auction.request.imp[place])
        if terms is not None:
            pods.setdefault(terms.id, Pod(terms.id)).imps[imp_id] = terms
    return list(pods.values())


def fill_pod(pod: Pod, bids: Iterable[Bid], rules: Rules) -> PodFilling:
    """The best filling: the greatest sum of values of class 2, then 1, then 0; then most seconds.

    Of what is still equal, the filling with the bid that goes first in the tie order and that the
    other lacks.

    Args:
        pod: what is to be filled.
        bids: eligible bids on its imps.
        rules: what ads of it may not share, and how long to search.
    """
    model = PodModel(pod, bids, rules)
    packing = model.pack()
    assert packing is not None  # noqa: S101 - nothing was forced
    won = [model.bids[index] for index in packing.chosen]
    winners: dict[str, list[Bid]] = {}
    for imp_id, terms in pod.imps.items():
        on_imp = [bid for bid in won if bid.bid.impid == imp_id]
        if on_imp:
            winners[imp_id] = on_imp if terms.seconds is None else _in_slots(on_imp)
    gap = Fraction(packing.gap, model.unit)
    return PodFilling(winners, packing.exact, gap, model.conflicts)


class PodModel:
    """A pod and its bids as ads to pack.

    Attributes:
        bids: in tie order, as the ads.
        unit: how many units of an ad's value are 1 CPM.
        conflicts: pairs of bids that may not be in one filling for what they share.
    """

    def __init__(self, pod: Pod, bids: Iterable[Bid], rules: Rules) -> None:
        """Gives every place, slot and thing that may not be shared a label."""
        self.bids = sorted(bids, key=lambda bid: bid.tie_order)
        self.unit = math.lcm(*(worth(bid).denominator for bid in self.bids))
        self._limit = rules.pod_search_limit
        dynamic = [imp_id for imp_id, terms in pod.imps.items() if terms.seconds is not None]
        self._rooms = {imp_id: place for place, imp_id in enumerate(dynamic)}
        self._breaks = [_break(pod.imps[imp_id], len(self.bids)) for imp_id in dynamic]
        shared = _holders(_shared_things(pod, self.bids, rules))
        self.conflicts = _pairs(len(self.bids), shared.values())
        families = _families(shared)
        places = _holders(_places(pod, self.bids))
        sets = _distinct([*places.values(), *shared.values()], families)
        labels = _labels(len(self.bids), [*sets, *(held for family in families for held in family)])
        self._families = list(_label_bits(len(sets), families))
        self._ads = [self._ad(bid, held, pod) for bid, held in zip(self.bids, labels, strict=True)]

    def pack(self, forced: Sequence[int] = ()) -> Packing | None:
        """The best packing; None where the forced ones don't fit together.

        Args:
            forced: places in `bids` of those that have to be in it.
        """
        return pack(self._ads, self._breaks, self._limit, forced, self._families)

    def _ad(self, bid: Bid, labels: int, pod: Pod) -> Ad:
        imp_id = bid.bid.impid
        return Ad(
            rank_class=bid.rank_class,
            value=worth(bid).numerator * (self.unit // worth(bid).denominator),
            seconds=seconds_in_pod(pod, bid),
            labels=labels,
            room=self._rooms.get(imp_id),
            end_slot=_demand(bid) is not None,
        )


def seconds_in_pod(pod: Pod, bid: Bid) -> int:
    """How long an ad is; one whose duration is unknown takes all the time of a break."""
    if bid.seconds is not None:
        return bid.seconds
    return pod.imps[bid.bid.impid].seconds or 0


def _break(terms: PodTerms, bids: int) -> Break:
    return Break(terms.seconds or 0, bids if terms.ads is None else terms.ads)


def _demand(bid: Bid) -> int | None:
    """The end of the break that a bid demands; None: none.

    A bid for either end means the one that the seller guarantees, if it is only one.
    """
    if bid.bid.slotinpod not in (FIRST, LAST, EITHER):
        return None
    guaranteed = bid.media.slotinpod if bid.media else 0
    if bid.bid.slotinpod == EITHER and guaranteed in (FIRST, LAST):
        return guaranteed
    return bid.bid.slotinpod


def _in_slots(bids: Sequence[Bid]) -> list[Bid]:
    """The ads of a break in their order: by rank, but for those that demand an end.

    A bid for either end takes the first slot if it is free, else the last; the better of two goes
    first.
    """
    rest = best_first(bids)
    first = _take(rest, (FIRST,)) or _take(rest, (EITHER,))
    last = _take(rest, (LAST,)) or _take(rest, (EITHER,))
    return [*first, *rest, *last]


def _take(bids: list[Bid], demands: Sequence[int]) -> list[Bid]:
    """Takes the best bid with one of the demands out of the list; empty: there is none."""
    found = [bid for bid in bids if _demand(bid) in demands][:1]
    for bid in found:
        bids.remove(bid)
    return found


Thing = tuple[object, ...]
"""Something that one ad of a pod can hold."""


def _places(pod: Pod, bids: Sequence[Bid]) -> Iterator[tuple[int, Thing]]:
    """What bids hold by where they are: a whole imp, or an end of it."""
    for index, bid in enumerate(bids):
        demand = _demand(bid)
        if pod.imps[bid.bid.impid].seconds is None:
            yield index, ("imp", bid.bid.impid)
        elif demand in (FIRST, LAST):
            yield index, ("slot", bid.bid.impid, demand)


def _shared_things(pod: Pod, bids: Sequence[Bid], rules: Rules) -> Iterator[tuple[int, Thing]]:
    """What two ads may not share, as the rules or `poddedupe` ask for."""
    wanted = pod.poddedupe
    if Separation.ADOMAIN in rules.separation or _DEDUPE_ADOMAIN in wanted:
        domains = [{d.lower().rstrip(".") for d in bid.bid.adomain} for bid in bids]
        yield from _nested([{("adomain", d) for d in own} for own in domains], _domains_above)
    if Separation.CAT in rules.separation or _DEDUPE_CAT in wanted:
        yield from _nested([set(_categories(bid)) for bid in bids], _categories_above)
    if _DEDUPE_CRID in wanted:
        for index, bid in enumerate(bids):
            if bid.bid.crid:
                yield index, ("crid", bid.bidder, bid.bid.crid)
    if _DEDUPE_MEDIA in wanted:
        for index, bid in enumerate(bids):
            yield from ((index, ("media", address)) for address in media_addresses(bid.markup))


def _categories(bid: Bid) -> Iterator[Thing]:
    message = bid.bid
    taxonomy = message.cattax if message.HasField("cattax") else DEFAULT_TAXONOMY
    return (("cat", taxonomy, category) for category in message.cat)


def _domains_above(thing: Thing) -> Iterator[Thing]:
    kind, domain = thing
    _, dot, rest = str(domain).partition(".")
    while dot:
        yield kind, rest
        _, dot, rest = rest.partition(".")


def _categories_above(thing: Thing) -> Iterator[Thing]:
    kind, taxonomy, category = thing
    tier_1, dash, _ = str(category).partition("-")
    if taxonomy == HIERARCHICAL_TAXONOMY and dash:
        yield kind, taxonomy, tier_1


def _nested(
    own: Sequence[set[Thing]], above: Callable[[Thing], Iterator[Thing]]
) -> Iterator[tuple[int, Thing]]:
    """Holders of things that contain each other: whoever has one holds all that are below it.

    So two hold the same exactly if they have the same or one has what is below the other's. Of what
    has something below it, nothing more needs to be said.
    """
    known = set[Thing]().union(*own)
    below: dict[Thing, list[Thing]] = {thing: [thing] for thing in known}
    for thing in known:
        for container in above(thing):
            if container in known:
                below[container].append(thing)
    for index, things in enumerate(own):
        for thing in {held for one in things for held in below[one] if len(below[held]) == 1}:
            yield index, thing


def media_addresses(markup: str) -> set[str]:
    """The addresses in the MediaFile elements of VAST markup."""
    addresses = set()
    place = markup.find(_MEDIA_FILE)
    while place >= 0:
        opened = markup.find(">", place)
        closed = markup.find("</MediaFile", place)
        if closed < 0:
            break
        if markup[place + len(_MEDIA_FILE)] in "> \t\r\n" and opened < closed:
            addresses.add(_text(markup[opened + 1 : closed]))
        place = markup.find(_MEDIA_FILE, place + 1)
    return addresses - {""}


_MEDIA_FILE = "<MediaFile"
_CDATA = "<![CDATA["


def _text(content: str) -> str:
    """The text of an element without children."""
    content = content.strip()
    if content.startswith(_CDATA) and content.endswith("]]>"):
        return content[len(_CDATA) : -3].strip()
    return unescape(content)


def _holders(held: Iterable[tuple[int, Thing]]) -> dict[Thing, int]:
    """By thing, the bids that exclude each other for it, as bits."""
    sets: dict[Thing, int] = {}
    for index, thing in held:
        sets[thing] = sets.get(thing, 0) | 1 << index
    return sets


def _families(shared: Mapping[Thing, int]) -> list[list[int]]:
    """The sets of each kind of thing of which a bid may hold several, such as categories."""
    kinds: dict[Thing, set[int]] = {}
    for thing, members in shared.items():
        kinds.setdefault(thing[:-1], set()).add(members)
    return sorted(
        sorted(sets)
        for sets in kinds.values()
        if sum(members.bit_count() for members in sets) > functools.reduce(or_, sets).bit_count()
    )


def _distinct(sets: Iterable[int], families: Sequence[Sequence[int]]) -> list[int]:
    """Sets of several bids; those within another, or in a family, say nothing new."""
    known = [members for family in families for members in family]
    kept: list[int] = []
    for members in sorted(set(sets), key=lambda held: (-held.bit_count(), held)):
        if members.bit_count() > 1 and not any(
            members & other == members for other in (*known, *kept)
        ):
            kept.append(members)
    return kept


def _label_bits(first: int, families: Sequence[Sequence[int]]) -> Iterator[int]:
    """The labels of each family, as bits.

    Args:
        first: the first label of the first family.
        families: the sets of each; they get their labels one after the other.
    """
    for family in families:
        yield ((1 << len(family)) - 1) << first
        first += len(family)


def _labels(count: int, sets: Sequence[int]) -> list[int]:
    """By bid, the bits of the sets that it is in."""
    labels = [0] * count
    for label, members in enumerate(sets):
        for index in bits(members):
            labels[index] |= 1 << label
    return labels


def _pairs(count: int, sets: Iterable[int]) -> int:
    """How many pairs of bids are in one set or more."""
    others = [0] * count
    for members in sets:
        for index in bits(members):
            others[index] |= members & ~(1 << index)
    return sum(members.bit_count() for members in others) // 2
