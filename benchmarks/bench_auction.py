"""The pure auction, in process: how its cost grows with bidders, and a full pod.

Replies are messages already; what is timed is judging, deciding, pricing and building the answer.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import harness
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import Rules, build_response
from xsp_server.auction import run as run_auction
from xsp_server.openrtb.reply import Outcome, Reply

BIDDERS = (1, 5, 20, 50)
BIDS_EACH = 3
PODS_EACH = 100
DEALS_FIRST = Rules.from_mapping({"deal_policy": "deals_first"})

REQUEST = BidRequest(
    id="r",
    at=2,
    imp=[
        {"id": "1", "bidfloor": 0.5, "banner": {"format": [{"w": 300, "h": 250}]}},
        {"id": "2", "bidfloor": 0.7, "banner": {"format": [{"w": 728, "h": 90}]}},
        {"id": "3", "bidfloor": 0.9, "banner": {"format": [{"w": 160, "h": 600}]}},
    ],
    bcat=["IAB25", "IAB26"],
    badv=["blocked.example.net"],
)
SIZES = {"1": (300, 250), "2": (728, 90), "3": (160, 600)}


def run() -> dict[str, Any]:
    """Measures, and gives microseconds an auction."""
    candidates: dict[str, Callable[[], object]] = {
        f"{bidders} bidders": _auction(REQUEST, _replies(bidders)) for bidders in BIDDERS
    }
    pod, bids = _pod(slots=12, bids=60)
    candidates["pod of 12 slots, 60 bids"] = _auction(pod, bids)
    dynamic, bids = _dynamic_pod(bids=60)
    candidates["dynamic pod of 180 s, 60 bids"] = _auction(dynamic, bids)
    timings = harness.compare(candidates, rounds=15)
    return {
        "bids_each": BIDS_EACH,
        "pods": {name: _time_pods(kind) for name, kind in KINDS.items()},
        "us": {
            name: {"median": t.median * 1e6, "p10": t.p10 * 1e6, "p90": t.p90 * 1e6}
            for name, t in timings.items()
        },
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{figures['bids_each']} bids of each bidder, 3 imps, second price"]
    for name, us in figures["us"].items():
        spread = f"p10 {us['p10']:8.1f}   p90 {us['p90']:8.1f}"
        lines.append(f"  {name:44} median {us['median']:8.1f} us   {spread}")
    lines.append(f"pods of 60 bids, {PODS_EACH} of each kind: CPU time of the auction")
    for name, ms in figures["pods"].items():
        spread = f"p90 {ms['p90']:5.1f}   max {ms['max']:5.1f}   cut off {ms['cut_off']}"
        lines.append(f"  {name:44} median {ms['median']:5.1f} ms   {spread}")
    return "\n".join(lines)


def _auction(request: BidRequest, replies: list[Reply]) -> Callable[[], object]:
    return lambda: build_response(request, run_auction(request, replies))


def _replies(bidders: int) -> list[Reply]:
    rng = random.Random(bidders)
    return [_reply(f"bidder-{n:02d}", rng, list(SIZES)) for n in range(bidders)]


def _reply(name: str, rng: random.Random, imps: list[str]) -> Reply:
    response = BidResponse(id="r", cur="USD")
    seatbid = response.seatbid.add(seat=name)
    for imp in imps:
        w, h = SIZES[imp]
        seatbid.bid.add(
            id=f"b{imp}",
            impid=imp,
            price=round(rng.uniform(0.3, 5), 2),
            adm="<div>ad</div>",
            adomain=[f"{name}.example.com"],
            cat=["IAB1-2"],
            w=w,
            h=h,
            mtype=1,
        )
    return Reply(name, Outcome.BIDS, round(rng.uniform(5, 100), 3), response)


def _pod(slots: int, bids: int) -> tuple[BidRequest, list[Reply]]:
    """A structured pod: every bid for one slot, advertisers that may not meet in it."""
    request = BidRequest(id="r", at=1)
    for slot in range(slots):
        request.imp.add(
            id=f"s{slot}",
            video={"mimes": ["video/mp4"], "maxduration": 30, "podid": "p", "poddedupe": [1, 2]},
        )
    return request, [_pod_bids(bids, [f"s{slot}" for slot in range(slots)])]


@dataclass(frozen=True, slots=True)
class Kind:
    """Pods of 60 bids; hard where prices tell bids hardly apart, and each shares categories.

    Attributes:
        dynamic: whether the pod is one break instead of 12 slots.
        prices: that bids have.
        categories: how many of 19 a bid has.
        seconds: durations that bids have.
        brands: how many advertisers there are; None: each bid has its own.
        ends: `slotinpod` of bids.
        deals: that bids name; empty: none.
    """

    dynamic: bool = False
    prices: tuple[float, ...] = (10, 11, 12)
    categories: tuple[int, ...] = (2,)
    seconds: tuple[int, ...] = (15,)
    brands: int | None = None
    ends: tuple[int, ...] = (0,)
    deals: tuple[str, ...] = ("",)

    def pod(self, rng: random.Random) -> tuple[BidRequest, list[Reply]]:
        """One of them."""
        request, [reply] = _dynamic_pod(bids=60) if self.dynamic else _pod(slots=12, bids=60)
        for imp in request.imp:
            imp.video.slotinpod = 2 if any(self.ends) else 0
            imp.pmp.deals.add(id="first")
            imp.pmp.deals.add(id="guaranteed", guar=1)
        assert reply.response is not None
        for place, bid in enumerate(reply.response.seatbid[0].bid):
            bid.price = rng.choice(self.prices)
            brand = place if self.brands is None else rng.randrange(self.brands)
            bid.adomain[:] = [f"brand{brand}.example.com"]
            categories = rng.sample(range(1, 20), rng.choice(self.categories))
            bid.cat[:] = [f"IAB{category}" for category in categories]
            bid.dur = rng.choice(self.seconds)
            bid.slotinpod = rng.choice(self.ends)
            bid.dealid = rng.choice(self.deals)
        return request, [reply]


SPREAD = (6, 10, 15, 20, 30)
USUAL = tuple(n / 100 for n in range(100, 3000))
KINDS = {
    "12 slots, usual prices, 1 category a bid": Kind(
        prices=USUAL, categories=(1,), seconds=SPREAD, brands=25
    ),
    "180 s, usual prices, 1 category a bid": Kind(
        dynamic=True, prices=USUAL, categories=(1,), seconds=SPREAD, brands=25
    ),
    "12 slots, flat prices, 2 categories a bid": Kind(),
    "12 slots, flat prices, 3 categories": Kind(categories=(3,)),
    "12 slots, flat prices, 1 to 3 categories": Kind(categories=(1, 2, 3)),
    "12 slots, flat prices, 25 advertisers": Kind(brands=25),
    "12 slots, flat prices, deals": Kind(deals=("", "", "first", "guaranteed")),
    "12 slots, close prices": Kind(prices=tuple(n / 100 for n in range(1000, 1030))),
    "12 slots, equal prices, two durations": Kind(prices=(10,), seconds=(15, 30)),
    "180 s, flat prices, 2 categories a bid": Kind(dynamic=True, seconds=SPREAD),
    "180 s, flat prices, 3 categories": Kind(dynamic=True, seconds=SPREAD, categories=(3,)),
    "180 s, flat prices, end slots": Kind(dynamic=True, seconds=SPREAD, ends=(0, 0, 0, 1, -1, 2)),
    "180 s, flat prices, no categories": Kind(dynamic=True, seconds=SPREAD, categories=(0,)),
    "180 s, equal prices": Kind(dynamic=True, seconds=SPREAD, prices=(10,)),
}


def _time_pods(kind: Kind) -> dict[str, float]:
    """Milliseconds of the better of two runs of each pod."""
    taken, cut_off = [], 0
    for seed in range(PODS_EACH):
        request, replies = kind.pod(random.Random(seed))
        runs = []
        for _ in range(2):
            started = time.process_time()
            result = run_auction(request, replies, DEALS_FIRST)
            runs.append(time.process_time() - started)
        taken.append(min(runs) * 1e3)
        cut_off += not result.pods[0].exact
    timing = harness.timing(taken)
    return {
        "median": timing.median,
        "p90": timing.p90,
        "max": max(taken),
        "cut_off": cut_off,
    }


def _dynamic_pod(bids: int) -> tuple[BidRequest, list[Reply]]:
    """A dynamic pod: one imp, three minutes, at most twelve ads."""
    video = {
        "mimes": ["video/mp4"],
        "maxduration": 30,
        "poddur": 180,
        "maxseq": 12,
        "podid": "p",
        "poddedupe": [1, 2],
    }
    return BidRequest(id="r", at=1, imp=[{"id": "d", "video": video}]), [_pod_bids(bids, ["d"])]


def _pod_bids(bids: int, imps: list[str]) -> Reply:
    rng = random.Random(bids)
    response = BidResponse(id="r", cur="USD")
    seatbid = response.seatbid.add(seat="s")
    for n in range(bids):
        seatbid.bid.add(
            id=f"b{n}",
            impid=imps[n % len(imps)],
            price=round(rng.uniform(1, 30), 2),
            adm="<VAST></VAST>",
            adomain=[f"brand{rng.randrange(25)}.example.com"],
            cat=[f"IAB{rng.randrange(1, 20)}"],
            dur=rng.choice([6, 10, 15, 20, 30]),
            mtype=2,
        )
    return Reply("b", Outcome.BIDS, 10.0, response)


if __name__ == "__main__":
    print(table(run()))
