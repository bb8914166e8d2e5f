"""Resolving a name so that the addresses that were checked are those that are connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread

from aiohttp.abc import AbstractResolver, ResolveResult

from xsp_server.upstream.guard.policy import AddressGuard

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""From host and port to the host's addresses as text, in the order in which to try them.

Raises OSError where the name has none, or nobody knows."""

MAX_LOOK_UPS = 64
"""Names that the system looks up at once; each takes a thread until its name server answers."""


class SystemLookUp:
    """Looks names up as the system does, IPv6 only where the machine has it.

    In threads of its own: strangers choose these names, and a name server that hangs would hold up
    whatever else shares the loop's few threads.
    """

    def __init__(self, at_once: int = MAX_LOOK_UPS) -> None:
        """Takes the greatest number of look-ups at once."""
        self._places = BoundedSemaphore(at_once)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """See `LookUp`. Refuses at once when all places are taken."""
        if not self._places.acquire(blocking=False):
            raise OSError(None, f"{host}: too many names are being looked up")
        found: Future[list[str]] = Future()
        found.set_running_or_notify_cancel()  # nothing stops a look-up once it is under way
        args = (host, port, found)
        Thread(target=self._look_up, args=args, name=f"look-up of {host}", daemon=True).start()
        return await asyncio.wrap_future(found)

    def _look_up(self, host: str, port: int, found: "Future[list[str]]") -> None:
        try:
            infos = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        except OSError as error:
            found.set_exception(error)
        else:
            found.set_result(list(dict.fromkeys(str(info[4][0]) for info in infos)))
        finally:
            self._places.release()


class CheckedResolver(AbstractResolver):
    """Gives aiohttp's connector numeric addresses only, all of them checked.

    The connector asks for names only, so literals are `AddressGuard.check_url`'s to check.
    """

    def __init__(self, guard: AddressGuard, look_up: LookUp) -> None:
        """Takes the guard, and how names are looked up."""
        self._guard = guard
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See aiohttp's `AbstractResolver`.

        Raises:
            AddressRefused: one of the addresses may not be reached.
            OSError: the name has no address of the family.
        """
        addresses = await self._look_up(host, port)
        self._guard.check_addresses(host, port, addresses)
        found = [_result(host, address, port) for address in addresses]
        if family != socket.AF_UNSPEC:
            found = [result for result in found if result["family"] == family]
        if not found:
            raise OSError(None, f"{host} has no address")
        return found

    async def close(self) -> None:
        """There is nothing to close."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
