"""A bidder: a transport with a name, whose every call ends in a reply."""

from collections.abc import Callable

from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.upstream.transport import Ask, Transport, TransportError


class Bidder:
    """Asks one upstream and says how it went; it never raises.

    Attributes:
        name: unique among the bidders of an exchange.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float]) -> None:
        """Wraps a transport.

        Args:
            transport: how the bidder is reached.
            clock: seconds, monotonic; the event loop's own in production.
        """
        self.name = transport.settings.name
        self._transport = transport
        self._longest = transport.settings.timeout_ms / 1000
        self._clock = clock

    async def ask(self, ask: Ask, started: float, deadline: float) -> Reply:
        """One call, as a reply.

        Args:
            ask: the request.
            started: when the auction began, by the clock.
            deadline: when its answer is of no use any more, by the clock.
        """
        timeout = min(deadline - self._clock(), self._longest)
        if timeout <= 0:
            return Reply(self.name, Outcome.TIMEOUT, None, detail="no time was left to ask")
        try:
            response = await self._transport.send(ask, timeout)
        except TransportError as error:
            arrived = None if error.outcome is Outcome.TIMEOUT else self._since(started)
            return Reply(self.name, error.outcome, arrived, detail=error.detail)
        except Exception as error:  # noqa: BLE001 - a plug-in's bug must not cost the auction
            detail = f"{type(error).__name__} in the transport"
            return Reply(self.name, Outcome.ERROR, self._since(started), detail=detail)
        bids = response is not None and any(seatbid.bid for seatbid in response.seatbid)
        outcome = Outcome.BIDS if bids else Outcome.NO_BID
        return Reply(self.name, outcome, self._since(started), response)

    async def close(self) -> None:
        """Closes the transport."""
        await self._transport.close()

    def _since(self, started: float) -> float:
        """Milliseconds in whole microseconds: what a record of the auction can hold exactly."""
        return round((self._clock() - started) * 1000, 3)
