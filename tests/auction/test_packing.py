"""The exact search, on its own: against every packing that there is, and on pods of full size."""

import itertools
import random

import pytest

from xsp_server.auction.packing import Ad, Break, pack


def fits(ads, breaks, chosen):
    held = [ads[index].labels for index in chosen]
    if any(a & b for a, b in itertools.combinations(held, 2)):
        return False
    for place, room in enumerate(breaks):
        inside = [ads[index] for index in chosen if ads[index].room == place]
        if sum(ad.seconds for ad in inside) > room.seconds or len(inside) > room.ads:
            return False
        if sum(ad.end_slot for ad in inside) > 2:
            return False
    return True


def goodness(ads, chosen):
    values = [sum(ads[i].value for i in chosen if ads[i].rank_class == c) for c in (2, 1, 0)]
    return *values, sum(ads[i].seconds for i in chosen), [i in chosen for i in range(len(ads))]


def best_of_all(ads, breaks, forced=()):
    sets = (
        chosen
        for count in range(len(ads) + 1)
        for chosen in itertools.combinations(range(len(ads)), count)
        if set(forced) <= set(chosen) and fits(ads, breaks, chosen)
    )
    return max(sets, key=lambda chosen: goodness(ads, chosen), default=None)


def small_case(chance):
    breaks = [
        Break(chance.choice((15, 30, 45, 60, 5000)), chance.choice((1, 2, 3, 100)))
        for _ in range(chance.randrange(3))
    ]
    flat, classes = chance.random() < 0.4, chance.choice(((0,), (0,), (0, 1, 2), (0, 2)))
    ads = []
    for _ in range(chance.randrange(10)):
        labels = sum(1 << label for label in range(6) if chance.random() < 0.25)
        room = chance.randrange(len(breaks)) if breaks and chance.random() < 0.7 else None
        if room is None:
            labels |= 1 << chance.randrange(6, 9)
        value = chance.choice((10, 20)) if flat else chance.randrange(1, 50) * chance.choice((1, 7))
        end_slot = room is not None and chance.random() < 0.3
        seconds = chance.choice((0, 5, 10, 15, 15, 30))
        ads.append(Ad(chance.choice(classes), value, seconds, labels, room, end_slot))
    return ads, breaks


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_packings_equal_the_best_of_all(start):
    for seed in range(start, start + 100):
        ads, breaks = small_case(random.Random(seed))
        packing = pack(ads, breaks, limit=100_000)
        assert packing.exact
        assert packing.gap == 0
        assert packing.chosen == best_of_all(ads, breaks), f"seed {seed}"


@pytest.mark.parametrize("start", range(0, 200, 100))
def test_forced_ads_are_in_the_best_packing_that_has_them(start):
    for seed in range(start, start + 100):
        chance = random.Random(seed)
        ads, breaks = small_case(chance)
        forced = chance.sample(range(len(ads)), min(len(ads), chance.choice((1, 1, 2))))
        packing = pack(ads, breaks, 100_000, forced)
        assert (packing and packing.chosen) == best_of_all(ads, breaks, forced), f"seed {seed}"


def large_case(chance, *, values):
    """60 ads of 20 advertisers for one break of 12."""
    ads = [
        Ad(
            0,
            values(chance),
            chance.choice((6, 10, 15, 20, 30, 45, 60)),
            1 << chance.randrange(20),
            0,
        )
        for _ in range(60)
    ]
    return ads, [Break(240, 12)]


def places_case(chance, *, values):
    """60 ads of 20 advertisers for 12 places."""
    labels = [1 << n % 12 | 1 << 12 + chance.randrange(20) for n in range(60)]
    return [Ad(0, values(chance), 15, held) for held in labels], []


def any_value(chance):
    return chance.randrange(100, 3000)


def few_values(chance):
    return chance.choice((800, 1000, 1200))


@pytest.mark.parametrize("values", [any_value, few_values])
@pytest.mark.parametrize("case", [large_case, places_case])
def test_pods_of_60_bids_and_12_slots_are_searched_to_the_end(case, values):
    for seed in range(10):
        ads, breaks = case(random.Random(seed), values=values)
        packing = pack(ads, breaks, limit=20_000)
        assert packing.exact
        assert fits(ads, breaks, packing.chosen)


def test_a_search_cut_short_is_honest():
    """60 ads with three labels each of 15: the bound is off until the search ends."""
    chance = random.Random(3)
    ads = [
        Ad(0, few_values(chance), 15, sum(1 << n for n in chance.sample(range(15), 3)), 0)
        for _ in range(60)
    ]
    breaks = [Break(60, 12)]
    best = pack(ads, breaks, limit=1_000_000)
    assert best.exact
    assert not pack(ads, breaks, 1).exact
    for limit in (1, 10, 100):
        short = pack(ads, breaks, limit)
        lacking = sum(ads[i].value for i in best.chosen) - sum(ads[i].value for i in short.chosen)
        assert fits(ads, breaks, short.chosen)
        assert 0 <= lacking <= short.gap or short.exact


def test_a_very_long_break_is_searched_like_any_other():
    ads = [Ad(0, value, 1500, 0, 0) for value in (5, 4, 3, 2, 1)]
    assert pack(ads, [Break(5000, 100)], limit=1000).chosen == (0, 1, 2)


def test_nothing_to_pack():
    assert pack([], [Break(30, 2)], 100).chosen == ()
    assert pack([], [], 100).chosen == ()
