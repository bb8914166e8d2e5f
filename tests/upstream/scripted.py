"""Bidders that do what a test says."""

import asyncio

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import (
    Ask,
    Bidder,
    PolicySettings,
    Transport,
    TransportError,
    UpstreamConfig,
)

ASK = Ask(BidRequest(id="1"))
BIDS = BidResponse(id="1", seatbid=[{"bid": [{"id": "b", "impid": "1", "price": 1}]}])
NO_BIDS = BidResponse(id="1", seatbid=[{}])


REFUSED = TransportError(Outcome.UNREACHABLE, "connection refused")


class Scripted(Transport):
    """Answers each call by the next line of a script, the last one again and again.

    A line is (seconds until the answer, the answer or an error); seconds of None: the answer is
    there at once. It keeps to the call's timeout unless it is `stubborn`.
    """

    def __init__(self, name, *script, timeout_ms=60_000, stubborn=False):
        super().__init__(UpstreamConfig(name=name, timeout_ms=timeout_ms))
        self.script = list(script)
        self.stubborn = stubborn
        self.timeouts = []
        self.ended = 0
        self.closed = False

    async def send(self, ask, timeout):  # noqa: ARG002 - the protocol's signature
        self.timeouts.append(timeout)
        seconds, answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        try:
            if seconds > timeout and not self.stubborn:
                await asyncio.sleep(timeout)
                raise TransportError(Outcome.TIMEOUT, f"no answer in {timeout * 1000:.0f} ms")
            await asyncio.sleep(seconds)
        finally:
            self.ended += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, ask, timeout):
        seconds, answer = self.script[0]
        if seconds is not None:
            return super().begin(ask, timeout)
        self.timeouts.append(timeout)
        self.ended += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self):
        self.closed = True


def bidder(transport, **policy):
    """A bidder on the running loop's clock."""
    clock = asyncio.get_running_loop().time
    return Bidder(transport, clock, PolicySettings.model_validate(policy))


def now():
    return asyncio.get_running_loop().time()
