"""The pure auction, in process: how its cost grows with bidders, and a full pod.

Replies are messages already; what is timed is judging, deciding, pricing and building the answer.
"""

import random
from collections.abc import Callable
from typing import Any

import harness
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import build_response
from xsp_server.auction import run as run_auction
from xsp_server.openrtb.reply import Outcome, Reply

BIDDERS = (1, 5, 20, 50)
BIDS_EACH = 3
FLAT_PODS = 40

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
    candidates["the same, flat prices, two categories a bid"] = _auction(*_flat_pod())
    dynamic, bids = _dynamic_pod(bids=60)
    candidates["dynamic pod of 180 s, 60 bids"] = _auction(dynamic, bids)
    timings = harness.compare(candidates, rounds=15)
    return {
        "bids_each": BIDS_EACH,
        "flat_pods_cut_off": _flat_pods_cut_off(),
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
    cut_off = f"{figures['flat_pods_cut_off']} of {FLAT_PODS}"
    lines.append(f"  pods of flat prices whose search was cut off, their gap told: {cut_off}")
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


def _flat_pod(seed: int = 0) -> tuple[BidRequest, list[Reply]]:
    """The hardest kind known: prices tell bids hardly apart, and each shares two categories."""
    request, [reply] = _pod(slots=12, bids=60)
    rng = random.Random(seed)
    assert reply.response is not None
    for place, bid in enumerate(reply.response.seatbid[0].bid):
        bid.price = 10 + rng.randrange(3)
        bid.adomain[:] = [f"brand{place}.example.com"]
        bid.cat[:] = [f"IAB{category}" for category in rng.sample(range(1, 20), 2)]
        bid.dur = 15
    return request, [reply]


def _flat_pods_cut_off() -> int:
    results = (run_auction(*_flat_pod(seed)) for seed in range(FLAT_PODS))
    return sum(not result.pods[0].exact for result in results)


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
