"""Bidders that are Python functions in the exchange's own process."""

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, Field

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.upstream.transport import Ask, Transport, TransportError, UpstreamConfig, timed_out

Function: TypeAlias = Callable[[BidRequest], BidResponse | Awaitable[BidResponse | None] | None]
"""Takes a request, which is its own to change, and gives a response; None is a no-bid."""


class MemorySettings(UpstreamConfig):
    """A bidder that is a Python function."""

    call: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")]
    """The function as `module:attribute`. It takes an `xsp.openrtb.v2` BidRequest and gives a
    BidResponse, or None for a no-bid; `async` or not. One that is not runs in a thread."""
    threads: Annotated[int, Field(ge=1, le=100)] = 4
    """Calls at once of a function that is not `async`; a call beyond that waits in its timeout."""


@configurable("memory")
class MemoryTransport(Transport):
    """Calls a function."""

    Settings: ClassVar[type[BaseModel]] = MemorySettings

    def __init__(self, settings: MemorySettings, /) -> None:
        """Imports the function.

        Raises:
            ConfigError: there is no such module or attribute, or it can't be called.
        """
        super().__init__(settings)
        self._function = _function(settings.call)
        # Threads start as they are needed. Whoever blocks one delays no auction but its own.
        self._threads = None
        if not _is_async(self._function):
            self._threads = ThreadPoolExecutor(settings.threads, settings.name)

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`. A function that runs out of time is cancelled, a thread is left."""
        request = BidRequest()
        request.CopyFrom(ask.request)
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                answer = await self._call(request)
        except TimeoutError as error:
            if limit.expired():
                raise timed_out(timeout) from None
            raise _failed(error) from error
        except TransportError:
            raise
        except Exception as error:
            raise _failed(error) from error
        if answer is not None and not isinstance(answer, BidResponse):
            detail = f"expected a BidResponse or None, got {type(answer).__name__}"
            raise TransportError(Outcome.INVALID_RESPONSE, detail)
        return answer

    async def close(self) -> None:
        """Lets the threads end."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, request: BidRequest) -> Any:
        if self._threads is None:
            answer: Any = self._function(request)
        else:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, self._function, request)
        return await answer if inspect.isawaitable(answer) else answer


def _failed(error: Exception) -> TransportError:
    return TransportError(Outcome.ERROR, f"{type(error).__name__}: {error}")


def _function(call: str) -> Function:
    module, _, attribute = call.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"call: got {call}; {error}") from None
    if not callable(found):
        raise ConfigError(f"call: got {call}, a {type(found).__name__}; expected a function")
    function: Function = found
    return function


def _is_async(function: Function) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object that acts as a function
    )
