"""What is packed, and the state of a partial packing as one number."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

END_SLOTS = 2
"""A break has a first and a last slot."""

SECONDS, ADS, ENDS = range(3)
"""The kinds of room of a break, in this order."""

KINDS = 3
"""How many of them there are."""

FIELD_BITS = 24
GUARD = 1 << (FIELD_BITS - 1)


@dataclass(frozen=True, slots=True)
class Break:
    """Room for several ads.

    Attributes:
        seconds: how long it is.
        ads: how many it may hold.
    """

    seconds: int
    ads: int


@dataclass(frozen=True, slots=True)
class Ad:
    """Something to pack.

    Attributes:
        rank_class: the values of a greater class count before those of a smaller one.
        value: above 0, in a unit common to all ads.
        seconds: what decides between packings of the same values.
        labels: bits of what it holds; two ads that share one exclude each other.
        room: index of the break whose room it takes; None: none.
        end_slot: whether it takes one of the break's end slots.
    """

    rank_class: int
    value: int
    seconds: int
    labels: int = 0
    room: int | None = None
    end_slot: bool = False


@dataclass(frozen=True, slots=True)
class Partial:
    """A set of ads: the state that it leaves, and a bit for each of its ads."""

    state: int
    chosen: int


class Problem:
    """The ads and what they compete for.

    A state is one number: the room that is left in fields of `FIELD_BITS`, each with a guard bit on
    top which a subtraction that doesn't fit takes away, and above them the labels in use.

    Attributes:
        ads: what may be packed.
        breaks: the room that there is.
        room: how much there is of each kind: seconds, ads and end slots of each break.
        labels: by ad, the bits that it sets in a state.
        takes: by ad, what it subtracts from a state.
        guards: the bits that a subtraction has to leave.
        empty: the state without ads.
        stages: indexes of ads in sets of which a packing has one at most.
        capacity: of each thing that has a price: a label, or a kind of room.
        claims: by ad, the things that it uses and how much of them.
        label_things: the thing that a label is; labels without a price are absent.
        room_things: the thing that a kind of room is; kinds that can't run out are absent.
    """

    def __init__(self, ads: Sequence[Ad], breaks: Sequence[Break]) -> None:
        """Lays out the state and finds what is scarce."""
        self.ads = ads
        self.breaks = breaks
        self.room = [min(n, GUARD - 1) for b in breaks for n in (b.seconds, b.ads, END_SLOTS)]
        self.label_shift = FIELD_BITS * len(self.room)
        self.guards = sum(GUARD << FIELD_BITS * kind for kind in range(len(self.room)))
        self.empty = self.guards + sum(n << FIELD_BITS * kind for kind, n in enumerate(self.room))
        needs = [_needs(ad) for ad in ads]
        self.labels = [ad.labels << self.label_shift for ad in ads]
        self.takes = [sum(n << FIELD_BITS * kind for kind, n in need) for need in needs]
        wanted = _by_label(ads)
        self.stages = _choose_stages(ads, wanted)
        self.capacity: list[int] = []
        self.claims: list[list[tuple[int, int]]] = [[] for _ in ads]
        self.label_things: dict[int, int] = {}
        self.room_things: dict[int, int] = {}
        self._find_scarce_labels(wanted)
        self._find_scarce_room(needs)

    def _find_scarce_labels(self, wanted: dict[int, list[int]]) -> None:
        """Those that ads of several stages want."""
        stage_of = {index: place for place, stage in enumerate(self.stages) for index in stage}
        for label, indexes in wanted.items():
            if len({stage_of[index] for index in indexes}) > 1:
                self.label_things[label] = len(self.capacity)
                self._add_thing(1, ((index, 1) for index in indexes))

    def _find_scarce_room(self, needs: Sequence[tuple[tuple[int, int], ...]]) -> None:
        """Those kinds that all ads together want more of than there is."""
        uses: dict[int, list[tuple[int, int]]] = {kind: [] for kind in range(len(self.room))}
        for index, need in enumerate(needs):
            for kind, amount in need:
                uses[kind].append((index, amount))
        for kind, capacity in enumerate(self.room):
            if sum(amount for _, amount in uses[kind]) > capacity:
                self.room_things[kind] = len(self.capacity)
                self._add_thing(capacity, uses[kind])

    def _add_thing(self, capacity: int, uses: Iterable[tuple[int, int]]) -> None:
        for index, amount in uses:
            if amount:
                self.claims[index].append((len(self.capacity), amount))
        self.capacity.append(capacity)

    def bit(self, index: int) -> int:
        """The bit of an ad in a set: the first ad has the highest."""
        return 1 << (len(self.ads) - 1 - index)

    def indexes(self, chosen: int) -> tuple[int, ...]:
        """The ads of a set, ascending."""
        return tuple(index for index in range(len(self.ads)) if chosen & self.bit(index))

    def may_add(self, partial: Partial, index: int) -> bool:
        """Whether an ad isn't there yet and fits."""
        if partial.chosen & self.bit(index) or partial.state & self.labels[index]:
            return False
        return (partial.state - self.takes[index]) & self.guards == self.guards

    def added(self, partial: Partial, index: int) -> Partial:
        """The set with one more ad, which fits."""
        state = partial.state - self.takes[index] | self.labels[index]
        return Partial(state, partial.chosen | self.bit(index))

    def left(self, state: int) -> list[int]:
        """How much of each thing is left in a state."""
        left = [0] * len(self.capacity)
        for label, thing in self.label_things.items():
            left[thing] = 1 - (state >> (self.label_shift + label) & 1)
        for kind, thing in self.room_things.items():
            left[thing] = self.room_left(state, kind)
        return left

    def room_left(self, state: int, kind: int) -> int:
        """How much of one kind of room is left in a state."""
        return state >> (FIELD_BITS * kind) & (GUARD - 1)


def bits(number: int) -> Iterator[int]:
    """The places of the bits that are set, from the lowest."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _needs(ad: Ad) -> tuple[tuple[int, int], ...]:
    """The kinds of room that an ad takes, and how much of them."""
    if ad.room is None:
        return ()
    first = KINDS * ad.room
    return (first + SECONDS, ad.seconds), (first + ADS, 1), (first + ENDS, int(ad.end_slot))


def _by_label(ads: Sequence[Ad]) -> dict[int, list[int]]:
    wanted: dict[int, list[int]] = {}
    for index, ad in enumerate(ads):
        for label in bits(ad.labels):
            wanted.setdefault(label, []).append(index)
    return wanted


def _choose_stages(ads: Sequence[Ad], wanted: dict[int, list[int]]) -> list[list[int]]:
    """Parts the ads into sets that share a label: the biggest set first, or label by label.

    The better way is the one whose best ads, one of each set, are worth less together.
    """
    ways = (
        _part(ads, wanted, lambda label, size: (size, -label)),
        _part(ads, wanted, lambda label, _: (-label,)),
    )
    return min(ways, key=lambda stages: sum(max(ads[i].value for i in stage) for stage in stages))


def _part(
    ads: Sequence[Ad],
    wanted: dict[int, list[int]],
    priority: Callable[[int, int], tuple[int, ...]],
) -> list[list[int]]:
    """Sets of ads that share a label, and each of the rest alone."""
    stages: list[list[int]] = []
    left = set(range(len(ads)))
    sizes = {label: len(indexes) for label, indexes in wanted.items()}
    while sizes:
        label = max(sizes, key=lambda label: priority(label, sizes[label]))
        if sizes.pop(label) > 1:
            stage = [index for index in wanted[label] if index in left]
            stages.append(stage)
            left.difference_update(stage)
            for shared in (other for index in stage for other in bits(ads[index].labels)):
                if shared in sizes:
                    sizes[shared] -= 1
    return [*stages, *([index] for index in sorted(left))]
