"""The simulated bidder over HTTP: OpenRTB JSON by POST, 204 for a no-bid."""

import asyncio
from types import TracebackType
from typing import Self, cast

from aiohttp import web

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError, XspError
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome
from xsp_server.simulator import faults
from xsp_server.simulator.model import BidderModel
from xsp_server.simulator.settings import FaultSettings
from xsp_server.simulator.sleep import Sleep, forever

PATH = "/openrtb2"
HEALTH_PATH = "/healthz"

_MAX_REQUEST_BYTES = 4 * 1024 * 1024
_CUT_SECONDS = 0.05  # how long aiohttp waits for what is cut already


class HttpSimulator:
    """An HTTP server that answers out of a model; an async context manager.

    A no-bid is a 204, an error a 500, and a request that is not OpenRTB JSON a 400.

    Attributes:
        model: the bidder; a new one counts from the next request on.
        fault: what goes wrong with every answer that the model would give; None for nothing.
        host: the address listened on.
        port: the port listened on; before the start, 0 asks for a free one.
    """

    def __init__(
        self,
        model: BidderModel,
        *,
        fault: FaultSettings | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Takes the bidder and where to listen; `sleep` passes the time before an answer."""
        self.model = model
        self.fault = fault
        self.host = host
        self.port = port
        self._sleep = sleep
        self._runner: web.AppRunner | None = None
        self._at_work: set[asyncio.Task[object]] = set()

    @property
    def url(self) -> str:
        """Where requests are posted."""
        return f"http://{self.host}:{self.port}{PATH}"

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigError: the port is taken.
        """
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        app.router.add_post(PATH, self._bid)
        app.router.add_get(HEALTH_PATH, _health)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_CUT_SECONDS
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError:
            await self.stop()
            where = f"{self.host}:{self.port}"
            raise ConfigError(f"can't listen on {where}; expected a free port") from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Ends at once, as a killed process does: requests at work are cut."""
        if self._runner is None:
            return
        for site in self._runner.sites:
            await site.stop()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        """Starts."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops."""
        await self.stop()

    async def _bid(self, request: web.Request) -> web.StreamResponse:
        task = cast(asyncio.Task[object], asyncio.current_task())
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        try:
            message = codec.parse_bid_request(await request.read()).message
        except XspError as error:
            return web.Response(status=400, text=str(error))
        plan = self.model.plan(message)
        if plan.outcome is Outcome.TIMEOUT:
            await forever()
        await self._sleep(plan.delay)
        if self.fault is not None:
            case = faults.Case(request, plan.response, self.fault, self._sleep)
            return await faults.strike(case)
        if plan.outcome is Outcome.ERROR:
            return web.Response(status=500, text="simulated error")
        return _answer(plan.response)


def _answer(response: BidResponse) -> web.Response:
    if not response.seatbid:
        return web.Response(status=204)
    return web.Response(body=codec.write(response), content_type=faults.JSON)


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="ok")
