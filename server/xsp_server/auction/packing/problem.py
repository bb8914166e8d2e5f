"""What is packed, and what the ads of a packing compete for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

END_SLOTS = 2
"""A break has a first and a last slot."""


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
class Stock:
    """Something of which there is a certain amount.

    Attributes:
        capacity: how much of it there is.
        uses: by index of the ad, how much of it an ad uses; those that use none are absent.
    """

    capacity: int
    uses: dict[int, int]


@dataclass(frozen=True, slots=True)
class Place(Stock):
    """A label, which one ad can hold.

    Attributes:
        label: its bit; 0 for the place that an ad without labels has for itself.
    """

    label: int


@dataclass(frozen=True, slots=True)
class Seconds(Stock):
    """The seconds of a break."""


@dataclass(frozen=True, slots=True)
class Bundles(Stock):
    """Bundles of labels of one family, all of the same size.

    Ads that hold two of 19 categories each can't be more than 9, though nine and a half would hold
    them all: what the places alone don't say (a Chvátal-Gomory cut).

    Attributes:
        labels: the family.
        size: how many labels make a bundle.
    """

    labels: int
    size: int


class Problem:
    """The ads and what they compete for.

    Attributes:
        ads: what may be packed.
        places: labels that several ads want, and those that bundles are of; each ad has one.
        supplies: what several ads can use, where they want more than there is.
        stocks: places and supplies.
        claims: by ad, the indexes of the stocks that it uses, and how much of them.
        fits: by ad, whether it fits on its own.
    """

    def __init__(self, ads: Sequence[Ad], breaks: Sequence[Break], families: Sequence[int]) -> None:
        """Finds what is scarce."""
        self.ads = ads
        self.places = _places(ads, families)
        rooms = (stock for place, room in enumerate(breaks) for stock in _rooms(ads, place, room))
        supplies = (*rooms, *(stock for family in families for stock in _bundles(ads, family)))
        self.supplies = [stock for stock in supplies if sum(stock.uses.values()) > stock.capacity]
        self.stocks: list[Stock] = [*self.places, *self.supplies]
        self.claims: list[list[tuple[int, int]]] = [[] for _ in ads]
        for thing, stock in enumerate(self.stocks):
            for index, amount in stock.uses.items():
                self.claims[index].append((thing, amount))
        self.fits = [
            all(amount <= self.stocks[thing].capacity for thing, amount in claims)
            for claims in self.claims
        ]

    def left(self, chosen: Iterable[int]) -> list[int]:
        """How much of each stock a set of ads leaves; below 0 where it doesn't fit."""
        left = [stock.capacity for stock in self.stocks]
        for index in chosen:
            for thing, amount in self.claims[index]:
                left[thing] -= amount
        return left

    def fill_up(self, chosen: Sequence[int], order: Iterable[int]) -> list[int]:
        """A set of ads with those added that fit, one after the other."""
        filled, left = list(chosen), self.left(chosen)
        for index in order:
            claims = self.claims[index]
            if index not in filled and all(amount <= left[thing] for thing, amount in claims):
                filled.append(index)
                for thing, amount in claims:
                    left[thing] -= amount
        return filled


def _places(ads: Sequence[Ad], families: Sequence[int]) -> list[Place]:
    wanted: dict[int, dict[int, int]] = {}
    for index, ad in enumerate(ads):
        for label in bits(ad.labels):
            wanted.setdefault(1 << label, {})[index] = 1
    bundled = sum(families)
    places = [
        Place(1, uses, label) for label, uses in wanted.items() if len(uses) > 1 or label & bundled
    ]
    placed = set().union(*(place.uses for place in places))
    alone = (index for index in range(len(ads)) if index not in placed)
    return [*places, *(Place(1, {index: 1}, 0) for index in alone)]


def _rooms(ads: Sequence[Ad], place: int, room: Break) -> Iterator[Stock]:
    """Seconds, ads and end slots of a break."""
    inside = [index for index, ad in enumerate(ads) if ad.room == place]
    yield Seconds(room.seconds, {i: ads[i].seconds for i in inside if ads[i].seconds})
    yield Stock(room.ads, dict.fromkeys(inside, 1))
    yield Stock(END_SLOTS, {i: 1 for i in inside if ads[i].end_slot})


def _bundles(ads: Sequence[Ad], family: int) -> Iterator[Bundles]:
    """Of each size that ads hold."""
    held = [(ad.labels & family).bit_count() for ad in ads]
    known = 0
    for ad in ads:
        known |= ad.labels & family
    for size in range(2, max(held, default=0) + 1):
        uses = {index: count // size for index, count in enumerate(held) if count >= size}
        yield Bundles(known.bit_count() // size, uses, known, size)


def bits(number: int) -> Iterator[int]:
    """The places of the bits that are set, from the lowest."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
