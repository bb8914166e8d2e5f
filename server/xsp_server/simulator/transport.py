"""A simulated bidder inside the exchange's own process: no socket, no encoding."""

import asyncio
from typing import ClassVar

from pydantic import BaseModel

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.simulator.model import BidderModel
from xsp_server.simulator.settings import BidderSettings
from xsp_server.simulator.sleep import Sleep
from xsp_server.upstream.transport import Ask, Transport, TransportError, UpstreamConfig


class SimulatedSettings(BidderSettings, UpstreamConfig):
    """A simulated bidder in this process.

    A spread is a number, which is always the same, "uniform min=0.5 max=4",
    "lognormal median=2 sigma=0.5" or "lognormal median=20 p99=80".
    """

    seed: int = 0
    """What all chance follows from: the same seed and request give the same answer."""


@configurable("simulated")
class SimulatedTransport(Transport):
    """Answers out of a model.

    Attributes:
        model: the bidder; a new one counts from the next request on.
    """

    Settings: ClassVar[type[BaseModel]] = SimulatedSettings

    def __init__(self, settings: SimulatedSettings, /, sleep: Sleep = asyncio.sleep) -> None:
        """Makes the model.

        Args:
            settings: the model's and the upstream's.
            sleep: passes the time before an answer.
        """
        super().__init__(settings)
        self.model = BidderModel(settings, settings.seed)
        self._sleep = sleep

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`. What would come too late is not waited for beyond the timeout."""
        plan = self.model.plan(ask.request)
        await self._sleep(min(plan.delay, timeout))
        if plan.delay > timeout:
            raise TransportError(Outcome.TIMEOUT, f"no answer in {timeout * 1000:.0f} ms")
        if plan.outcome is Outcome.ERROR:
            raise TransportError(Outcome.ERROR, "simulated error")
        return plan.response if plan.outcome is Outcome.BIDS else None
